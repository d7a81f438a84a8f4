/** Questions of several sessions at once: each answer reaches the question that it was given to. */
import { expect, test, vi } from "vitest";
import type { CancellationToken } from "vscode";
import { approvals as approvalKind, budgetQuestions, Questions } from "../../../client/src/questions.ts";
import type {
  BudgetQuestion,
  CallId,
  PermissionRequest,
  SessionId,
  TurnId,
} from "../../../server/src/protocol/types.ts";

const { EventEmitter, showInformationMessage } = vi.hoisted(() => ({
  EventEmitter: class {
    readonly listeners: ((value: unknown) => void)[] = [];
    readonly event = (listener: (value: unknown) => void) => void this.listeners.push(listener);
    fire(value: unknown): void {
      for (const listener of this.listeners) listener(value);
    }
  },
  showInformationMessage: vi.fn<(...args: unknown[]) => Promise<unknown>>(async () => undefined),
}));
vi.mock("vscode", () => ({
  CancellationError: class extends Error {},
  EventEmitter,
  window: { showInformationMessage },
}));

const token = { onCancellationRequested: () => undefined } as unknown as CancellationToken;
const request = (session: string, call: string): PermissionRequest => ({
  sessionId: session as SessionId,
  callId: call as CallId,
  tool: "shell",
  kind: "execute",
  title: `Run ${session}`,
  detail: "",
  rule: "shell",
});

test("the same call id in two sessions is two questions", async () => {
  const counts: number[] = [];
  const approvals = new Questions(approvalKind, () => true);
  approvals.onDidChange((count) => counts.push(count));
  const one = approvals.ask(request("a", "call_0"), token);
  const two = approvals.ask(request("b", "call_0"), token);
  approvals.answer("b" as SessionId, "call_0", "deny");
  expect(await two).toEqual({ choice: "deny" });
  approvals.answer("a" as SessionId, "call_0", "allow_once");
  expect(await one).toEqual({ choice: "allow_once" });
  expect(counts).toEqual([1, 2, 1, 0]);
});

test("a notification answers its own question only, and one that is closed answers none", async () => {
  showInformationMessage.mockResolvedValueOnce(undefined).mockResolvedValueOnce({ title: "Deny", choice: "deny" });
  const approvals = new Questions(approvalKind, () => false);
  const one = approvals.ask(request("a", "call_0"), token);
  const two = approvals.ask(request("b", "call_0"), token);
  expect(await two).toEqual({ choice: "deny" });
  approvals.answer("a" as SessionId, "call_0", "allow_session");
  expect(await one).toEqual({ choice: "allow_session" });
});

test("a question at a limit offers its raise, the cheaper model where there is one, and to stop", async () => {
  const question: BudgetQuestion = {
    sessionId: "a" as SessionId,
    turnId: "t1" as TurnId,
    reached: { period: "day", unit: "nano", limit: 1e9, spent: 9e8, needed: 2e8 },
    message: "The limit of $1.00 for today would be passed.",
    proposed: 2e9,
    proposedLabel: "$2.00",
    cheaper: { model: "anthropic/claude-haiku-5-5", label: "Claude Haiku 5.5" },
  };
  const shown: unknown[] = [];
  showInformationMessage.mockImplementationOnce(async (...args: unknown[]) => {
    shown.push(...args);
    return args[1];
  });
  const questions = new Questions(budgetQuestions, () => false);
  expect(await questions.ask(question, token)).toEqual({ choice: { type: "raise", limit: 2e9 } });
  expect(shown).toEqual([
    "Hermes asks: The limit of $1.00 for today would be passed.",
    { title: "Raise to $2.00", choice: { type: "raise", limit: 2e9 } },
    { title: "Use Claude Haiku 5.5", choice: { type: "cheaper" } },
    { title: "Stop", choice: { type: "stop" } },
  ]);
  const cancelled = { onCancellationRequested: (listener: () => void) => listener() } as unknown as CancellationToken;
  await expect(questions.ask(question, cancelled)).rejects.toThrow();
  expect(questions.count).toBe(0);
});
