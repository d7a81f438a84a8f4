/**
 * What requests cost, exactly: sums in whole nano-dollars, so that a ledger of a million requests adds up to the cent.
 *
 * Not here: who may spend what (`budget.ts`), or the prices themselves (`catalog.json`). Easily got wrong: a prompt beyond
 * the model's price step is dearer as a whole, cached tokens included; and a price that is not known is `undefined`, never 0.
 */
import type { ModelPrice, Usage } from "../protocol/types.ts";

/** Billionths of a US dollar: the unit of every sum of money. Safe up to nine million dollars. */
export type NanoUsd = number;

/** Pico-dollars per token in a price of one US dollar per million tokens. */
const picoPerUnit = 1_000_000;

/** Nano-dollars as dollars, for showing. */
export function toUsd(nano: NanoUsd): number {
  return nano / 1e9;
}

/** What writing to a prompt cache for an hour costs, in terms of the input price (Anthropic, 2026-11). */
const longWriteTimes = 2;

/** Dollars as nano-dollars, for limits that people write. */
export function fromUsd(usd: number): NanoUsd {
  return Math.round(usd * 1e9);
}

/** What a usage cost, rounded up to the next nano-dollar; `undefined` where the price is not known. */
export function costOf(price: ModelPrice | undefined, usage: Usage): NanoUsd | undefined {
  if (!price) return undefined;
  const { inputTokens, cacheReadTokens, cacheWriteTokens, longCacheWriteTokens = 0, outputTokens } = usage;
  const times = stepOf(price, inputTokens + cacheReadTokens + cacheWriteTokens);
  return sum([
    [inputTokens, price.input, times.input],
    [cacheReadTokens, price.cacheRead, times.input],
    [cacheWriteTokens - longCacheWriteTokens, price.cacheWrite, times.input],
    [longCacheWriteTokens, longWriteTimes * price.input, times.input],
    [outputTokens, price.output, times.output],
  ]);
}

/**
 * The most that a request can cost: nothing of the prompt in the cache, all of it written there, for an hour where the
 * request asks for that, the whole answer used.
 */
export function highestCost(price: ModelPrice, promptTokens: number, outputTokens: number, pauses = false): NanoUsd {
  const times = stepOf(price, promptTokens);
  const written = pauses ? Math.max(price.cacheWrite, longWriteTimes * price.input) : price.cacheWrite;
  return sum([
    [promptTokens, Math.max(price.input, written), times.input],
    [outputTokens, price.output, times.output],
  ]);
}

/** Tokens of answer that a sum still pays for after the prompt; -1 when it does not pay for the prompt. */
export function affordableOutput(price: ModelPrice, promptTokens: number, nano: NanoUsd, pauses = false): number {
  const left = BigInt(nano - highestCost(price, promptTokens, 0, pauses)) * 1_000n;
  const perToken = toPico(price.output, stepOf(price, promptTokens).output);
  if (left < 0n) return -1;
  return perToken === 0n ? Number.MAX_SAFE_INTEGER : Number((left * scale) / perToken);
}

function stepOf({ cliff }: ModelPrice, promptTokens: number): { readonly input: number; readonly output: number } {
  return cliff && promptTokens > cliff.aboveTokens
    ? { input: cliff.inputTimes, output: cliff.outputTimes }
    : { input: 1, output: 1 };
}

/** Factors of price steps have at most three decimals. */
const scale = 1_000n;

/** Pico-dollars per token, times `scale`. */
function toPico(price: number, times: number): bigint {
  return BigInt(Math.round(price * picoPerUnit)) * BigInt(Math.round(times * Number(scale)));
}

function sum(parts: readonly (readonly [tokens: number, price: number, times: number])[]): NanoUsd {
  const pico = parts.reduce((total, [tokens, price, times]) => total + BigInt(tokens) * toPico(price, times), 0n);
  const perNano = 1_000n * scale;
  return Number((pico + perNano - 1n) / perNano);
}
