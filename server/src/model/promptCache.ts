/**
 * The vendors' prompt caches as far as Hermes counts on them: where a request to Anthropic marks its prefix, a pure function
 * of the blocks sent, and how long what was written lives.
 *
 * Not here: writing the markers (`anthropicRequest.ts`), what was sent when (`session/requestLedger.ts`). Easily got wrong: a
 * marker looks back over at most 20 blocks for an earlier write, so a step that adds more (many parallel results) needs
 * markers in between, or it pays for the whole conversation again without any error; and an hour's marker may not follow a
 * shorter one.
 */
import type { ModelSpec, Usage } from "../protocol/types.ts";

/** A content block as far as placing markers needs to know it. */
export interface CacheableBlock {
  readonly type: string;
  readonly text?: unknown;
}

/** A message with its blocks, in the order in which they are sent. */
export interface CacheableMessage {
  readonly role: string;
  readonly content: readonly CacheableBlock[];
}

/** Where a marker goes, and whether what it marks is kept for an hour. */
export interface Breakpoint {
  readonly message: number;
  readonly block: number;
  readonly long: boolean;
}

const minuteMs = 60_000;
/** How long an entry lives that no request reads (Anthropic, 2026-11), in ms; each read lengthens it for nothing. */
export const shortLifeMs = 5 * minuteMs;
/** The same for an entry that is marked for an hour. */
export const longLifeMs = 60 * minuteMs;
/** The same at OpenAI from gpt-5.6 on; the models before promise 5 minutes. */
const openaiLifeMs = 30 * minuteMs;
/** OpenAI caches prefixes of so many tokens and more, in steps of 128. */
const openaiLeastTokens = 1_024;
const openaiStepTokens = 128;

/** How long an entry of a model's prompt cache lives, in ms; `undefined` where nothing is promised. */
export function lifeOf({ api, local, cacheOptions }: ModelSpec, long: boolean): number | undefined {
  if (local || api === "recorded") return undefined;
  if (api === "anthropic-messages") return long ? longLifeMs : shortLifeMs;
  return cacheOptions ? openaiLifeMs : shortLifeMs;
}

/**
 * Tokens of a prompt that the cache has after its request. Servers that do not tell what they write are believed to cache
 * only once they have read something.
 */
export function cachedAfter({ api, cacheOptions }: ModelSpec, usage: Usage): number {
  const { inputTokens, cacheReadTokens, cacheWriteTokens } = usage;
  if (api === "anthropic-messages" || cacheOptions) return cacheReadTokens + cacheWriteTokens;
  const prompt = inputTokens + cacheReadTokens + cacheWriteTokens;
  if (cacheReadTokens === 0 || prompt < openaiLeastTokens) return 0;
  return prompt - (prompt % openaiStepTokens);
}

/** Markers a request may carry (Anthropic, 2026-11), of which the system prompt takes one. */
const maxBreakpoints = 4;
const lookbackBlocks = 20;
const stride = 15;
const cacheable = new Set(["text", "image", "document", "tool_use", "tool_result"]);

/**
 * Chooses at most three blocks, in order: the last cacheable one, and one every 15 blocks where more than 20 were added
 * since the request before, which ended just ahead of the last assistant message. Where the user `pauses`, the end of the
 * newest prompt is marked for an hour: that costs more for the few blocks since the last marker only, and all before it
 * outlives the pause.
 */
export function placeBreakpoints(messages: readonly CacheableMessage[], pauses = false): readonly Breakpoint[] {
  const blocks = messages.flatMap((message, at) => message.content.map((block, index) => ({ at, index, block })));
  const tail = lastCacheable(blocks, blocks.length - 1, 0);
  if (tail === undefined) return [];
  const chosen = [tail];
  const earlier = blocksBefore(
    messages,
    messages.findLastIndex((message) => message.role === "assistant"),
  );
  for (let reach = earlier; tail - reach > lookbackBlocks && chosen.length < maxBreakpoints - 1; ) {
    const next = lastCacheable(blocks, reach + stride, reach + 1);
    reach += stride;
    if (next !== undefined) chosen.push(next);
  }
  const prompt = pauses ? promptEnd(messages, blocks) : -1;
  if (prompt >= 0 && !chosen.includes(prompt) && chosen.length < maxBreakpoints - 1) chosen.push(prompt);
  return chosen.sort((a, b) => a - b).flatMap((position) => toBreakpoint(blocks[position], position <= prompt));
}

interface PlacedBlock {
  readonly at: number;
  readonly index: number;
  readonly block: CacheableBlock;
}

/** Position of the last block of the messages before `count`; -1 when there is none. */
function blocksBefore(messages: readonly CacheableMessage[], count: number): number {
  return messages.slice(0, Math.max(0, count)).reduce((sum, message) => sum + message.content.length, 0) - 1;
}

/** Position of the last block of the newest prompt that can be marked; -1 when there is none. */
function promptEnd(messages: readonly CacheableMessage[], blocks: readonly PlacedBlock[]): number {
  const prompt = messages.findLastIndex(
    ({ role, content }) => role === "user" && content.some(({ type }) => type !== "tool_result"),
  );
  return lastCacheable(blocks, blocksBefore(messages, prompt + 1), blocksBefore(messages, prompt) + 1) ?? -1;
}

function lastCacheable(blocks: readonly PlacedBlock[], from: number, to: number): number | undefined {
  for (let position = from; position >= to; position--) {
    const block = blocks[position]?.block;
    if (block !== undefined && cacheable.has(block.type) && block.text !== "") return position;
  }
  return undefined;
}

function toBreakpoint(placed: PlacedBlock | undefined, long: boolean): Breakpoint[] {
  return placed === undefined ? [] : [{ message: placed.at, block: placed.index, long }];
}
