/**
 * What messages make of the page, as tables: each row is what was said, and what is then on the page.
 */
import { describe, expect, test } from "vitest";
import { dividersAfter, goneTurns, isUndoable } from "../../../media/restoreState.ts";
import {
  initialState,
  isRunning,
  type PageAction,
  type PanelState,
  pendingFiles,
  reduce,
  turnsOf,
  usdPerToken,
} from "../../../media/state.ts";
import type { TurnView } from "../../../media/turnState.ts";
import type { CompactionReason, SessionDelta, SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { ToPanel } from "../../../server/src/protocol/panel.ts";
import type { RestoreTarget } from "../../../server/src/protocol/review.ts";
import type { CompactionId, RestoreId, SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { compacted } from "../../support/events.ts";
import * as say from "../../support/panelMessages.ts";

const { sessionId, turnId } = say;
const stepStarted = (step: number): SessionEventBody => ({ type: "step_started", turnId, step });
const text = (words: string, index = 0): SessionDelta => ({ type: "text_delta", turnId, index, text: words });

const restoreId = "r1" as RestoreId;
const restoring = (
  id: string,
  target: RestoreTarget,
  fileTurns: readonly TurnId[],
  conversationTurns: readonly TurnId[],
): SessionEventBody => ({
  type: "restore_started",
  restoreId: id as RestoreId,
  target,
  fileTurns,
  conversationTurns,
  hostPid: 1,
});

function pageAfter(...messages: readonly (ToPanel | PageAction)[]): PanelState {
  return [...say.setUp(), ...messages].reduce(reduce, initialState);
}

/** The page with a session, whose events are followed by deltas as they stream. */
function streamed(events: readonly SessionEventBody[], ...deltas: readonly SessionDelta[]): PanelState {
  return pageAfter(
    { type: "session", sessionId, events: say.numbered(events), live: [] },
    { type: "updates", sessionId, updates: deltas },
  );
}

function current(state: PanelState): TurnView {
  const turn = state.session.current;
  if (!turn) throw new Error("there is no turn");
  return turn;
}

/** A turn in short: its blocks as words, the open ones with a dash. */
function outline(turn: TurnView): readonly string[] {
  return [
    ...turn.blocks.map((block) => {
      if (block.kind === "call") return `${block.callId} ${turn.calls.get(block.callId)?.state}`;
      if (block.kind === "compaction")
        return block.isUndone ? "(compaction undone)" : `(compacted by ${block.event.means})`;
      return block.kind === "notice" ? `(${block.message})` : `${block.kind}: ${block.text}`;
    }),
    ...turn.open.map((block) =>
      block.kind === "draft" ? `- ${block.name} ${block.json}` : `- ${block.kind}: ${block.text}`,
    ),
  ];
}

const begun = [say.started("Hi"), stepStarted(1)];

describe("a turn at a limit", () => {
  const resolved = (choice: Extract<SessionEventBody, { type: "budget_resolved" }>["choice"]): SessionEventBody => ({
    type: "budget_resolved",
    turnId,
    choice,
    by: "user",
  });

  test("holds its question until that is answered, also for a page that is told everything again", () => {
    const waits = current(streamed([...begun, say.atLimit()]));
    expect(waits.limit).toMatchObject({ proposed: 2e9, cheaper: { label: "Claude Haiku 5.5" } });
    const raised = current(streamed([...begun, say.atLimit(), resolved({ type: "raise", limit: 2e9 })]));
    expect(raised.limit).toBeUndefined();
    expect(outline(raised)).toEqual(["(The limit of $1.00 for today would be passed. You raised it.)"]);
    const cheaper = current(streamed([...begun, say.atLimit(), resolved({ type: "cheaper" })]));
    expect([cheaper.limit, cheaper.blocks]).toEqual([undefined, []]);
  });

  test("asks nothing any more once it has ended, as after a host that was killed", () => {
    const ended = current(streamed([...begun, say.atLimit(), { type: "turn_finished", turnId, stopReason: "error" }]));
    expect(ended.limit).toBeUndefined();
  });

  test("a model that rules chose is shown with its reason, until another goes on", () => {
    const routed: SessionEventBody = {
      type: "model_routed",
      turnId,
      model: "a/m",
      label: "M",
      strategy: "adaptive",
      rule: "speed",
      reason: "a short question",
    };
    expect(current(streamed([say.started("Hi"), routed])).routed).toEqual({
      label: "M",
      strategy: "adaptive",
      reason: "a short question",
    });
    const change = { from: "a/m", to: "b/m", label: "B", reason: "It failed.", price: "cheaper" } as const;
    const changed = streamed([say.started("Hi"), routed, { type: "model_changed", turnId, step: 1, ...change }]);
    expect(current(changed)).not.toHaveProperty("routed");
  });
});

test("a forecast is of the session on screen, and gives what a token costs anew", () => {
  const forecast = { tokens: 80_000, warmUntilAt: 1, anewUsd: { "a/b": 0.2 } };
  const shown = reduce(initialState, { type: "session", sessionId: "f1" as SessionId, events: [], live: [] });
  const chosen = reduce(shown, { type: "models", models: [], selected: "a/b" });
  const told = reduce(chosen, { type: "forecast", sessionId: "f1" as SessionId, forecast });
  expect([told.forecast, usdPerToken(told), usdPerToken(chosen)]).toEqual([forecast, 0.0000025, undefined]);
  expect(reduce(chosen, { type: "forecast", sessionId: "f2" as SessionId, forecast }).forecast).toBeUndefined();
  expect(
    reduce(told, { type: "session", sessionId: "f2" as SessionId, events: [], live: [] }).forecast,
  ).toBeUndefined();
});

describe("a turn streams", () => {
  const rows: readonly [string, readonly SessionEventBody[], readonly SessionDelta[], readonly string[]][] = [
    ["text grows", begun, [text("Hel"), text("lo")], ["- text: Hello"]],
    [
      "blocks side by side",
      begun,
      [{ type: "thinking_delta", turnId, index: 0, text: "Hm" }, text("Hello", 1), text("!", 1)],
      ["- thinking: Hm", "- text: Hello!"],
    ],
    [
      "a call is being written",
      begun,
      [
        { type: "tool_call_delta", turnId, index: 0, callId: say.call("c1"), name: "edit", json: '{"pa' },
        { type: "tool_call_delta", turnId, index: 0, callId: say.call("c1"), name: "edit", json: 'th"' },
      ],
      ['- edit {"path"'],
    ],
    [
      "a delta of a complete block changes nothing",
      [...begun, say.block(1, 0, { type: "text", text: "Hello" })],
      [text("lo")],
      ["text: Hello"],
    ],
    [
      "the same index of the next step is another block",
      [...begun, say.block(1, 0, { type: "text", text: "One" }), say.stepEnded(1), stepStarted(2)],
      [text("Two")],
      ["text: One", "- text: Two"],
    ],
    [
      "a delta of another turn changes nothing",
      begun,
      [{ type: "text_delta", turnId: "t0" as typeof turnId, index: 0, text: "old" }],
      [],
    ],
  ];
  test.each(rows)("%s", (_name, events, deltas, expected) => {
    expect(outline(current(streamed(events, ...deltas)))).toEqual(expected);
  });

  test("touches only the open block", () => {
    const events = [...begun, say.block(1, 0, { type: "text", text: "One" }), say.called(1, 1, "c1", "read", {})];
    const before = streamed(events, text("a", 2), text("b", 3));
    const next = reduce(before, { type: "updates", sessionId, updates: [text("c", 3)] });
    expect(current(next).open.map(({ key }) => key)).toEqual(["1.2", "1.3"]);
    expect(current(next).blocks).toBe(current(before).blocks);
    expect(current(next).calls).toBe(current(before).calls);
    expect(current(next).open[0]).toBe(current(before).open[0]);
    expect(next.session.earlier).toBe(before.session.earlier);
  });

  test("a block keeps its key when it completes", () => {
    const open = streamed(begun, text("Hel"));
    const done = reduce(open, {
      type: "updates",
      sessionId,
      updates: say.numbered([say.block(1, 0, { type: "text", text: "Hello" })], 3),
    });
    expect(current(done).blocks[0]?.key).toBe(current(open).open[0]?.key);
    expect(outline(current(done))).toEqual(["text: Hello"]);
  });

  test("a step that is asked again loses what it had said, and keeps the steps before", () => {
    const events: readonly SessionEventBody[] = [
      ...begun,
      say.block(1, 0, { type: "text", text: "One" }),
      stepStarted(2),
      say.block(2, 0, { type: "thinking", text: "Half" }),
      { type: "step_restarted", turnId, step: 2, reason: "cut" },
    ];
    expect(outline(current(streamed(events, text("Whole"))))).toEqual([
      "text: One",
      "(The connection broke. Asking again.)",
      "- text: Whole",
    ]);
  });

  test("another model that goes on is told, with the reason and the price, and what the first had said is dropped", () => {
    const events: readonly SessionEventBody[] = [
      ...begun,
      say.block(1, 0, { type: "text", text: "Half" }),
      {
        type: "model_changed",
        turnId,
        step: 1,
        from: "anthropic/a",
        to: "openai/b",
        label: "B",
        reason: "Anthropic is overloaded.",
        price: "dearer",
      },
      stepStarted(2),
    ];
    const turn = current(streamed(events, text("Whole")));
    expect(outline(turn)).toEqual(["(Went on with B (dearer), because: Anthropic is overloaded.)", "- text: Whole"]);
    expect(turn.model).toBe("openai/b");
  });

  test("a retry is shown until anything else comes", () => {
    const retry: SessionDelta = { type: "retry_delta", turnId, attempt: 1, untilAt: 5, reason: "Rate limited" };
    expect(current(streamed(begun, retry)).retry).toEqual(retry);
    expect(current(streamed(begun, retry, text("Hi"))).retry).toBeUndefined();
  });
});

describe("a tool call", () => {
  const made = [...begun, say.called(1, 0, "c1", "shell", { command: "npm test" })];
  const choice = (word: "allow_once" | "deny" | "cancelled"): SessionEventBody => ({
    type: "permission_resolved",
    callId: say.call("c1"),
    choice: word,
    by: "user",
  });
  const runs = say.ran("c1", "execute", "Run npm test");
  const ended: SessionEventBody = { type: "turn_finished", turnId, stopReason: "cancelled" };
  const rows: readonly [string, readonly SessionEventBody[], string][] = [
    ["is made", [], "queued"],
    ["runs", [runs], "running"],
    ["asks", [say.asks("c1", {})], "waiting"],
    ["was allowed", [say.asks("c1", {}), choice("allow_once")], "running"],
    ["was denied", [say.asks("c1", {}), choice("deny"), say.result("c1", "denied", 0, true)], "denied"],
    ["was called off", [say.asks("c1", {}), choice("cancelled")], "stopped"],
    ["ended well", [runs, say.result("c1", "ok")], "done"],
    ["ended badly", [runs, say.result("c1", "no", 10, true)], "failed"],
    ["was cut by the turn's end", [runs, ended], "stopped"],
  ];
  test.each(rows)("%s", (_name, events, state) => {
    const call = current(streamed([...made, ...events])).calls.get(say.call("c1"));
    expect(call?.state).toBe(state);
    expect(call?.request !== undefined).toBe(state === "waiting");
  });

  test("shows what it prints while it runs, bounded, and then its result", () => {
    const prints = (words: string): SessionDelta => ({
      type: "tool_output_delta",
      callId: say.call("c1"),
      text: words,
    });
    const running = streamed([...made, runs], prints("a"), prints("b"));
    expect(current(running).outputs).toEqual({ c1: "ab" });
    const long = streamed([...made, runs], ...Array.from({ length: 9 }, () => prints("x".repeat(50_000))));
    expect(current(long).outputs.c1?.length).toBeLessThanOrEqual(128 * 1024);
    const done = streamed([...made, runs, say.result("c1", "all of it")], prints("late"));
    expect(current(done).outputs).toEqual({});
    expect(current(done).calls.get(say.call("c1"))?.output).toBe("all of it");
  });
});

describe("a turn's record", () => {
  test("sums tokens and costs, keeps changes that happened, and its end", () => {
    const turn = current(
      streamed([
        ...begun,
        say.called(1, 0, "c1", "edit", {}),
        say.changed("c1", "a.ts", 1, 2),
        say.changed("c1", "b.ts", 3, 4),
        { type: "file_change_failed", turnId, callId: say.call("c1"), uri: `${say.root}/b.ts` },
        say.stepEnded(1),
        say.stepEnded(2),
        { type: "turn_finished", turnId, stopReason: "end_turn" },
      ]),
    );
    expect(turn.changes.map(({ uri }) => uri)).toEqual([`${say.root}/a.ts`]);
    expect([turn.usage.cacheReadTokens, turn.cost, turn.end?.stopReason]).toEqual([10_400, 0.0246, "end_turn"]);
  });

  test("of an earlier turn learns that it was undone", () => {
    const second = "t2" as typeof turnId;
    const files = [{ uri: `${say.root}/a.ts`, outcome: "restored" as const }];
    const state = streamed([
      ...begun,
      { type: "turn_finished", turnId, stopReason: "end_turn" },
      say.started("Again", false, second),
      restoring("r1", { type: "turn", turnId }, [turnId], []),
      { type: "restore_finished", restoreId, files },
    ]);
    expect(turnsOf(state.session).map(({ undone }) => undone)).toEqual([{ restoreId, files }, undefined]);
  });

  test("is behind a divider while a restore has taken it back", () => {
    const started = [...begun, { type: "turn_finished", turnId, stopReason: "end_turn" } as const];
    const target = { type: "checkpoint", turnId, files: true, conversation: true } as const;
    const taken = [
      ...started,
      restoring("r1", target, [turnId], [turnId]),
      { type: "restore_finished", restoreId, files: [] } as const,
    ];
    const { session } = streamed(taken);
    expect(goneTurns(session.restores)).toEqual(new Set([turnId]));
    const [divider] = dividersAfter(session.restores, turnId);
    expect(divider && isUndoable(session.restores, divider, turnId)).toBe(true);
    expect(divider && isUndoable(session.restores, divider, "t2" as typeof turnId)).toBe(false);
    const back = streamed([
      ...taken,
      restoring("r2", { type: "restore", restoreId }, [turnId], [turnId]),
      { type: "restore_finished", restoreId: "r2" as RestoreId, files: [] },
    ]);
    expect(goneTurns(back.session.restores)).toEqual(new Set());
    expect(dividersAfter(back.session.restores, turnId)).toEqual([]);
  });
});

describe("a compaction", () => {
  const compacting = (reason: CompactionReason, isRunning = true): SessionDelta => ({
    type: "compaction_delta",
    isRunning,
    reason,
  });
  const finished: SessionEventBody = { type: "turn_finished", turnId, stopReason: "end_turn" };
  const compactionId = compacted().compactionId;

  test("is a line of its turn, and counts among its costs", () => {
    const turn = current(streamed([...begun, say.stepEnded(1), compacted(), stepStarted(2)]));
    expect(outline(turn)).toEqual(["(compacted by vendor)"]);
    expect([turn.usage.cacheReadTokens, turn.cost]).toEqual([87_200, 0.0419]);
  });

  test("that was undone says so, also in an earlier turn", () => {
    const undone: SessionEventBody = { type: "compaction_undone", compactionId };
    const again = say.started("Again", false, "t2" as typeof turnId);
    const turns = (...events: readonly SessionEventBody[]) =>
      turnsOf(streamed([...begun, finished, compacted(), ...events]).session).map(outline);
    expect(turns(undone)).toEqual([["(compaction undone)"]]);
    expect(turns(again, undone)).toEqual([["(compaction undone)"], []]);
  });

  test.each([
    { reason: "boundary", running: false },
    { reason: "manual", running: true },
  ] as const)("by $reason is shown while it runs, and keeps from sending: $running", ({ reason, running }) => {
    const during = streamed([...begun, finished], compacting(reason));
    expect([during.session.compacting, isRunning(during)]).toEqual([reason, running]);
    const after = reduce(during, { type: "updates", sessionId, updates: [compacting(reason, false)] });
    expect([after.session.compacting, isRunning(after)]).toEqual([undefined, false]);
  });
});

describe("the page", () => {
  const running: ToPanel = { type: "session", sessionId, events: say.numbered(begun), live: [text("Hel")] };

  test("shows a loaded session with what was being streamed", () => {
    const state = pageAfter(running);
    expect(outline(current(state))).toEqual(["- text: Hel"]);
    expect(isRunning(state)).toBe(true);
  });

  test("ignores updates of other sessions, and events that it has", () => {
    const state = pageAfter(running);
    const other = "f2" as SessionId;
    expect(reduce(state, { type: "updates", sessionId: other, updates: [text("x")] })).toBe(state);
    const again = reduce(state, { type: "updates", sessionId, updates: say.numbered(begun) });
    expect(turnsOf(again.session)).toEqual(turnsOf(state.session));
  });

  const settling: readonly [string, ToPanel, boolean][] = [
    ["the turn starts", { type: "updates", sessionId, updates: say.numbered([say.started("Hi")]) }, true],
    ["it fails", { type: "failed", failure: { code: "needs_key", message: "No key" } }, false],
    ["it has ended unseen", { type: "prompt_settled" }, false],
    ["the host stops", { type: "host", state: "restarting" }, false],
  ];
  test.each(settling)("stops saying that it sends when %s", (_name, message, runs) => {
    const made: ToPanel = { type: "session", sessionId, events: [], live: [] };
    const sending = pageAfter({ type: "sent", text: "Hi" }, made);
    expect(sending.sending).toBe("Hi");
    const state = reduce(sending, message);
    expect([state.sending, isRunning(state)]).toEqual([undefined, runs]);
  });

  test("an error stays until the next prompt or until it is dismissed", () => {
    const failed = pageAfter({ type: "failed", failure: { code: "x", message: "No" }, action: "show_log" });
    expect(failed.failed).toEqual({ failure: { code: "x", message: "No" }, action: "show_log" });
    expect(reduce(failed, { type: "dismissed" }).failed).toBeUndefined();
    expect(reduce(failed, { type: "sent", text: "Hi" }).failed).toBeUndefined();
  });

  test("an answer to an older search does not replace a newer one", () => {
    const searching = pageAfter({ type: "list_opened" }, { type: "list_query", query: "new" });
    expect(reduce(searching, { type: "sessions", query: "old", sessions: [] }).list?.sessions).toBeUndefined();
    expect(reduce(searching, { type: "sessions", query: "new", sessions: [] }).list?.sessions).toEqual([]);
  });
});

test("what is pending is told for all sessions, and the page takes that of its own", () => {
  const counts = { status: "modified", hunks: 2, addedLines: 3, removedLines: 1, turnIds: [turnId] } as const;
  const own = { sessionId, uri: "file:///a.ts", ...counts };
  const files = [own, { ...own, sessionId: "other" as SessionId }];
  const page = pageAfter({ type: "session", sessionId, events: [], live: [] }, { type: "pending", files });
  expect(pendingFiles(page)).toEqual([own]);
  expect(pendingFiles(reduce(page, { type: "pending", files: [] }))).toEqual([]);
  expect([page.follow, reduce(page, { type: "follow", on: true }).follow]).toEqual([false, true]);
});

describe("the context meter", () => {
  const context = { window: 100_000, reserve: 20_000, parts: say.contextOf(40_000).parts };
  const measured: SessionEventBody = { ...say.stepEnded(1), context } as SessionEventBody;
  const later = (...bodies: readonly SessionEventBody[]) => {
    const state = pageAfter({ type: "session", sessionId, events: say.numbered([...begun, measured]), live: [] });
    return reduce(state, { type: "updates", sessionId, updates: say.numbered(bodies, 20) }).session.context;
  };
  const compacted: SessionEventBody = {
    type: "compacted",
    compactionId: "k1" as CompactionId,
    reason: "manual",
    means: "summary",
    messages: 9,
    summary: "All that was said.",
    carried: "",
    model: "test/model",
    tokensBefore: 49_400,
    tokensAfter: 12_000,
    usage: { inputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 0, thinkingTokens: 0 },
    durationMs: 10,
  };

  test("keeps what the last request took, also where a step had none", () => {
    expect(pageAfter().session.context).toBeUndefined();
    expect(later(say.stepEnded(2))).toEqual(context);
  });

  test("after a compaction there is a summary in place of the conversation", () => {
    expect(later(compacted)?.parts).toEqual({ ...context.parts, summary: 3_000, history: 0, attached: 0 });
    expect(later(compacted, { type: "compaction_undone", compactionId: "k1" as CompactionId })).toBeUndefined();
  });

  test("is not known while the conversation is another, and not touched by a restore of files", () => {
    const target: RestoreTarget = { type: "turn", turnId };
    expect(later(restoring("r1", target, [turnId], [turnId]))).toBeUndefined();
    expect(later(restoring("r1", target, [turnId], []))).toEqual(context);
  });
});
