/** The rules: each fires on its own case and says its numbers, and on an ordinary turn none does. */
import { describe, expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { CacheBreakCause, Phase, Usage } from "../../../server/src/protocol/types.ts";
import { findingsOf } from "../../../server/src/report/findings.ts";
import { waterfallOf } from "../../../server/src/report/waterfall.ts";
import { called, ran, result, stepFinished, stepStarted, type Timed, timesOf, turnId, usage } from "./turn.ts";

function explain(end: number, ...timed: readonly Timed[]) {
  const times = timesOf(end, ...timed);
  return findingsOf(times, waterfallOf(times));
}

const rulesOf = (end: number, ...timed: readonly Timed[]) => explain(end, ...timed).map(({ rule }) => rule);

/** A step of `ms` whose request has these phases and this usage. */
function step(
  from: number,
  ms: number,
  phases: readonly Phase[],
  given: Partial<Extract<SessionEventBody, { type: "step_finished" }>> = {},
  number = 1,
): readonly Timed[] {
  return [
    [from, stepStarted(number)],
    [from + ms, stepFinished(number, { phases, ...given })],
  ];
}

const phase = (name: Phase["name"], fromMs: number, ms: number, reason?: string): Phase => ({
  name,
  fromMs,
  ms,
  ...(reason === undefined ? {} : { reason }),
});

test("an ordinary turn has nothing that stands out", () => {
  const ordinary = step(
    0,
    4000,
    [phase("connect", 0, 90), phase("first_token", 90, 900), phase("generation", 990, 2900)],
    {
      usage: usage({ inputTokens: 900, cacheReadTokens: 60_000, outputTokens: 600, thinkingTokens: 100 }),
      cost: 0.02,
    },
  );
  expect(explain(4010, ...ordinary)).toEqual([]);
});

describe("what is slow", () => {
  test.each<[string, Phase["name"], number, readonly string[]]>([
    ["a model that begins late", "first_token", 5_001, ["slow_first_token", "mostly_model"]],
    ["a model that begins just in time", "first_token", 5_000, []],
    ["a model that writes long", "generation", 5_001, ["slow_answer", "mostly_model"]],
    ["a wait to ask again", "wait", 600, ["retry"]],
    ["a queue", "queue", 1_000, ["queue"]],
    ["a short queue", "queue", 999, []],
    ["a connection", "connect", 1_000, ["connect"]],
    ["our own work", "build", 1_000, ["build"]],
  ])("%s", (_name, name, ms, expected) => {
    expect(rulesOf(ms, ...step(0, ms, [phase(name, 0, ms)]))).toEqual(expected);
  });

  test("a tool, with what it did, also where another ran beside it", () => {
    const slow = explain(
      9000,
      [0, stepStarted(1)],
      [0, called(1, "a")],
      [0, ran("a", "Run npm test")],
      [8100, result("a")],
      [8100, stepFinished(1)],
    );
    expect(slow).toEqual([
      {
        rule: "slow_tool",
        text: "Most of the time (90 %, 8.1 s): “Run npm test” ran for 8.1 s.",
        share: 0.9,
        row: "call a",
      },
    ]);
    expect(rulesOf(2000, [0, called(1, "a")], [0, ran("a")], [2000, result("a")])).toEqual([]);
  });

  test("the editor's formatter, a step that was asked twice, another model, and time that nothing explains", () => {
    const settled = rulesOf(
      1500,
      [0, called(1, "a")],
      [0, ran("a")],
      [1500, result("a", { phases: [phase("settle", 0, 1500)] })],
    );
    expect(settled).toEqual(["settle"]);
    const restarted = explain(
      100,
      [0, stepStarted(1)],
      [10, { type: "step_restarted", turnId, step: 1, reason: "The connection was cut." }],
      [100, stepFinished(1)],
    );
    expect(restarted.map(({ text }) => text)).toEqual(["Step 1 was asked twice: The connection was cut."]);
    const changed = explain(100, ...step(0, 80, []), [
      80,
      {
        type: "model_changed",
        turnId,
        step: 1,
        from: "a/b",
        to: "c/d",
        label: "Second",
        reason: "The first is overloaded.",
        price: "similar",
      },
    ]);
    expect(changed.map(({ text }) => text)).toEqual(["After step 1, Second went on: The first is overloaded."]);
    expect(rulesOf(20_000, ...step(0, 10_000, []))).toEqual(["other"]);
  });
});

describe("what is expensive", () => {
  const asked = (given: Partial<Usage>, more: Partial<Extract<SessionEventBody, { type: "step_finished" }>> = {}) =>
    explain(100, ...step(0, 100, [phase("generation", 0, 100)], { usage: usage(given), ...more }));

  test("many tokens that were not cached", () => {
    expect(asked({ inputTokens: 4_000, cacheWriteTokens: 6_001, cacheReadTokens: 30_000 })).toMatchObject([
      {
        rule: "new_tokens",
        text: "Step 1 sent 10.0k tokens that were not in the prompt cache, of 40.0k.",
        row: "step 1",
      },
    ]);
    expect(asked({ inputTokens: 10_001 }).map(({ text }) => text)).toEqual([
      "Step 1 sent 10.0k tokens, none of which were in the prompt cache.",
    ]);
    expect(asked({ inputTokens: 10_000, cacheReadTokens: 90_000 })).toEqual([]);
  });

  test.each<[CacheBreakCause, RegExp]>([
    ["model_changed", /because another model answered \(first in tools: shell\)\.$/],
    ["expired", /because the pause was longer than the vendor keeps a prompt/],
    ["request_changed", /because the request was not the one from before/],
    ["not_read", /because the vendor did not read/],
    ["pictures_changed", /because it holds pictures for the first time/],
    ["compacted", /because the conversation was compacted/],
    ["conversation_restored", /because the conversation went back/],
  ])("a break of the prompt cache says why: %s", (cause, expected) => {
    const broken = { cause, planned: false, missedTokens: 82_000, block: "tools: shell" };
    const findings = asked(
      { inputTokens: 82_000 },
      { cache: { expectedReadTokens: 82_000, readTokens: 0, break: broken } },
    );
    // What the break explains no other rule speaks of.
    expect(findings.map(({ rule }) => rule)).toEqual(["cache_missed"]);
    expect(findings[0]?.text).toMatch(/^The prompt cache was missed in step 1: 82\.0k tokens were sent anew, /);
    expect(findings[0]?.text).toMatch(expected);
  });

  test("thinking, a price step, and one step that is dearer than all others", () => {
    expect(asked({ outputTokens: 14_000, thinkingTokens: 12_000 }).map(({ text }) => text)).toEqual([
      "The model wrote 12.0k tokens of thinking, 86 % of all that it wrote.",
    ]);
    expect(asked({ cacheReadTokens: 120_000 }, { priceStepTokens: 100_000, cost: 1 }).map(({ text }) => text)).toEqual([
      "Step 1 was longer than 100.0k tokens, above which the model's price is higher.",
    ]);
    const dear = explain(
      30,
      ...step(0, 10, [], { cost: 0.02 }, 1),
      ...step(10, 10, [], { cost: 0.4 }, 2),
      ...step(20, 10, [], { cost: 0.03 }, 3),
    );
    expect(dear.map(({ text }) => text)).toEqual(["Step 2 alone cost $0.40 of $0.45."]);
  });

  test("more than ten steps", () => {
    const steps = (count: number) =>
      Array.from({ length: count }, (_, at) =>
        step(at * 10, 10, [], { usage: usage({ cacheReadTokens: 5_000 }) }, at + 1),
      ).flat();
    expect(rulesOf(100, ...steps(10))).toEqual([]);
    expect(explain(120, ...steps(12))).toMatchObject([
      {
        text: "The turn took 12 steps, and each sent the conversation again: 60.0k tokens in all.",
        share: 20 / 120,
        row: "step 11",
      },
    ]);
  });
});

test("of one rule three are told, and of all eight, what explains most first", () => {
  const calls = Array.from({ length: 9 }, (_, at): readonly Timed[] => [
    [at * 3000, called(1, `c${at}`)],
    [at * 3000, ran(`c${at}`)],
    [at * 3000 + 2100 + at, result(`c${at}`)],
  ]).flat();
  const findings = explain(30_000, [0, stepStarted(1)], ...calls, [30_000, stepFinished(1)]);
  expect(findings.map(({ rule, row }) => row ?? rule)).toEqual(["other", "call c8", "call c7", "call c6"]);
  expect(findings.toSorted((a, b) => b.share - a.share)).toEqual(findings);
});
