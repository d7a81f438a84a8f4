/**
 * The OpenAI Responses format: stream events, whole responses and errors, as `openai` 7 types them.
 *
 * Not here: checking requests. Easily got wrong: every event counts up `sequence_number`, `encrypted_content` is whole
 * only in `output_item.done`, and `input_tokens` is the total, cached tokens included.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import type { Action, Answer, AnswerBlock } from "./answer.ts";
import { type JsonObject, tokensOf } from "./json.ts";
import { openaiErrors, failure as openaiFailure } from "./openaiErrors.ts";
import { type Frame, type Reply, sse, type Wire } from "./wire.ts";

/** The Responses wire format. */
export const responsesWire: Wire = {
  frames,
  message: (answer, reply) => response(answer, reply, finalStatus(answer)),
  echo: (answer) => answer.blocks.map((block) => item(block, answer, "completed")),
  failure: (kind, message) => openaiFailure(kind, message),
  errorEvent: (kind) => {
    const [, , code, message] = openaiErrors[kind];
    return sse("error", { type: "error", code, message, param: null, sequence_number: 9999 });
  },
  ping: ": ping\n\n",
  unknown: sse("response.future_event", { type: "response.future_event", sequence_number: 9998 }),
};

type Emit = (type: string, payload: JsonObject, tokens?: number, after?: readonly Action[]) => Frame;

function frames(answer: Answer, reply: Reply): Frame[] {
  let sequence = 0;
  const emit: Emit = (type, payload, tokens = 0, after = []) => {
    const text = sse(type, { type, ...payload, sequence_number: sequence });
    sequence += 1;
    return { text, tokens, after };
  };
  const out = [
    emit("response.created", { response: response(answer, reply, "in_progress") }),
    emit("response.in_progress", { response: response(answer, reply, "in_progress") }),
  ];
  for (const [index, block] of answer.blocks.entries()) out.push(...blockFrames(emit, index, block, answer));
  const status = finalStatus(answer);
  out.push({ ...emit(`response.${status}`, { response: response(answer, reply, status) }), closing: true });
  return out;
}

function blockFrames(emit: Emit, output_index: number, block: AnswerBlock, answer: Answer): Frame[] {
  const added = emit("response.output_item.added", { output_index, item: item(block, answer, "in_progress") });
  const inner = innerFrames(emit, { output_index, item_id: block.id }, block, answer);
  const after = block.type === "call" ? block.after : [];
  const done = emit("response.output_item.done", { output_index, item: item(block, answer, "completed") }, 0, after);
  return [added, ...inner, done];
}

function innerFrames(emit: Emit, where: JsonObject, block: AnswerBlock, answer: Answer): Frame[] {
  switch (block.type) {
    case "redacted":
      return [];
    case "compaction":
      return [emit("response.compaction.compacting", where)];
    case "thinking": {
      const at = { ...where, summary_index: 0 };
      const name = "response.reasoning_summary";
      return [
        emit(`${name}_part.added`, { ...at, part: { type: "summary_text", text: "" } }),
        ...block.pieces.map((piece) =>
          emit(`${name}_text.delta`, { ...at, delta: piece.text }, tokensOf(piece.text), piece.after),
        ),
        emit(`${name}_text.done`, { ...at, text: block.text }),
        emit(`${name}_part.done`, { ...at, part: { type: "summary_text", text: block.text } }),
      ];
    }
    case "text": {
      const at = { ...where, content_index: 0 };
      const refusal = answer.stop === "refusal";
      const name = refusal ? "response.refusal" : "response.output_text";
      const extra = refusal ? {} : { logprobs: [] };
      return [
        emit("response.content_part.added", { ...at, part: textPart("", refusal) }),
        ...block.pieces.map((piece) =>
          emit(`${name}.delta`, { ...at, delta: piece.text, ...extra }, tokensOf(piece.text), piece.after),
        ),
        emit(`${name}.done`, { ...at, ...(refusal ? { refusal: block.text } : { text: block.text }), ...extra }),
        emit("response.content_part.done", { ...at, part: textPart(block.text, refusal) }),
      ];
    }
    case "call":
      return [
        ...block.pieces.map((piece) =>
          emit(
            "response.function_call_arguments.delta",
            { ...where, delta: piece.text },
            tokensOf(piece.text),
            piece.after,
          ),
        ),
        emit("response.function_call_arguments.done", { ...where, name: block.name, arguments: block.arguments }),
      ];
  }
}

function textPart(text: string, refusal: boolean): Json {
  return refusal ? { type: "refusal", refusal: text } : { type: "output_text", annotations: [], logprobs: [], text };
}

function item(block: AnswerBlock, answer: Answer, status: "in_progress" | "completed"): Json {
  const done = status === "completed";
  const cut = done && answer.stop === "max_tokens" && block === answer.blocks.at(-1) ? "incomplete" : status;
  switch (block.type) {
    case "redacted":
      return { id: block.id, type: "reasoning", encrypted_content: done ? block.opaque : "", summary: [] };
    case "compaction":
      return { id: block.id, type: "compaction", encrypted_content: done && block.text !== null ? block.opaque : "" };
    case "thinking": {
      const summary = done ? [{ type: "summary_text", text: block.text }] : [];
      return { id: block.id, type: "reasoning", encrypted_content: done ? block.opaque : "", summary };
    }
    case "text": {
      const content = done ? [textPart(block.text, answer.stop === "refusal")] : [];
      const phase = answer.blocks.some((other) => other.type === "call") ? "commentary" : "final_answer";
      return { id: block.id, type: "message", status: cut, content, phase, role: "assistant" };
    }
    case "call": {
      const text = done ? block.arguments : "";
      return {
        id: block.id,
        type: "function_call",
        status: cut,
        arguments: text,
        call_id: block.callId,
        name: block.name,
      };
    }
  }
}

function finalStatus(answer: Answer): "completed" | "incomplete" {
  return answer.stop === "max_tokens" || answer.stop === "context_window" ? "incomplete" : "completed";
}

function response(answer: Answer, reply: Reply, status: "in_progress" | "completed" | "incomplete"): Json {
  const { body, usage } = reply;
  const done = status !== "in_progress";
  return {
    id: answer.id,
    object: "response",
    created_at: reply.created,
    status,
    access_programs: null,
    background: false,
    completed_at: done ? reply.created : null,
    error: null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: reply.model,
    output: done ? answer.blocks.map((block) => item(block, answer, "completed")) : [],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    ...(done && reply.diagnostics !== null ? { prompt_cache_diagnostics: reply.diagnostics } : {}),
    reasoning: body.reasoning ?? { effort: "medium", summary: null },
    service_tier: "default",
    store: body.store ?? true,
    temperature: null,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: body.tools ?? [],
    top_p: null,
    truncation: "disabled",
    usage: done ? usageOf(usage) : null,
    metadata: {},
  };
}

function usageOf(usage: Reply["usage"]): Json {
  const input = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite,
      cache_write_tokens_details: {
        ttl_30m_tokens: usage.cacheWrite - usage.cacheWriteLong,
        ttl_12h_tokens: usage.cacheWriteLong,
      },
    },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.thinking },
    total_tokens: input + usage.output,
  };
}
