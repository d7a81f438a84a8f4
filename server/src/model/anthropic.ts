/**
 * The Anthropic Messages API as a `Provider`: sends over the official SDK and turns its raw events into `ModelEvent`s.
 *
 * Not here: the request's form (`anthropicRequest.ts`), retries (`retry.ts`). Easily got wrong: blocks are gathered by
 * us and not by the SDK, so that what is echoed later is what came, unknown kinds of block included.
 */
import type {
  Message,
  MessageDeltaUsage,
  RawContentBlockDelta,
  RawMessageStreamEvent,
  StopReason,
} from "@anthropic-ai/sdk/resources/messages/messages";
import { ProviderError } from "../base/errors.ts";
import type { AssistantBlock, CallId, Json, Usage } from "../protocol/types.ts";
import { anthropicHeaders, toAnthropicRequest } from "./anthropicRequest.ts";
import { assertBaseUrl, type Connection, type ConnectionOptions, hostOf, stream } from "./connection.ts";
import { brokenStream, type Endpoint } from "./failure.ts";
import { echoedInput, isRecord, numberOf, textOf, toToolCall } from "./json.ts";
import type { ModelEvent, ModelRequest, ModelStop, Provider } from "./provider.ts";
import { addUsage, noUsage } from "./usage.ts";

/** Where and how to reach Anthropic, or a gateway that speaks its API. */
export interface AnthropicOptions extends ConnectionOptions {
  readonly apiKey?: string;
  /** Without `/v1`; a model's own `baseUrl` wins. */
  readonly baseUrl?: string;
}

/** The vendor's own server. */
export const anthropicUrl = "https://api.anthropic.com";

/** Makes the provider; nothing is loaded and no connection opened before the first request. */
export function createAnthropicProvider(options: AnthropicOptions): Provider {
  return {
    stream(request, signal) {
      const baseUrl = request.model.baseUrl ?? options.baseUrl ?? anthropicUrl;
      const endpoint: Endpoint = {
        vendor: "Anthropic",
        host: hostOf(baseUrl),
        model: request.model.wireId,
        local: request.model.local === true,
        ...(options.apiKey === undefined ? {} : { secret: options.apiKey }),
      };
      return stream(endpoint, options, signal, (connection) => ask(request, endpoint, baseUrl, connection));
    },
  };
}

async function* ask(
  request: ModelRequest,
  endpoint: Endpoint,
  baseURL: string,
  connection: Connection,
): AsyncGenerator<ModelEvent> {
  if (endpoint.secret === undefined && baseURL === anthropicUrl)
    throw new ProviderError(
      "There is no key for Anthropic. Set one with “Hermes: Set API Key” or in ANTHROPIC_API_KEY.",
      { kind: "auth" },
    );
  assertBaseUrl(baseURL);
  const { sendMessages } = await import("./anthropicSdk.ts");
  const target = { apiKey: endpoint.secret ?? "none", baseURL };
  const message = { body: toAnthropicRequest(request), headers: anthropicHeaders(request) };
  const events = await sendMessages(target, message, connection);
  const answer = new Answer(endpoint);
  if (Symbol.asyncIterator in events) yield* answer.read(events, connection.finishing);
  else yield answer.whole(events);
}

interface OpenBlock {
  /** The vendor's block as far as it has come. */
  readonly wire: { [key: string]: Json };
  /** The arguments' text so far, for tool calls. */
  json: string;
}

/** One answer while it arrives. */
class Answer {
  readonly #endpoint: Endpoint;
  readonly #open = new Map<number, OpenBlock>();
  #usage = noUsage;
  /** What a compaction used: the vendor leaves it out of the totals. */
  #compaction = noUsage;
  #isCompacted = false;
  #stop: StopReason | null = null;
  #detail: string | undefined;
  #responseId: string | undefined;
  #cacheMiss: string | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** Ends without `done` when the stream ends before its final event. */
  async *read(events: AsyncIterable<RawMessageStreamEvent>, finishing: () => void): AsyncGenerator<ModelEvent> {
    let ended = false;
    for await (const event of events) {
      if (event.type === "message_stop") {
        ended = true;
        finishing();
      } else yield* this.#take(event);
    }
    if (ended) yield this.#done();
  }

  /** The end of an answer that came in one piece, without content: the prompt is in the cache. */
  whole(message: Message): ModelEvent {
    this.#open.clear();
    this.#note(message);
    this.#stop = message.stop_reason ?? "max_tokens";
    return this.#done();
  }

  *#take(event: RawMessageStreamEvent): Generator<ModelEvent> {
    switch (event.type) {
      case "message_start":
        this.#note(event.message);
        break;
      case "content_block_start":
        yield* this.#begin(event.index, event.content_block);
        break;
      case "content_block_delta":
        yield* this.#extend(event.index, event.delta);
        break;
      case "content_block_stop":
        yield { type: "block_done", index: event.index, block: this.#finish(event.index) };
        break;
      case "message_delta":
        this.#count(event.usage);
        this.#stop = event.delta.stop_reason;
        this.#detail = describeRefusal(event.delta.stop_details);
        break;
      default:
      // The vendor adds kinds of event and asks clients to pass over those they do not know.
    }
  }

  *#begin(index: number, block: unknown): Generator<ModelEvent> {
    if (!isRecord(block)) throw brokenStream(this.#endpoint, "a block without content begins");
    if (this.#open.has(index)) throw brokenStream(this.#endpoint, `block ${index} begins twice`);
    const wire = { ...block } as { [key: string]: Json };
    this.#open.set(index, { wire, json: "" });
    if (wire.type === "tool_use") yield this.#callDelta(index, wire, "");
  }

  *#extend(index: number, delta: RawContentBlockDelta): Generator<ModelEvent> {
    const block = this.#block(index);
    const { wire } = block;
    switch (delta.type) {
      case "text_delta":
        wire.text = `${textOf(wire.text) ?? ""}${delta.text}`;
        if (delta.text !== "") yield { type: "text_delta", index, text: delta.text };
        break;
      case "thinking_delta":
        wire.thinking = `${textOf(wire.thinking) ?? ""}${delta.thinking}`;
        if (delta.thinking !== "") yield { type: "thinking_delta", index, text: delta.thinking };
        break;
      case "signature_delta":
        wire.signature = delta.signature;
        break;
      case "input_json_delta":
        block.json += delta.partial_json;
        if (wire.type === "tool_use" && delta.partial_json !== "")
          yield this.#callDelta(index, wire, delta.partial_json);
        break;
      case "citations_delta":
        wire.citations = [...(Array.isArray(wire.citations) ? wire.citations : []), delta.citation as unknown as Json];
        break;
      default:
        extendUnknown(wire, delta);
    }
  }

  #finish(index: number): AssistantBlock {
    const { wire, json } = this.#block(index);
    this.#open.delete(index);
    switch (wire.type) {
      case "text":
        return { part: { type: "text", text: textOf(wire.text) ?? "" }, wire };
      case "thinking":
        return { part: { type: "thinking", text: textOf(wire.thinking) ?? "" }, wire };
      case "tool_use": {
        // Some gateways send the whole input in the first event and no pieces.
        const raw = json === "" && isRecord(wire.input) ? JSON.stringify(wire.input) : json;
        const part = toToolCall(this.#callId(wire), textOf(wire.name) ?? "", raw);
        return { part, wire: { ...wire, input: echoedInput(part) } };
      }
      case "compaction": {
        // It arrives whole, in its first event. Without content it is a failed one.
        const text = textOf(wire.content)?.trim() ?? "";
        this.#isCompacted = text !== "";
        return { part: text === "" ? { type: "opaque" } : { type: "text", text }, wire };
      }
      default:
        return { part: { type: "opaque" }, wire: json === "" ? wire : { ...wire, input: parseOrKeep(json) } };
    }
  }

  #done(): ModelEvent {
    if (this.#open.size > 0 || this.#stop === null)
      throw brokenStream(this.#endpoint, "it ends in the middle of a block or without a reason");
    const stop = this.#isCompacted ? "compacted" : (stops.get(this.#stop) ?? "end_turn");
    return {
      type: "done",
      stop,
      usage: addUsage(this.#usage, this.#compaction),
      ...(this.#detail === undefined ? {} : { detail: this.#detail }),
      ...(this.#responseId === undefined ? {} : { responseId: this.#responseId }),
      ...(this.#cacheMiss === undefined ? {} : { cacheMiss: this.#cacheMiss }),
    };
  }

  #note({ id, usage, diagnostics }: Message): void {
    this.#responseId = textOf(id) || undefined;
    // Gateways may leave out what the vendor always sends.
    this.#cacheMiss = textOf(diagnostics?.cache_miss_reason?.type);
    this.#count(usage);
  }

  #block(index: number): OpenBlock {
    const block = this.#open.get(index);
    if (block === undefined) throw brokenStream(this.#endpoint, `block ${index} goes on without having begun`);
    return block;
  }

  #callDelta(index: number, wire: OpenBlock["wire"], json: string): ModelEvent {
    return { type: "tool_call_delta", index, callId: this.#callId(wire), name: textOf(wire.name) ?? "", json };
  }

  #callId(wire: OpenBlock["wire"]): CallId {
    const id = textOf(wire.id);
    if (id === undefined || id === "") throw brokenStream(this.#endpoint, "a tool call has no id");
    return id as CallId;
  }

  /** Counts are cumulative and repeated: the last one said holds. `input_tokens` is what the cache did not take. */
  #count(usage: Message["usage"] | MessageDeltaUsage | undefined): void {
    if (!usage) return;
    const last = this.#usage;
    if ("iterations" in usage) this.#compaction = compactionUsage(usage.iterations);
    this.#usage = {
      inputTokens: usage.input_tokens ?? last.inputTokens,
      cacheReadTokens: usage.cache_read_input_tokens ?? last.cacheReadTokens,
      cacheWriteTokens: usage.cache_creation_input_tokens ?? last.cacheWriteTokens,
      outputTokens: usage.output_tokens ?? last.outputTokens,
      thinkingTokens: usage.output_tokens_details?.thinking_tokens ?? last.thinkingTokens,
      ...longWrites(usage, last),
    };
  }
}

/** The last counts of a stream do not repeat how long its writes are kept. */
function longWrites(usage: Message["usage"] | MessageDeltaUsage, last: Usage): Pick<Usage, "longCacheWriteTokens"> {
  const said = "cache_creation" in usage ? usage.cache_creation?.ephemeral_1h_input_tokens : undefined;
  const tokens = said ?? last.longCacheWriteTokens ?? 0;
  return tokens > 0 ? { longCacheWriteTokens: tokens } : {};
}

function compactionUsage(iterations: unknown): Usage {
  const entries = Array.isArray(iterations) ? iterations.filter(isRecord) : [];
  return entries
    .filter(({ type }) => type === "compaction")
    .map((entry) => ({
      ...noUsage,
      inputTokens: numberOf(entry.input_tokens) ?? 0,
      cacheReadTokens: numberOf(entry.cache_read_input_tokens) ?? 0,
      cacheWriteTokens: numberOf(entry.cache_creation_input_tokens) ?? 0,
      outputTokens: numberOf(entry.output_tokens) ?? 0,
    }))
    .reduce(addUsage, noUsage);
}

const stops: ReadonlyMap<string, ModelStop> = new Map([
  ["end_turn", "end_turn"],
  ["stop_sequence", "end_turn"],
  ["tool_use", "tool_calls"],
  ["max_tokens", "max_tokens"],
  ["pause_turn", "pause"],
  ["refusal", "refusal"],
  ["model_context_window_exceeded", "context_overflow"],
]);

function describeRefusal(details: unknown): string | undefined {
  if (!isRecord(details)) return undefined;
  return textOf(details.explanation) ?? textOf(details.category);
}

/** Text of a kind of delta that is newer than this file is appended to the field of the same name, as in all others. */
function extendUnknown(wire: { [key: string]: Json }, delta: unknown): void {
  if (!isRecord(delta)) return;
  for (const [key, value] of Object.entries(delta)) {
    if (key === "type") continue;
    const before = wire[key];
    wire[key] = typeof before === "string" && typeof value === "string" ? before + value : (value as Json);
  }
}

function parseOrKeep(json: string): Json {
  try {
    return JSON.parse(json) as Json;
  } catch {
    return { INVALID_JSON: json };
  }
}
