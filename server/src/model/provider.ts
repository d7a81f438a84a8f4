/**
 * The one interface to a model, and what goes through it. Decorators take a `Provider` and return a `Provider`.
 *
 * Not here: any vendor's wire format, retries, caching. Easily got wrong: `part_done` for a tool call arrives as soon
 * as that call's own arguments are complete, while the model may still be talking; callers may run it at once.
 */
import type {
  AssistantPart,
  CallId,
  ModelSpec,
  PromptPart,
  ToolResult,
  ToolSpec,
  Usage,
  WireMessage,
} from "../protocol/types.ts";

/** One message of the conversation as a provider is given it; calls are always followed by all of their results. */
export type ModelMessage =
  | { readonly role: "user"; readonly parts: readonly PromptPart[] }
  | { readonly role: "assistant"; readonly parts: readonly AssistantPart[]; readonly wire?: WireMessage }
  /** Results in the order of the calls they answer, whatever order they finished in. */
  | { readonly role: "tool"; readonly results: readonly ToolResult[] };

/** Everything one request to a model holds. The same request gives the same bytes on the wire. */
export interface ModelRequest {
  readonly model: ModelSpec;
  readonly system: string;
  /** Sorted by name. */
  readonly tools: readonly ToolSpec[];
  readonly messages: readonly ModelMessage[];
  readonly maxOutputTokens: number;
  /** One stable value for a conversation: OpenAI routes its prompt cache by it. */
  readonly cacheKey: string;
}

/** Why a model stopped answering. */
export type ModelStop = "end_turn" | "tool_calls" | "max_tokens" | "refusal" | "context_overflow" | "pause";

/** What a stream yields. `part` counts the blocks of this answer from 0. */
export type ModelEvent =
  | { readonly type: "text_delta"; readonly part: number; readonly text: string }
  | { readonly type: "thinking_delta"; readonly part: number; readonly text: string }
  | {
      readonly type: "tool_call_delta";
      readonly part: number;
      readonly callId: CallId;
      readonly name: string;
      /** The next piece of the arguments' JSON text; empty in the first, which announces the call. */
      readonly json: string;
    }
  | { readonly type: "part_done"; readonly part: number; readonly value: AssistantPart; readonly wire?: WireMessage }
  /** Sent by `retry.ts` while it waits, so that a person can see why nothing happens. `untilAt` in ms since the epoch. */
  | { readonly type: "retry"; readonly attempt: number; readonly untilAt: number; readonly reason: string }
  | {
      readonly type: "done";
      readonly stop: ModelStop;
      readonly usage: Usage;
      /** The whole answer in the vendor's own form, to be echoed unchanged. */
      readonly wire: WireMessage;
      /** What a refusal said, where the vendor says it. */
      readonly detail?: string;
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
