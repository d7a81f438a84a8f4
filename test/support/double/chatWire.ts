/**
 * The OpenAI Chat Completions format, as `openai` 7 types it and as compatible local servers speak it.
 *
 * Not here: checking requests. Easily got wrong: the usage chunk comes last, with no choices, and only when the request
 * asked for it; thinking travels as `reasoning_content`, which is no official field but what local servers send.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import type { Action, Answer } from "./answer.ts";
import { isObject, type JsonObject, tokensOf } from "./json.ts";
import { errorBody, failure } from "./openaiErrors.ts";
import { type Frame, type Reply, sse, type Wire } from "./wire.ts";

const stops: Readonly<Record<Answer["stop"], string>> = {
  end_turn: "stop",
  tool_use: "tool_calls",
  max_tokens: "length",
  stop_sequence: "stop",
  refusal: "content_filter",
  pause_turn: "stop",
  context_window: "length",
  compaction: "stop",
};

/** The Chat Completions wire format. */
export const chatWire: Wire = {
  frames,
  message: (answer, reply) => ({
    ...envelope(answer, reply, "chat.completion"),
    choices: [{ index: 0, message: message(answer), logprobs: null, finish_reason: stops[answer.stop] }],
    usage: usageOf(reply),
  }),
  echo: (answer) => [message(answer)],
  failure: (kind, text) => failure(kind, text),
  errorEvent: (kind) => sse(undefined, errorBody(kind)),
  ping: ": ping\n\n",
  unknown: sse(undefined, { object: "chat.completion.future", choices: [] }),
};

function frames(answer: Answer, reply: Reply): Frame[] {
  const head = envelope(answer, reply, "chat.completion.chunk");
  const wantsUsage = isObject(reply.body.stream_options) && reply.body.stream_options.include_usage === true;
  const chunk = (
    delta: JsonObject,
    tokens = 0,
    after: readonly Action[] = [],
    finish: string | null = null,
  ): Frame => ({
    text: sse(undefined, {
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(wantsUsage ? { usage: null } : {}),
    }),
    tokens,
    after,
  });
  const out = [chunk({ role: "assistant", content: "", refusal: null })];
  let index = 0;
  for (const block of answer.blocks) {
    if (block.type === "redacted" || block.type === "compaction") continue;
    if (block.type === "call") {
      out.push(...callChunks(chunk, index, block));
      index += 1;
      continue;
    }
    const field = block.type === "thinking" ? "reasoning_content" : answer.stop === "refusal" ? "refusal" : "content";
    for (const piece of block.pieces)
      if (piece.text !== "" || piece.after.length > 0)
        out.push(chunk({ [field]: piece.text }, tokensOf(piece.text), piece.after));
  }
  out.push({ ...chunk({}, 0, [], stops[answer.stop]), closing: true });
  if (wantsUsage)
    out.push({ text: sse(undefined, { ...head, choices: [], usage: usageOf(reply) }), tokens: 0, after: [] });
  out.push({ text: "data: [DONE]\n\n", tokens: 0, after: [] });
  return out;
}

type CallBlock = Extract<Answer["blocks"][number], { type: "call" }>;

function callChunks(
  chunk: (delta: JsonObject, tokens?: number, after?: readonly Action[]) => Frame,
  index: number,
  block: CallBlock,
): Frame[] {
  const [first, ...rest] = block.pieces;
  const empty = first?.text === "";
  const pieces = empty ? rest : block.pieces;
  const start = { index, id: block.callId, type: "function", function: { name: block.name, arguments: "" } };
  const ending = (last: boolean) => (last ? block.after : []);
  return [
    chunk({ tool_calls: [start] }, tokensOf(block.name), [
      ...(empty ? first.after : []),
      ...ending(pieces.length === 0),
    ]),
    ...pieces.map((piece, at) =>
      chunk({ tool_calls: [{ index, function: { arguments: piece.text } }] }, tokensOf(piece.text), [
        ...piece.after,
        ...ending(at === pieces.length - 1),
      ]),
    ),
  ];
}

function message(answer: Answer): Json {
  const join = (type: "text" | "thinking") =>
    answer.blocks.flatMap((block) => (block.type === type ? [block.text] : [])).join("");
  const refused = answer.stop === "refusal";
  const calls = answer.blocks.flatMap((block) =>
    block.type === "call"
      ? [{ id: block.callId, type: "function", function: { name: block.name, arguments: block.arguments } }]
      : [],
  );
  const thinking = join("thinking");
  const text = join("text");
  return {
    role: "assistant",
    content: refused || text === "" ? null : text,
    refusal: refused ? text : null,
    ...(thinking === "" ? {} : { reasoning_content: thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

function envelope(answer: Answer, reply: Reply, object: string): { [key: string]: Json } {
  return {
    id: answer.id,
    object,
    created: reply.created,
    model: reply.model,
    service_tier: "default",
    system_fingerprint: "fp_double",
  };
}

function usageOf(reply: Reply): Json {
  const { usage } = reply;
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: usage.thinking },
  };
}
