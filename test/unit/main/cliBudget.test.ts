/** A limit in the terminal: what is offered, and what answers mean. */
import { expect, test } from "vitest";
import { budgetPrompt, readBudgetAnswer } from "../../../server/src/main/cliBudget.ts";
import type { BudgetQuestion, SessionId, TurnId } from "../../../server/src/protocol/types.ts";

const question: BudgetQuestion = {
  sessionId: "s1" as SessionId,
  turnId: "t1" as TurnId,
  reached: { period: "day", unit: "nano", limit: 1e9, spent: 9e8, needed: 2e8 },
  message: "",
  proposed: 2e9,
  proposedLabel: "$2.00",
  cheaper: { model: "a/m", label: "Small" },
};
const { cheaper: _, ...without } = question;
const minutes: BudgetQuestion = { ...without, reached: { ...question.reached, unit: "ms", limit: 60_000 } };

test("offers what there is", () => {
  expect(budgetPrompt(question)).toBe(
    "[r]aise it to $2.00, a number of US dollars to raise it to, go on with the [c]heaper Small, [s]top: ",
  );
  expect(budgetPrompt(minutes)).toBe("[r]aise it to $2.00, a number of minutes to raise it to, [s]top: ");
});

test.each([
  ["r", question, { type: "raise", limit: 2e9 }],
  [" Raise ", question, { type: "raise", limit: 2e9 }],
  ["c", question, { type: "cheaper" }],
  ["c", without, undefined],
  ["stop", question, { type: "stop" }],
  ["1.5", question, { type: "raise", limit: 1.5e9 }],
  ["$3", question, { type: "raise", limit: 3e9 }],
  ["1", question, undefined],
  ["2.5", minutes, { type: "raise", limit: 150_000 }],
  ["1.2.3", question, undefined],
  ["", question, undefined],
  ["yes", question, undefined],
] as const)("“%s”", (answer, asked, choice) => {
  expect(readBudgetAnswer(answer, asked)).toEqual(choice);
});
