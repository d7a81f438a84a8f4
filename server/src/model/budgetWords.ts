/**
 * Limits in words: amounts for people, what was reached, and the next higher limit to propose.
 *
 * Not here: when a limit is reached (`budget.ts`). Easily got wrong: small sums need more decimals than large ones, or a
 * limit of a tenth of a cent reads as nothing.
 */
import type { BudgetPeriod, BudgetUnit, LimitReached } from "../protocol/types.ts";

const periodWords: { readonly [period in BudgetPeriod]: string } = {
  turn: "this turn",
  session: "this session",
  day: "today",
  month: "this month",
};

/** What was reached, in a sentence. */
export function describeReached({ period, unit, limit, spent, needed }: LimitReached): string {
  const words = (value: number) => amountInWords(unit, value);
  return (
    `The limit of ${words(limit)} for ${periodWords[period]} would be passed: ${words(spent)} spent or set aside, ` +
    `and the next request may need ${words(needed)}.`
  );
}

/** How much of a unit one is that a person writes: a dollar, a minute. */
export function amountScale(unit: BudgetUnit): number {
  return unit === "nano" ? 1e9 : unit === "ms" ? 60_000 : 1;
}

/** An amount for people: `$0.50`, `6000 tokens`, `10 minutes`. */
export function amountInWords(unit: BudgetUnit, value: number): string {
  if (unit === "nano") return `$${(value / 1e9).toFixed(value < 1e8 ? 4 : 2)}`;
  const count = unit === "ms" ? Math.round(value / 6_000) / 10 : value;
  const name = unit === "ms" ? "minutes" : unit;
  return `${count} ${count === 1 ? name.slice(0, -1) : name}`;
}

/** The next higher limit to propose: half as much again, or what the next request needs, as a round number. */
export function proposeLimit({ limit, spent, needed }: LimitReached): number {
  const least = Math.max(Math.ceil(limit * 1.5), spent + needed);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 3, 5, 10].map((digit) => digit * power).find((round) => round >= least) ?? least;
}
