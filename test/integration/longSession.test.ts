/**
 * A session with more turns than are shown at first: its newest turns come at once, and look as they do in the whole.
 *
 * Not here: how the file is read (`journalTail.test.ts`), and times (`npm run bench -- long`).
 */
import { describe, expect, test } from "vitest";
import { initialState, type PanelState, reduce, turnsOf } from "../../media/state.ts";
import { createLocalHost, type LocalHost } from "../../server/src/main/local.ts";
import type { LoadSessionResult } from "../../server/src/protocol/methods.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { type Play, startPlay } from "../support/play.ts";

/** Another process of the same user, over the same folder. */
async function anotherHost({ config, root }: Play): Promise<LocalHost> {
  return createLocalHost({
    config,
    environment: {},
    root,
    trusted: () => true,
    ask: async () => "deny",
    onUpdate: () => undefined,
  });
}

function shown(sessionId: SessionId, { events, live, hasEarlier }: LoadSessionResult): PanelState {
  return reduce(initialState, { type: "session", sessionId, events, live, ...(hasEarlier ? { hasEarlier } : {}) });
}

async function withTurns(count: number): Promise<{ readonly play: Play; readonly sessionId: SessionId }> {
  const play = await startPlay({ script: { repeatLast: true, steps: [{ say: "Yes." }] } });
  const { sessionId } = await play.prompt("prompt 1");
  for (let at = 2; at <= count; at++) await play.prompt(`prompt ${at}`, { sessionId });
  return { play, sessionId };
}

describe("the newest turns of a session", () => {
  test("are shown as in the whole, whether it is in memory or not", async () => {
    const { play, sessionId } = await withTurns(6);
    await using _ = play;
    const whole = shown(sessionId, await play.local.host.loadSession(sessionId));
    const other = await anotherHost(play);
    for (const host of [play.local.host, other.host]) {
      const part = shown(sessionId, await host.loadSession(sessionId, 2));
      expect(part.session.hasEarlier).toBe(true);
      expect(part.session.title).toBe(whole.session.title);
      expect(turnsOf(part.session)).toEqual(turnsOf(whole.session).slice(-2));
    }
    const all = shown(sessionId, await other.host.loadSession(sessionId, 6));
    expect(turnsOf(all.session)).toEqual(turnsOf(whole.session));
    await other.close();
  });

  test("go on with what another process has added, and with a prompt here", async () => {
    const { play, sessionId } = await withTurns(3);
    await using _ = play;
    const other = await anotherHost(play);
    await other.host.loadSession(sessionId, 1);
    await other.host.prompt(
      { sessionId, prompt: [{ type: "text", text: "from there" }], origin: "panel" },
      new AbortController().signal,
    );
    await other.close();
    const { events } = await play.local.host.loadSession(sessionId, 1);
    expect(events.findLast(({ type }) => type === "turn_started")).toMatchObject({ prompt: [{ text: "from there" }] });
    const { stopReason } = await play.prompt("and here", { sessionId });
    expect(stopReason).toBe("end_turn");
  });

  test("are read whole when a turn was left open, so that it is closed", async () => {
    const { play, sessionId } = await withTurns(2);
    await using _ = play;
    const open = { type: "turn_started", turnId: "t", prompt: [], origin: "panel", context: "" } as const;
    const { events: before } = await play.local.host.loadSession(sessionId);
    const seq = before.at(-1)?.seq ?? 0;
    const { createJournalStore } = await import("../../server/src/storage/journal.ts");
    const store = createJournalStore({ dir: play.config.home, clock: { now: () => 1 } });
    await store.append(sessionId, seq, [
      // No process has this number.
      { ...open, turnId: open.turnId as never, model: "test", recorded: false, hostPid: 2 ** 30 },
    ]);
    await store.close();
    const other = await anotherHost(play);
    const { events } = await other.host.loadSession(sessionId, 1);
    expect(events.at(-1)).toMatchObject({ type: "turn_finished", failure: { code: "host_stopped" } });
    expect(events[0]?.seq).toBe(1);
    expect(events).toHaveLength(seq + 2);
    await other.close();
  });
});
