/** The request's sections and what each takes of the window; what does not fit is told before it is sent. */
import { describe, expect, test } from "vitest";
import type { RequestAccount } from "../../../server/src/model/provider.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { ContextSize, ModelSpec, SessionId, ToolSpec, TurnId } from "../../../server/src/protocol/types.ts";
import { fitRequest, sizeAsCounted } from "../../../server/src/session/context.ts";
import { systemPrompt } from "../../../server/src/session/prompt.ts";
import { initialState, reduceAll } from "../../../server/src/session/reduce.ts";
import { createEvents, type PlainEventBody, says, started } from "../../support/events.ts";
import { startPlay } from "../../support/play.ts";
import { usageOf } from "../../support/scriptedProvider.ts";

const spec: ModelSpec = {
  id: "test/model",
  label: "Test",
  api: "anthropic-messages",
  wireId: "test",
  contextTokens: 100_000,
  maxOutputTokens: 16_000,
  images: true,
  thinking: "none",
};
const tools: readonly ToolSpec[] = [{ name: "read", description: "Reads.".repeat(50), inputSchema: {} }];
const account: RequestAccount = { sessionId: "s1" as SessionId, turnId: "t1" as TurnId, purpose: "turn" };

const fitted = (bodies: readonly PlainEventBody[], model = spec, counts = new TokenCounts()) =>
  fitRequest(reduceAll(initialState, createEvents(...bodies)), model, tools, account, counts);

const sum = ({ parts }: ContextSize) => Object.values(parts).reduce((before, tokens) => before + tokens, 0);

/** A prompt of so many bytes, with what goes along with it. */
const prompt = (typed: number, attached: number, context = "") => ({
  ...started("t1", "x".repeat(typed)),
  prompt: [
    { type: "text", text: "x".repeat(typed) },
    { type: "reference", label: "a.ts", text: "y".repeat(attached) },
  ],
  context,
});

describe("the size of a request", () => {
  test("tells apart what each section takes", () => {
    const counts = new TokenCounts();
    const { size } = fitted(
      [
        { type: "system_set", text: systemPrompt("i".repeat(3_500)) },
        started("t0", "h".repeat(35_000)),
        { type: "step_started", turnId: "t0", step: 1 },
        says("t0", 1, 0, "yes"),
        prompt(0, 7_000, "c".repeat(700)),
      ],
      spec,
      counts,
    );
    expect(size.window).toBe(100_000);
    expect(size.reserve).toBe(16_000);
    // Whole tokens of a sum: each may be one off.
    expect(size.parts.tools).toBeCloseTo(counts.of(spec, tools), -1);
    expect(size.parts.system).toBeCloseTo(counts.ofText(spec, systemPrompt(undefined)), -1);
    expect(size.parts.instructions).toBeGreaterThan(1_000);
    expect(size.parts.instructions).toBeLessThan(1_030);
    expect(size.parts.history).toBeGreaterThan(10_000);
    expect(size.parts.history).toBeLessThan(10_050);
    expect(size.parts.attached).toBeGreaterThan(2_200);
    expect(size.parts.attached).toBeLessThan(2_220);
    expect(size.parts.summary).toBe(0);
  });

  test("becomes what the vendor has counted, in the same shares, and stays an estimate where it has not", () => {
    const { size } = fitted([prompt(20_000, 20_000)]);
    const counted = sizeAsCounted(size, usageOf(7_777));
    expect(sum(counted)).toBe(7_777);
    expect(counted.parts.attached / sum(counted)).toBeCloseTo(size.parts.attached / sum(size), 3);
    expect(sizeAsCounted(size, usageOf(0))).toEqual(size);
  });

  test("is stored with each step, and its parts sum up to what was charged", async () => {
    await using play = await startPlay({
      script: { steps: [{ calls: [{ name: "read", input: { files: [{ path: "a.ts" }] } }] }, { say: "Done." }] },
      files: { "a.ts": "const a = 1;\n".repeat(500), "AGENTS.md": "Use tabs." },
    });
    await play.prompt("look");
    const steps = play.events().flatMap((event) => (event.type === "step_finished" ? [event] : []));
    const sums = steps.map(({ context }) => context && sum(context));
    const charged = steps.map(({ usage }) => usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens);
    expect(sums).toEqual(charged);
    expect(charged[0]).toBeGreaterThan(1_000);
    const [first, second] = steps.map(({ context }) => context?.parts);
    expect((second?.history ?? 0) - (first?.history ?? 0)).toBeGreaterThan(1_000);
    expect(second?.instructions).toBeGreaterThan(0);
  });
});

describe("room for the answer", () => {
  test.each([
    [200_000, 64_000, 50_000],
    [1_000_000, 64_000, 64_000],
    [8_192, 8_192, 2_048],
  ])("in a window of %d for a model that answers %d is %d", (contextTokens, maxOutputTokens, room) => {
    const { request, size } = fitted([started("t1", "hi")], { ...spec, contextTokens, maxOutputTokens });
    expect([request.maxOutputTokens, size.reserve]).toEqual([room, room]);
  });

  test("shrinks when the window is nearly full, and never below what is worth sending", () => {
    const local = { ...spec, local: true, contextTokens: 8_192 };
    const outputOf = (typed: number) => fitted([started("t1", "x".repeat(typed))], local).request.maxOutputTokens;
    expect(outputOf(3.5 * 4_000)).toBe(2_048);
    const near = outputOf(3.5 * 6_500);
    expect(near).toBeGreaterThan(1_024);
    expect(near).toBeLessThan(1_700);
    expect(outputOf(3.5 * 7_500)).toBe(1_024);
  });
});

describe("a request that is too long", () => {
  test("is told for a model on this machine as soon as the estimate says so", () => {
    const local = { ...spec, local: true, contextTokens: 8_192 };
    expect(fitted([started("t1", "x".repeat(3.5 * 6_000))], local).tooLong).toBeUndefined();
    const { tooLong } = fitted([started("t1", "x".repeat(3.5 * 7_300))], local);
    expect(tooLong?.kind).toBe("contextOverflow");
    expect(tooLong?.message).toMatch(/^The conversation has about 7,\d\d\d tokens, and Test takes 8,192 together/);
  });

  test("is left to a vendor that tells it itself, unless no estimate could be so wrong", () => {
    expect(fitted([started("t1", "x".repeat(3.5 * 120_000))]).tooLong).toBeUndefined();
    expect(fitted([started("t1", "x".repeat(8 * 100_000))]).tooLong?.kind).toBe("contextOverflow");
  });
});
