/**
 * A `Provider` that plays lists of events, for tests of the loop that need no wire format.
 *
 * Not here: HTTP; the model double has that. Easily got wrong: a step that throws does so after its events were taken.
 */
import type { ModelEvent, ModelRequest, Provider } from "../../server/src/model/provider.ts";
import type { CallId, Usage } from "../../server/src/protocol/types.ts";

/** What one request is answered with: events, then an end that throws, where there is one. */
export interface ScriptedStep {
  readonly events: readonly ModelEvent[];
  readonly throws?: unknown;
  /** Awaited before the events are given, so that a test can act while the request is open. */
  readonly gate?: (signal: AbortSignal) => Promise<void>;
}

/** Plays steps in order and keeps the requests. Throws when it is asked more often than there are steps. */
export function createScriptedProvider(
  steps: readonly ScriptedStep[],
): Provider & { readonly requests: ModelRequest[] } {
  const requests: ModelRequest[] = [];
  return {
    requests,
    async *stream(request, signal) {
      const step = steps[requests.length];
      requests.push(request);
      if (!step) throw new Error(`The script has ${steps.length} steps; this is request ${requests.length}.`);
      for (const event of step.events) {
        signal.throwIfAborted();
        yield event;
      }
      await step.gate?.(signal);
      signal.throwIfAborted();
      if (step.throws !== undefined) throw step.throws;
    },
  };
}

/** A usage of `inputTokens` and one generated token. */
export function usageOf(inputTokens: number): Usage {
  return { inputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 1, thinkingTokens: 0 };
}

/** A text block: its delta, then itself. */
export function textBlock(index: number, text: string): readonly ModelEvent[] {
  return [
    { type: "text_delta", index, text },
    { type: "block_done", index, block: { part: { type: "text", text } } },
  ];
}

/** A complete tool call. */
export function callBlock(index: number, callId: string, name: string, input: object): readonly ModelEvent[] {
  const part = { type: "tool_call", callId: callId as CallId, name, input: input as never } as const;
  return [{ type: "block_done", index, block: { part } }];
}

/** The end of an answer. */
export function done(
  stop: "end_turn" | "tool_calls" | "max_tokens" | "refusal" | "pause" | "context_overflow",
): ModelEvent {
  return { type: "done", stop, usage: usageOf(10) };
}
