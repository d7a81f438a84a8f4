/**
 * The compactions of live sessions: before a step that needs room, in the background after a turn, and when the user asks.
 *
 * Not here: whether one is due (`compactPlan.ts`) and how it is done (`compact.ts`). Easily got wrong: a prompt never waits
 * for a compaction in the background; it ends it.
 */
import type { Clock } from "../base/async.ts";
import { log } from "../base/trace.ts";
import type { TokenCounts } from "../model/tokens.ts";
import type { TurnId } from "../protocol/types.ts";
import { type CompactOrder, compact } from "./compact.ts";
import { type CompactionPolicy, dueAfterTurn, dueBeforeStep, hasGrown } from "./compactPlan.ts";
import { buildRequest, withSeenWindow } from "./context.ts";
import type { TurnModel } from "./fallback.ts";
import type { LiveSession } from "./liveSessions.ts";
import type { TurnDeps } from "./turn.ts";

/** What compacting sessions needs from outside. */
export interface CompactionsDeps {
  readonly clock: Clock;
  readonly createId: () => string;
  readonly policy: () => CompactionPolicy;
  readonly tokens: TokenCounts;
}

/** Compacts the sessions of one host. */
export class Compactions {
  readonly #deps: CompactionsDeps;

  constructor(deps: CompactionsDeps) {
    this.#deps = deps;
  }

  /** What makes room for the steps of a turn. */
  forTurn(live: LiveSession, turnId: TurnId): Required<TurnDeps>["makeRoom"] {
    return async (model, when, signal) => {
      const isRefused = when === "refused";
      const refused = this.#mayCompact(live) ? "overflow" : undefined;
      const reason = isRefused ? refused : this.#due(dueBeforeStep, live, model);
      return reason !== undefined && this.#compact(live, model, { reason, turnId, isRefused }, signal);
    };
  }

  /** Begins a compaction in the background if this is a good moment. */
  afterTurn(live: LiveSession, model: TurnModel, signal: AbortSignal): void {
    const reason = this.#due(dueAfterTurn, live, model);
    if (!reason) return;
    this.run(live, model, { reason }, signal, "background").catch((error: unknown) =>
      log("warn", "A conversation was not compacted, because that could not be stored", error),
    );
  }

  /** Compacts between turns. False when it was cancelled or there is nothing to shorten. */
  async run(
    live: LiveSession,
    model: TurnModel,
    order: CompactOrder,
    signal: AbortSignal,
    place: "background" | "foreground",
  ): Promise<boolean> {
    const controller = new AbortController();
    const run = this.#compact(live, model, order, AbortSignal.any([signal, controller.signal]));
    live.compaction = { controller, done: run.catch(() => undefined), place };
    try {
      return await run;
    } finally {
      live.compaction = undefined;
    }
  }

  /** Ends a compaction in the background, if one runs, and resolves when it has ended. */
  async stopBackground({ compaction }: LiveSession): Promise<void> {
    if (compaction?.place !== "background") return;
    compaction.controller.abort();
    await compaction.done;
  }

  #due<Due extends typeof dueBeforeStep>(due: Due, { session, registry }: LiveSession, { spec }: TurnModel) {
    const { state } = session;
    const model = withSeenWindow(state, spec);
    const account = { sessionId: session.id, turnId: "" as TurnId, purpose: "turn" } as const;
    const request = buildRequest(state, model, registry.specs(state.tools), account);
    return due(state, model, this.#deps.tokens.ofPrompt(request).tokens, this.#deps.policy());
  }

  #mayCompact({ session }: LiveSession): boolean {
    return this.#deps.policy().strategy !== "none" && hasGrown(session.state);
  }

  async #compact(
    { session, registry, memory }: LiveSession,
    model: TurnModel,
    order: CompactOrder,
    signal: AbortSignal,
  ): Promise<boolean> {
    const deps = { ...this.#deps, session, tools: registry.specs(session.state.tools), policy: this.#deps.policy() };
    const isDone = await compact(deps, model, order, signal);
    // What the model has seen of files, it no longer has before it.
    if (isDone) memory.lastSeen.clear();
    return isDone;
  }
}
