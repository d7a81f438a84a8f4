/**
 * Reads the chunks of one Chat Completions answer into `ModelEvent`s.
 *
 * Not here: sending (`openaiChat.ts`). Easily got wrong: compatible servers differ in everything that is not text: whole
 * calls in one chunk, every call with index 0, missing or repeated ids, usage on any chunk or none, `stop` after calls.
 */
import type { ChatCompletionChunk } from "openai/resources/chat/completions/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { AssistantBlock, CallId, Json, Usage } from "../protocol/types.ts";
import { brokenStream, type Endpoint, fromStreamError } from "./failure.ts";
import { echoedInput, isRecord, textOf, toToolCall } from "./json.ts";
import { toUsage } from "./openaiClient.ts";
import type { ModelEvent, ModelStop } from "./provider.ts";

type ToolCallDelta = ChatCompletionChunk.Choice.Delta.ToolCall;

interface OpenText {
  readonly kind: "text" | "thinking";
  readonly index: number;
  /** The vendor's name for where the text stands in its message. */
  readonly field: string;
  text: string;
}

interface OpenCall {
  readonly kind: "call";
  readonly index: number;
  readonly callId: CallId;
  /** The id as the server sent it; empty when it sent none. */
  readonly sentId: string;
  readonly slot: number;
  readonly name: string;
  /** Fields besides the standard ones, which go back with the call (Gemini's signatures, for one). */
  extra: { [key: string]: Json };
  json: string;
}

/** Names under which servers stream reasoning: DeepSeek, llama.cpp, LM Studio; Ollama, vLLM, OpenRouter (2026-11). */
const reasoningFields = ["reasoning_content", "reasoning"] as const;

/** One answer while it arrives. Use once. */
export class ChatAnswer {
  readonly #endpoint: Endpoint;
  readonly #usedIds: Set<string>;
  readonly #newCallId: () => string;
  #open: OpenText | OpenCall | undefined;
  readonly #closedSlots = new Set<number>();
  /** All that is known of the calls that are complete. */
  readonly #closedCalls = new Set<string>();
  #begun = 0;
  #calls = 0;
  #finish: string | undefined;
  #refusal = "";
  #usage: Usage = toUsage({
    input: undefined,
    cacheRead: undefined,
    cacheWrite: undefined,
    output: undefined,
    thinking: undefined,
  });

  /** `usedIds` are the ids of calls made before in this conversation. */
  constructor(endpoint: Endpoint, usedIds: ReadonlySet<string>, newCallId: () => string) {
    this.#endpoint = endpoint;
    this.#usedIds = new Set(usedIds);
    this.#newCallId = newCallId;
  }

  /** Ends without `done` when the stream ends before a finish reason. */
  async *read(chunks: AsyncIterable<ChatCompletionChunk>, finishing: () => void): AsyncGenerator<ModelEvent> {
    for await (const chunk of chunks) {
      if ("error" in chunk && chunk.error) throw fromStreamError(chunk.error, this.#endpoint);
      if (chunk.usage) this.#usage = readUsage(chunk.usage);
      const choice = chunk.choices?.[0];
      if (choice === undefined) continue;
      if (choice.delta) yield* this.#take(choice.delta);
      if (choice.finish_reason) {
        this.#finish = choice.finish_reason;
        yield* this.#close();
        // The chunk with the usage is still to come, then `[DONE]`.
        finishing();
      }
    }
    if (this.#finish !== undefined) yield this.#done(this.#finish);
  }

  *#take(delta: ChatCompletionChunk.Choice.Delta): Generator<ModelEvent> {
    for (const field of reasoningFields) {
      const text = isRecord(delta) ? textOf(delta[field]) : undefined;
      if (text) {
        yield* this.#extendText("thinking", field, text);
        break;
      }
    }
    if (delta.content) yield* this.#extendText("text", "content", delta.content);
    if (delta.refusal) this.#refusal += delta.refusal;
    for (const call of delta.tool_calls ?? []) yield* this.#extendCall(call);
  }

  *#extendText(kind: OpenText["kind"], field: string, text: string): Generator<ModelEvent> {
    let open = this.#open;
    if (open === undefined || open.kind !== kind || open.field !== field) {
      yield* this.#close();
      open = { kind, field, index: this.#begun++, text: "" };
      this.#open = open;
    }
    open.text += text;
    yield { type: kind === "text" ? "text_delta" : "thinking_delta", index: open.index, text };
  }

  *#extendCall(delta: ToolCallDelta): Generator<ModelEvent> {
    const json = delta.function?.arguments ?? "";
    let open = this.#open;
    if (open?.kind !== "call" || !continues(open, delta)) {
      // A repeat of a finished call without anything new is a quirk; with more arguments the call that ran was not whole.
      if (this.#closedSlots.has(delta.index) && !delta.id && !delta.function?.name) {
        if (json.trim() === "") return;
        throw brokenStream(this.#endpoint, `tool call ${delta.index} goes on after the next one began`);
      }
      yield* this.#close();
      open = this.#begin(delta);
      this.#open = open;
      yield { type: "tool_call_delta", index: open.index, callId: open.callId, name: open.name, json: "" };
    }
    open.extra = { ...open.extra, ...extraFields(delta) };
    open.json += json;
    if (json !== "") yield { type: "tool_call_delta", index: open.index, callId: open.callId, name: open.name, json };
  }

  #begin(delta: ToolCallDelta): OpenCall {
    const name = delta.function?.name;
    if (!name) throw brokenStream(this.#endpoint, "a tool call has no name");
    const sentId = delta.id ?? "";
    const callId = sentId === "" || this.#usedIds.has(sentId) ? this.#newCallId() : sentId;
    this.#usedIds.add(callId);
    this.#calls++;
    const index = this.#begun++;
    return { kind: "call", index, callId: callId as CallId, sentId, slot: delta.index, name, extra: {}, json: "" };
  }

  *#close(): Generator<ModelEvent> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    if (open.kind === "call" && this.#wasClosed(open)) return;
    yield {
      type: "block_done",
      index: open.index,
      block: open.kind === "call" ? toCallBlock(open) : toTextBlock(open),
    };
  }

  /** True for a call that comes again, whole. Servers may give all calls one id, so that alone does not tell. */
  #wasClosed({ slot, sentId, name, json }: OpenCall): boolean {
    this.#closedSlots.add(slot);
    const all = JSON.stringify([slot, sentId, name, json]);
    if (sentId !== "" && this.#closedCalls.has(all)) return true;
    this.#closedCalls.add(all);
    return false;
  }

  #done(finish: string): ModelEvent {
    return {
      type: "done",
      stop: this.#stop(finish),
      usage: this.#usage,
      ...(this.#refusal === "" ? {} : { detail: this.#refusal }),
    };
  }

  #stop(finish: string): ModelStop {
    if (finish === "length") return "max_tokens";
    if (finish === "content_filter" || this.#refusal !== "") return "refusal";
    // Several servers say `stop` after tool calls.
    return this.#calls > 0 ? "tool_calls" : "end_turn";
  }
}

/**
 * Servers that give every call index 0 tell calls apart by their id, and by their name where they send no ids. Some give
 * every call the same id as well: then a name after complete arguments begins the next one.
 */
function continues(open: OpenCall, delta: ToolCallDelta): boolean {
  if (delta.index !== open.slot) return false;
  if (delta.id && delta.function?.name && delta.function.arguments?.trim() && isWhole(open.json)) return false;
  if (delta.id) return delta.id === open.sentId;
  return !delta.function?.name || (open.json === "" && delta.function.name === open.name);
}

function isWhole(json: string): boolean {
  if (!json.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

function extraFields(delta: ToolCallDelta): { [key: string]: Json } {
  const { index: _index, id: _id, type: _type, function: _function, custom: _custom, ...extra } = delta;
  return extra as { [key: string]: Json };
}

function toTextBlock({ kind, field, text }: OpenText): AssistantBlock {
  return { part: { type: kind, text }, wire: { [field]: text } };
}

function toCallBlock({ callId, name, json, extra }: OpenCall): AssistantBlock {
  const part = toToolCall(callId, name, json);
  // Chat templates of local servers parse the arguments they are sent back, so those must be JSON in any case.
  const echoed = part.malformed === undefined && json.trim() !== "" ? json : JSON.stringify(echoedInput(part));
  return { part, wire: { id: callId, type: "function", function: { name, arguments: echoed }, ...extra } };
}

function readUsage(usage: CompletionUsage): Usage {
  return toUsage({
    input: usage.prompt_tokens,
    cacheRead: usage.prompt_tokens_details?.cached_tokens,
    cacheWrite: usage.prompt_tokens_details?.cache_write_tokens,
    output: usage.completion_tokens,
    thinking: usage.completion_tokens_details?.reasoning_tokens,
  });
}
