/**
 * The conversation as models are given it, and how it goes back: the messages in force, and the compactions that they
 * begin with.
 *
 * Not here: events (`reduce.ts`), what a compaction says (`compact.ts`). Easily got wrong: places in the conversation are
 * counted in the messages that were in force at that time, so a place is a count and how many compactions there were.
 */
import type { ModelMessage } from "../model/provider.ts";
import type { Compacted } from "../protocol/events.ts";
import type { CompactionId, PromptPart, TurnId } from "../protocol/types.ts";

/** A compaction that is in force. */
export interface CompactionRecord {
  readonly compactionId: CompactionId;
  /** The messages that it replaced. */
  readonly replaced: readonly ModelMessage[];
  /** Messages in force right after it. */
  readonly length: number;
  /** Its estimate of a request right after it, in tokens. */
  readonly tokensAfter: number;
  /** What a person can read of it. */
  readonly summary: string;
  /** The last turn at that time. */
  readonly lastTurn: TurnId | undefined;
}

/** The messages of finished steps, and the compactions in force, oldest first. */
export interface Thread {
  readonly settled: readonly ModelMessage[];
  readonly compactions: readonly CompactionRecord[];
}

/** A place in the conversation. */
export interface Mark {
  readonly messages: number;
  readonly compactions: number;
}

/** The end of the conversation. */
export function endOf({ settled, compactions }: Thread): Mark {
  return { messages: settled.length, compactions: compactions.length };
}

/** How many messages are in memory for it, those that were replaced included. */
export function heldMessages({ settled, compactions }: Thread): number {
  return compactions.reduce((sum, { replaced }) => sum + replaced.length, settled.length);
}

/** The conversation as it was at a place: a compaction since then is taken back. */
export function backTo({ settled, compactions }: Thread, mark: Mark): Thread {
  const messages = compactions[mark.compactions]?.replaced ?? settled;
  return { settled: messages.slice(0, mark.messages), compactions: compactions.slice(0, mark.compactions) };
}

/** The conversation after a compaction. `prompt` is that of the turn in whose midst it happened, with its context. */
export function compacted(
  thread: Thread,
  { compactionId, block, carried, summary, tokensAfter }: Compacted,
  prompt: readonly PromptPart[],
  lastTurn: TurnId | undefined,
): Thread {
  const head: readonly ModelMessage[] = block ? [{ role: "assistant", api: block.api, blocks: [block.block] }] : [];
  const settled: readonly ModelMessage[] = [
    ...head,
    { role: "user", parts: [{ type: "text", text: carried }, ...prompt] },
  ];
  const record = { compactionId, replaced: thread.settled, length: settled.length, tokensAfter, summary, lastTurn };
  return { settled, compactions: [...thread.compactions, record] };
}

/** The conversation without its last compaction; `undefined` when that is another one, or something was added since. */
export function withoutCompaction({ settled, compactions }: Thread, compactionId: CompactionId): Thread | undefined {
  const last = compactions.at(-1);
  if (last?.compactionId !== compactionId || settled.length !== last.length) return undefined;
  // A copy: the fold may add to a list that it has made itself.
  return { settled: [...last.replaced], compactions: compactions.slice(0, -1) };
}
