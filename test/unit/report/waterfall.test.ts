/** The waterfall of a turn: what each moment is put down to, what old journals lack, and turns that were cut off. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import type { CallId, SessionId } from "../../../server/src/protocol/types.ts";
import { turnTimes } from "../../../server/src/report/turnTimes.ts";
import { causes, countedMs, type Span, waterfallOf } from "../../../server/src/report/waterfall.ts";
import { called, ran, result, startAt, stepFinished, stepStarted, timesOf, turnEvents, turnId } from "./turn.ts";

const asked = (id: string) =>
  ({
    type: "permission_requested",
    callId: id as CallId,
    request: {
      sessionId: "s1" as SessionId,
      callId: id as CallId,
      tool: "shell",
      kind: "execute",
      title: `Run ${id}`,
      detail: "",
      rule: "",
    },
  }) as const;
const answered = (id: string) =>
  ({ type: "permission_resolved", callId: id as CallId, choice: "allow_once", by: "user" }) as const;

test("bars overlap, and each moment is put down to one cause", () => {
  const times = timesOf(
    1000,
    [10, stepStarted(1)],
    [110, called(1, "a")],
    [120, ran("a")],
    [130, called(1, "b")],
    [140, asked("b")],
    [300, answered("b")],
    [320, ran("b")],
    [400, result("a")],
    [700, result("b", { phases: [{ name: "apply", fromMs: 100, ms: 50 }] })],
    [
      720,
      stepFinished(1, {
        phases: [
          { name: "build", fromMs: 0, ms: 20 },
          { name: "first_token", fromMs: 20, ms: 60 },
          { name: "generation", fromMs: 80, ms: 120 },
        ],
      }),
    ],
    [730, stepStarted(2)],
    [990, stepFinished(2, { phases: [{ name: "generation", fromMs: 0, ms: 200 }] })],
  );
  const { rows, parts, totalMs } = waterfallOf(times, 40);
  expect(totalMs).toBe(1040);
  expect(rows.map(({ id }) => id)).toEqual(["prepare", "step 1", "call a", "call b", "step 2", "paint"]);
  expect(rows.find(({ id }) => id === "call b")?.spans).toEqual([
    { cause: "tool_queue", fromMs: 130, toMs: 140 },
    { cause: "approval", fromMs: 140, toMs: 300 },
    { cause: "tool_queue", fromMs: 300, toMs: 320 },
    { cause: "tool", fromMs: 320, toMs: 420 },
    { cause: "apply", fromMs: 420, toMs: 470 },
    { cause: "tool", fromMs: 470, toMs: 700 },
  ]);
  expect(Object.fromEntries(parts.map(({ cause, ms }) => [cause, ms]))).toEqual({
    prepare: 10,
    build: 20 + 10,
    first_token: 60,
    // Of the 120 ms until 210, what is left before the first call ran, and then all of the second step's.
    generation: 30 + 200,
    approval: 160,
    tool: 20 + 120 + 230,
    apply: 50,
    paint: 40,
    other: 20 + 60 + 10,
  });
});

test("a journal from before has steps with what was stored of them, and says so", () => {
  const { phases: _, ...old } = stepFinished(1, { firstEventMs: 300, totalMs: 800 }) as Extract<
    SessionEvent,
    { type: "step_finished" }
  >;
  const { parts, unrecordedSteps } = waterfallOf(timesOf(1000, [0, stepStarted(1)], [900, old]));
  expect(parts).toEqual([
    { cause: "generation", ms: 500 },
    { cause: "first_token", ms: 300 },
    { cause: "other", ms: 200 },
  ]);
  expect(unrecordedSteps).toBe(1);
});

describe("a turn that was cut off", () => {
  test("a host that was gone for days did not work for days", () => {
    const recovered: readonly SessionEvent[] = [
      ...turnEvents(0, [0, stepStarted(1)], [50, called(1, "a")], [60, ran("a")]).slice(0, -1),
      { ...result("a", { isError: true }), seq: 5, at: startAt + 86_400_000 },
      {
        type: "turn_finished",
        turnId,
        stopReason: "error",
        failure: { code: "host_stopped", message: "" },
        seq: 6,
        at: startAt + 86_400_000,
      },
    ];
    const [times] = turnTimes(recovered);
    if (!times) throw new Error("There is no turn.");
    const { totalMs, parts } = waterfallOf(times);
    expect(totalMs).toBe(60);
    expect(parts).toEqual([
      { cause: "unknown", ms: 50 },
      { cause: "tool_queue", ms: 10 },
    ]);
  });

  test("a question that nobody answered lasts until the end", () => {
    const times = timesOf(500, [0, stepStarted(1)], [100, called(1, "a")], [100, asked("a")]);
    expect(waterfallOf(times).parts).toEqual([
      { cause: "approval", ms: 400 },
      { cause: "unknown", ms: 100 },
    ]);
  });
});

test("a turn that took no time has nothing to show", () => {
  expect(waterfallOf(timesOf(0))).toEqual({ totalMs: 0, rows: [], parts: [], unrecordedSteps: 0 });
});

const moment = fc.integer({ min: -50, max: 1100 });
test("whatever overlaps or is out of order, parts add up, bars are within the turn, and a span counts at most its length", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(moment, moment, moment, moment, moment), { maxLength: 12 }),
      fc.array(fc.tuple(moment, moment), { maxLength: 6 }),
      (calls, steps) => {
        const times = timesOf(
          1000,
          ...steps.flatMap(([from, to], index) => [
            [from, stepStarted(index + 1)] as const,
            [
              to,
              stepFinished(index + 1, { phases: [{ name: "generation", fromMs: 5, ms: Math.abs(to - from) }] }),
            ] as const,
          ]),
          ...calls.flatMap(([made, question, answer, start, end], index) => [
            [made, called(1, `c${index}`)] as const,
            [question, asked(`c${index}`)] as const,
            [answer, answered(`c${index}`)] as const,
            [start, ran(`c${index}`)] as const,
            [end, result(`c${index}`, { phases: [{ name: "apply", fromMs: 3, ms: 10 }] })] as const,
          ]),
        );
        const { rows, parts, totalMs } = waterfallOf(times);
        expect(parts.reduce((sum, { ms }) => sum + ms, 0)).toBe(totalMs);
        const spans: readonly Span[] = rows.flatMap((row) => row.spans);
        for (const span of spans) {
          expect(span.fromMs).toBeGreaterThanOrEqual(0);
          expect(span.toMs).toBeLessThanOrEqual(totalMs);
          const counted = countedMs(rows, span);
          expect(counted).toBeGreaterThanOrEqual(0);
          expect(counted).toBeLessThanOrEqual(span.toMs - span.fromMs);
          expect(counted).toBeLessThanOrEqual(parts.find(({ cause }) => cause === span.cause)?.ms ?? 0);
        }
        const first = causes.find((cause) => spans.some((span) => span.cause === cause));
        const [longest] = spans.filter(({ cause }) => cause === first);
        if (longest) expect(countedMs(rows, longest)).toBe(longest.toMs - longest.fromMs);
      },
    ),
    { seed: 20261121, numRuns: 300 },
  );
});

test("a wait at a limit is a wait for the user, in the step that goes on after it or before one", () => {
  const question = {
    sessionId: "s1" as SessionId,
    turnId,
    reached: { period: "turn", unit: "steps", limit: 1, spent: 1, needed: 1 },
    message: "",
    proposed: 2,
    proposedLabel: "",
  } as const;
  const reached = (step: number) => ({ type: "budget_reached", turnId, step, question }) as const;
  const resolved = { type: "budget_resolved", turnId, choice: { type: "raise", limit: 2 }, by: "user" } as const;
  const change = { from: "test/model", to: "test/small", label: "Small", reason: "", price: "cheaper" } as const;
  const phases = [
    { name: "build", fromMs: 0, ms: 5 },
    { name: "generation", fromMs: 110, ms: 90 },
  ] as const;
  const times = timesOf(
    1000,
    [0, stepStarted(1)],
    [10, reached(1)],
    [100, resolved],
    [101, { type: "model_changed", turnId, step: 1, ...change }],
    [200, stepFinished(1, { phases })],
    [210, reached(2)],
    [500, resolved],
    [510, stepStarted(2)],
    [900, stepFinished(2, { phases: [{ name: "generation", fromMs: 0, ms: 390 }] })],
  );
  expect(times.steps.map(({ model }) => model)).toEqual(["test/small", "test/small"]);
  const { rows, parts } = waterfallOf(times);
  expect(rows.map(({ id }) => id).toSorted()).toEqual(["limit 1", "limit 2", "step 1", "step 2"]);
  expect(parts.find(({ cause }) => cause === "approval")?.ms).toBe(90 + 290);
  expect(parts.reduce((sum, { ms }) => sum + ms, 0)).toBe(1000);
});
