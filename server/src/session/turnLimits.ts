/**
 * The limits of one turn: its steps, its time, and what the budget refuses; at each the user is asked how to go on.
 *
 * Not here: asking and recording (`pauses.ts`), limits on spending (`model/budget.ts`). Easily got wrong: time in which the
 * turn waits for the user is not the turn's; and a step that was refused has sent nothing, so it is simply asked again.
 */
import type { Clock } from "../base/async.ts";
import { isAbort } from "../base/errors.ts";
import { BudgetError, leastCost } from "../model/budget.ts";
import { amountInWords, proposeLimit } from "../model/budgetWords.ts";
import type { ModelRequest } from "../model/provider.ts";
import { cheaperModel } from "../model/router.ts";
import type { BudgetQuestion, Failure, LimitReached, ModelSpec, StopReason, TurnId } from "../protocol/types.ts";
import type { Fallbacks, TurnModel } from "./fallback.ts";
import type { PauseOutcome, Pauses } from "./pauses.ts";
import type { Session } from "./session.ts";

/** What limits a turn. */
export interface TurnLimitDeps {
  readonly session: Session;
  readonly maxSteps: number;
  /** Milliseconds that the turn may work, and has worked; absent for no limit. */
  readonly time?: { readonly limitMs: number; readonly usedMs: () => number };
  /** How the user is asked; absent where nobody can be, and then a limit ends the turn. */
  readonly pauses?: Pick<Pauses, "pause">;
  /** The models that could be used now, for the offer of a cheaper one. */
  readonly readyModels?: () => Promise<readonly TurnModel[]>;
}

/** How a limit ends a turn. */
export interface LimitEnd {
  readonly stopReason: StopReason;
  readonly failure?: Failure;
}

interface Reaching {
  readonly reached: LimitReached;
  readonly message: string;
  readonly proposed: number;
}

/** The limits of one turn as they are raised. */
export class TurnLimits {
  readonly #deps: TurnLimitDeps;
  readonly #turnId: TurnId;
  readonly #fallbacks: Fallbacks;
  #maxSteps: number;
  #maxMs: number;

  constructor(deps: TurnLimitDeps, turnId: TurnId, fallbacks: Fallbacks) {
    this.#deps = deps;
    this.#turnId = turnId;
    this.#fallbacks = fallbacks;
    this.#maxSteps = deps.maxSteps;
    this.#maxMs = deps.time?.limitMs ?? Number.POSITIVE_INFINITY;
  }

  /** How the turn ends instead of taking that step; `undefined` when it may be taken, if need be after asking. */
  async beforeStep(step: number, signal: AbortSignal): Promise<LimitEnd | undefined> {
    const { maxSteps, time } = this.#deps;
    while (step > this.#maxSteps) {
      const reached = { period: "turn", unit: "steps", limit: this.#maxSteps, spent: step - 1, needed: 1 } as const;
      const message = `The turn has used its ${amountInWords("steps", this.#maxSteps)}.`;
      const outcome = await this.#ask(step, { reached, message, proposed: this.#maxSteps + maxSteps }, signal);
      if (outcome.type === "raised") this.#maxSteps = outcome.limit;
      else if (outcome.type !== "again") return this.#end(signal, "max_turn_requests", message, "turn.maxSteps");
    }
    for (let used = time?.usedMs() ?? 0; used >= this.#maxMs; used = time?.usedMs() ?? 0) {
      const reached = { period: "turn", unit: "ms", limit: this.#maxMs, spent: used, needed: 0 } as const;
      const message = `The turn has used its ${amountInWords("ms", this.#maxMs)}.`;
      const proposed = this.#maxMs + (time?.limitMs ?? 0);
      const outcome = await this.#ask(step, { reached, message, proposed }, signal);
      if (outcome.type === "raised") this.#maxMs = outcome.limit;
      else if (outcome.type !== "again") return this.#end(signal, "budget", message, "budget.turn.minutes");
    }
    return undefined;
  }

  /** After a step that the budget refused: true when it is to be asked again, perhaps of a cheaper model. */
  async mayAskAgain(
    error: unknown,
    step: number,
    requestFor: (model: ModelSpec) => ModelRequest,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!(error instanceof BudgetError) || error.reached === undefined || signal.aborted) return false;
    const { reached, message } = error;
    const cheaper = await this.#cheaper(reached, requestFor);
    const proposed = proposeLimit(reached);
    const outcome = await this.#ask(step, { reached, message, proposed }, signal, cheaper?.spec);
    if (outcome.type !== "cheaper") return outcome.type !== "stop";
    if (!cheaper) return false;
    const change = this.#fallbacks.goOnWith(cheaper, message);
    await this.#deps.session.append({ type: "model_changed", turnId: this.#turnId, step, ...change });
    return true;
  }

  async #ask(
    step: number,
    { reached, message, proposed }: Reaching,
    signal: AbortSignal,
    cheaper?: ModelSpec,
  ): Promise<PauseOutcome> {
    const { session, pauses } = this.#deps;
    if (!pauses) return { type: "stop" };
    const question: BudgetQuestion = {
      sessionId: session.id,
      turnId: this.#turnId,
      reached,
      message,
      proposed,
      proposedLabel: amountInWords(reached.unit, proposed),
      ...(cheaper ? { cheaper: { model: cheaper.id, label: cheaper.label } } : {}),
    };
    return pauses.pause({ step, append: (...bodies) => session.append(...bodies) }, question, signal);
  }

  /** A model that what is left is enough for. Fewer tokens or requests it would not need. */
  async #cheaper(
    { unit, limit, spent }: LimitReached,
    requestFor: (model: ModelSpec) => ModelRequest,
  ): Promise<TurnModel | undefined> {
    const { pauses, readyModels } = this.#deps;
    if (unit !== "nano" || !pauses || !readyModels) return undefined;
    const models = await readyModels().catch((error: unknown) => {
      if (isAbort(error)) throw error;
      return [];
    });
    const request = requestFor(this.#fallbacks.model.spec);
    const costs = models.map((model) => ({
      model,
      spec: model.spec,
      nano: leastCost({ ...request, model: model.spec }),
    }));
    return cheaperModel(costs, this.#fallbacks.model.spec, request.messages, limit - spent)?.model;
  }

  #end(signal: AbortSignal, stopReason: StopReason, message: string, setting: string): LimitEnd {
    if (signal.aborted) return { stopReason: "cancelled" };
    const failure = { code: stopReason, message: `${message} Send “continue” to go on, or raise hermes.${setting}.` };
    return { stopReason, failure };
  }
}

/** Measures how long a turn works, without the time in which it waits for the user. */
export class Stopwatch {
  readonly #clock: Pick<Clock, "now">;
  readonly #startedAt: number;
  #waits = 0;
  #waitingSince = 0;
  #waitedMs = 0;

  /** Starts at once. */
  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** Milliseconds so far. */
  get ms(): number {
    const now = this.#clock.now();
    return now - this.#startedAt - this.#waitedMs - (this.#waits > 0 ? now - this.#waitingSince : 0);
  }

  /** Runs what waits for the user. */
  async without<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#waits++ === 0) this.#waitingSince = this.#clock.now();
    try {
      return await wait();
    } finally {
      if (--this.#waits === 0) this.#waitedMs += this.#clock.now() - this.#waitingSince;
    }
  }
}
