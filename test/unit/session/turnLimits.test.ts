/** Turns that wait at a limit: what is asked and stored, how each answer goes on, and what ends a wait from elsewhere. */
import { describe, expect, test } from "vitest";
import { BudgetError } from "../../../server/src/model/budget.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import type {
  BudgetChoice,
  BudgetQuestion,
  LimitReached,
  ModelSpec,
  SessionId,
  TurnId,
} from "../../../server/src/protocol/types.ts";
import { type PauseDeps, Pauses, type Raise } from "../../../server/src/session/pauses.ts";
import { createSession } from "../../../server/src/session/session.ts";
import { runTurn, type TurnDeps } from "../../../server/src/session/turn.ts";
import { Stopwatch } from "../../../server/src/session/turnLimits.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { started } from "../../support/events.ts";
import {
  callBlock,
  createScriptedProvider,
  done,
  type ScriptedStep,
  textBlock,
} from "../../support/scriptedProvider.ts";
import { modelSpec } from "../model/support.ts";

const price = { input: 10, output: 50, cacheWrite: 12.5, cacheRead: 1 };
const cheapPrice = { input: 0.1, output: 0.5, cacheWrite: 0.1, cacheRead: 0.1 };
const dear = modelSpec({ id: "test/dear", label: "Dear", price, quality: 4 });
const cheap = modelSpec({
  id: "test/cheap",
  label: "Cheap",
  price: cheapPrice,
  quality: 2,
});
const money: LimitReached = { period: "day", unit: "nano", limit: 1e9, spent: 9e8, needed: 2e8 };
const refusal: ScriptedStep = { events: [], throws: new BudgetError("The limit of $1.00 for today is near.", money) };
const step = (id: string): ScriptedStep => ({ events: [...callBlock(0, id, "read", {}), done("tool_calls")] });
const answer: ScriptedStep = { events: [...textBlock(0, "Done."), done("end_turn")] };

interface Options {
  readonly answers?: readonly (BudgetChoice | Error)[];
  readonly ask?: PauseDeps["ask"];
  readonly maxSteps?: number;
  readonly time?: TurnDeps["time"];
  readonly ready?: readonly ModelSpec[];
  readonly controller?: AbortController;
  readonly pauses?: Pauses;
  readonly session?: string;
}

/** Plays one turn whose questions are answered in order. */
async function play(steps: readonly ScriptedStep[], options: Options = {}) {
  const { controller = new AbortController(), session: id = "s1" } = options;
  const questions: BudgetQuestion[] = [];
  const raises: Raise[] = [];
  const answers = [...(options.answers ?? [])];
  const pauses =
    options.pauses ??
    new Pauses({
      ask:
        options.ask ??
        (async (question) => {
          questions.push(question);
          const next = answers.shift();
          if (!next) throw new Error("Nobody answers.");
          if (next instanceof Error) throw next;
          return next;
        }),
      raise: async (_, raise) => void raises.push(raise),
    });
  const events: SessionEvent[] = [];
  const session = await createSession(
    {
      store: createMemoryStore({ clock: { now: () => 1 } }),
      onUpdate: (_, update) => "seq" in update && events.push(update),
    },
    id as SessionId,
    "/w",
  );
  await session.append(started("t1", "do it"));
  const provider = createScriptedProvider(steps);
  const turnModel = (spec: ModelSpec) => ({ spec, provider, costOf: () => 0.5 });
  const end = await runTurn(
    {
      session,
      model: turnModel(dear),
      tools: [],
      tokens: new TokenCounts(),
      clock: { now: () => 1, sleep: async () => undefined },
      maxSteps: options.maxSteps ?? 10,
      ...(options.time ? { time: options.time } : {}),
      pauses,
      readyModels: async () => (options.ready ?? []).map(turnModel),
      createScheduler: () => ({
        submit: (call) =>
          void session.append({ type: "tool_result", callId: call.callId, text: "ok", isError: false, durationMs: 0 }),
        drain: () => session.idle(),
      }),
    },
    "t1" as TurnId,
    controller.signal,
  );
  const types = events.map(({ type }) => type).filter((type) => !["session_created", "turn_started"].includes(type));
  const resolved = events.flatMap((event) => (event.type === "budget_resolved" ? [[event.choice, event.by]] : []));
  return { end, events, types, resolved, questions, raises, requests: provider.requests, session };
}

describe("a step that the budget refuses", () => {
  test("is asked again in the same step once the limit is raised", async () => {
    const { end, types, questions, raises, requests } = await play([step("a"), refusal, answer], {
      answers: [{ type: "raise", limit: 2e9 }],
    });
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(types).toEqual([
      ...["step_started", "assistant_block", "tool_result", "step_finished"],
      ...["step_started", "budget_reached", "budget_resolved", "assistant_block", "step_finished"],
    ]);
    expect(questions).toMatchObject(
      [
        {
          sessionId: "s1",
          turnId: "t1",
          reached: money,
          message: /^The limit of/,
          proposed: 2e9,
          proposedLabel: "$2.00",
        },
      ].map((question) => ({ ...question, message: expect.stringMatching(question.message) })),
    );
    expect(raises).toEqual([{ period: "day", unit: "nano", limit: 2e9 }]);
    expect(requests[2]).toEqual(requests[1]);
  });

  test("goes on with a cheaper model from the same step, which the events say and the cost follows", async () => {
    const other = modelSpec({ id: "test/small", contextTokens: 10, price: cheapPrice, quality: 5 });
    const unpriced = modelSpec({ id: "test/unpriced" });
    const { end, events, types, questions, requests } = await play([step("a"), refusal, step("b"), answer], {
      answers: [{ type: "cheaper" }],
      ready: [dear, other, unpriced, cheap],
    });
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(questions[0]?.cheaper).toEqual({ model: "test/cheap", label: "Cheap" });
    expect(requests.map(({ model }) => model.id)).toEqual(["test/dear", "test/dear", "test/cheap", "test/cheap"]);
    expect(requests[2]?.messages).toEqual(requests[1]?.messages);
    expect(events.filter(({ type }) => type === "model_changed")).toMatchObject([
      { step: 2, from: "test/dear", to: "test/cheap", price: "cheaper", reason: expect.stringContaining("$1.00") },
    ]);
    expect(types.filter((type) => type === "step_started")).toHaveLength(3);
    // The answer after the change is in the conversation.
    expect(requests[3]?.messages.at(-2)).toMatchObject({ role: "assistant", blocks: [{ part: { callId: "b" } }] });
  });

  test("no cheaper model is offered where it would not help: for tokens, or when none fits into what is left", async () => {
    const tokens = { ...money, unit: "tokens", limit: 1000, spent: 900, needed: 200 } as const;
    const refused: ScriptedStep = { events: [], throws: new BudgetError("Tokens.", tokens) };
    const few: ScriptedStep = { events: [], throws: new BudgetError("Money.", { ...money, spent: 999_999_900 }) };
    for (const one of [refused, few]) {
      const { end, questions } = await play([one], { answers: [{ type: "stop" }], ready: [cheap] });
      expect(end.stopReason).toBe("budget");
      expect(questions[0]).not.toHaveProperty("cheaper");
    }
  });

  test("stops when the user says so, and says why", async () => {
    const { end, types, resolved } = await play([refusal], { answers: [{ type: "stop" }] });
    expect(end).toMatchObject({ stopReason: "budget", failure: { code: "budget", message: /limit/ } });
    expect(types).toEqual(["step_started", "budget_reached", "budget_resolved", "step_finished"]);
    expect(resolved).toEqual([[{ type: "stop" }, "user"]]);
  });

  test.each([
    ["a raise that raises nothing", { type: "raise", limit: 1e9 } as const, "user"],
    ["a raise to no number", { type: "raise", limit: Number.NaN } as const, "user"],
    ["a client that cannot ask", new Error("Unhandled method session/request_budget"), "host"],
  ])("%s is a stop", async (_, given, by) => {
    const { end, resolved, raises } = await play([refusal], { answers: [given] });
    expect(end.stopReason).toBe("budget");
    expect(resolved).toEqual([[{ type: "stop" }, by]]);
    expect(raises).toEqual([]);
  });

  test("is refused for good where no limit was reached: the price is not known", async () => {
    const { end, types } = await play([{ events: [], throws: new BudgetError("The price is not known.") }]);
    expect(end).toMatchObject({ stopReason: "budget", failure: { message: "The price is not known." } });
    expect(types).not.toContain("budget_reached");
  });

  test("cancelling ends the wait and the turn", async () => {
    const controller = new AbortController();
    const { end, resolved } = await play([refusal], {
      controller,
      ask: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
          controller.abort();
        }),
    });
    expect(end).toEqual({ stopReason: "cancelled" });
    expect(resolved).toEqual([[{ type: "cancelled" }, "host"]]);
  });
});

describe("a limit that is raised for one", () => {
  /** Two turns that wait at the same time; the first to ask is answered, the other never. */
  async function playTwo(first: LimitReached, second: LimitReached, sessions: readonly [string, string]) {
    const asked: { question: BudgetQuestion; resolve: (choice: BudgetChoice) => void }[] = [];
    let bothAsked: (() => void) | undefined;
    const both = new Promise<void>((resolve) => {
      bothAsked = resolve;
    });
    const pauses = new Pauses({
      ask: (question) =>
        new Promise((resolve) => {
          asked.push({ question, resolve });
          if (asked.length === 2) bothAsked?.();
        }),
      raise: async () => undefined,
    });
    const refused = (reached: LimitReached): ScriptedStep => ({
      events: [],
      throws: new BudgetError("Full.", reached),
    });
    const plays = [
      play([refused(first), answer], { pauses, session: sessions[0] }),
      play([refused(second), answer], { pauses, session: sessions[1] }),
    ] as const;
    await both;
    const mine = asked.find(({ question }) => question.sessionId === sessions[0]);
    mine?.resolve({ type: "raise", limit: first.limit * 2 });
    return { plays, other: asked.find((one) => one !== mine) };
  }

  test("wakes every turn that waits at it", async () => {
    const pauses = await playTwo(money, { ...money, limit: 1e9 }, ["s1", "s2"]);
    expect((await pauses.plays[0]).end.stopReason).toBe("end_turn");
    const second = await pauses.plays[1];
    expect(second.end.stopReason).toBe("end_turn");
    expect(second.resolved).toEqual([[{ type: "again" }, "host"]]);
  });

  test("leaves those that wait at another one waiting", async () => {
    const session = { ...money, period: "session" } as const;
    const { plays, other } = await playTwo(session, session, ["s1", "s2"]);
    await plays[0];
    other?.resolve({ type: "stop" });
    expect((await plays[1]).resolved).toEqual([[{ type: "stop" }, "user"]]);
  });

  test("by changed settings, those who wait look again", async () => {
    const pauses: Pauses = new Pauses({
      ask: () => {
        queueMicrotask(() => pauses.limitsChanged());
        return new Promise(() => undefined);
      },
      raise: async () => undefined,
    });
    const { end, resolved } = await play([refusal, answer], { pauses });
    expect(end.stopReason).toBe("end_turn");
    expect(resolved).toEqual([[{ type: "again" }, "host"]]);
  });
});

describe("the steps of a turn", () => {
  test("are asked for when they are used up, and go on from there for as many as the user says", async () => {
    const { end, questions, raises, requests } = await play([step("a"), step("b"), step("c"), answer], {
      maxSteps: 2,
      answers: [
        { type: "raise", limit: 3 },
        { type: "raise", limit: 5 },
      ],
    });
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(requests).toHaveLength(4);
    expect(questions).toMatchObject([
      {
        reached: { period: "turn", unit: "steps", limit: 2, spent: 2, needed: 1 },
        proposed: 4,
        proposedLabel: "4 steps",
      },
      { reached: { limit: 3, spent: 3 }, proposed: 5 },
    ]);
    expect(raises).toEqual([]);
  });

  test("end the turn when the user says stop", async () => {
    const { end, types } = await play([step("a")], { maxSteps: 1, answers: [{ type: "stop" }] });
    expect(end).toMatchObject({
      stopReason: "max_turn_requests",
      failure: { code: "max_turn_requests", message: expect.stringContaining("hermes.turn.maxSteps") },
    });
    expect(types.slice(-2)).toEqual(["budget_reached", "budget_resolved"]);
  });
});

describe("the time of a turn", () => {
  test("is looked at before each step; more of it lets the turn go on", async () => {
    let used = 0;
    const time = {
      limitMs: 60_000,
      usedMs: () => {
        used += 40_000;
        return used;
      },
    };
    const { end, questions } = await play([step("a"), step("b"), answer], {
      time,
      answers: [{ type: "raise", limit: 200_000 }],
    });
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(questions).toMatchObject([
      {
        reached: { period: "turn", unit: "ms", limit: 60_000, spent: 80_000 },
        proposed: 120_000,
        proposedLabel: "2 minutes",
      },
    ]);
    expect(questions[0]?.message).toBe("The turn has used its 1 minute.");
  });

  test("ends the turn as a budget when the user says stop", async () => {
    const { end, requests } = await play([], {
      time: { limitMs: 1, usedMs: () => 2 },
      answers: [{ type: "stop" }],
    });
    expect(end).toMatchObject({ stopReason: "budget", failure: { message: /hermes.budget.turn.minutes/ } });
    expect(requests).toEqual([]);
  });

  test("does not run while the turn waits for the user, however many things wait at once", async () => {
    let now = 100;
    const watch = new Stopwatch({ now: () => now });
    now = 110;
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const waits = gates.map(({ promise }) => watch.without(() => promise));
    now = 150;
    expect(watch.ms).toBe(10);
    gates[0].resolve();
    await waits[0];
    now = 180;
    expect(watch.ms).toBe(10);
    gates[1].reject(new Error("cancelled"));
    await expect(waits[1]).rejects.toThrow("cancelled");
    now = 185;
    expect(watch.ms).toBe(15);
  });
});
