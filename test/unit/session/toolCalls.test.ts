/** A before-image first: what is stored, and when, around the write of a file. */
import { expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { BlobId, CallId, SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { createToolCalls } from "../../../server/src/session/toolCalls.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { createWriteTool } from "../../../server/src/tools/builtin/write.ts";
import { parseRule } from "../../../server/src/tools/permission.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import { createQueues } from "../../../server/src/workspace/queues.ts";
import { createMemoryWorkspace } from "../../support/memoryWorkspace.ts";

/** Writes one new file and gives everything that happened, in order. `fail` names the step that fails. */
async function write(fail?: "putBlob" | "file_changed" | "swap") {
  const happened: string[] = [];
  const failing = (step: string) => {
    happened.push(step);
    if (step === fail) throw new Error(`${step} failed`);
  };
  const inner = createMemoryStore({ clock: { now: () => 1 } });
  const workspace = createMemoryWorkspace();
  workspace.beforeSwap = () => failing("swap");
  const results: string[] = [];
  const scheduler = createToolCalls({
    session: {
      id: "s1" as SessionId,
      state: { turns: [] },
      append: async (...bodies: readonly SessionEventBody[]) => {
        for (const body of bodies) {
          failing(body.type);
          if (body.type === "tool_result") results.push(body.text);
        }
      },
      stream: () => undefined,
    },
    store: {
      putBlob: async (bytes: Uint8Array): Promise<BlobId> => {
        failing("putBlob");
        return inner.putBlob(bytes);
      },
    },
    turnId: "t1" as TurnId,
    memory: { lastSeen: new Map(), rules: [] },
    fileOrder: createQueues(),
    registry: createRegistry([createWriteTool()]),
    workspace,
    permissions: { rules: () => [parseRule("*", "allow")], add: async () => undefined },
    trusted: () => true,
    ask: async () => "deny",
    concurrency: () => 1,
    clock: { now: () => 1, sleep: async () => undefined },
  })(new AbortController().signal);
  const input = { path: "new.txt", text: "hello\n" };
  scheduler.submit({ type: "tool_call", callId: "c1" as CallId, name: "write", input });
  await scheduler.drain().catch(() => happened.push("drain failed"));
  return { happened, results, text: workspace.text("new.txt") };
}

test("a file is written after its images are stored and its change is journaled", async () => {
  const { happened, text } = await write();
  expect(happened).toEqual(["tool_started", "putBlob", "file_changed", "swap", "tool_result"]);
  expect(text).toBe("hello\n");
});

test("a file whose images cannot be stored is not written", async () => {
  const { happened, results, text } = await write("putBlob");
  expect(happened).toEqual(["tool_started", "putBlob", "tool_result"]);
  expect(results[0]).toContain("Nothing was changed");
  expect(text).toBeUndefined();
});

test("a file whose change cannot be journaled is not written", async () => {
  const { happened, text } = await write("file_changed");
  expect(happened.slice(0, 3)).toEqual(["tool_started", "putBlob", "file_changed"]);
  expect(happened).not.toContain("swap");
  expect(text).toBeUndefined();
});

test("a write that fails is journaled as one that did not happen", async () => {
  const { happened } = await write("swap");
  expect(happened).toEqual(["tool_started", "putBlob", "file_changed", "swap", "file_change_failed", "tool_result"]);
});
