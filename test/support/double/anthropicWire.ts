/**
 * The Anthropic Messages format: stream events, whole messages and errors, as `@anthropic-ai/sdk` 1.11 types them.
 *
 * Not here: checking requests. Easily got wrong: `message_delta` repeats the input and cache counts, and a call's
 * `content_block_start` has an empty `input`, which the deltas then spell out.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import type { Action, Answer, AnswerBlock } from "./answer.ts";
import { parseJson, tokensOf } from "./json.ts";
import { badGateway, type Failure, type FailureKind, type Frame, type Reply, sse, type Wire } from "./wire.ts";

const stops: Readonly<Record<Answer["stop"], string>> = {
  end_turn: "end_turn",
  tool_use: "tool_use",
  max_tokens: "max_tokens",
  stop_sequence: "stop_sequence",
  refusal: "refusal",
  pause_turn: "pause_turn",
  context_window: "model_context_window_exceeded",
  compaction: "compaction",
};

const failures: Readonly<Record<Exclude<FailureKind, "badGateway">, readonly [number, string, string]>> = {
  rateLimit: [
    429,
    "rate_limit_error",
    "This request would exceed your organization's rate limit of 400,000 input tokens per minute.",
  ],
  overloaded: [529, "overloaded_error", "Overloaded"],
  server: [500, "api_error", "Internal server error"],
  auth: [401, "authentication_error", "invalid x-api-key"],
  permission: [403, "permission_error", "Your API key does not have permission to use the specified resource."],
  notFound: [404, "not_found_error", "model: unknown-model"],
  contextOverflow: [400, "invalid_request_error", "prompt is too long: 1000001 tokens > 1000000 maximum"],
  badRequest: [400, "invalid_request_error", "Bad request"],
  tooLarge: [413, "request_too_large", "Request exceeds the maximum size"],
  timeout: [504, "timeout_error", "Request timed out"],
};

const requestId = "req_011CSHoEeqs5C35K2UUqR7Fy";

/** The Anthropic wire format. */
export const anthropicWire: Wire = {
  frames,
  message: (answer, reply) => ({
    ...envelope(answer, reply),
    content: wholeBlocks(answer),
    ...stopOf(answer),
    usage: usageOf(answer, reply, reply.usage.output),
  }),
  echo: wholeBlocks,
  failure,
  errorEvent: (kind) => sse("error", errorBody(kind)),
  ping: sse("ping", { type: "ping" }),
  unknown: sse("future_event", { type: "future_event", index: 0, note: "clients ignore what they do not know" }),
};

function frames(answer: Answer, reply: Reply): Frame[] {
  const start = { ...envelope(answer, reply), content: [], ...noStop, usage: usageOf(answer, reply, 1) };
  const out: Frame[] = [
    event("message_start", { message: start }),
    { text: sse("ping", { type: "ping" }), tokens: 0, after: [] },
  ];
  for (const [index, block] of answer.blocks.entries()) out.push(...blockFrames(index, block));
  const { thinking } = reply.usage;
  const total = totalOf(answer, reply.usage);
  const usage = {
    input_tokens: total.input,
    cache_creation_input_tokens: total.cacheWrite,
    cache_read_input_tokens: total.cacheRead,
    output_tokens: total.output,
    ...(answer.stop === "compaction" ? { iterations: [iterationOf(reply.usage)] } : {}),
    output_tokens_details: { thinking_tokens: thinking },
    server_tool_use: null,
  };
  out.push({ ...event("message_delta", { delta: { container: null, ...stopOf(answer) }, usage }), closing: true });
  out.push(event("message_stop", {}));
  return out;
}

function blockFrames(index: number, block: AnswerBlock): Frame[] {
  const start = (content_block: Json) => event("content_block_start", { index, content_block });
  const delta = (payload: Json, tokens: number, after: readonly Action[]) =>
    event("content_block_delta", { index, delta: payload }, tokens, after);
  const stop = (after: readonly Action[] = []) => event("content_block_stop", { index }, 0, after);
  switch (block.type) {
    case "redacted":
      return [start({ type: "redacted_thinking", data: block.opaque }), stop()];
    case "compaction":
      return [start(wholeBlock(block)), stop()];
    case "text":
      return [
        start({ citations: null, type: "text", text: "" }),
        ...sent(block.pieces).map((piece) =>
          delta({ type: "text_delta", text: piece.text }, tokensOf(piece.text), piece.after),
        ),
        stop(),
      ];
    case "thinking":
      return [
        start({ type: "thinking", thinking: "", signature: "" }),
        ...sent(block.pieces).map((piece) =>
          delta({ type: "thinking_delta", thinking: piece.text }, tokensOf(piece.text), piece.after),
        ),
        delta({ type: "signature_delta", signature: block.opaque }, 0, []),
        stop(),
      ];
    case "call":
      return [
        start({ type: "tool_use", id: block.callId, name: block.name, input: {}, caller: { type: "direct" } }),
        ...block.pieces.map((piece) =>
          delta({ type: "input_json_delta", partial_json: piece.text }, tokensOf(piece.text), piece.after),
        ),
        stop(block.after),
      ];
  }
}

function sent<T extends { readonly text: string; readonly after: readonly unknown[] }>(pieces: readonly T[]): T[] {
  return pieces.filter((piece) => piece.text !== "" || piece.after.length > 0);
}

function wholeBlocks(answer: Answer): Json[] {
  return answer.blocks.map(wholeBlock);
}

function wholeBlock(block: AnswerBlock): Json {
  switch (block.type) {
    case "redacted":
      return { type: "redacted_thinking", data: block.opaque };
    case "compaction":
      return { type: "compaction", content: block.text, encrypted_content: null, signature: block.opaque };
    case "text":
      return { citations: null, type: "text", text: block.text };
    case "thinking":
      return { type: "thinking", thinking: block.text, signature: block.opaque };
    case "call": {
      const input = block.input ?? parseJson(block.arguments) ?? {};
      return { type: "tool_use", id: block.callId, name: block.name, input, caller: { type: "direct" } };
    }
  }
}

const noStop = { stop_reason: null, stop_sequence: null, stop_details: null };

function stopOf(answer: Answer): { [key: string]: Json } {
  const details = { type: "refusal", category: null, explanation: answer.explanation ?? null };
  return { ...noStop, stop_reason: stops[answer.stop], stop_details: answer.stop === "refusal" ? details : null };
}

function envelope(answer: Answer, reply: Reply): { [key: string]: Json } {
  return {
    id: answer.id,
    type: "message",
    role: "assistant",
    model: reply.model,
    container: null,
    diagnostics: reply.diagnostics,
  };
}

/** What a compaction used is not in the totals, but in an iteration of its own. */
function totalOf(answer: Answer, usage: Reply["usage"]): Reply["usage"] {
  const nothing = { input: 0, cacheRead: 0, cacheWrite: 0, cacheWriteLong: 0, output: 0, thinking: 0 };
  return answer.stop === "compaction" ? nothing : usage;
}

function iterationOf(usage: Reply["usage"]): Json {
  return {
    type: "compaction",
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: null,
    output_tokens: usage.output,
  };
}

function usageOf(answer: Answer, reply: Reply, told: number): Json {
  const usage = totalOf(answer, reply.usage);
  const output = Math.min(told, usage.output);
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWrite - usage.cacheWriteLong,
      ephemeral_1h_input_tokens: usage.cacheWriteLong,
    },
    output_tokens: output,
    output_tokens_details: { thinking_tokens: Math.min(output, usage.thinking) },
    server_tool_use: null,
    service_tier: "standard",
    speed: reply.body.speed === "fast" ? "fast" : "standard",
    inference_geo: "not_available",
  };
}

function event(type: string, payload: { [key: string]: Json }, tokens = 0, after: readonly Action[] = []): Frame {
  return { text: sse(type, { type, ...payload }), tokens, after };
}

function failure(kind: FailureKind, message?: string): Failure {
  if (kind === "badGateway") return badGateway;
  const headers = { "content-type": "application/json", "request-id": requestId };
  return { status: failures[kind][0], headers, body: JSON.stringify(errorBody(kind, message)) };
}

function errorBody(kind: Exclude<FailureKind, "badGateway">, message?: string): Json {
  const [, type, text] = failures[kind];
  return { type: "error", error: { type, message: message ?? text }, request_id: requestId };
}
