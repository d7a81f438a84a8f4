/** Which sessions stay in memory: so many, and not more than so many messages together. */
import { expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { LiveSessions } from "../../../server/src/session/liveSessions.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import type { SessionStore } from "../../../server/src/storage/store.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import { createQueues } from "../../../server/src/workspace/queues.ts";
import { started } from "../../support/events.ts";
import { createMemoryWorkspace } from "../../support/memoryWorkspace.ts";

const clock = { now: () => 1, sleep: async () => undefined };

function liveSessions(store: SessionStore): LiveSessions {
  return new LiveSessions({
    store,
    workspace: createMemoryWorkspace(),
    fileOrder: createQueues(),
    createRegistry: () => createRegistry([]),
    onUpdate: () => undefined,
    clock,
    pid: 1,
    isAlive: () => false,
  });
}

/** Stores a session of so many prompts. */
async function stored(store: SessionStore, id: SessionId, messages: number): Promise<void> {
  const turns = Array.from({ length: messages }, (_, at) => started(`t${at}`, "x"));
  const end: SessionEventBody = {
    type: "turn_finished",
    turnId: `t${messages - 1}` as TurnId,
    stopReason: "end_turn",
  };
  await store.append(id, 0, [{ type: "session_created", sessionId: id, cwd: "/", version: 1 }, ...turns, end]);
}

test.each([
  ["many small ones", 20, 2, 16],
  ["a few of 15,000 messages", 4, 15_000, 2],
  ["one that is larger than all may be together", 1, 50_000, 1],
])("of %s the oldest are let go", async (_, count, messages, kept) => {
  const store = createMemoryStore({ clock });
  const ids = Array.from({ length: count }, (_unused, at) => `s${at}` as SessionId);
  for (const id of ids) await stored(store, id, messages);
  const live = liveSessions(store);
  for (const id of ids) await live.open(id);
  await live.all();
  expect(ids.filter((id) => live.present(id))).toEqual(ids.slice(-kept));
});
