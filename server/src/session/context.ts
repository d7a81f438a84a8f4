/**
 * Builds a model request from session state: sections in order of stability (tools, system, history).
 *
 * Not here: where the vendor's cache breakpoints go (each provider places them) or compaction. Easily got wrong: the
 * same state must give the same request, byte for byte, and a later state must only append to it.
 */
import type { ModelMessage, ModelRequest, RequestAccount } from "../model/provider.ts";
import type { ModelSpec, ToolSpec } from "../protocol/types.ts";
import { messagesOf, type SessionState } from "./reduce.ts";

/** The request for the next step. `tools` must be in a stable order. */
export function buildRequest(
  state: SessionState,
  model: ModelSpec,
  tools: readonly ToolSpec[],
  account: RequestAccount,
): ModelRequest {
  return {
    model,
    system: state.system ?? "",
    tools,
    messages: readableBy(model, state),
    maxOutputTokens: Math.min(model.maxOutputTokens, Math.floor(model.contextTokens / 2)),
    cacheKey: `hermes-${state.sessionId ?? "none"}`,
    account,
  };
}

/** A model that knows nothing of its vendor's compaction is given what can be read of one. */
function readableBy(model: ModelSpec, state: SessionState): readonly ModelMessage[] {
  const messages = messagesOf(state);
  const [first, ...rest] = messages;
  if (model.compacts || state.compactions.length === 0 || first?.role !== "assistant") return messages;
  return [{ ...first, blocks: first.blocks.map(({ part }) => ({ part })) }, ...rest];
}
