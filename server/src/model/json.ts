/**
 * Reading and echoing JSON whose shape a vendor decides: objects, the arguments of tool calls, cut answers.
 *
 * Not here: any vendor's shapes. Easily got wrong: arguments that are not one JSON object never throw; they become a
 * call that says so, which the tool loop answers with an error the model can read.
 */
import type { AssistantBlock, CallId, Json, ToolCallPart } from "../protocol/types.ts";

/** An object whose values are not yet known. */
export interface JsonRecord {
  readonly [key: string]: unknown;
}

/** True for an object that is neither null nor an array. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value's string, or `undefined` when it is none. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The value's finite number, or `undefined` when it is none. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/**
 * Makes a tool call of its streamed arguments. No text at all means no arguments, `{}`; anything else that is not one
 * JSON object is kept raw in `malformed`.
 */
export function toToolCall(callId: CallId, name: string, raw: string): ToolCallPart {
  if (raw.trim() === "") return { type: "tool_call", callId, name, input: {} };
  try {
    const input: unknown = JSON.parse(raw);
    if (isRecord(input)) return { type: "tool_call", callId, name, input: input as Json };
  } catch {
    // Cut or invalid JSON is an expected answer of a model, not a failure of the stream.
  }
  return { type: "tool_call", callId, name, input: null, malformed: raw };
}

/**
 * The arguments to echo for a call, always a JSON object. Malformed text is wrapped the way Anthropic's guide to eager
 * input streaming advises, because vendors and local chat templates parse what they are sent back.
 */
export function echoedInput(call: ToolCallPart): Json {
  return call.malformed === undefined ? call.input : { INVALID_JSON: call.malformed };
}

/**
 * An answer's blocks without thinking at its end. An answer that was cut, cancelled or used up while it thought ends so,
 * and both vendors refuse thinking that nothing follows.
 */
export function withoutTrailingThinking(blocks: readonly AssistantBlock[]): readonly AssistantBlock[] {
  return blocks.slice(0, blocks.findLastIndex((block) => !isThinking(block)) + 1);
}

function isThinking({ part, wire }: AssistantBlock): boolean {
  return part.type === "thinking" || (part.type === "opaque" && isRecord(wire) && wire.type === "redacted_thinking");
}
