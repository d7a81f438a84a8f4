/**
 * The vendors' prompt caches as far as Hermes counts on them: where a request to Anthropic marks its prefix, a pure function
 * of the blocks sent, and how long what was written lives.
 *
 * Not here: writing the markers (`anthropicRequest.ts`), what was sent when (`session/requestLedger.ts`). Easily got wrong: a
 * marker looks back over at most 20 blocks, its own among them, for an earlier write, so a step that adds as many (many parallel results) needs
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
/** Blocks in which a marker finds an earlier write, its own among them. */
const lookbackBlocks = 20;
const stride = 15;
const cacheable = new Set(["text", "image", "document", "tool_use", "tool_result"]);

/**
 * Chooses at most three blocks, in order: the last cacheable one, and one every 15 blocks where 20 or more were added
 * since the request before, which ended just ahead of the last assistant message. Where the user `pauses`, the ends of the
 * newest prompts are marked for an hour, as many as there are markers left: that costs more for the few blocks since the
 * last marker only, and all before it outlives the pause, however many blocks the turn had.
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
  for (let reach = earlier; tail - reach >= lookbackBlocks && chosen.length < maxBreakpoints - 1; ) {
    const next = lastCacheable(blocks, reach + stride, reach + 1);
    reach += stride;
    if (next !== undefined) chosen.push(next);
  }
  const prompts = pauses ? promptEnds(messages, blocks) : [];
  for (const prompt of prompts.filter((position) => !chosen.includes(position)))
    if (chosen.length < maxBreakpoints - 1) chosen.push(prompt);
  const newest = prompts[0] ?? -1;
  return chosen.sort((a, b) => a - b).flatMap((position) => toBreakpoint(blocks[position], position <= newest));
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

/** Positions of the last blocks of the newest prompts that can be marked, the newest first. */
function promptEnds(messages: readonly CacheableMessage[], blocks: readonly PlacedBlock[]): readonly number[] {
  const ends: number[] = [];
  let before = blocks.length;
  for (let at = messages.length - 1; at >= 0 && ends.length < maxBreakpoints; at--) {
    const { role, content } = messages[at] ?? { role: "", content: [] };
    const last = before - 1;
    before -= content.length;
    if (role !== "user" || !content.some(({ type }) => type !== "tool_result")) continue;
    const end = lastCacheable(blocks, last, before);
    if (end !== undefined) ends.push(end);
  }
  return ends;
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
