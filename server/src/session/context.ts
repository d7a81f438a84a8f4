/**
 * Builds a model request from session state: sections in order of stability (tools, system, history).
 *
 * Not here: where the vendor's cache breakpoints go (each provider places them) or compaction. Easily got wrong: the
 * same state must give the same request, byte for byte, and a later state must only append to it.
 */
import type { ModelRequest, RequestAccount } from "../model/provider.ts";
import type { ModelSpec, ToolSpec } from "../protocol/types.ts";
import { messagesOf, type SessionState } from "./reduce.ts";
import { previousResponse } from "./requestLedger.ts";

/** The request for the next step. `tools` must be in a stable order. */
export function buildRequest(
  state: SessionState,
  model: ModelSpec,
  tools: readonly ToolSpec[],
  account: RequestAccount,
): ModelRequest {
  const messages = messagesOf(state);
  return {
    model,
    system: state.system ?? "",
    tools,
    messages,
    maxOutputTokens: Math.min(model.maxOutputTokens, Math.floor(model.contextTokens / 2)),
    cacheKey: `hermes-${state.sessionId ?? "none"}`,
    previousResponseId: previousResponse(state.ledger, { model, messages }),
    ...(state.ledger.pauses ? { pauses: true } : {}),
    account,
  };
}
