/**
 * Turns that wait at a limit: asks the user what to do, records it, and wakes those whose limit was changed elsewhere.
 *
 * Not here: when a limit is reached (`turnLimits.ts`, `model/budget.ts`). Easily got wrong: a raise is written down before
 * the turn goes on, and holds for every turn that waits at the same limit; a question that nobody can be asked is a stop.
 */
import { abortable } from "../base/async.ts";
import { log } from "../base/trace.ts";
import type { SessionEventBody } from "../protocol/events.ts";
import type { BudgetChoice, BudgetQuestion, LimitReached, SessionId } from "../protocol/types.ts";

/** How the user is asked, and where raises are kept. */
export interface PauseDeps {
  /** Resolves to what the user wants; rejects with the abort reason. */
  readonly ask: (question: BudgetQuestion, signal: AbortSignal) => Promise<BudgetChoice>;
  /** Lets a limit on spending hold from the next request on. Resolves once that is stored. */
  readonly raise: (whose: Pick<BudgetQuestion, "sessionId" | "turnId">, raise: Raise) => Promise<void>;
}

/** A limit and its new value. */
export type Raise = Pick<LimitReached, "period" | "unit" | "limit">;

/** What the turn does next. */
export type PauseOutcome =
  | { readonly type: "raised"; readonly limit: number }
  /** Look at the limit again. */
  | { readonly type: "again" }
  | { readonly type: "cheaper" }
  | { readonly type: "stop" };

/** The journal of the turn that waits. */
export interface PausedTurn {
  readonly step: number;
  append(...bodies: readonly SessionEventBody[]): Promise<void>;
}

interface Waiting {
  readonly question: BudgetQuestion;
  readonly changed: AbortController;
}

/** The turns of one host that wait at a limit. */
export class Pauses {
  readonly #deps: PauseDeps;
  readonly #waiting = new Set<Waiting>();

  constructor(deps: PauseDeps) {
    this.#deps = deps;
  }

  /** Asks, and resolves when the turn may go on or has to end; `stop` too when `signal` aborts. Rejects when it cannot be stored. */
  async pause(turn: PausedTurn, question: BudgetQuestion, signal: AbortSignal): Promise<PauseOutcome> {
    const { turnId, reached } = question;
    const resolved = (choice: ResolvedChoice, by: "user" | "host") =>
      turn.append({ type: "budget_resolved", turnId, choice, by });
    await turn.append({ type: "budget_reached", turnId, step: turn.step, question });
    const waiting = { question, changed: new AbortController() };
    this.#waiting.add(waiting);
    const either = AbortSignal.any([signal, waiting.changed.signal]);
    try {
      const choice = await abortable(this.#deps.ask(question, either), either);
      // A "raise" that raises nothing would only bring the same question again.
      if (choice.type === "stop" || (choice.type === "raise" && !isHigher(choice.limit, reached))) {
        await resolved({ type: "stop" }, "user");
        return { type: "stop" };
      }
      if (choice.type === "raise") await this.#raise(question, choice.limit);
      await resolved(choice, "user");
      return choice.type === "raise" ? { type: "raised", limit: choice.limit } : { type: "cheaper" };
    } catch (error) {
      if (signal.aborted) {
        await resolved({ type: "cancelled" }, "host");
        return { type: "stop" };
      }
      if (waiting.changed.signal.aborted) {
        await resolved({ type: "again" }, "host");
        return { type: "again" };
      }
      log("warn", "The user could not be asked at a limit, so the turn stops", error);
      await resolved({ type: "stop" }, "host");
      return { type: "stop" };
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  /** Some limits are others now: those who wait look again. `concerned` picks them; all when it is absent. */
  limitsChanged(concerned: (question: BudgetQuestion) => boolean = () => true): void {
    for (const { question, changed } of this.#waiting) if (concerned(question)) changed.abort();
  }

  async #raise(question: BudgetQuestion, limit: number): Promise<void> {
    const { sessionId, turnId } = question;
    const { period, unit } = question.reached;
    if (unit === "steps" || unit === "ms") return;
    await this.#deps.raise({ sessionId, turnId }, { period, unit, limit });
    this.limitsChanged((other) => other !== question && isSameLimit(other, { period, unit }, sessionId));
  }
}

type ResolvedChoice = Extract<SessionEventBody, { type: "budget_resolved" }>["choice"];

/** Whether a question is about a limit of that period and unit which counts for that session too. */
export function isSameLimit(
  question: BudgetQuestion,
  { period, unit }: Pick<LimitReached, "period" | "unit">,
  sessionId: SessionId | undefined,
): boolean {
  const { reached } = question;
  if (reached.period !== period || reached.unit !== unit || period === "turn") return false;
  return period !== "session" || question.sessionId === sessionId;
}

function isHigher(limit: number, reached: LimitReached): boolean {
  return Number.isSafeInteger(limit) && limit > reached.limit;
}
