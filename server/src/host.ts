/**
 * `AgentHost`: the live sessions of one workspace and the services they share. Its public methods are the protocol.
 *
 * Not here: running a turn (`session/turns.ts`), JSON-RPC (`main/lsp.ts`), the terminal (`main/cli.ts`), or which adapters
 * are used (`main/`). Easily got wrong: a turn and a change of the conversation never run in a session at the same time.
 */
import { RequestError } from "./base/errors.ts";
import type { RouteFacts } from "./model/router.ts";
import type { SessionUpdate } from "./protocol/events.ts";
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
  UndoCompactionParams,
  UndoParams,
  UndoRestoreParams,
  UndoResult,
  WarmUpParams,
  WarmUpResult,
} from "./protocol/methods.ts";
import type { PendingFile, RestoreTarget } from "./protocol/review.ts";
import type { TaskArguments } from "./protocol/tasks.ts";
import type { CredentialName, LimitReached, ModelSpec, RestoreId, SessionId, TurnId } from "./protocol/types.ts";
import { Compactions, type CompactionsDeps } from "./session/compactions.ts";
import { hasGrown } from "./session/compactPlan.ts";
import { type LiveSession, LiveSessions } from "./session/liveSessions.ts";
import { isSameLimit, type PauseDeps, Pauses } from "./session/pauses.ts";
import { conflictOf, restore } from "./session/restore.ts";
import { routeFacts } from "./session/routeFacts.ts";
import { openOwner, type Session } from "./session/session.ts";
import { composeTask } from "./session/tasks.ts";
import { withoutCompaction } from "./session/thread.ts";
import { type TurnModels, Turns, type TurnsDeps } from "./session/turns.ts";
import { forecastOf, WarmUps } from "./session/warmUp.ts";
import { StaleSessionError } from "./storage/store.ts";
import { decodeText } from "./text/encoding.ts";
import { createQueues } from "./workspace/queues.ts";

/** What is done for a prompt before it is sent. */
export type WarmUpPolicy = "off" | "connection" | "conversation";

/** The models that can be used now. `main/models.ts` makes it. */
export interface Models extends TurnModels {
  list(): Promise<ListModelsResult>;
  /** All that could be chosen, local ones left out. */
  known(): Promise<readonly ModelSpec[]>;
  select(id: string): Promise<void>;
  setCredential(name: CredentialName, value: string | undefined): void;
}

/** What the host needs from outside. */
export interface HostDeps extends TurnsDeps {
  readonly models: Models;
  /** Asks the user at a limit; absent where nobody can be asked, and then a limit ends the turn. */
  readonly budget?: PauseDeps;
  readonly onUpdate: (sessionId: SessionId, update: SessionUpdate) => void;
  /** Told what waits for the user's review in a session, whenever that changes. Absent where nobody reviews. */
  readonly onReview?: (sessionId: SessionId, files: readonly PendingFile[]) => void;
  /** When and how conversations are compacted. */
  readonly compaction: CompactionsDeps["policy"];
  /** Nothing is done for prompts that are not sent yet where it is absent. */
  readonly warmUp?: () => WarmUpPolicy;
  /** Whether a process of this machine still runs. */
  readonly isAlive: (pid: number) => boolean;
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
  readonly #turns: Turns;

  constructor(deps: HostDeps) {
    this.#deps = deps;
    this.#pauses = deps.budget && new Pauses(deps.budget);
    this.#warmUps = new WarmUps({ ...deps, closing: this.#closing.signal });
    this.#live = new LiveSessions({ ...deps, fileOrder: this.#fileOrder });
    this.#compactions = new Compactions({ ...deps, policy: deps.compaction });
    this.#turns = new Turns(deps, {
      live: this.#live,
      compactions: this.#compactions,
      warmUps: this.#warmUps,
      pauses: this.#pauses,
      fileOrder: this.#fileOrder,
      closing: this.#closing.signal,
    });
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
    return this.#turns.run({ ...params, receivedAt: this.#deps.clock.now() }, signal);
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
    return { sessionId, done: this.#turns.run({ sessionId, prompt, origin, task: task.task, receivedAt }, signal) };
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
}

/** What is known of a conversation before its next prompt. */
function factsOf({ id, state }: Session): RouteFacts {
  return routeFacts(state, { sessionId: id, prompt: [] });
}
