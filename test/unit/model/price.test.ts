/** Prices to the nano-dollar, held against decimal arithmetic on strings of digits. */
import { describe, expect, test } from "vitest";
import { catalog, findModel } from "../../../server/src/model/catalog.ts";
import { affordableOutput, costOf, fromUsd, highestCost, toUsd } from "../../../server/src/model/price.ts";
import { noUsage } from "../../../server/src/model/usage.ts";
import type { ModelPrice, Usage } from "../../../server/src/protocol/types.ts";
import { seeded } from "../workspace/seeded.ts";

/** The same sum in decimal digits: prices as written, times tokens, twelve digits after the point, rounded up to nine. */
function exact(price: ModelPrice, usage: Usage): bigint {
  const prompt = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  const step = price.cliff && prompt > price.cliff.aboveTokens ? price.cliff : { inputTimes: 1, outputTimes: 1 };
  const digits = (value: number) => {
    const [whole = "0", fraction = ""] = value.toFixed(6).split(".");
    return BigInt(whole + fraction);
  };
  const part = (tokens: number, dollars: number, times: number) => BigInt(tokens) * digits(dollars) * digits(times);
  const sum =
    part(usage.inputTokens, price.input, step.inputTimes) +
    part(usage.cacheReadTokens, price.cacheRead, step.inputTimes) +
    part(usage.cacheWriteTokens, price.cacheWrite, step.inputTimes) +
    part(usage.outputTokens, price.output, step.outputTimes);
  const perNano = 10n ** 9n;
  return (sum + perNano - 1n) / perNano;
}

describe("costOf", () => {
  const { price: haiku } = findModel("claude-haiku-5-5");
  const usage = {
    ...noUsage,
    inputTokens: 40_000,
    cacheReadTokens: 50_000,
    cacheWriteTokens: 10_000,
    outputTokens: 1_000,
  };

  test("adds up what each kind of token costs, up to and at the step", () => {
    expect(costOf(haiku, usage)).toBe(fromUsd(0.004 + 0.0005 + 0.00125 + 0.0005));
  });

  test("charges the whole request more above the step", () => {
    expect(costOf(haiku, { ...usage, inputTokens: 40_001 })).toBe(5 * (4_000_100 + 500_000 + 1_250_000 + 500_000));
  });

  test("charges twice the input for what is written for an hour, and reserves it only where that is asked for", () => {
    const { price: sonnet } = findModel("claude-sonnet-5-5");
    const written = { ...noUsage, cacheWriteTokens: 10_000, longCacheWriteTokens: 4_000 };
    expect(costOf(sonnet, written)).toBe(fromUsd(0.006 * 2.5 + 0.004 * 4));
    if (!sonnet) throw new Error("It has a price.");
    expect([highestCost(sonnet, 10_000, 0), highestCost(sonnet, 10_000, 0, true)]).toEqual([
      fromUsd(0.025),
      fromUsd(0.04),
    ]);
    const all = { ...noUsage, cacheWriteTokens: 10_000, longCacheWriteTokens: 10_000 };
    expect(costOf(sonnet, all)).toBe(highestCost(sonnet, 10_000, 0, true));
  });

  test("knows nothing of a price that is not there", () => {
    expect(costOf(undefined, usage)).toBeUndefined();
  });

  test("is exact for every model of the catalogue and any usage, and never above the highest cost", () => {
    const { below } = seeded(17);
    const tokens = () => below(2 ** below(22));
    for (let round = 0; round < 2_000; round++) {
      const { price } = catalog[round % catalog.length] ?? {};
      if (!price) continue;
      const given = {
        ...noUsage,
        inputTokens: tokens(),
        cacheReadTokens: tokens(),
        cacheWriteTokens: tokens(),
        outputTokens: tokens(),
      };
      const cost = costOf(price, given);
      expect(BigInt(cost ?? -1)).toBe(exact(price, given));
      const prompt = given.inputTokens + given.cacheReadTokens + given.cacheWriteTokens;
      expect(cost).toBeLessThanOrEqual(highestCost(price, prompt, given.outputTokens));
      const budget = below(2 * highestCost(price, prompt, given.outputTokens) + 1);
      const affordable = affordableOutput(price, prompt, budget);
      if (affordable > 0) expect(highestCost(price, prompt, affordable)).toBeLessThanOrEqual(budget);
      if (highestCost(price, prompt, 0) <= budget) {
        expect(highestCost(price, prompt, affordable + 2)).toBeGreaterThan(budget);
      }
    }
  });
});

test("a million requests add up to the cent", () => {
  const { price } = findModel("claude-sonnet-5-5");
  let sum = 0;
  for (let request = 0; request < 1_000_000; request++) sum += costOf(price, { ...noUsage, cacheReadTokens: 3 }) ?? 0;
  expect(toUsd(sum)).toBe(0.3);
});
