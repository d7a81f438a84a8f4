/**
 * Decides where a request to Anthropic marks its prefix for the prompt cache; a pure function of the blocks sent.
 *
 * Not here: writing the markers (`anthropic.ts`) and OpenAI's cache, which needs only a key. Easily got wrong: a marker
 * looks back over at most 20 blocks for an earlier write, so a step that adds more (many parallel results) needs markers
 * in between, or it pays for the whole conversation again without any error.
 */

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

/** Where a marker goes. */
export interface Breakpoint {
  readonly message: number;
  readonly block: number;
}

/** Markers a request may carry (Anthropic, 2026-11), of which the system prompt takes one. */
const maxBreakpoints = 4;
const lookbackBlocks = 20;
const stride = 15;
const cacheable = new Set(["text", "image", "document", "tool_use", "tool_result"]);

/**
 * Chooses at most three blocks, in order: the last cacheable one, and one every 15 blocks where more than 20 were added
 * since the request before, which ended just ahead of the last assistant message.
 */
export function placeBreakpoints(messages: readonly CacheableMessage[]): readonly Breakpoint[] {
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
  return chosen.sort((a, b) => a - b).flatMap((position) => toBreakpoint(blocks[position]));
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

function lastCacheable(blocks: readonly PlacedBlock[], from: number, to: number): number | undefined {
  for (let position = from; position >= to; position--) {
    const block = blocks[position]?.block;
    if (block !== undefined && cacheable.has(block.type) && block.text !== "") return position;
  }
  return undefined;
}

function toBreakpoint(placed: PlacedBlock | undefined): Breakpoint[] {
  return placed === undefined ? [] : [{ message: placed.at, block: placed.index }];
}
