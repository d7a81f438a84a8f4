/**
 * What is asked in a terminal at a limit, and what an answer there means. Pure.
 *
 * Not here: reading the answer (`cliCommands.ts`). Easily got wrong: a number is in dollars or minutes, as people write it,
 * and one that is not higher than the limit is no answer.
 */
import { amountScale } from "../model/budgetWords.ts";
import type { BudgetChoice, BudgetQuestion, BudgetUnit } from "../protocol/types.ts";

const numbersOf: { readonly [unit in BudgetUnit]: string } = {
  nano: "US dollars",
  tokens: "tokens",
  requests: "requests",
  steps: "steps",
  ms: "minutes",
};

/** The choices, as the line before the answer. */
export function budgetPrompt({ reached, proposedLabel, cheaper }: BudgetQuestion): string {
  const choices = [
    `[r]aise it to ${proposedLabel}`,
    `a number of ${numbersOf[reached.unit]} to raise it to`,
    ...(cheaper ? [`go on with the [c]heaper ${cheaper.label}`] : []),
    "[s]top",
  ];
  return `${choices.join(", ")}: `;
}

/** What was answered; `undefined` when it has to be asked again. */
export function readBudgetAnswer(
  answer: string,
  { reached, proposed, cheaper }: BudgetQuestion,
): BudgetChoice | undefined {
  const text = answer.trim().toLowerCase();
  if (/^\$?[\d.]+$/.test(text)) {
    const limit = Math.round(Number(text.replace("$", "")) * amountScale(reached.unit));
    return limit > reached.limit ? { type: "raise", limit } : undefined;
  }
  switch (text.slice(0, 1)) {
    case "r":
      return { type: "raise", limit: proposed };
    case "c":
      return cheaper && { type: "cheaper" };
    case "s":
      return { type: "stop" };
    default:
      return undefined;
  }
}
