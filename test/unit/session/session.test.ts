/** Append before emit: what a session announces is what its store already has. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { SessionEvent, SessionUpdate } from "../../../server/src/protocol/events.ts";
import type { SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { createSession } from "../../../server/src/session/session.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import type { SessionStore } from "../../../server/src/storage/store.ts";
import { says, started } from "../../support/events.ts";

const id = "s1" as SessionId;

/** A session over a store whose appends wait for `flush`, and everything that it announces. */
async function open() {
  const inner = createMemoryStore({ clock: { now: () => 1 } });
  let flushed: Promise<void> = Promise.resolve();
  const store: SessionStore = {
    ...inner,
    append: async (session, seq, bodies) => {
      await flushed;
      return inner.append(session, seq, bodies);
    },
  };
  const updates: SessionUpdate[] = [];
  const session = await createSession({ store, onUpdate: (_, update) => void updates.push(update) }, id, "/w");
  updates.length = 0;
  return {
    session,
    inner,
    updates,
    hold: () => {
      const gate = Promise.withResolvers<void>();
      flushed = gate.promise;
      return gate;
    },
  };
}

const seqs = (updates: readonly SessionUpdate[]) => updates.flatMap((update) => ("seq" in update ? [update.seq] : []));

test("an event is neither folded nor announced before the store has it", async () => {
  const { session, inner, updates, hold } = await open();
  const gate = hold();
  const appended = session.append(started("t1", "do it"), says("t1", 1, 0, "Looking."));
  session.stream({ type: "text_delta", turnId: "t1" as TurnId, index: 1, text: "a delta" });
  // Everything that does not wait for the store has happened by the next turn of the event loop.
  await nextTurn();
  expect(updates.map(({ type }) => type)).toEqual(["text_delta"]);
  expect(session.state.seq).toBe(1);
  gate.resolve();
  await appended;
  const stored: readonly SessionEvent[] = (await inner.read(id)).events;
  expect(updates.slice(1)).toEqual(stored.slice(1));
  expect(session.state.seq).toBe(3);
});

test("an event that could not be stored is announced nowhere, and the next one takes its place", async () => {
  const { session, updates, hold } = await open();
  const gate = hold();
  const failed = session.append(started("t1", "do it"));
  gate.reject(new Error("no space left on device"));
  await expect(failed).rejects.toThrow("no space left");
  expect(updates).toEqual([]);
  hold().resolve();
  await session.append(started("t2", "again"));
  expect(seqs(updates)).toEqual([2]);
});
