/** Choosing a model: what each rule wants, and what holds for every request whatever it is. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { catalog } from "../../../server/src/model/catalog.ts";
import {
  type Candidate,
  cheaperModel,
  type ModelSpeed,
  type RouteRequest,
  route,
} from "../../../server/src/model/router.ts";
import type { ModelSpec, SessionId } from "../../../server/src/protocol/types.ts";
import { modelSpec, userMessage } from "./support.ts";

const now = 1_790_000_000_000;
const request = (changes: Partial<RouteRequest> = {}): RouteRequest => ({
  sessionId: "s1" as SessionId,
  strategy: "adaptive",
  task: "prompt",
  text: "What does this do?",
  references: 1,
  images: false,
  promptTokens: 2_000,
  named: {},
  now,
  ...changes,
});
const hard = { text: "Refactor the whole project." };
const ordinary = { text: "Add a button to the form." };
const spec = (id: string): ModelSpec => catalog.find((one) => one.id === id) ?? modelSpec({ id });
const anthropic = catalog.filter(({ api }) => api === "anthropic-messages").map((one) => ({ spec: one }));
const all: readonly Candidate[] = catalog.map((one) => ({ spec: one }));
const speed = (changes: Partial<ModelSpeed>): ModelSpeed => ({
  firstTokenMs: 1_000,
  tokensPerSecond: 100,
  failureRate: 0,
  at: now,
  ...changes,
});

describe("the rules", () => {
  test.each([
    ["an easy task goes to a small model", {}, "anthropic/claude-haiku-5-5", "speed"],
    ["an ordinary one to the best for its time", ordinary, "anthropic/claude-sonnet-5-5", "balance"],
    // Fable would be five times as dear as the first model.
    ["a hard one to the best that is not far dearer", hard, "anthropic/claude-opus-5-5", "quality"],
    ["the cheapest", { ...hard, strategy: "cost" }, "anthropic/claude-haiku-5-5", "cost"],
    ["the fastest", { ...hard, strategy: "latency" }, "anthropic/claude-haiku-5-5", "latency"],
    [
      "the model of the conversation stays",
      { ...hard, previous: "anthropic/claude-haiku-5-5" },
      "anthropic/claude-haiku-5-5",
      "stay",
    ],
    [
      "a named model for hard tasks",
      { ...hard, named: { complex: "anthropic/claude-fable-5-1" } },
      "anthropic/claude-fable-5-1",
      "named",
    ],
    [
      "a named model for easy tasks",
      { named: { simple: "anthropic/claude-opus-5-5" } },
      "anthropic/claude-opus-5-5",
      "named",
    ],
    [
      "a named model that is not there is passed over",
      { named: { simple: "openai/gpt-6-luna" } },
      "anthropic/claude-haiku-5-5",
      "speed",
    ],
  ] as const)("%s", (_, changes, model, rule) => {
    expect(route(request(changes), anthropic)).toMatchObject({ model, rule });
  });

  test("a reason says what the task looked like", () => {
    expect(route(request(), anthropic).reason).toBe("a short question about what you pointed at");
    expect(route(request(hard), anthropic).reason).toBe("a task that reaches far");
  });

  test("a conversation leaves a model that cannot go on, and the reason says why", () => {
    const small = { spec: modelSpec({ id: "local/small", label: "Small", contextTokens: 10_000, images: false }) };
    const leave = (changes: Partial<RouteRequest>) =>
      route(request({ previous: "local/small", ...changes }), [...anthropic, small]);
    expect(leave({})).toMatchObject({ model: "local/small", rule: "stay" });
    expect(leave({ promptTokens: 9_000 })).toMatchObject({ rule: "speed", reason: /^Small has too small a window; / });
    expect(leave({ images: true })).toMatchObject({ reason: expect.stringMatching(/^Small takes no images; /) });
    expect(leave({ previous: "openai/gone" })).toMatchObject({
      reason: expect.stringMatching(/^openai\/gone is not ready; /),
    });
  });

  test("what was measured counts: a slow or failing model gives way, and comes back when that is long ago", () => {
    const haiku = spec("anthropic/claude-haiku-5-5");
    const luna = spec("openai/gpt-6-luna");
    const choose = (measured: ModelSpeed) =>
      route(request(), [
        { spec: haiku, speed: measured },
        { spec: luna, speed: speed({ firstTokenMs: 1_500 }) },
      ]).model;
    expect(choose(speed({}))).toBe(haiku.id);
    expect(choose(speed({ tokensPerSecond: 30 }))).toBe(luna.id);
    expect(choose(speed({ failureRate: 0.5 }))).toBe(luna.id);
    expect(choose(speed({ failureRate: 0.5, at: now - 3 * 3_600_000 }))).toBe(haiku.id);
  });

  test("no candidate beyond the user's limits is chosen while another is within them", () => {
    expect(route(request({ ...hard, maxNano: 5_000_000 }), anthropic).model).toBe("anthropic/claude-haiku-5-5");
    const slow = { spec: spec("anthropic/claude-opus-5-5"), speed: speed({ firstTokenMs: 30_000 }) };
    const fast = { spec: spec("anthropic/claude-sonnet-5-5"), speed: speed({}) };
    expect(route(request({ ...hard, maxMs: 10_000 }), [slow, fast]).model).toBe(fast.spec.id);
    const over = route(request({ ...hard, maxNano: 1 }), anthropic);
    expect(over).toMatchObject({ model: "anthropic/claude-haiku-5-5", rule: "last", reason: /within your limits/ });
  });

  test("when nothing fits, the largest window is tried", () => {
    const [small, large] = [
      modelSpec({ id: "a/s", contextTokens: 8_000 }),
      modelSpec({ id: "a/l", contextTokens: 9_000 }),
    ];
    const decided = route(request({ promptTokens: 50_000 }), [{ spec: small }, { spec: large }]);
    expect(decided).toMatchObject({ model: "a/l", rule: "last", reason: expect.stringContaining("largest window") });
  });

  test("without a candidate there is nothing to choose", () => {
    expect(() => route(request(), [])).toThrow("no model");
  });
});

test("for any request: the choice is a candidate, the same each time, with a reason, and can take the prompt if one can", () => {
  const requests = fc.record({
    strategy: fc.constantFrom("adaptive" as const, "cost" as const, "latency" as const),
    task: fc.constantFrom("prompt" as const, "fix" as const, "explain" as const, "review_changes" as const),
    text: fc.oneof(fc.string(), fc.constantFrom(hard.text, ordinary.text, "这是什么？", "x".repeat(5_000))),
    references: fc.nat(10),
    images: fc.boolean(),
    promptTokens: fc.nat(1_200_000),
    previous: fc.option(fc.constantFrom(...catalog.map(({ id }) => id)), { nil: undefined }),
    complex: fc.option(fc.constantFrom(...catalog.map(({ id }) => id)), { nil: undefined }),
    maxNano: fc.option(fc.nat(1e10), { nil: undefined }),
    maxMs: fc.option(fc.nat(60_000), { nil: undefined }),
  });
  const candidates = fc
    .subarray([...catalog, modelSpec({ id: "local/a", images: false, contextTokens: 30_000, local: true })], {
      minLength: 1,
    })
    .chain((specs) =>
      fc.tuple(
        ...specs.map((one) =>
          fc
            .option(
              fc.record({
                firstTokenMs: fc.nat(20_000),
                tokensPerSecond: fc.nat(300),
                failureRate: fc.double({ min: 0, max: 1, noNaN: true }),
                at: fc.integer({ min: now - 1e9, max: now }),
              }),
              { nil: undefined },
            )
            .map((measured): Candidate => ({ spec: one, ...(measured ? { speed: measured } : {}) })),
        ),
      ),
    );
  fc.assert(
    fc.property(requests, candidates, ({ previous, complex, maxNano, maxMs, ...facts }, models) => {
      const asked = request({
        ...facts,
        ...(previous === undefined ? {} : { previous }),
        named: complex === undefined ? {} : { complex },
        ...(maxNano === undefined ? {} : { maxNano }),
        ...(maxMs === undefined ? {} : { maxMs }),
      });
      const decided = route(asked, models);
      expect(route(structuredClone(asked), structuredClone(models))).toEqual(decided);
      expect(decided.reason).not.toBe("");
      expect(decided.rule).not.toBe("");
      const chosen = models.find(({ spec: { id } }) => id === decided.model);
      expect(chosen).toBeDefined();
      const fits = ({ spec: { images, contextTokens, maxOutputTokens } }: Candidate) =>
        (images || !asked.images) && asked.promptTokens + Math.min(4_096, maxOutputTokens) <= contextTokens;
      if (chosen && models.some(fits)) expect(fits(chosen)).toBe(true);
      const before = models.find(({ spec: { id } }) => id === previous);
      if (before && fits(before)) expect(decided.model).toBe(previous);
    }),
    { seed: 20261121, numRuns: 2_000 },
  );
});

describe("a cheaper model", () => {
  const current = spec("anthropic/claude-opus-5-5");
  const messages = [userMessage("Fix it")];
  const offer = (nano: { readonly [id: string]: number | undefined }, left: number) =>
    cheaperModel(
      all.map(({ spec: one }) => ({ spec: one, nano: nano[one.id] })),
      current,
      messages,
      left,
    )?.spec.id;

  test("is the ablest that lasts for ten requests, else the cheapest that fits at all", () => {
    const costs = { "anthropic/claude-sonnet-5-5": 50, "anthropic/claude-haiku-5-5": 5, "openai/gpt-6-astra": 90 };
    expect(offer(costs, 1_000)).toBe("openai/gpt-6-astra");
    expect(offer(costs, 600)).toBe("anthropic/claude-sonnet-5-5");
    expect(offer(costs, 49)).toBe("anthropic/claude-haiku-5-5");
    expect(offer(costs, 4)).toBeUndefined();
  });

  test("is never the present one, one without a price, or one that cannot take the conversation", () => {
    expect(offer({ [current.id]: 1 }, 1_000)).toBeUndefined();
    expect(offer({}, 1_000)).toBeUndefined();
    const tiny = { spec: modelSpec({ id: "a/tiny", contextTokens: 100 }), nano: 1 };
    expect(cheaperModel([tiny], current, messages, 1_000)).toBeUndefined();
  });
});

test("every row of the table has a rank", () => {
  for (const { id, quality } of catalog) expect([id, quality]).toEqual([id, expect.any(Number)]);
});
