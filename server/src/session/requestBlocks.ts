/**
 * The blocks of a model request in the order in which vendors render them, each with a digest and, on demand, a name for
 * people.
 *
 * Not here: comparing requests (`requestLedger.ts`). Easily got wrong: what a provider writes of a block depends on that
 * block and the model alone, so digests of the blocks stand for the bytes on the wire; and they are kept by the identity of
 * messages and tools, because a conversation only grows.
 */
import { createHash } from "node:crypto";
import type { ModelMessage, ModelRequest } from "../model/provider.ts";
import type { AssistantBlock, CallId, ToolSpec } from "../protocol/types.ts";

/** Bytes of a digest: two blocks of one place in a conversation are the same by chance once in 2^64. */
const digestBytes = 8;
const known = new WeakMap<object, readonly string[]>();

/** Digests of the blocks of a request: tools, the system prompt, then the blocks of each message. */
export function digestsOf({ tools, system, messages }: ModelRequest): readonly string[] {
  return [
    ...tools.flatMap((tool) => digestOnce(tool, () => [tool])),
    digest(system),
    ...messages.flatMap((message) => digestOnce(message, () => partsOf(message))),
  ];
}

/** What a person calls the block at a position of `digestsOf`, with messages and their blocks counted from 1. */
export function nameOfBlock({ tools, messages }: ModelRequest, position: number): string {
  const tool = tools[position];
  if (tool) return `tools: ${tool.name}`;
  let left = position - tools.length;
  if (left === 0) return "system";
  left -= 1;
  for (const [at, message] of messages.entries()) {
    const parts = partsOf(message);
    if (left < parts.length) return `message ${at + 1}, block ${left + 1} (${describe(message, left, messages)})`;
    left -= parts.length;
  }
  return `message ${messages.length + 1} (no longer there)`;
}

function digestOnce(holder: ToolSpec | ModelMessage, parts: () => readonly unknown[]): readonly string[] {
  const before = known.get(holder);
  if (before) return before;
  const digests = parts().map((part) => digest(JSON.stringify(part)));
  known.set(holder, digests);
  return digests;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest().subarray(0, digestBytes).toString("base64url");
}

function partsOf(message: ModelMessage): readonly unknown[] {
  switch (message.role) {
    case "user":
      return message.parts;
    case "assistant":
      return message.blocks;
    case "tool":
      return message.results;
  }
}

function describe(message: ModelMessage, at: number, messages: readonly ModelMessage[]): string {
  switch (message.role) {
    case "user":
      return { text: "prompt", reference: "reference", image: "picture" }[message.parts[at]?.type ?? "text"];
    case "assistant":
      return describeAnswer(message.blocks[at]);
    case "tool":
      return `result of ${toolOf(message.results[at]?.callId, messages) ?? "a call"}`;
  }
}

function describeAnswer(block: AssistantBlock | undefined): string {
  switch (block?.part.type) {
    case "tool_call":
      return `call of ${block.part.name}`;
    case "thinking":
      return "thinking";
    default:
      return "answer";
  }
}

function toolOf(callId: CallId | undefined, messages: readonly ModelMessage[]): string | undefined {
  for (const message of messages) {
    if (message.role !== "assistant") continue;
    for (const { part } of message.blocks) if (part.type === "tool_call" && part.callId === callId) return part.name;
  }
  return undefined;
}
