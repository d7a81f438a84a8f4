/**
 * Short ways to write events in tests. The shapes are the protocol's; ids are plain strings here and branded there.
 *
 * Not here: running sessions (`play.ts`).
 */
import type { Compacted, SessionEvent, SessionEventBody } from "../../server/src/protocol/events.ts";
import type { CallId, CompactionId, TurnId } from "../../server/src/protocol/types.ts";

/** Event bodies as tests write them: ids are plain strings, and types from the future may occur. */
export type PlainEventBody = SessionEventBody | { readonly type: string; readonly [field: string]: unknown };

/** Numbers bodies from 1 and dates them a millisecond apart. */
export function createEvents(...bodies: readonly PlainEventBody[]): readonly SessionEvent[] {
  return bodies.map((body, index) => ({ ...(body as SessionEventBody), seq: index + 1, at: 1_000 + index }));
}

/** A turn begins with a text prompt. */
export function started(turnId: string, text: string): SessionEventBody {
  return {
    type: "turn_started",
    turnId: turnId as TurnId,
    prompt: [{ type: "text", text }],
    origin: "panel",
    context: "",
    model: "test/model",
    recorded: false,
    hostPid: 1,
  };
}

/** A text block is complete. */
export function says(turnId: string, step: number, index: number, text: string): SessionEventBody {
  return {
    type: "assistant_block",
    turnId: turnId as TurnId,
    step,
    index,
    api: "anthropic-messages",
    block: { part: { type: "text", text }, wire: { type: "text", text } },
  };
}

/** A call of `read` is complete. */
export function call(turnId: string, step: number, index: number, callId: string): SessionEventBody {
  return {
    type: "assistant_block",
    turnId: turnId as TurnId,
    step,
    index,
    api: "anthropic-messages",
    block: { part: { type: "tool_call", callId: callId as CallId, name: "read", input: {} } },
  };
}

/** The conversation was compacted by the vendor, between turns. */
export function compacted(changes: Partial<Compacted> = {}): Compacted {
  return {
    type: "compacted",
    compactionId: "k1" as CompactionId,
    reason: "window",
    means: "vendor",
    messages: 40,
    summary: "The parser was *rewritten*.",
    carried: "<compacted-conversation>\n\nUse tabs.\n\n</compacted-conversation>",
    model: "test/model",
    tokensBefore: 82_400,
    tokensAfter: 9_100,
    usage: { inputTokens: 0, cacheReadTokens: 82_000, cacheWriteTokens: 0, outputTokens: 900, thinkingTokens: 0 },
    cost: 0.0296,
    durationMs: 4_200,
    ...changes,
  };
}
