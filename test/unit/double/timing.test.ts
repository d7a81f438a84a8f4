/**
 * The model of time waits what it says it waits, on a clock that a test owns.
 */
import { expect, test } from "vitest";
import { type ModelDouble, startModelDouble } from "../../support/modelDouble.ts";
import { ask } from "./clients.ts";

async function timed(jitter: number, seed: string): Promise<{ first: number; total: number; sleeps: number[] }> {
  let now = 0;
  const sleeps: number[] = [];
  const clock = {
    now: () => now,
    sleep: async (ms: number) => {
      sleeps.push(ms);
      now += ms;
    },
  };
  await using double: ModelDouble = await startModelDouble({
    clock,
    seed,
    script: { steps: [{ say: "x".repeat(400), deltaChars: 4 }] },
    timing: { firstTokenMs: 300, prefillMicrosPerToken: 1000, tokensPerSecond: 50, jitter },
  });
  await ask(double, "anthropic", "u".repeat(4000));
  const [request] = double.requests;
  return { first: request?.firstByteAt ?? -1, total: request?.endedAt ?? -1, sleeps };
}

test("first token, prefill of every uncached token, then tokens per second", async () => {
  const { first, total } = await timed(0, "a");
  expect(first).toBe(300 + 1007);
  // 100 deltas of one token at 20 ms each.
  expect(total - first).toBe(2000);
});

test("jitter varies the waits, and the seed decides how", async () => {
  const [a, again, b] = [await timed(0.5, "a"), await timed(0.5, "a"), await timed(0.5, "b")];
  expect(again).toEqual(a);
  expect(b.sleeps).not.toEqual(a.sleeps);
  expect(new Set(a.sleeps).size).toBeGreaterThan(50);
  expect(a.first).toBeGreaterThan(1307 * 0.5);
  expect(a.first).toBeLessThan(1307 * 1.5);
});
