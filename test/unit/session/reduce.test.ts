/** The fold from events to session state: tables of events and the messages and openings that they give. */
import { describe, expect, test } from "vitest";
import { initialState, messagesOf, openCalls, reduceAll, runningTurn } from "../../../server/src/session/reduce.ts";
import { call, createEvents, type PlainEventBody, says, started } from "../../support/events.ts";

/** How many items of lists are gone through one by one, as copying them does, while something runs. */
function itemsVisited(run: () => void): number {
  const real = Array.prototype[Symbol.iterator];
  let visited = 0;
  Array.prototype[Symbol.iterator] = function* (this: readonly unknown[]) {
    for (let at = 0; at < this.length; at++) {
      visited += 1;
      yield this[at];
    }
  } as typeof real;
  try {
    run();
  } finally {
    Array.prototype[Symbol.iterator] = real;
  }
  return visited;
}

test("folding twice as many events costs twice as much", () => {
  const turns = (count: number) => {
    const bodies = Array.from({ length: count }, (_, at) => [
      started(`t${at}`, "prompt"),
      { type: "step_started", turnId: `t${at}`, step: 1 },
      call(`t${at}`, 1, 0, `c${at}`),
      { type: "tool_result", callId: `c${at}`, text: "result", isError: false, durationMs: 1 },
      { type: "step_started", turnId: `t${at}`, step: 2 },
      says(`t${at}`, 2, 0, "answer"),
      { type: "turn_finished", turnId: `t${at}`, stopReason: "end_turn" },
    ]);
    return createEvents(...bodies.flat());
  };
  const cost = (events: ReturnType<typeof turns>) => itemsVisited(() => void reduceAll(initialState, events));
  const [few, many] = [turns(200), turns(400)].map(cost);
  expect(few).toBeGreaterThan(200);
  expect(many).toBe(2 * (few ?? 0));
});

const folded = (...bodies: readonly PlainEventBody[]) => reduceAll(initialState, createEvents(...bodies));

describe("messages", () => {
  test("show results after their message in call order, whatever order they finished in", () => {
    const state = folded(
      started("t1", "do it"),
      { type: "step_started", turnId: "t1", step: 1 },
      call("t1", 1, 0, "a"),
      { type: "tool_result", callId: "a", text: "A", isError: false, durationMs: 1 },
      call("t1", 1, 1, "b"),
      call("t1", 1, 2, "c"),
      { type: "tool_result", callId: "c", text: "C", isError: true, durationMs: 1 },
      { type: "tool_result", callId: "b", text: "B", isError: false, durationMs: 1 },
    );
    expect(messagesOf(state).map((message) => message.role)).toEqual(["user", "assistant", "tool"]);
    expect(messagesOf(state).at(-1)).toEqual({
      role: "tool",
      results: [
        { callId: "a", text: "A", isError: false },
        { callId: "b", text: "B", isError: false },
        { callId: "c", text: "C", isError: true },
      ],
    });
  });

  test("only grow from one step to the next", () => {
    const bodies = [
      started("t1", "first"),
      { type: "step_started", turnId: "t1", step: 1 },
      call("t1", 1, 0, "a"),
      { type: "tool_result", callId: "a", text: "A", isError: false, durationMs: 1 },
      { type: "step_started", turnId: "t1", step: 2 },
      says("t1", 2, 0, "done"),
      { type: "turn_finished", turnId: "t1", stopReason: "end_turn" },
      started("t2", "second"),
      { type: "step_started", turnId: "t2", step: 1 },
      says("t2", 1, 0, "yes"),
    ] as const;
    let earlier: readonly unknown[] = [];
    for (const length of [2, 5, 9]) {
      const messages = messagesOf(folded(...bodies.slice(0, length)));
      expect(messages.slice(0, earlier.length)).toEqual(earlier);
      expect(messages.length).toBeGreaterThan(earlier.length);
      earlier = messages;
    }
  });

  test("of an earlier state stay as they were when more is folded onto it, event by event or at once", () => {
    const turn = (id: string) => [
      started(id, `prompt of ${id}`),
      { type: "step_started", turnId: id, step: 1 },
      says(id, 1, 0, `answer of ${id}`),
      { type: "turn_finished", turnId: id, stopReason: "end_turn" },
    ];
    const events = createEvents(...["t1", "t2", "t3"].flatMap(turn));
    const half = reduceAll(initialState, events.slice(0, 6));
    const before = structuredClone({ messages: messagesOf(half), turns: half.turns });
    const whole = reduceAll(half, events.slice(6));
    expect({ messages: messagesOf(half), turns: half.turns }).toEqual(before);
    expect(whole).toEqual(reduceAll(initialState, events));
    expect(whole).toEqual(events.reduce((state, event) => reduceAll(state, [event]), initialState));
    expect(messagesOf(whole)).toHaveLength(6);
    expect(whole.turns.map(({ before, finished }) => [before.messages, finished])).toEqual([
      [0, true],
      [2, true],
      [4, true],
    ]);
  });

  test("drop the blocks of a step that was asked again", () => {
    const state = folded(
      started("t1", "hi"),
      { type: "step_started", turnId: "t1", step: 1 },
      says("t1", 1, 0, "half"),
      { type: "step_restarted", turnId: "t1", step: 1, reason: "cut" },
      says("t1", 1, 0, "whole"),
    );
    expect(JSON.stringify(messagesOf(state))).not.toContain("half");
    expect(JSON.stringify(messagesOf(state))).toContain("whole");
  });

  test.each([
    { what: "drop", last: says("t1", 1, 1, "half"), kept: false },
    { what: "keep, with its call and result,", last: call("t1", 1, 1, "a"), kept: true },
  ])("$what what a failed model had said", ({ last, kept }) => {
    const state = folded(
      started("t1", "hi"),
      { type: "step_started", turnId: "t1", step: 1 },
      says("t1", 1, 0, "half"),
      last,
      { type: "tool_result", callId: "a", text: "ok", isError: false, durationMs: 0 },
      { type: "model_changed", turnId: "t1", step: 1, from: "a", to: "b", label: "B", reason: "r", price: "similar" },
      { type: "step_started", turnId: "t1", step: 2 },
      says("t1", 2, 0, "whole"),
    );
    const roles = messagesOf(state).map(({ role }) => role);
    expect(roles).toEqual(kept ? ["user", "assistant", "tool", "assistant"] : ["user", "assistant"]);
    expect(JSON.stringify(messagesOf(state)).includes("half")).toBe(kept);
  });

  test("leave out an answer without blocks", () => {
    const state = folded(
      started("t1", "hi"),
      { type: "step_started", turnId: "t1", step: 1 },
      { type: "turn_finished", turnId: "t1", stopReason: "cancelled" },
    );
    expect(messagesOf(state).map(({ role }) => role)).toEqual(["user"]);
  });
});

test("calls without a result are open, in call order", () => {
  const state = folded(
    started("t1", "x"),
    { type: "step_started", turnId: "t1", step: 1 },
    call("t1", 1, 0, "a"),
    call("t1", 1, 1, "b"),
    call("t1", 1, 2, "c"),
    { type: "tool_result", callId: "b", text: "", isError: false, durationMs: 0 },
  );
  expect(openCalls(state)).toEqual(["a", "c"]);
  expect(runningTurn(state)?.turnId).toBe("t1");
});

test("a write that did not happen is no change", () => {
  const change = { uri: "file:///a", before: null, after: null, addedLines: 0, removedLines: 0 };
  const state = folded(
    started("t1", "x"),
    { type: "file_changed", turnId: "t1", callId: "a", change },
    { type: "file_changed", turnId: "t1", callId: "b", change: { ...change, uri: "file:///b" } },
    { type: "file_change_failed", turnId: "t1", callId: "a", uri: "file:///a" },
  );
  expect(state.turns[0]?.changes.map(({ uri }) => uri)).toEqual(["file:///b"]);
});

test("an event of a newer version only moves the position", () => {
  const state = folded(started("t1", "x"), { type: "from_the_future", what: 1 });
  expect(state.seq).toBe(2);
  expect(messagesOf(state)).toHaveLength(1);
});
