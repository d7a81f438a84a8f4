/** Questions of several sessions at once: each answer reaches the question that it was given to. */
import { expect, test, vi } from "vitest";
import type { CancellationToken } from "vscode";
import { Approvals } from "../../../client/src/approvals.ts";
import type { CallId, PermissionRequest, SessionId } from "../../../server/src/protocol/types.ts";

const { EventEmitter, showInformationMessage } = vi.hoisted(() => ({
  EventEmitter: class {
    readonly listeners: ((value: unknown) => void)[] = [];
    readonly event = (listener: (value: unknown) => void) => void this.listeners.push(listener);
    fire(value: unknown): void {
      for (const listener of this.listeners) listener(value);
    }
  },
  showInformationMessage: vi.fn<() => Promise<unknown>>(async () => undefined),
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
  const approvals = new Approvals(() => true);
  approvals.onDidChange((count) => counts.push(count));
  const one = approvals.ask(request("a", "call_0"), token);
  const two = approvals.ask(request("b", "call_0"), token);
  approvals.answer(request("b", "call_0"), "deny");
  expect(await two).toEqual({ choice: "deny" });
  approvals.answer(request("a", "call_0"), "allow_once");
  expect(await one).toEqual({ choice: "allow_once" });
  expect(counts).toEqual([1, 2, 1, 0]);
});

test("a notification answers its own question only, and one that is closed answers none", async () => {
  showInformationMessage.mockResolvedValueOnce(undefined).mockResolvedValueOnce({ title: "Deny", choice: "deny" });
  const approvals = new Approvals(() => false);
  const one = approvals.ask(request("a", "call_0"), token);
  const two = approvals.ask(request("b", "call_0"), token);
  expect(await two).toEqual({ choice: "deny" });
  approvals.answer(request("a", "call_0"), "allow_session");
  expect(await one).toEqual({ choice: "allow_session" });
});
