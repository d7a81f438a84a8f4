/** Limits under real turns: real sockets, the real SDK, a ledger on disk; what the model's own books say is compared. */
import { describe, expect, test } from "vitest";
import { findModel } from "../../server/src/model/catalog.ts";
import { costOf } from "../../server/src/model/price.ts";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import type * as methods from "../../server/src/protocol/methods.ts";
import type { BudgetChoice, BudgetQuestion, SessionId } from "../../server/src/protocol/types.ts";
import type { ModelDouble, Script } from "../support/modelDouble.ts";
import { startPlay } from "../support/play.ts";

/** What the double has charged: tokens, and nano-dollars by the prices of the catalogue. */
function charged(double: ModelDouble): { readonly tokens: number; readonly nano: number; readonly requests: number } {
  let [tokens, nano, requests] = [0, 0, 0];
  for (const { usage, model } of double.requests) {
    if (!usage) continue;
    requests += 1;
    tokens += usage.input + usage.cacheRead + usage.cacheWrite + usage.output;
    const { price } = findModel(model);
    nano +=
      costOf(price, {
        inputTokens: usage.input,
        cacheReadTokens: usage.cacheRead,
        cacheWriteTokens: usage.cacheWrite,
        outputTokens: usage.output,
        thinkingTokens: usage.thinking,
      }) ?? 0;
  }
  return { tokens, nano, requests };
}

const look = { calls: [{ name: "list", input: { path: "." } }] };
/** Turns that go on for a while; some requests fail before their answer, some in its middle. */
const scripts = (sessions: number, steps: number, cuts: boolean): readonly Script[] =>
  Array.from({ length: sessions }, (_, number) => ({
    name: `s${number}`,
    match: `Task ${number}.`,
    steps: [
      ...Array.from({ length: steps }, (_each, index) => ({
        say: `Looking, ${number} of ${index}. ${"x".repeat(number * 20)}`,
        ...look,
        ...(index % 3 === 1 && number % 4 === 0
          ? { fault: { kind: "http", error: "overloaded", retryAfterMs: 1 } as const }
          : {}),
        ...(cuts && index % 3 === 2 && number % 5 === 0 ? { fault: { kind: "cut", at: { call: 0 } } as const } : {}),
      })),
      { say: "Done." },
    ],
  }));

describe("twenty turns at once, with failures and cut answers", () => {
  test.each([
    { unit: "tokens", cuts: false, settings: { "budget.day.tokens": 100_000 }, limits: [100_000, 200_000] },
    { unit: "tokens", cuts: true, settings: { "budget.day.tokens": 100_000 }, limits: [100_000, 200_000] },
    { unit: "nano", cuts: false, settings: { "budget.day.usd": 0.1 }, limits: [0.1e9, 0.2e9] },
    { unit: "nano", cuts: true, settings: { "budget.day.usd": 0.1 }, limits: [0.1e9, 0.2e9] },
  ] as const)(
    "never go beyond a day's limit on $unit, before and after it was raised (cut: $cuts)",
    async ({ unit, cuts, settings, limits }) => {
      const overshoots: string[] = [];
      const questions: BudgetQuestion[] = [];
      let limit: number = limits[0];
      await using play = await startPlay({
        script: { steps: [] },
        settings,
        host: {
          askBudget: async (question): Promise<BudgetChoice> => {
            questions.push(question);
            if (charged(play.double)[unit] > limit) overshoots.push(`${charged(play.double)[unit]} of ${limit}`);
            if (question.reached.limit >= limits[1]) return { type: "stop" };
            limit = limits[1];
            return { type: "raise", limit };
          },
        },
      });
      play.double.setScript(scripts(20, 9, cuts));
      const ends = await Promise.all(Array.from({ length: 20 }, (_, number) => play.prompt(`Task ${number}. Look.`)));
      expect(overshoots).toEqual([]);
      const books = charged(play.double);
      expect(books[unit]).toBeLessThanOrEqual(limits[1]);
      // A request that was cut counts at its most; without those, much of what the raise allowed was really used.
      if (!cuts) expect(books[unit]).toBeGreaterThan(0.8 * limits[1]);
      expect(questions.length).toBeGreaterThan(1);
      const reasons = new Set(ends.map(({ stopReason }) => stopReason));
      expect(reasons).toContain("budget");
      expect([...reasons].filter((reason) => reason !== "budget" && reason !== "end_turn")).toEqual([]);
      const journal = play.events();
      const count = (type: SessionEvent["type"]) => journal.filter((event) => event.type === type).length;
      expect(count("budget_resolved")).toBe(count("budget_reached"));
      // Nothing ran twice, whatever was refused or cut.
      const calls = journal.flatMap((event) => (event.type === "tool_result" ? [event.callId] : []));
      expect(new Set(calls).size).toBe(calls.length);
    },
  );

  test("without a limit in the way, none of them is asked", async () => {
    const questions: BudgetQuestion[] = [];
    await using play = await startPlay({
      script: { steps: [] },
      // Less than twenty requests could cost at their most, much more than they do.
      settings: { "budget.day.usd": 5 },
      host: {
        askBudget: async (question) => {
          questions.push(question);
          return { type: "stop" };
        },
      },
    });
    play.double.setScript(scripts(20, 2, false));
    const ends = await Promise.all(Array.from({ length: 20 }, (_, number) => play.prompt(`Task ${number}. Look.`)));
    expect(ends.map(({ stopReason }) => stopReason)).toEqual(ends.map(() => "end_turn"));
    expect(questions).toEqual([]);
  });
});

test("a turn that waits goes on with a cheaper model, and what its host had stored reads the same", async () => {
  await using play = await startPlay({
    script: {
      steps: [{ say: "Looking.", ...look, usage: { output: 4800 } }, { say: "Still.", ...look }, { say: "Done." }],
    },
    settings: { "budget.turn.usd": 0.075 },
    host: { askBudget: async ({ cheaper }) => (cheaper ? { type: "cheaper" } : { type: "stop" }) },
  });
  const { sessionId, stopReason } = await play.prompt("Look twice.");
  expect(stopReason).toBe("end_turn");
  const changed = play.events().filter((event) => event.type === "model_changed");
  expect(changed).toMatchObject([{ from: "anthropic/claude-sonnet-5-5", price: "cheaper" }]);
  expect(charged(play.double).nano).toBeLessThanOrEqual(0.075e9);
  const { events } = await play.local.host.loadSession(sessionId);
  expect(events).toEqual(play.events());
  // Another model is the one thing that the conversation's requests break with, and its event has said so.
  expect(play.double.violations.splice(0)).toMatchObject([{ rule: "I5" }]);
});

test("over the protocol: the question, a raise in the ledger that settings know nothing of, and the standings", async () => {
  await using play = await startPlay({
    script: { steps: [{ say: "Looking.", ...look }, { say: "Done." }, { say: "Again." }] },
    settings: { "budget.session.requests": 1, "budget.day.requests": 50 },
    host: { askBudget: async ({ proposed }) => ({ type: "raise", limit: proposed }) },
  });
  const { sessionId } = await play.prompt("Look.");
  const standings = await play.local.limits.standings(sessionId);
  expect(standings).toEqual([
    { period: "session", unit: "requests", configured: 1, limit: 2, spent: 2 },
    { period: "day", unit: "requests", configured: 50, limit: 50, spent: 2 },
  ]);
  await play.local.limits.raiseAtOnce({ period: "session", unit: "requests", limit: 3, sessionId });
  expect((await play.prompt("And again.", { sessionId })).stopReason).toBe("end_turn");
  expect(play.events().filter(({ type }) => type === "budget_reached")).toHaveLength(1);
  const raise = (limit: number, period: methods.RaiseLimitParams["period"] = "day") =>
    play.local.limits.raiseAtOnce({ period, unit: "requests", limit, sessionId });
  await expect(raise(50)).rejects.toMatchObject({ code: "not_a_raise" });
  await expect(raise(Number.NaN)).rejects.toMatchObject({ code: "not_a_raise" });
  await expect(raise(50, "month")).rejects.toMatchObject({ code: "no_limit" });
  // Another session has the limit as it is set.
  expect(await play.local.limits.standings("other" as SessionId)).toMatchObject([{ limit: 1, spent: 0 }, {}]);
});

test("changed settings let a turn go on that waits at a limit", async () => {
  await using play = await startPlay({
    script: { steps: [{ say: "Looking.", ...look }, { say: "Done." }] },
    settings: { "budget.turn.requests": 1 },
    host: {
      askBudget: () => {
        const settings = { ...play.config.settings, "budget.turn.requests": 5 };
        queueMicrotask(() => play.local.configure({ ...play.config, settings }));
        return new Promise(() => undefined);
      },
    },
  });
  expect((await play.prompt("Look.")).stopReason).toBe("end_turn");
  expect(play.events().find(({ type }) => type === "budget_resolved")).toMatchObject({
    choice: { type: "again" },
    by: "host",
  });
});
