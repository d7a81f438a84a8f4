/**
 * `AgentHost`: the live sessions of one workspace and the services they share. Its public methods are the protocol.
 *
 * Not here: JSON-RPC (`main/lsp.ts`), the terminal (`main/cli.ts`), or which adapters are used (`main/`). Easily got
 * wrong: one turn runs in a session at a time, and a turn that cannot be stored ends instead of going on unrecorded.
 */
import type { Clock } from "./base/async.ts";
import { isAbort, messageOf, RequestError, ToolError } from "./base/errors.ts";
import { log } from "./base/trace.ts";
import type { AnswerCache } from "./cache/answerCache.ts";
import type { Route, RouteFacts } from "./model/router.ts";
import type { TokenCounts } from "./model/tokens.ts";
import type {
  CompactParams,
  CompactResult,
  ConflictParams,
  ConflictResult,
  ListModelsResult,
  ListSessionsParams,
  ListSessionsResult,
  LoadSessionResult,
  NewSessionParams,
  NewSessionResult,
  NotebookTextResult,
  PromptParams,
  PromptResult,
  ReadBlobParams,
  ReadBlobResult,
  RestoreParams,
  RestoreResult,
  ReviewParams,
  TaskArguments,
  TaskName,
  UndoCompactionParams,
  UndoParams,
  UndoRestoreParams,
  UndoResult,
  WarmUpParams,
  WarmUpResult,
} from "./protocol/methods.ts";
import type {
  ApprovalChoice,
  CredentialName,
  Failure,
  Json,
  LimitReached,
  ModelSpec,
  PendingFile,
  PermissionRequest,
  PromptPart,
  RestoreId,
  RestoreTarget,
  RouteStrategy,
  SessionId,
  SessionUpdate,
  TurnId,
} from "./protocol/types.ts";
import { runAnswered } from "./session/answers.ts";
import { Compactions, type CompactionsDeps } from "./session/compactions.ts";
import { hasGrown } from "./session/compactPlan.ts";
import { resultLimit } from "./session/context.ts";
import type { FallbackDeps, TurnModel } from "./session/fallback.ts";
import { type LiveSession, LiveSessions } from "./session/liveSessions.ts";
import { isSameLimit, type PauseDeps, Pauses } from "./session/pauses.ts";
import { changedInstructions, momentContext, sessionPrompt, toldDate } from "./session/prompt.ts";
import { isUnbegun } from "./session/reduce.ts";
import { conflictOf, restore } from "./session/restore.ts";
import { routeFacts } from "./session/routeFacts.ts";
import { openOwner, type Session } from "./session/session.ts";
import { composeTask } from "./session/tasks.ts";
import { withoutCompaction } from "./session/thread.ts";
import { createToolCalls, type ToolCallDeps } from "./session/toolCalls.ts";
import type { TurnEnd } from "./session/turn.ts";
import { Stopwatch } from "./session/turnLimits.ts";
import { forecastOf, WarmUps } from "./session/warmUp.ts";
import { type SessionStore, StaleSessionError } from "./storage/store.ts";
import { decodeText } from "./text/encoding.ts";
import type { Registry } from "./tools/registry.ts";
import { createQueues } from "./workspace/queues.ts";
import type { Workspace } from "./workspace/workspace.ts";

/** A model ready to be asked, and those that the user has named to go on with when it fails. */
export interface ReadyModel extends TurnModel, Pick<FallbackDeps, "fallbacks"> {
  /** How it was chosen, where the user has left that to rules. */
  readonly routed?: Route & { readonly strategy: RouteStrategy };
  /** Opens a connection that the next request finds open. Never rejects. */
  readonly connect?: (signal: AbortSignal) => Promise<void>;
}

/** What is done for a prompt before it is sent. */
export type WarmUpPolicy = "off" | "connection" | "conversation";

/** The models that can be used now. `main/models.ts` makes it. */
export interface Models {
  list(): Promise<ListModelsResult>;
  /**
   * The model of a turn: the one with that id, the one that the user has chosen, or what rules make of the facts, where
   * there are any. Throws `RequestError` `unknown_model` or `needs_key`, each saying what to do.
   */
  resolve(id: string | undefined, facts?: () => RouteFacts): Promise<ReadyModel>;
  /** Those of known vendors that could be asked right now. */
  ready(): Promise<readonly TurnModel[]>;
  /** All that could be chosen, local ones left out. */
  known(): Promise<readonly ModelSpec[]>;
  select(id: string): Promise<void>;
  setCredential(name: CredentialName, value: string | undefined): void;
}

/** What the host needs from outside. */
export interface HostDeps {
  readonly store: SessionStore;
  readonly workspace: Workspace;
  /** Makes the tools of one session: tools may remember what happened in it. */
  readonly createRegistry: () => Registry;
  readonly models: Models;
  /** Estimates of tokens, which learn from every turn. */
  readonly tokens: TokenCounts;
  /** Permission rules and where the ones that the user adds are kept. */
  readonly permissions: ToolCallDeps["permissions"];
  /** Answers that may be given again, and what the settings say about who gives them. Absent where none are kept. */
  readonly answers?: { readonly cache: AnswerCache; readonly servers: () => Json };
  readonly ask: (request: PermissionRequest, signal: AbortSignal) => Promise<ApprovalChoice>;
  /** Asks the user at a limit; absent where nobody can be asked, and then a limit ends the turn. */
  readonly budget?: PauseDeps;
  /** Milliseconds that a turn may work before it asks; 0 or absent for no limit. */
  readonly maxTurnMs?: () => number;
  readonly onUpdate: (sessionId: SessionId, update: SessionUpdate) => void;
  /** Told what waits for the user's review in a session, whenever that changes. Absent where nobody reviews. */
  readonly onReview?: (sessionId: SessionId, files: readonly PendingFile[]) => void;
  readonly trusted: () => boolean;
  /** When and how conversations are compacted. */
  readonly compaction: CompactionsDeps["policy"];
  readonly maxSteps: () => number;
  /** Nothing is done for prompts that are not sent yet where it is absent. */
  readonly warmUp?: () => WarmUpPolicy;
  readonly concurrency: () => number;
  /** Milliseconds that edits may wait for the editor's problems; absent where there is no editor. */
  readonly diagnosticsWaitMs?: () => number;
  readonly clock: Clock;
  /** Makes a new id of `[a-z0-9-]`, never the same twice. */
  readonly createId: () => string;
  readonly platform: string;
  readonly pid: number;
  /** Whether a process of this machine still runs. */
  readonly isAlive: (pid: number) => boolean;
}

/** A prompt, and the task that composed it, where one did. */
interface TurnParams extends PromptParams {
  readonly task?: TaskName;
  /** When it arrived. */
  readonly receivedAt: number;
}

/** How often the end of a session that is being written to is read before all of it is. */
const maxTailReads = 3;

/** Of more changed files than this, it is not asked which of them matter. */
const manyFiles = 200;

/** Serves sessions of one workspace. Ends with `close()`. */
export class AgentHost {
  readonly #deps: HostDeps;
  readonly #live: LiveSessions;
  readonly #compactions: Compactions;
  readonly #closing = new AbortController();
  readonly #fileOrder = createQueues();
  readonly #warmUps: WarmUps;
  readonly #pauses: Pauses | undefined;

  constructor(deps: HostDeps) {
    this.#deps = deps;
    this.#pauses = deps.budget && new Pauses(deps.budget);
    this.#warmUps = new WarmUps({ ...deps, closing: this.#closing.signal });
    this.#live = new LiveSessions({ ...deps, fileOrder: this.#fileOrder });
    this.#compactions = new Compactions({ ...deps, policy: deps.compaction });
    deps.store.keepBlobs?.(() => this.#live.neededBlobs());
  }

  /** Starts a session. */
  async newSession(params: NewSessionParams): Promise<NewSessionResult> {
    const id = this.#deps.createId() as SessionId;
    const cwd = params.cwd ?? this.#deps.workspace.root;
    await this.#live.create(id, cwd);
    return { sessionId: id };
  }

  /**
   * Reads a session and closes what a host that is gone left open in it. With `turns`, only so many of the newest are read
   * where that is safe; then the session may not be in memory yet.
   */
  async loadSession(id: SessionId, turns?: number): Promise<LoadSessionResult> {
    return (turns === undefined ? undefined : await this.#loadTail(id, turns)) ?? this.#loadWhole(id);
  }

  async #loadTail(id: SessionId, turns: number): Promise<LoadSessionResult | undefined> {
    const opened = this.#live.present(id);
    for (let tries = 1; tries <= maxTailReads; tries++) {
      await opened?.session.idle();
      const tail = await this.#deps.store.readTail?.(id, turns);
      if (!tail) return undefined;
      // What is open there may have to be closed first.
      if (!opened) return openOwner(tail.events) ? undefined : { ...tail, live: [], running: false };
      const last = tail.events.at(-1)?.seq ?? 0;
      // Both halves of the answer are of one moment: nothing is awaited between here and `live`.
      if (last > opened.session.state.seq) return undefined;
      if (last === opened.session.state.seq)
        return { ...tail, live: opened.session.live, running: opened.turn !== undefined };
    }
    return undefined;
  }

  async #loadWhole(id: SessionId): Promise<LoadSessionResult> {
    const opened = await this.#live.open(id);
    const { session } = opened;
    for (;;) {
      await session.idle();
      const { events } = await this.#deps.store.read(id);
      // Both halves of the answer are of one moment: nothing is awaited between here and `live`.
      const last = events.at(-1)?.seq ?? 0;
      if (last < session.state.seq) continue;
      if (last > session.state.seq && !opened.turn && opened.busy === 0) {
        await this.#live.reopen(id, opened);
        return this.#loadWhole(id);
      }
      return { events, live: session.live, running: opened.turn !== undefined };
    }
  }

  /** Lists the sessions of this workspace, newest first. */
  async listSessions(params: ListSessionsParams): Promise<ListSessionsResult> {
    const { query, limit = 50 } = params;
    const sessions = await this.#deps.store.list({
      cwd: this.#deps.workspace.root,
      limit: Math.min(limit, 500),
      ...(query ? { text: query } : {}),
    });
    return { sessions };
  }

  /** Runs one turn to its end. Aborting `signal` cancels it, and the result says so. */
  prompt(params: PromptParams, signal: AbortSignal): Promise<PromptResult> {
    return this.#receive({ ...params, receivedAt: this.#deps.clock.now() }, signal);
  }

  async #receive(params: TurnParams, signal: AbortSignal): Promise<PromptResult> {
    if (params.prompt.every(isBlank)) throw new RequestError("empty_prompt", "The prompt is empty. Write what to do.");
    const live = await this.#live.open(params.sessionId);
    try {
      return await this.#prompt(live, params, signal);
    } catch (error) {
      if (!(error instanceof StaleSessionError)) throw error;
      // Another window or terminal has used the session since; nothing of this turn is stored yet, so it begins anew.
      return this.#prompt(await this.#live.reopen(params.sessionId, live), params, signal);
    }
  }

  async #prompt(live: LiveSession, params: TurnParams, signal: AbortSignal): Promise<PromptResult> {
    await this.#compactions.stopBackground(live);
    if (live.turn || live.restoring) {
      throw new RequestError(
        "turn_running",
        "A turn, a restore or a compaction is already running in this session. Stop it, or wait for its end.",
      );
    }
    const controller = new AbortController();
    const turnId = this.#deps.createId() as TurnId;
    const all = AbortSignal.any([signal, controller.signal, this.#closing.signal]);
    const run = this.#runTurn(live, turnId, params, all);
    live.turn = { controller, done: run.catch(() => undefined) };
    try {
      return { turnId, ...(await run) };
    } finally {
      live.turn = undefined;
      this.#live.evict();
    }
  }

  /** Ends the running turn or compaction of a session, if there is one, and resolves when it has ended. */
  async cancel(id: SessionId): Promise<void> {
    const live = await this.#live.known(id);
    if (!live) return;
    const { turn, compaction } = live;
    turn?.controller.abort();
    compaction?.controller.abort();
    await Promise.all([turn?.done, compaction?.done]);
  }

  /** Prepares for a prompt and says what it will find in the prompt cache. Resolves before the work is done. */
  async warmUp({ sessionId, intent }: WarmUpParams): Promise<WarmUpResult> {
    const { models, createId } = this.#deps;
    const policy = this.#deps.warmUp?.() ?? "off";
    const live = sessionId && (await this.#live.open(sessionId));
    const model = await models.resolve(undefined, live ? () => factsOf(live.session) : undefined);
    if (policy !== "off") void model.connect?.(this.#closing.signal);
    if (!live) return { forecast: null };
    const { session, registry } = live;
    const target = { session, model, tools: registry.specs(session.state.tools) };
    const isBusy = live.turn !== undefined || live.compaction !== undefined || live.restoring;
    if (policy === "conversation" && intent === "typing" && !isBusy) {
      live.busy += 1;
      void this.#warmUps.begin(target).finally(() => {
        live.busy -= 1;
      });
    }
    return { forecast: forecastOf(target, await models.known(), createId() as TurnId) };
  }

  /** Turns that wait at a limit look at it again: that one was raised, or, when none is given, any may have changed. */
  limitsChanged(raised?: Pick<LimitReached, "period" | "unit"> & { readonly sessionId?: SessionId }): void {
    this.#pauses?.limitsChanged((question) => !raised || isSameLimit(question, raised, raised.sessionId));
  }

  /** Composes the prompt of a task and starts it in the given session, or in a new one. */
  async startTask(
    task: TaskArguments,
    origin: PromptParams["origin"],
    signal: AbortSignal,
  ): Promise<{ readonly sessionId: SessionId; readonly done: Promise<PromptResult> }> {
    if (task.task === "review_changes" && !this.#deps.trusted()) {
      // git runs programs that the repository's own configuration names.
      throw new RequestError(
        "untrusted",
        "Reviewing your changes runs git, and nothing is run in a workspace that you have not trusted. Trust it first.",
      );
    }
    const receivedAt = this.#deps.clock.now();
    const prompt = await composeTask(task, this.#deps.workspace, signal);
    const sessionId = task.sessionId ?? (await this.newSession({})).sessionId;
    return { sessionId, done: this.#receive({ sessionId, prompt, origin, task: task.task, receivedAt }, signal) };
  }

  /** Gives the files that a turn changed their text from before it, merged with what was changed since. */
  undo({ sessionId, turnId }: UndoParams): Promise<RestoreResult> {
    return this.#restore(sessionId, { type: "turn", turnId });
  }

  /** Goes back to right before a turn: the files of it and of all later turns, the conversation, or both. */
  async restore({ sessionId, turnId, files, conversation }: RestoreParams): Promise<RestoreResult> {
    if (files || conversation) return this.#restore(sessionId, { type: "checkpoint", turnId, files, conversation });
    throw new RequestError("nothing_to_restore", "Say what to restore: the files, the conversation, or both.");
  }

  /** Takes back a restore, or the undo of a turn. */
  undoRestore({ sessionId, restoreId }: UndoRestoreParams): Promise<RestoreResult> {
    return this.#restore(sessionId, { type: "restore", restoreId });
  }

  /** Replaces the conversation, as models are given it, by a summary. Throws `RequestError` `nothing_to_compact`. */
  async compact({ sessionId, hint }: CompactParams, signal: AbortSignal): Promise<CompactResult> {
    const live = await this.#openIdle(sessionId);
    if (!hasGrown(live.session.state)) {
      throw new RequestError("nothing_to_compact", "There is nothing to compact in this session yet.");
    }
    const model = await this.#deps.models.resolve(undefined, () => factsOf(live.session));
    const order = { reason: "manual", ...(hint?.trim() ? { hint: hint.trim() } : {}) } as const;
    const all = AbortSignal.any([signal, this.#closing.signal]);
    return { compacted: await this.#busy(live, () => this.#compactions.run(live, model, order, all, "foreground")) };
  }

  /** Takes back the last compaction. Throws `RequestError` `not_undoable` when something was added since. */
  async undoCompaction({ sessionId, compactionId }: UndoCompactionParams): Promise<Record<string, never>> {
    const live = await this.#openIdle(sessionId);
    if (!withoutCompaction(live.session.state, compactionId)) {
      throw new RequestError(
        "not_undoable",
        "The conversation has gone on since it was compacted, so that cannot be undone. Restore the conversation to a turn before it instead.",
      );
    }
    await this.#busy(live, () => live.session.append({ type: "compaction_undone", compactionId }));
    return {};
  }

  /** A file that a restore left alone, as one text with both sides. */
  async readConflict(params: ConflictParams, signal: AbortSignal): Promise<ConflictResult> {
    const { session } = await this.#live.open(params.sessionId);
    return conflictOf(session.state, params, this.#deps, signal);
  }

  async #restore(sessionId: SessionId, target: RestoreTarget): Promise<RestoreResult> {
    const live = await this.#openIdle(sessionId);
    return this.#busy(live, async () => {
      const { store, workspace, createId } = this.#deps;
      const deps = { store, workspace, fileOrder: this.#fileOrder, hostPid: this.#deps.pid };
      const result = await restore(live.session, createId() as RestoreId, target, deps, this.#closing.signal);
      // What the model has seen of files may have been in turns that it does not know of any more.
      live.memory.lastSeen.clear();
      return result;
    });
  }

  /** The session as it is stored, with nothing running in it. */
  async #openIdle(sessionId: SessionId): Promise<LiveSession> {
    await this.loadSession(sessionId);
    const live = await this.#live.open(sessionId);
    await this.#compactions.stopBackground(live);
    if (live.turn || live.restoring) {
      const other = "A restore or a compaction is under way. Wait for its end.";
      const what = live.turn ? "A turn is running. Stop it first." : other;
      throw new RequestError("turn_running", what);
    }
    return live;
  }

  /** Changes the conversation while no turn may begin. */
  async #busy<T>(live: LiveSession, work: () => Promise<T>): Promise<T> {
    live.busy += 1;
    live.restoring = true;
    let isDone = false;
    try {
      const result = await work();
      isDone = true;
      return result;
    } catch (error) {
      if (!(error instanceof StaleSessionError)) throw error;
      throw new RequestError("session_busy", "Another window or terminal uses this session. Wait for its end there.");
    } finally {
      live.busy -= 1;
      live.restoring = false;
      // What was begun and could not be stored is closed when the session is read again.
      if (!isDone) this.#live.forget(live.session.id);
    }
  }

  /** Keeps or undoes pending hunks, also while a turn runs. Throws `RequestError` `stale_hunk`. */
  async review(params: ReviewParams, signal: AbortSignal): Promise<UndoResult> {
    const live = await this.#live.open(params.sessionId);
    live.busy += 1;
    try {
      return { files: await live.review.apply(params, AbortSignal.any([signal, this.#closing.signal])) };
    } finally {
      live.busy -= 1;
    }
  }

  /** Tells `onReview` what is pending in a session, after a look at every file. */
  async refreshReview(id: SessionId): Promise<void> {
    await (await this.#live.open(id)).review.refresh();
  }

  /** Takes note that the user or another program has changed, opened or closed files. */
  async filesChanged(uris: readonly string[]): Promise<void> {
    const reviews = (await this.#live.all()).map(({ review }) => review);
    const concerned = reviews.filter(({ hasFiles }) => hasFiles);
    if (concerned.length === 0) return;
    if (uris.length > manyFiles) {
      for (const review of concerned) review.allChanged();
      return;
    }
    for (const uri of uris.filter((name) => name.startsWith("file:"))) {
      const resolved = await this.#deps.workspace.resolve(uri);
      for (const review of concerned) review.fileChanged(resolved.uri);
    }
  }

  /** Reads the text of a file before or after a change, or without its pending hunks. */
  async readBlob({ blob, encoding }: ReadBlobParams): Promise<ReadBlobResult> {
    for (const { review } of await this.#live.all()) {
      const text = review.shadow(blob);
      if (text !== undefined) return { text };
    }
    const bytes = await this.#deps.store.getBlob(blob);
    const text = await decodeText(bytes, encoding);
    return { text: text ?? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) };
  }

  /** Reads a notebook as the agent sees it: its cells as text. Throws `ToolError` when it cannot be read. */
  async notebookText(uri: string, signal: AbortSignal): Promise<NotebookTextResult> {
    const { workspace } = this.#deps;
    const { text } = await workspace.read((await workspace.resolve(uri)).uri, signal);
    return { text };
  }

  /** Ends every turn, waits for what is being stored, and closes the store. */
  async close(): Promise<void> {
    this.#closing.abort();
    const sessions = await this.#live.all();
    for (const { review } of sessions) review.close();
    await Promise.all(sessions.flatMap(({ turn, compaction }) => [turn?.done, compaction?.done]));
    await this.#warmUps.idle();
    await this.#deps.store.close();
  }

  async #runTurn(live: LiveSession, turnId: TurnId, params: TurnParams, signal: AbortSignal): Promise<TurnEnd> {
    const { session } = live;
    const { answers, maxTurnMs, ask, clock, models } = this.#deps;
    const watch = new Stopwatch(clock);
    const pauses = this.#pauses;
    const limitMs = maxTurnMs?.() ?? 0;
    let begun = false;
    try {
      const model = await this.#begin(session, turnId, params);
      begun = true;
      await this.#warmUps.settled(session.id, signal);
      const end = await runAnswered(
        {
          session,
          model,
          ...(model.fallbacks ? { fallbacks: model.fallbacks } : {}),
          tools: live.registry.specs(session.state.tools),
          createScheduler: createToolCalls({
            ...this.#deps,
            ask: (request, inner) => watch.without(() => ask(request, inner)),
            session,
            turnId,
            registry: live.registry,
            memory: live.memory,
            resultBytes: () => resultLimit(session.state, model.spec),
            fileOrder: this.#fileOrder,
          }),
          makeRoom: this.#compactions.forTurn(live, turnId),
          tokens: this.#deps.tokens,
          clock,
          maxSteps: this.#deps.maxSteps(),
          ...(limitMs > 0 ? { time: { limitMs, usedMs: () => watch.ms } } : {}),
          ...(pauses ? { pauses: { pause: (...args) => watch.without(() => pauses.pause(...args)) } } : {}),
          readyModels: () => models.ready(),
        },
        answers && { ...this.#deps, ...answers, kindOf: (tool) => live.registry.get(tool)?.kind },
        params,
        turnId,
        signal,
      );
      await session.append({ type: "turn_finished", turnId, ...end });
      // A terminal ends with its turn.
      if (end.stopReason === "end_turn" && params.origin !== "cli") {
        this.#compactions.afterTurn(live, model, this.#closing.signal);
      }
      return end;
    } catch (error) {
      if (error instanceof RequestError || (error instanceof StaleSessionError && !begun)) throw error;
      if (isAbort(error)) return { stopReason: "cancelled" };
      log("error", "A turn could not be stored", error);
      this.#live.forget(session.id);
      return { stopReason: "error", failure: storageFailure(error) };
    }
  }

  async #begin(session: Session, turnId: TurnId, params: TurnParams): Promise<ReadyModel> {
    const { models, clock, workspace } = this.#deps;
    // A conversation that went back to its beginning is about something else now.
    const isUnbegunAgain = isUnbegun(session.state) && session.state.turns.length > 0;
    if (session.state.turns.length > 0) await this.#assertHere(session);
    const [model, instructions] = await Promise.all([
      models.resolve(params.model, () => routeFacts(session.state, params)),
      this.#instructions(),
    ]);
    const { system, turns, compactions } = session.state;
    const begins = system === undefined;
    // What went with earlier prompts is not in the conversation any more.
    const compactedAt = turns.findIndex(({ turnId: id }) => id === compactions.at(-1)?.lastTurn);
    const told = system === undefined ? undefined : { system, turns: turns.slice(compactedAt + 1) };
    const facts = momentContext({
      root: workspace.root,
      platform: this.#deps.platform,
      now: clock.now(),
      toldDate: toldDate(turns),
    });
    await session.append(
      ...(begins ? [{ type: "system_set", ...sessionPrompt(model.spec.contextTokens, instructions) } as const] : []),
      ...(session.state.title === undefined || isUnbegunAgain
        ? [{ type: "title_set", title: titleOf(params.prompt) } as const]
        : []),
      {
        type: "turn_started",
        turnId,
        prompt: params.prompt,
        origin: params.origin,
        context: [facts, told ? changedInstructions(told, instructions) : ""].filter(Boolean).join("\n"),
        model: model.spec.id,
        recorded: model.spec.api === "recorded",
        hostPid: this.#deps.pid,
        preparedMs: Math.max(0, clock.now() - params.receivedAt),
      },
      ...(model.routed ? [{ type: "model_routed", turnId, ...model.routed, label: model.spec.label } as const] : []),
    );
    return model;
  }

  /** The model knows the files of a session by their place in its folder, so it goes on there only. */
  async #assertHere({ state: { cwd } }: Session): Promise<void> {
    const { workspace } = this.#deps;
    if (cwd === workspace.root) return;
    const { path, inside } = await workspace.resolve(cwd);
    if (inside && path === ".") return;
    throw new RequestError(
      "other_folder",
      `This session is about the folder ${cwd}. Go on with it there, or start a new session here.`,
    );
  }

  async #instructions(): Promise<string | undefined> {
    try {
      const { uri } = await this.#deps.workspace.resolve("AGENTS.md");
      return (await this.#deps.workspace.read(uri, this.#closing.signal)).text;
    } catch (error) {
      if (error instanceof ToolError) return undefined;
      throw error;
    }
  }
}

/** What is known of a conversation before its next prompt. */
function factsOf({ id, state }: Session): RouteFacts {
  return routeFacts(state, { sessionId: id, prompt: [] });
}

function isBlank(part: PromptPart): boolean {
  return part.type === "text" && part.text.trim() === "";
}

function titleOf(prompt: readonly PromptPart[]): string {
  const first = prompt.find((part) => part.type === "text");
  const line = (first?.type === "text" ? first.text : "Untitled").trim().split("\n", 1)[0] ?? "";
  return line.length > 80 ? `${line.slice(0, 79)}…` : line || "Untitled";
}

function storageFailure(error: unknown): Failure {
  if (error instanceof StaleSessionError) {
    return {
      code: "storage",
      message:
        "Another window or terminal has gone on with this session, so the turn was ended here. Open the session again to see what was done there.",
    };
  }
  return {
    code: "storage",
    message: `The conversation could not be stored, so the turn was ended: ${messageOf(error)} Free some space or fix the folder's permissions, then send the message again.`,
  };
}
