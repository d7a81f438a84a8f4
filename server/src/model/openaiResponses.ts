/**
 * The OpenAI Responses API as a `Provider`, stateless: every request resends the items, nothing is stored there.
 *
 * Not here: Chat Completions (`openaiChat.ts`), retries (`retry.ts`). Easily got wrong: an output item is complete only
 * in `output_item.done`; the same item in `output_item.added` lacks the encrypted reasoning that must be echoed.
 */
import type {
  FunctionTool,
  Response,
  ResponseCreateParamsStreaming,
  ResponseFunctionCallOutputItemList,
  ResponseInputContent,
  ResponseInputItem,
  ResponseOutputItem,
  ResponseStreamEvent,
} from "openai/resources/responses/responses";
import { assertNever } from "../base/errors.ts";
import type { AssistantBlock, CallId, Json, PromptPart, ToolSpec } from "../protocol/types.ts";
import { type Connection, stream } from "./connection.ts";
import { brokenStream, type Endpoint, fromStreamError } from "./failure.ts";
import { echoedInput, toToolCall, withoutTrailingThinking } from "./json.ts";
import { type OpenAIEndpoint, type OpenAIOptions, openClient, toEndpoint, toUsage } from "./openaiClient.ts";
import type { ModelEvent, ModelMessage, ModelRequest, ModelStop, Provider } from "./provider.ts";
import { remembered } from "./wireMessages.ts";

/** Makes the provider; nothing is loaded and no connection opened before the first request. */
export function createOpenAIResponsesProvider(options: OpenAIOptions): Provider {
  return {
    stream(request, signal) {
      const endpoint = toEndpoint(request, options);
      return stream(endpoint, options, signal, (connection) => ask(request, endpoint, connection));
    },
  };
}

async function* ask(
  request: ModelRequest,
  endpoint: OpenAIEndpoint,
  connection: Connection,
): AsyncGenerator<ModelEvent> {
  const client = await openClient(endpoint, connection);
  const events = await client.responses.create(toResponsesRequest(request), { signal: connection.signal });
  yield* new Answer(endpoint).read(events, connection.finishing);
}

/** The body of the request; a pure function: the same request, the same bytes. */
export function toResponsesRequest(request: ModelRequest): ResponseCreateParamsStreaming {
  const { model, system, tools } = request;
  return {
    model: model.wireId,
    stream: true,
    // A local-first editor leaves no copy of the conversation with the vendor (the default keeps it for 30 days).
    store: false,
    ...(request.maxOutputTokens === 0 ? {} : { max_output_tokens: request.maxOutputTokens }),
    prompt_cache_key: request.cacheKey,
    ...(model.cacheOptions ? toCacheOptions(request) : {}),
    ...(system === "" ? {} : { instructions: system }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toTool) }),
    ...(model.thinking === "none"
      ? {}
      : { reasoning: { effort: "medium", summary: "auto" }, include: ["reasoning.encrypted_content"] }),
    input: [
      ...(model.cacheOptions ? withBreakpoints(request) : itemsOf(request)).flat(),
      // It takes no instructions, and must be the last.
      ...(request.compaction ? [{ type: "compaction_trigger" } as const] : []),
    ],
  };
}

function toCacheOptions({ maxOutputTokens, previousResponseId }: ModelRequest) {
  const options = {
    ...(maxOutputTokens === 0 ? { prewarm: true } : {}),
    ...(previousResponseId ? { comparison_response_id: previousResponseId } : {}),
  };
  return Object.keys(options).length === 0 ? {} : { prompt_cache_options: options };
}

const itemsOf = remembered((message, images) => toItems(message, images, toOutput));
/** The same for models whose results of tools can carry a breakpoint. */
const markableItemsOf = remembered((message, images) => toItems(message, images, toOutputList));

/** Breakpoints that a request may carry beside the vendor's own (2026-11). */
const maxBreakpoints = 3;
const breakpoint = { prompt_cache_breakpoint: { mode: "explicit" } } as const;

/**
 * The items with a breakpoint where this request ends, and where the ones before it did: there the prefix is cached to the
 * token, and not in steps of 128.
 */
function withBreakpoints(request: ModelRequest): ResponseInputItem[][] {
  const { messages } = request;
  const items = markableItemsOf(request);
  const ends = messages.flatMap(({ role }, at) =>
    role !== "assistant" && (messages[at + 1]?.role ?? "assistant") === "assistant" ? [at] : [],
  );
  for (const at of ends.slice(-maxBreakpoints)) items[at] = items[at]?.with(-1, marked(items[at]?.at(-1))) ?? [];
  return items;
}

function marked(item: ResponseInputItem | undefined): ResponseInputItem {
  if (item?.type === "message" && item.role === "user" && Array.isArray(item.content))
    return { ...item, content: item.content.with(-1, { ...item.content.at(-1), ...breakpoint } as never) } as never;
  if (item?.type === "function_call_output" && Array.isArray(item.output))
    return { ...item, output: item.output.with(-1, { ...item.output.at(-1), ...breakpoint } as never) };
  return item as ResponseInputItem;
}

function toOutput(text: string): string {
  return text;
}

function toOutputList(text: string): ResponseFunctionCallOutputItemList {
  return [{ type: "input_text", text }];
}

function toTool(tool: ToolSpec): FunctionTool {
  return {
    type: "function",
    name: tool.name,
    description: tool.description,
    parameters: { ...tool.inputSchema },
    strict: false,
  };
}

function toItems(
  message: ModelMessage,
  images: boolean,
  outputOf: (text: string) => string | ResponseFunctionCallOutputItemList,
): ResponseInputItem[] {
  switch (message.role) {
    case "user": {
      const content = message.parts.map((part) => toContent(part, images));
      return content.length === 0 ? [] : [{ type: "message", role: "user", content }];
    }
    case "tool":
      return message.results.map((result) => ({
        type: "function_call_output",
        call_id: result.callId,
        output: outputOf(result.text),
      }));
    case "assistant": {
      const own = message.api === "openai-responses";
      return withoutTrailingThinking(message.blocks).flatMap((block) => toAnswerItems(block, own));
    }
    default:
      return assertNever(message);
  }
}

function toContent(part: PromptPart, images: boolean): ResponseInputContent {
  switch (part.type) {
    case "text":
    case "reference":
      return { type: "input_text", text: part.text };
    case "image":
      return images
        ? { type: "input_image", detail: "auto", image_url: `data:${part.mimeType};base64,${part.base64}` }
        : { type: "input_text", text: "(A picture was given here; this model cannot see pictures.)" };
    default:
      return assertNever(part);
  }
}

function toAnswerItems({ part, wire }: AssistantBlock, own: boolean): ResponseInputItem[] {
  // The vendor's own item goes back as it came: the SDK's types are the one thing it is trusted to fit.
  if (own && wire !== undefined) return [wire as unknown as ResponseInputItem];
  switch (part.type) {
    case "text":
      return part.text === "" ? [] : [{ type: "message", role: "assistant", content: part.text }];
    case "tool_call": {
      const { callId, name } = part;
      return [{ type: "function_call", call_id: callId, name, arguments: JSON.stringify(echoedInput(part)) }];
    }
    case "thinking":
    case "opaque":
      return [];
    default:
      return assertNever(part);
  }
}

/** What is known of an item between its first event and its last. */
interface OpenItem {
  readonly index: number;
  readonly call?: { readonly callId: CallId; readonly name: string };
  /** True once a part of a reasoning summary was shown, so that the next one begins a paragraph. */
  summarised: boolean;
}

/** One answer while it arrives. */
class Answer {
  readonly #endpoint: Endpoint;
  /** Open items by the vendor's `output_index`. */
  readonly #open = new Map<number, OpenItem>();
  /** Items that were closed, by all that names them. */
  readonly #closed = new Set<string>();
  #begun = 0;
  #calls = 0;
  #refusal = "";

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** Ends without `done` when the stream ends before its final event. */
  async *read(events: AsyncIterable<ResponseStreamEvent>, finishing: () => void): AsyncGenerator<ModelEvent> {
    let done: ModelEvent | undefined;
    for await (const event of events) {
      // What comes after the final event, late or again, is already in it.
      if (done) continue;
      if (event.type === "response.completed" || event.type === "response.incomplete") {
        finishing();
        yield* this.#finishRest(event.response);
        done = this.#done(event.response);
      } else if (event.type === "response.failed") {
        throw fromStreamError(event.response.error, this.#endpoint);
      } else if (event.type === "error") {
        throw fromStreamError(event, this.#endpoint);
      } else yield* this.#take(event);
    }
    if (done) yield done;
  }

  *#take(event: ResponseStreamEvent): Generator<ModelEvent> {
    switch (event.type) {
      case "response.output_item.added":
        yield* this.#begin(event.output_index, event.item);
        break;
      case "response.output_text.delta":
        yield { type: "text_delta", index: this.#item(event.output_index).index, text: event.delta };
        break;
      case "response.refusal.delta":
        this.#refusal += event.delta;
        break;
      case "response.reasoning_summary_part.added": {
        const item = this.#item(event.output_index);
        if (item.summarised) yield { type: "thinking_delta", index: item.index, text: "\n\n" };
        item.summarised = true;
        break;
      }
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        yield { type: "thinking_delta", index: this.#item(event.output_index).index, text: event.delta };
        break;
      case "response.function_call_arguments.delta": {
        const { index, call } = this.#item(event.output_index);
        if (call) yield { type: "tool_call_delta", index, ...call, json: event.delta };
        break;
      }
      case "response.output_item.done":
        if (!this.#wasClosed(event.output_index, event.item)) yield this.#finish(event.output_index, event.item);
        break;
      default:
      // Progress events, parts of what the events above say whole, and kinds of event that are newer than this file.
    }
  }

  *#begin(outputIndex: number, item: ResponseOutputItem): Generator<ModelEvent> {
    if (this.#open.has(outputIndex)) return;
    const index = this.#begun++;
    const call = item.type === "function_call" ? { callId: item.call_id as CallId, name: item.name } : undefined;
    this.#open.set(outputIndex, { index, summarised: false, ...(call ? { call } : {}) });
    if (call) yield { type: "tool_call_delta", index, ...call, json: "" };
  }

  #finish(outputIndex: number, item: ResponseOutputItem): ModelEvent {
    const { index } = this.#open.get(outputIndex) ?? { index: this.#begun++ };
    this.#open.delete(outputIndex);
    if (item.type === "function_call") this.#calls++;
    return { type: "block_done", index, block: toBlock(item) };
  }

  /** True for an item that comes again. Some servers number every item 0, so the number alone does not tell. */
  #wasClosed(outputIndex: number, item: ResponseOutputItem): boolean {
    const callId = item.type === "function_call" ? item.call_id : undefined;
    if (!item.id && !callId) return false;
    const name = JSON.stringify([outputIndex, item.id, callId]);
    if (this.#closed.has(name)) return true;
    this.#closed.add(name);
    return false;
  }

  /** Items that were cut off by the output limit, or that a server never closed, are in the final event. */
  *#finishRest(response: Response): Generator<ModelEvent> {
    for (const outputIndex of [...this.#open.keys()]) {
      const item = response.output[outputIndex];
      if (item === undefined) throw brokenStream(this.#endpoint, "it ends in the middle of an item");
      yield this.#finish(outputIndex, item);
    }
  }

  #done(response: Response): ModelEvent {
    const usage = response.usage;
    return {
      type: "done",
      stop: this.#stop(response),
      usage: toUsage({
        input: usage?.input_tokens,
        cacheRead: usage?.input_tokens_details?.cached_tokens,
        cacheWrite: usage?.input_tokens_details?.cache_write_tokens,
        output: usage?.output_tokens,
        thinking: usage?.output_tokens_details?.reasoning_tokens,
      }),
      ...(this.#refusal === "" ? {} : { detail: this.#refusal }),
      ...(response.id ? { responseId: response.id } : {}),
      ...describeMiss(response.prompt_cache_diagnostics),
    };
  }

  #stop(response: Response): ModelStop {
    switch (response.incomplete_details?.reason) {
      case "max_output_tokens":
        return "max_tokens";
      case "content_filter":
        return "refusal";
      case "max_messages":
      case "steered":
        return "pause";
      default:
        if (this.#refusal !== "") return "refusal";
        if (response.output.some((item) => item.type === "compaction" && item.encrypted_content)) return "compacted";
        return this.#calls > 0 ? "tool_calls" : "end_turn";
    }
  }

  #item(outputIndex: number): OpenItem {
    const item = this.#open.get(outputIndex);
    if (item === undefined) throw brokenStream(this.#endpoint, `item ${outputIndex} goes on without having begun`);
    return item;
  }
}

/** A response that cannot be compared says so by its type. */
function describeMiss(said: Response["prompt_cache_diagnostics"]): { readonly cacheMiss?: string } {
  if (!said || said.type === "cache_hit") return {};
  return { cacheMiss: said.type === "cache_miss" ? said.reason : said.type };
}

function toBlock(item: ResponseOutputItem): AssistantBlock {
  const wire = item as unknown as Json;
  switch (item.type) {
    case "message":
      return {
        part: {
          type: "text",
          text: item.content.map((part) => (part.type === "output_text" ? part.text : "")).join(""),
        },
        wire,
      };
    case "reasoning": {
      const texts = [...item.summary, ...(item.content ?? [])].map((part) => part.text);
      return { part: { type: "thinking", text: texts.join("\n\n") }, wire };
    }
    case "function_call":
      return { part: toToolCall(item.call_id as CallId, item.name, item.arguments), wire };
    default:
      return { part: { type: "opaque" }, wire };
  }
}
