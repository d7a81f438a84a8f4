/**
 * The turns of live sessions: one at a time in each, begun with a prompt, run, and stored to its end.
 *
 * Not here: the loop of a turn (`turn.ts`) and its limits (`turnLimits.ts`). Easily got wrong: a turn of which nothing is
 * stored yet begins anew when another process has used the session; one that has begun and cannot be stored ends.
 */
import type { Clock } from "../base/async.ts";
import { isAbort, messageOf, RequestError, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { AnswerCache } from "../cache/answerCache.ts";
import type { Route, RouteFacts } from "../model/router.ts";
import type { TokenCounts } from "../model/tokens.ts";
import type { PromptParams, PromptResult } from "../protocol/methods.ts";
import type { TaskName } from "../protocol/tasks.ts";
import type {
  ApprovalChoice,
  Failure,
  Json,
  PermissionRequest,
  PromptPart,
  RouteStrategy,
  TurnId,
} from "../protocol/types.ts";
import { type SessionStore, StaleSessionError } from "../storage/store.ts";
import type { Registry } from "../tools/registry.ts";
import type { Queues } from "../workspace/queues.ts";
import type { Workspace } from "../workspace/workspace.ts";
import { runAnswered } from "./answers.ts";
import type { Compactions } from "./compactions.ts";
import { resultLimit } from "./context.ts";
import type { FallbackDeps, TurnModel } from "./fallback.ts";
import type { LiveSession, LiveSessions } from "./liveSessions.ts";
import { openFilesContext } from "./openFiles.ts";
import type { Pauses } from "./pauses.ts";
import { changedInstructions, momentContext, sessionPrompt, toldDate } from "./prompt.ts";
import { isUnbegun } from "./reduce.ts";
import { routeFacts } from "./routeFacts.ts";
import type { Session } from "./session.ts";
import { createToolCalls, type ToolCallDeps } from "./toolCalls.ts";
import type { TurnEnd } from "./turn.ts";
import { Stopwatch } from "./turnLimits.ts";
import type { WarmUps } from "./warmUp.ts";

/** A model ready to be asked, and those that the user has named to go on with when it fails. */
export interface ReadyModel extends TurnModel, Pick<FallbackDeps, "fallbacks"> {
  /** How it was chosen, where the user has left that to rules. */
  readonly routed?: Route & { readonly strategy: RouteStrategy };
  /** Opens a connection that the next request finds open. Never rejects. */
  readonly connect?: (signal: AbortSignal) => Promise<void>;
}

/** The models that turns are run with. */
export interface TurnModels {
  /**
   * The model of a turn: the one with that id, the one that the user has chosen, or what rules make of the facts, where
   * there are any. Throws `RequestError` `unknown_model` or `needs_key`, each saying what to do.
   */
  resolve(id: string | undefined, facts?: () => RouteFacts): Promise<ReadyModel>;
  /** Those of known vendors that could be asked right now. */
  ready(): Promise<readonly TurnModel[]>;
}

/** What running turns needs from outside. */
export interface TurnsDeps {
  readonly store: SessionStore;
  readonly workspace: Workspace;
  /** Makes the tools of one session: tools may remember what happened in it. */
  readonly createRegistry: () => Registry;
  readonly models: TurnModels;
  /** Estimates of tokens, which learn from every turn. */
  readonly tokens: TokenCounts;
  /** Permission rules and where the ones that the user adds are kept. */
  readonly permissions: ToolCallDeps["permissions"];
  /** Answers that may be given again, and what the settings say about who gives them. Absent where none are kept. */
  readonly answers?: { readonly cache: AnswerCache; readonly servers: () => Json };
  readonly ask: (request: PermissionRequest, signal: AbortSignal) => Promise<ApprovalChoice>;
  /** Milliseconds that a turn may work before it asks; 0 or absent for no limit. */
  readonly maxTurnMs?: () => number;
  readonly trusted: () => boolean;
  readonly maxSteps: () => number;
  readonly concurrency: () => number;
  /** Milliseconds that edits may wait for the editor's problems; absent where there is no editor. */
  readonly diagnosticsWaitMs?: () => number;
  readonly clock: Clock;
  /** Makes a new id of `[a-z0-9-]`, never the same twice. */
  readonly createId: () => string;
  readonly platform: string;
  readonly pid: number;
}

/** What turns share with all else that goes on in their sessions. */
interface TurnsShared {
  readonly live: LiveSessions;
  readonly compactions: Compactions;
  readonly warmUps: WarmUps;
  /** Absent where nobody can be asked at a limit. */
  readonly pauses: Pauses | undefined;
  readonly fileOrder: Queues;
  /** Ends every turn. */
  readonly closing: AbortSignal;
}

/** A prompt, and the task that composed it, where one did. */
interface TurnParams extends PromptParams {
  readonly task?: TaskName;
  /** When it arrived. */
  readonly receivedAt: number;
}

/** Runs the turns of one host. */
export class Turns {
  readonly #deps: TurnsDeps;
  readonly #shared: TurnsShared;

  constructor(deps: TurnsDeps, shared: TurnsShared) {
    this.#deps = deps;
    this.#shared = shared;
  }

  /**
   * Runs one turn to its end; aborting `signal` cancels it. Throws `RequestError` `empty_prompt`, `turn_running`,
   * `session_busy`, `unknown_session`, `other_folder`, `unknown_model`, `needs_key`.
   */
  async run(params: TurnParams, signal: AbortSignal): Promise<PromptResult> {
    if (params.prompt.every(isBlank)) throw new RequestError("empty_prompt", "The prompt is empty. Write what to do.");
    const live = await this.#shared.live.open(params.sessionId);
    try {
      return await this.#prompt(live, params, signal);
    } catch (error) {
      if (!(error instanceof StaleSessionError)) throw error;
      // Another window or terminal has used the session since; nothing of this turn is stored yet, so it begins anew.
      return this.#prompt(await this.#shared.live.reopen(params.sessionId, live), params, signal);
    }
  }

  async #prompt(live: LiveSession, params: TurnParams, signal: AbortSignal): Promise<PromptResult> {
    await this.#shared.compactions.stopBackground(live);
    if (live.turn || live.restoring) {
      throw new RequestError(
        "turn_running",
        "A turn, a restore or a compaction is already running in this session. Stop it, or wait for its end.",
      );
    }
    const controller = new AbortController();
    const turnId = this.#deps.createId() as TurnId;
    const all = AbortSignal.any([signal, controller.signal, this.#shared.closing]);
    const run = this.#runTurn(live, turnId, params, all);
    live.turn = { controller, done: run.catch(() => undefined) };
    try {
      return { turnId, ...(await run) };
    } finally {
      live.turn = undefined;
      this.#shared.live.evict();
    }
  }

  async #runTurn(live: LiveSession, turnId: TurnId, params: TurnParams, signal: AbortSignal): Promise<TurnEnd> {
    const { session } = live;
    const { answers, maxTurnMs, ask, clock, models } = this.#deps;
    const watch = new Stopwatch(clock);
    const { pauses, compactions, warmUps, fileOrder, closing } = this.#shared;
    const limitMs = maxTurnMs?.() ?? 0;
    let begun = false;
    try {
      const model = await this.#begin(session, turnId, params);
      begun = true;
      await warmUps.settled(session.id, signal);
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
            fileOrder,
          }),
          makeRoom: compactions.forTurn(live, turnId),
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
        compactions.afterTurn(live, model, closing);
      }
      return end;
    } catch (error) {
      if (error instanceof RequestError || (error instanceof StaleSessionError && !begun)) throw error;
      if (isAbort(error)) return { stopReason: "cancelled" };
      log("error", "A turn could not be stored", error);
      this.#shared.live.forget(session.id);
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
    const { openFiles: given = [] } = params;
    const openFiles = await openFilesContext(given, told?.turns ?? [], workspace);
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
        context: [facts, openFiles, told ? changedInstructions(told, instructions) : ""].filter(Boolean).join("\n"),
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
      return (await this.#deps.workspace.read(uri, this.#shared.closing)).text;
    } catch (error) {
      if (error instanceof ToolError) return undefined;
      throw error;
    }
  }
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
