/** When a conversation is compacted: a table of how full it is, what was done lately, and what the settings say. */
import { describe, expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { ModelSpec, TurnId } from "../../../server/src/protocol/types.ts";
import {
  type CompactionPolicy,
  dueAfterTurn,
  dueBeforeStep,
  fitsWindow,
  summaryTokens,
} from "../../../server/src/session/compactPlan.ts";
import { initialState, reduceAll, type SessionState } from "../../../server/src/session/reduce.ts";
import { compacted, createEvents, says, started } from "../../support/events.ts";

const model: ModelSpec = {
  id: "test/model",
  label: "Test",
  api: "anthropic-messages",
  wireId: "test",
  contextTokens: 200_000,
  maxOutputTokens: 64_000,
  images: false,
  thinking: "none",
};
const cliff = { aboveTokens: 100_000, inputTimes: 5, outputTimes: 5 };
const dear: ModelSpec = { ...model, price: { input: 1, output: 5, cacheWrite: 1.25, cacheRead: 0.1, cliff } };
const auto: CompactionPolicy = { strategy: "auto", maxSteps: 0, pruneSimilar: true };

const turn = (id: string, steps = 1): readonly SessionEventBody[] => [
  started(id, "do it"),
  ...Array.from({ length: steps }, (_, index): readonly SessionEventBody[] => [
    { type: "step_started", turnId: id as TurnId, step: index + 1 },
    says(id, index + 1, 0, "yes"),
  ]).flat(),
  { type: "turn_finished", turnId: id as TurnId, stopReason: "end_turn" },
];
const stateOf = (...bodies: readonly (SessionEventBody | readonly SessionEventBody[])[]): SessionState =>
  reduceAll(initialState, createEvents(...bodies.flat()));
const once = stateOf(turn("t1"));
const justDone = stateOf(turn("t1"), compacted(), turn("t2"));
const longAgo = stateOf(turn("t1"), compacted(), turn("t2"), turn("t3"), turn("t4"));

describe("before a step", () => {
  test.each([
    { what: "plenty of room", state: once, tokens: 100_000, due: undefined },
    { what: "no room for a summary after the answer", state: once, tokens: 170_000, due: "overflow" },
    {
      what: "less than 15 % left, but room for a summary",
      state: longAgo,
      tokens: 167_000,
      spec: { ...model, maxOutputTokens: 8_000 },
      due: undefined,
    },
    {
      what: "less than 15 % left",
      state: longAgo,
      tokens: 171_000,
      spec: { ...model, maxOutputTokens: 8_000 },
      due: "window",
    },
    {
      what: "the same right after a compaction",
      state: justDone,
      tokens: 171_000,
      spec: { ...model, maxOutputTokens: 8_000 },
      due: undefined,
    },
    { what: "no room, right after a compaction", state: justDone, tokens: 190_000, due: "overflow" },
    { what: "a price step near", state: once, tokens: 86_000, spec: dear, due: "price" },
    {
      what: "a price step near, right after a compaction",
      state: justDone,
      tokens: 86_000,
      spec: dear,
      due: undefined,
    },
    { what: "nothing said yet but the prompt", state: stateOf(started("t1", "x")), tokens: 300_000, due: undefined },
    { what: "only on request", state: once, tokens: 300_000, policy: { ...auto, strategy: "none" }, due: undefined },
    { what: "a recording", state: once, tokens: 300_000, spec: { ...model, api: "recorded" }, due: undefined },
    {
      what: "more steps than wanted",
      state: stateOf(turn("t1", 20)),
      tokens: 10,
      policy: { ...auto, maxSteps: 20 },
      due: "steps",
    },
    {
      what: "as many steps, counted from the last compaction",
      state: stateOf(turn("t1", 20), compacted(), turn("t2")),
      tokens: 10,
      policy: { ...auto, maxSteps: 20 },
      due: undefined,
    },
  ] as const)("$what: $due", ({ state, tokens, due, ...rest }) => {
    const { spec = model, policy = auto } = rest as { spec?: ModelSpec; policy?: CompactionPolicy };
    expect(dueBeforeStep(state, spec, tokens, policy)).toBe(due);
  });
});

describe("after a turn", () => {
  test.each([
    { what: "a short conversation", state: once, tokens: 50_000, due: undefined },
    { what: "over 70 % of the window", state: once, tokens: 141_000, due: "boundary" },
    { what: "over 70 % of the way to a price step", state: once, tokens: 71_000, spec: dear, due: "boundary" },
    {
      what: "very long, in a huge window",
      state: once,
      tokens: 401_000,
      spec: { ...model, contextTokens: 1_000_000 },
      due: "boundary",
    },
    { what: "the same right after a compaction", state: justDone, tokens: 141_000, due: undefined },
    { what: "three turns later", state: longAgo, tokens: 141_000, due: "boundary" },
    { what: "always", state: justDone, tokens: 10, policy: { ...auto, strategy: "always" }, due: "boundary" },
    { what: "only on request", state: once, tokens: 141_000, policy: { ...auto, strategy: "none" }, due: undefined },
  ] as const)("$what: $due", ({ state, tokens, due, ...rest }) => {
    const { spec = model, policy = auto } = rest as { spec?: ModelSpec; policy?: CompactionPolicy };
    expect(dueAfterTurn(state, spec, tokens, policy)).toBe(due);
  });
});

test("a request fits when it leaves room for an answer and for a summary after it", () => {
  expect(summaryTokens(model)).toBe(16_384);
  expect(summaryTokens({ ...model, contextTokens: 8_192 })).toBe(1_024);
  expect([fitsWindow(model, 167_232), fitsWindow(model, 167_233)]).toEqual([true, false]);
  const large = { ...model, contextTokens: 1_000_000 };
  expect([fitsWindow(large, 923_616), fitsWindow(large, 923_617)]).toEqual([true, false]);
});
