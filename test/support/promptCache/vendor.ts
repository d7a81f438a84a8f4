/**
 * The three vendors in this process: the real wire formats' requests, checked and cached as the model double does over HTTP,
 * answered without a socket or an SDK, so that ten thousand turns take a minute.
 *
 * Not here: reading streams (the provider contract has that). Easily got wrong: what a request writes to the cache can be
 * read only by requests after its answer began.
 */
import type { Clock } from "../../../server/src/base/async.ts";
import { ProviderError } from "../../../server/src/base/errors.ts";
import { anthropicHeaders, toAnthropicRequest } from "../../../server/src/model/anthropicRequest.ts";
import { toChatRequest } from "../../../server/src/model/openaiChat.ts";
import { toResponsesRequest } from "../../../server/src/model/openaiResponses.ts";
import type { ModelEvent, ModelRequest, ModelStop, Provider } from "../../../server/src/model/provider.ts";
import type { AssistantBlock, CallId, Json, ModelApi, Usage } from "../../../server/src/protocol/types.ts";
import { type Answer, type AnswerBlock, buildAnswer } from "../double/answer.ts";
import { anthropicWire } from "../double/anthropicWire.ts";
import { chatWire } from "../double/chatWire.ts";
import { asCompaction, asksToCompact } from "../double/compaction.ts";
import { type Conversation, noteAnswer } from "../double/conversations.ts";
import { diagnose } from "../double/diagnostics.ts";
import { checkRequest } from "../double/invariants.ts";
import type { RecordedRequest } from "../double/journal.ts";
import { asList, asText, isObject, type JsonObject } from "../double/json.ts";
import { Memory } from "../double/memory.ts";
import { type CacheShare, PrefixCache } from "../double/prefixCache.ts";
import { type Api, readRequest } from "../double/read.ts";
import { refuseRequest } from "../double/refusals.ts";
import { responsesWire } from "../double/responsesWire.ts";
import { type FullStep, readStep, type Step } from "../double/script.ts";
import { outputTokens, type Wire } from "../double/wire.ts";

/** What a model answers, and where its stream is cut: after so many blocks. */
export interface VendorStep {
  readonly step: Step;
  readonly cutAfter?: number;
}

/** A request as it went over the wire, and what the cache did for it. */
export interface Asked {
  readonly request: ModelRequest;
  readonly record: RecordedRequest;
  readonly share: CacheShare;
  readonly at: number;
}

const apis: { readonly [api in ModelApi]?: Api } = {
  "anthropic-messages": "anthropic",
  "openai-responses": "responses",
  "openai-chat": "chat",
};
const wires: Readonly<Record<Api, Wire>> = { anthropic: anthropicWire, responses: responsesWire, chat: chatWire };

/** All vendors of one conversation. */
export class Vendor implements Provider {
  readonly asked: Asked[] = [];
  /** Broken rules and refusals, in words. */
  readonly wrong: string[] = [];
  /** What is answered next, in order. */
  readonly steps: VendorStep[] = [];
  /** What a client says that it has changed on purpose, for the next request. */
  changed = "";
  readonly #clock: Clock;
  readonly #memory = new Memory();
  readonly #cache: PrefixCache;
  readonly #conversation = conversationOf(undefined);

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#cache = new PrefixCache(clock.now);
  }

  /** The next request goes back to right before the prompt that holds this text. */
  rewindTo(prompt: string): void {
    this.#conversation.rewindTo = prompt;
  }

  async *stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent> {
    signal.throwIfAborted();
    const record = this.#record(request);
    const isWarmUp = request.maxOutputTokens === 0;
    const isAside = isWarmUp || request.account.purpose !== "turn";
    const { wrong } = this;
    const conversation = isAside ? conversationOf(this.#conversation) : this.#conversation;
    for (const { rule, message } of isWarmUp ? [] : checkRequest(record, conversation, this.#memory, { strict: true }))
      wrong.push(`${rule} at request ${record.ordinal}: ${message}`);
    const refusal = refuseRequest(record, this.#memory, {});
    if (refusal) {
      wrong.push(`refused at request ${record.ordinal}: ${refusal.message}`);
      throw new ProviderError(refusal.message, { kind: "badRequest", status: 400 });
    }
    const share = this.#share(record);
    this.asked.push({ request, record, share, at: this.#clock.now() });
    yield* this.#answer(record, share, isAside, this.#next(request));
  }

  #next({ maxOutputTokens, account }: ModelRequest): VendorStep {
    if (maxOutputTokens === 0) return { step: { stop: "max_tokens" } };
    if (account.purpose !== "turn") return { step: { say: "What was said so far, in short." } };
    return this.steps.shift() ?? { step: { say: "Done." } };
  }

  *#answer(record: RecordedRequest, share: CacheShare, isAside: boolean, next: VendorStep): Generator<ModelEvent> {
    const step = readStep(next.step, record);
    const built = buildAnswer(step, record.api, `vendor/${record.ordinal}`, []);
    const answer = asksToCompact(record.api, record.json ?? {}) ? asCompaction(built, step) : built;
    const usage = usageOf(step, answer, share);
    record.messageId = answer.id;
    const diagnosis = diagnose(record, this.#memory);
    const wire = wires[record.api];
    this.#memory.sent({ api: record.api, answer, request: record }, wire.echo(answer));
    share.commit();
    if (!isAside) {
      this.#conversation.last = record;
      noteAnswer(this.#conversation, answer);
    }
    const blocks = toBlocks(record.api, answer, wire.echo(answer));
    for (const [index, block] of blocks.entries()) {
      if (index === next.cutAfter) break;
      yield { type: "block_done", index, block };
    }
    if (next.cutAfter !== undefined) {
      record.outcome = "fault";
      throw new ProviderError("The answer was cut.", { kind: "network" });
    }
    record.outcome = "complete";
    record.usage = {
      input: share.input,
      cacheRead: share.read,
      cacheWrite: share.write,
      cacheWriteLong: share.writeLong,
      ...outputTokens(answer),
    };
    const miss = missOf(diagnosis);
    const stop = { tool_use: "tool_calls", compaction: "compacted" }[String(answer.stop)] ?? "end_turn";
    yield {
      type: "done",
      stop: stop as ModelStop,
      usage,
      responseId: answer.id,
      ...(miss === undefined ? {} : { cacheMiss: miss }),
    };
  }

  #record(request: ModelRequest): RecordedRequest {
    const api = apis[request.model.api] ?? "chat";
    const body = Buffer.from(JSON.stringify(bodyOf(api, request)));
    const json: JsonObject = JSON.parse(body.toString());
    const headers = {
      "anthropic-version": "2026-10-21",
      "x-hermes-changed": this.changed,
      ...(api === "anthropic" ? anthropicHeaders(request) : {}),
    };
    if (request.maxOutputTokens > 0 && request.account.purpose === "turn") this.changed = "";
    return {
      ordinal: this.asked.length,
      api,
      method: "POST",
      path: "",
      headers,
      body,
      json,
      view: readRequest(api, json),
      model: request.model.wireId,
      receivedAt: this.#clock.now(),
      conversation: "one",
      step: 0,
      attempt: 0,
      aside: false,
      status: 200,
      outcome: "pending",
      firstByteAt: undefined,
      sentAt: [],
      endedAt: undefined,
      usage: undefined,
      messageId: undefined,
    };
  }

  #share({ api, json = {} }: RecordedRequest): CacheShare {
    if (api === "anthropic") return this.#cache.anthropic(json);
    return this.#cache.openai(json, asList(api === "chat" ? json.messages : json.input));
  }
}

/** A conversation that nothing was sent in yet; of requests that only begin with another's history, one each. */
function conversationOf(parent: Conversation | undefined): Conversation {
  return {
    key: "one",
    script: { steps: [], repeatLast: false } as unknown as Conversation["script"],
    firstUser: "",
    cacheKey: undefined,
    parent,
    forks: parent !== undefined,
    callIds: new Set(),
    lastText: "",
    last: undefined,
    rewindTo: undefined,
    returns: false,
    superseded: [],
  };
}

/** The body of a request as the real provider writes it. */
function bodyOf(api: Api, request: ModelRequest): object {
  return { anthropic: toAnthropicRequest, responses: toResponsesRequest, chat: toChatRequest }[api](request);
}

function usageOf(_step: FullStep, answer: Answer, share: CacheShare): Usage {
  const { output, thinking } = outputTokens(answer);
  return {
    inputTokens: share.input,
    cacheReadTokens: share.read,
    cacheWriteTokens: share.write,
    ...(share.writeLong > 0 ? { longCacheWriteTokens: share.writeLong } : {}),
    outputTokens: output,
    thinkingTokens: thinking,
  };
}

/** Blocks as the real reader of the format makes them: each with the vendor's own form of it. */
function toBlocks(api: Api, answer: Answer, echo: readonly Json[]): AssistantBlock[] {
  const [message] = echo;
  let calls = 0;
  return answer.blocks.map((block, index) => {
    const part = partOf(api, block);
    if (api !== "chat") return { part, wire: echo[index] ?? null };
    if (part.type === "thinking") return { part, wire: { reasoning_content: part.text } };
    if (part.type !== "tool_call") return { part };
    return { part, wire: asList(isObject(message) ? message.tool_calls : [])[calls++] ?? null };
  });
}

function partOf(api: Api, block: AnswerBlock): AssistantBlock["part"] {
  switch (block.type) {
    case "text":
    case "thinking":
      return { type: block.type, text: block.text };
    case "redacted":
      return { type: "opaque" };
    case "compaction":
      // Nobody but OpenAI can read its own.
      return block.text === null || api !== "anthropic" ? { type: "opaque" } : { type: "text", text: block.text };
    case "call":
      return { type: "tool_call", callId: block.callId as CallId, name: block.name, input: block.input ?? null };
  }
}

function missOf(diagnosis: Json): string | undefined {
  if (!isObject(diagnosis)) return undefined;
  const { cache_miss_reason: reason, type } = diagnosis;
  if (isObject(reason)) return asText(reason.type);
  return type === undefined || type === "cache_hit" ? undefined : asText(diagnosis.reason ?? type);
}
