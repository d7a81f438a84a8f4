/**
 * Short ways to write events in tests. The shapes are the protocol's; ids are plain strings here and branded there.
 *
 * Not here: running sessions (`play.ts`).
 */
import type { CallId, SessionEvent, SessionEventBody, TurnId } from "../../server/src/protocol/types.ts";

/** An event body whose ids are plain strings. */
type Plain<T> = T extends string
  ? string extends T
    ? T
    : T extends { readonly __brand: string }
      ? string
      : T
  : T extends readonly (infer Item)[]
    ? readonly Plain<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Plain<T[Key]> }
      : T;

/** Event bodies as tests write them. */
export type PlainEventBody = Plain<SessionEventBody>;

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
