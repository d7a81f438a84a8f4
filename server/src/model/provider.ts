/**
 * The one interface to a model, and what goes through it. Decorators take a `Provider` and return a `Provider`.
 *
 * Not here: any vendor's wire format, retries, caching. Easily got wrong: `block_done` for a tool call arrives as soon
 * as that call's own arguments are complete, while the model may still be talking; callers may run it at once.
 */
import type {
  AssistantBlock,
  CallId,
  ModelApi,
  ModelSpec,
  PromptPart,
  SessionId,
  ToolResult,
  ToolSpec,
  TurnId,
  Usage,
} from "../protocol/types.ts";

/** One message of the conversation as a provider is given it; calls are always followed by all of their results. */
export type ModelMessage =
  | { readonly role: "user"; readonly parts: readonly PromptPart[] }
  /** `api` says whose `wire` the blocks carry: echo it to the same API, translate the parts for any other. */
  | { readonly role: "assistant"; readonly api: ModelApi; readonly blocks: readonly AssistantBlock[] }
  /** Results in the order of the calls they answer, whatever order they finished in. */
  | { readonly role: "tool"; readonly results: readonly ToolResult[] };

/** Whose a request is and what it is for; never sent. */
export interface RequestAccount {
  readonly sessionId: SessionId;
  readonly turnId: TurnId;
  readonly purpose: "turn" | "title" | "summary" | "warm_up";
}

/** Everything one request to a model holds. The same request gives the same bytes on the wire. */
export interface ModelRequest {
  readonly model: ModelSpec;
  readonly system: string;
  /** Sorted by name. */
  readonly tools: readonly ToolSpec[];
  readonly messages: readonly ModelMessage[];
  /** 0 asks for no answer: the prompt is put into the vendor's prompt cache, and that is all. */
  readonly maxOutputTokens: number;
  /** Asks the vendor for a compaction of the messages in place of an answer; only for models that have it (`compacts`). */
  readonly compaction?: { readonly instructions?: string };
  /** One stable value for a conversation: OpenAI routes its prompt cache by it. */
  readonly cacheKey: string;
  /**
   * The response that the vendor is to compare this request with, to say why it could not read all of it from its prompt
   * cache; `null` before the first. Absent: it is not asked.
   */
  readonly previousResponseId?: string | null;
  /** The user comes back to this conversation after pauses that short-lived cache entries do not outlive. */
  readonly pauses?: boolean;
  readonly account: RequestAccount;
}

/** Why a model stopped answering. `compacted`: the one block of the answer stands for all messages of the request. */
export type ModelStop =
  | "end_turn"
  | "tool_calls"
  | "max_tokens"
  | "refusal"
  | "context_overflow"
  | "pause"
  | "compacted";

/** What a stream yields. `index` counts the blocks of this answer from 0, in the order in which they began. */
export type ModelEvent =
  | { readonly type: "text_delta"; readonly index: number; readonly text: string }
  | { readonly type: "thinking_delta"; readonly index: number; readonly text: string }
  | {
      readonly type: "tool_call_delta";
      readonly index: number;
      readonly callId: CallId;
      readonly name: string;
      /** The next piece of the arguments' JSON text; empty in the first, which announces the call. */
      readonly json: string;
    }
  /**
   * A block is complete. Its `wire` holds the vendor's own form of this block alone (an Anthropic content block, a
   * Responses output item); a provider rebuilds the vendor's message from the blocks in order.
   */
  | { readonly type: "block_done"; readonly index: number; readonly block: AssistantBlock }
  /** Sent by `retry.ts` while it waits, so that a person can see why nothing happens. `untilAt` in ms since the epoch. */
  | { readonly type: "retry"; readonly attempt: number; readonly untilAt: number; readonly reason: string }
  | {
      readonly type: "done";
      readonly stop: ModelStop;
      readonly usage: Usage;
      /** What a refusal said, where the vendor says it. */
      readonly detail?: string;
      /** The vendor's name of the response, where it has one. */
      readonly responseId?: string;
      /** Why the prompt could not be read from the cache, in the vendor's word, where it was asked and says so. */
      readonly cacheMiss?: string;
    };

/** Streams one answer of a model. */
export interface Provider {
  /**
   * Yields events and ends after exactly one `done`, or throws `ProviderError`. Aborting `signal` ends the iteration
   * with an abort error and closes the socket; so does leaving the loop early.
   */
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent>;
}

/** Wraps a `Provider` in another. */
export type ProviderDecorator = (next: Provider) => Provider;

/** Applies decorators so that the first one given is the outermost. */
export function compose(provider: Provider, ...decorators: readonly ProviderDecorator[]): Provider {
  return decorators.reduceRight((next, decorate) => decorate(next), provider);
}
