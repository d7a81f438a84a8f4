/**
 * Lists of models, in each vendor's shape, and the little that identifies an Ollama server.
 *
 * Not here: whether a request's model exists (`refusals.ts`). Easily got wrong: Anthropic and OpenAI share the path
 * `/v1/models`; the `anthropic-version` header tells which is asked.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Json } from "../../../server/src/protocol/types.ts";
import { asText, isObject } from "./json.ts";

/** What decides the answer: see `DoubleOptions`. */
export interface ModelListOptions {
  readonly models?: readonly string[];
  readonly contextWindow?: number;
}

/** Answers every path that is neither a model request nor the control interface. */
export function answerModels(
  path: string,
  headers: IncomingHttpHeaders,
  body: Json | undefined,
  options: ModelListOptions,
): { status: number; body: Json } {
  const anthropic = headers["anthropic-version"] !== undefined;
  const models =
    options.models ?? (anthropic ? ["claude-opus-5-5", "claude-haiku-5-5"] : ["gpt-6.1-sol", "gpt-6-luna"]);
  const window = options.contextWindow ?? 1_000_000;
  if (path === "/v1/models") return ok(anthropic ? anthropicList(models, window) : openaiList(models));
  const one = /^\/v1\/models\/(.+)$/.exec(path)?.[1];
  if (one !== undefined && models.includes(one)) return ok(anthropic ? anthropicModel(one, window) : openaiModel(one));
  if (path === "/api/tags") return ok({ models: models.map((name) => ({ name, model: name, size: 4_000_000_000 })) });
  if (path === "/api/show" && isObject(body) && models.includes(asText(body.model ?? body.name))) {
    const info = { "general.architecture": "llama", "llama.context_length": window };
    return ok({ capabilities: ["completion", "tools"], details: { family: "llama" }, model_info: info });
  }
  if (path === "/api/version") return ok({ version: "0.14.0" });
  const message = `Model double: nothing is served at ${path}.`;
  return { status: 404, body: { type: "error", error: { type: "not_found_error", message, code: null, param: null } } };
}

function ok(body: Json): { status: number; body: Json } {
  return { status: 200, body };
}

function anthropicList(models: readonly string[], window: number): Json {
  return {
    data: models.map((id) => anthropicModel(id, window)),
    first_id: models[0] ?? null,
    last_id: models.at(-1) ?? null,
    has_more: false,
  };
}

function anthropicModel(id: string, window: number): Json {
  return {
    id,
    type: "model",
    display_name: id,
    created_at: "2026-09-01T00:00:00Z",
    deprecated_at: null,
    retires_at: null,
    lifecycle: "active",
    line: null,
    capabilities: null,
    max_input_tokens: window,
    max_tokens: 128_000,
  };
}

function openaiList(models: readonly string[]): Json {
  return { object: "list", data: models.map(openaiModel) };
}

function openaiModel(id: string): Json {
  return { id, object: "model", created: 1_788_220_800, owned_by: "double" };
}
