/**
 * What users read when a request fails, by table of what the vendors and the network send.
 *
 * Not here: whether a real SDK error has this shape (the provider contract drives the real SDKs).
 */
import { describe, expect, test } from "vitest";
import type { ProviderErrorKind } from "../../../server/src/base/errors.ts";
import { type Endpoint, readRetryAfter, toProviderError } from "../../../server/src/model/failure.ts";

const key = "sk-ant-secret-0123456789";
const anthropic: Endpoint = {
  vendor: "Anthropic",
  host: "api.anthropic.com",
  model: "claude-x",
  local: false,
  secret: key,
};
const ollama: Endpoint = {
  vendor: "The model server at 127.0.0.1:11434",
  host: "127.0.0.1:11434",
  model: "qwen",
  local: true,
};

function apiError(status: number | undefined, body: unknown, headers: HeadersInit = {}): Error {
  return Object.assign(new Error("sdk text"), { status, error: body, headers: new Headers(headers) });
}

function vendorError(type: string, message = "because") {
  return { type: "error", error: { type, message } };
}

function systemError(code: string): Error {
  const cause = Object.assign(new Error(`connect ${code}`), { code });
  return Object.assign(new Error("Connection error."), {
    status: undefined,
    cause: new TypeError("fetch failed", { cause }),
  });
}

describe("kinds and messages", () => {
  test.each<{ name: string; error: unknown; kind: ProviderErrorKind; says: string[]; endpoint?: Endpoint }>([
    {
      name: "wrong key",
      error: apiError(401, vendorError("authentication_error", `invalid x-api-key ${key}`)),
      kind: "auth",
      says: ["Anthropic refused the key (401)", "Hermes: Set API Key"],
    },
    {
      name: "key without permission",
      error: apiError(403, vendorError("permission_error", "no access")),
      kind: "auth",
      says: ["claude-x (403): no access"],
    },
    {
      name: "unknown model",
      error: apiError(404, vendorError("not_found_error", "model: claude-x")),
      kind: "notFound",
      says: ["“claude-x” (404)", "hermes.model.name"],
    },
    {
      name: "unknown model on a local server",
      error: apiError(404, { message: "model not found" }),
      kind: "notFound",
      says: ["ollama pull qwen"],
      endpoint: ollama,
    },
    {
      name: "a page that is not the API",
      error: apiError(404, undefined),
      kind: "notFound",
      says: ["api.anthropic.com", "base URL"],
    },
    {
      name: "prompt too long, Anthropic",
      error: apiError(400, vendorError("invalid_request_error", "prompt is too long: 9 > 8")),
      kind: "contextOverflow",
      says: ["longer than claude-x accepts"],
    },
    {
      name: "prompt too long, OpenAI",
      error: apiError(400, { code: "context_length_exceeded", message: "too big" }),
      kind: "contextOverflow",
      says: ["Start a new session"],
    },
    {
      name: "prompt too long, llama.cpp",
      error: apiError(400, { type: "exceed_context_size_error", message: "n_ctx" }),
      kind: "contextOverflow",
      says: ["larger context window"],
      endpoint: ollama,
    },
    {
      name: "body too large",
      error: apiError(413, undefined),
      kind: "contextOverflow",
      says: ["(413)"],
    },
    {
      name: "rate limit",
      error: apiError(429, vendorError("rate_limit_error"), { "retry-after": "7" }),
      kind: "rateLimit",
      says: ["(429)", "Try again in 7 s"],
    },
    {
      name: "a long rate limit",
      error: apiError(429, vendorError("rate_limit_error"), { "retry-after": "3600" }),
      kind: "rateLimit",
      says: ["Try again in 60 min"],
    },
    {
      name: "no credit left",
      error: apiError(429, { type: "insufficient_quota", code: "insufficient_quota", message: "You exceeded" }),
      kind: "billing",
      says: ["billing", "Add credit"],
    },
    { name: "overloaded", error: apiError(529, vendorError("overloaded_error")), kind: "overloaded", says: ["(529)"] },
    { name: "server error", error: apiError(500, undefined), kind: "server", says: ["on its side"] },
    { name: "bad gateway", error: apiError(502, undefined), kind: "server", says: ["(502)"] },
    {
      name: "an error event in the stream",
      error: apiError(undefined, vendorError("overloaded_error")),
      kind: "overloaded",
      says: ["Anthropic is overloaded."],
    },
    {
      name: "a bad request quotes the reason",
      error: apiError(400, vendorError("invalid_request_error", "tools.0: bad name")),
      kind: "badRequest",
      says: ["(400): tools.0: bad name."],
    },
    { name: "no network", error: systemError("ENOTFOUND"), kind: "network", says: ["Cannot find api.anthropic.com"] },
    {
      name: "local server not started",
      error: systemError("ECONNREFUSED"),
      kind: "network",
      says: ["Nothing listens at 127.0.0.1:11434"],
      endpoint: ollama,
    },
    {
      name: "a proxy's certificate",
      error: systemError("SELF_SIGNED_CERT_IN_CHAIN"),
      kind: "network",
      says: ["NODE_EXTRA_CA_CERTS"],
    },
    { name: "socket cut", error: new TypeError("terminated"), kind: "network", says: ["broke"] },
    { name: "not JSON", error: new SyntaxError("Unexpected token"), kind: "protocol", says: ["cannot be read"] },
  ])("$name", ({ error, kind, says, endpoint = anthropic }) => {
    const result = toProviderError(error, endpoint, 0);
    expect({
      kind: result.kind,
      missing: says.filter((text) => !result.message.includes(text)),
      in: result.message,
    }).toEqual({ kind, missing: [], in: result.message });
    expect(JSON.stringify([result.message, String(result.cause), Object.values(result)])).not.toContain(key);
  });
});

test("a quoted reason holds no key and is cut", () => {
  const reason = `key ${key} and sk-proj-abcdefgh ${"x".repeat(5_000)}`;
  const { message } = toProviderError(apiError(400, vendorError("invalid_request_error", reason)), anthropic, 0);
  expect(message).not.toMatch(/sk-/);
  expect(message.length).toBeLessThan(500);
});

test.each([
  { headers: { "retry-after-ms": "1500", "retry-after": "9" }, expected: 1500 },
  { headers: { "retry-after": "0.5" }, expected: 500 },
  { headers: { "retry-after": "Thu, 01 Jan 1970 00:00:10 GMT" }, expected: 7_000 },
  { headers: { "retry-after": "Thu, 01 Jan 1970 00:00:01 GMT" }, expected: 0 },
  { headers: { "retry-after": "soon" }, expected: undefined },
  { headers: {}, expected: undefined },
])("waits as told by $headers", ({ headers, expected }) => {
  expect(readRetryAfter(new Headers(headers as Record<string, string>), 3_000)).toBe(expected);
});
