/**
 * The body each wire format sends for the same conversation: other APIs' blocks translated, own ones echoed.
 *
 * Not here: the bytes on a socket (the provider contract). Easily got wrong: a conversation may change models half-way,
 * so one request can hold blocks of several APIs.
 */
import { describe, expect, test } from "vitest";
import { toAnthropicRequest } from "../../../server/src/model/anthropicRequest.ts";
import { toChatRequest } from "../../../server/src/model/openaiChat.ts";
import { toResponsesRequest } from "../../../server/src/model/openaiResponses.ts";
import type { ModelMessage, ModelRequest } from "../../../server/src/model/provider.ts";
import type { ModelApi } from "../../../server/src/protocol/types.ts";
import { callId, modelRequest, modelSpec, userMessage } from "./support.ts";

const prompt: ModelMessage = {
  role: "user",
  parts: [
    { type: "text", text: "Look" },
    { type: "reference", label: "a.ts:1", text: "const a = 1;" },
    { type: "image", mimeType: "image/png", base64: "AAAA" },
  ],
};

/** An answer that thinks, speaks and makes two calls, the second malformed. */
function answer(api: ModelApi, ids: readonly [string, string] = ["c.1", "c2"]): ModelMessage {
  return {
    role: "assistant",
    api,
    blocks: [
      { part: { type: "thinking", text: "hm" } },
      { part: { type: "opaque" }, wire: { type: "future_block" } },
      { part: { type: "text", text: "Reading." } },
      { part: { type: "tool_call", callId: callId(ids[0]), name: "read", input: { path: "a" } } },
      { part: { type: "tool_call", callId: callId(ids[1]), name: "read", input: null, malformed: '{"pa' } },
    ],
  };
}

const results: ModelMessage = {
  role: "tool",
  results: [
    { callId: callId("c.1"), text: "one", isError: false },
    { callId: callId("c2"), text: "not JSON", isError: true },
  ],
};

describe("Anthropic Messages", () => {
  test("translates another API's answer and makes its ids legal", () => {
    const request = modelRequest({ messages: [prompt, answer("openai-chat"), results] });
    expect(toAnthropicRequest(request).messages).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "Look" },
          { type: "text", text: "const a = 1;" },
          { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "text", text: "Reading." },
          { type: "tool_use", id: "c_1", name: "read", input: { path: "a" } },
          { type: "tool_use", id: "c2", name: "read", input: { INVALID_JSON: '{"pa' } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "c_1", content: "one" },
          {
            type: "tool_result",
            tool_use_id: "c2",
            content: "not JSON",
            is_error: true,
            cache_control: { type: "ephemeral" },
          },
        ],
      },
    ]);
  });

  test("echoes its own blocks by their wire form, and leaves out answers without content", () => {
    const wire = { type: "text", text: "kept", citations: null };
    const messages: ModelMessage[] = [
      prompt,
      { role: "assistant", api: "anthropic-messages", blocks: [{ part: { type: "text", text: "other" }, wire }] },
      { role: "assistant", api: "anthropic-messages", blocks: [{ part: { type: "thinking", text: "cut" } }] },
      { role: "user", parts: [{ type: "text", text: "go on" }] },
    ];
    expect(toAnthropicRequest(modelRequest({ messages })).messages.slice(1)).toEqual([
      { role: "assistant", content: [wire] },
      { role: "user", content: [{ type: "text", text: "go on", cache_control: { type: "ephemeral" } }] },
    ]);
  });

  test("sends no sampling parameters and no empty fields", () => {
    expect(Object.keys(toAnthropicRequest(modelRequest({ system: "", tools: [] })))).toEqual([
      "model",
      "max_tokens",
      "stream",
      "messages",
    ]);
  });
});

describe("Anthropic's prompt cache", () => {
  const ttlsOf = (request: ModelRequest) =>
    JSON.stringify(toAnthropicRequest(request)).match(/"cache_control":\{[^}]*\}/g) ?? [];

  test("is asked why it did not read, from the first request on, but not of another's server", () => {
    const asked = (changes: Partial<ModelRequest>) => toAnthropicRequest(modelRequest(changes)).diagnostics;
    expect(asked({ previousResponseId: null })).toEqual({ previous_message_id: null });
    expect(asked({ previousResponseId: "msg_1" })).toEqual({ previous_message_id: "msg_1" });
    expect(
      asked({ previousResponseId: "msg_1", model: modelSpec({ baseUrl: "http://gateway.test" }) }),
    ).toBeUndefined();
  });

  test("keeps system prompt and prompt for an hour where the user pauses", () => {
    const hour = '"cache_control":{"type":"ephemeral","ttl":"1h"}';
    const short = '"cache_control":{"type":"ephemeral"}';
    const messages = [prompt, answer("anthropic-messages"), results];
    expect(ttlsOf(modelRequest({ messages }))).toEqual([short, short]);
    expect(ttlsOf(modelRequest({ messages, pauses: true }))).toEqual([hour, hour, short]);
  });

  test("is warmed by a request without an answer, which is not streamed", () => {
    expect(toAnthropicRequest(modelRequest({ maxOutputTokens: 0 }))).toMatchObject({ max_tokens: 0, stream: false });
  });
});

describe("OpenAI Responses", () => {
  const model = modelSpec({ api: "openai-responses", cacheOptions: true });

  test("marks where this request ends and where the ones before it did, for models that know breakpoints", () => {
    const later = [prompt, answer("openai-responses"), results, answer("openai-responses"), userMessage("More")];
    const withOne = JSON.stringify(toResponsesRequest(modelRequest({ model, messages: [prompt] })).input);
    const withAll = JSON.stringify(toResponsesRequest(modelRequest({ model, messages: later })).input);
    const marks = (text: string) => text.split('"prompt_cache_breakpoint"').length - 1;
    expect([marks(withOne), marks(withAll)]).toEqual([1, 3]);
    expect(marks(JSON.stringify(toResponsesRequest(modelRequest({ messages: later }))))).toBe(0);
    // The same text with and without its mark.
    const bare = (text: string) => text.replaceAll(',"prompt_cache_breakpoint":{"mode":"explicit"}', "");
    expect(bare(withAll).startsWith(bare(withOne).slice(0, -1))).toBe(true);
  });

  test("asks why the cache did not read, and warms it, only where the model takes such options", () => {
    const options = (changes: Partial<ModelRequest>) => toResponsesRequest(modelRequest(changes)).prompt_cache_options;
    expect(options({ model, previousResponseId: null })).toBeUndefined();
    expect(options({ model, previousResponseId: "resp_1" })).toEqual({ comparison_response_id: "resp_1" });
    expect(options({ model, maxOutputTokens: 0 })).toEqual({ prewarm: true });
    expect(options({ previousResponseId: "resp_1" })).toBeUndefined();
  });

  test("translates another API's answer", () => {
    const request = modelRequest({ messages: [prompt, answer("anthropic-messages"), results] });
    expect(toResponsesRequest(request).input).toEqual([
      {
        type: "message",
        role: "user",
        content: [
          { type: "input_text", text: "Look" },
          { type: "input_text", text: "const a = 1;" },
          { type: "input_image", detail: "auto", image_url: "data:image/png;base64,AAAA" },
        ],
      },
      { type: "message", role: "assistant", content: "Reading." },
      { type: "function_call", call_id: "c.1", name: "read", arguments: '{"path":"a"}' },
      { type: "function_call", call_id: "c2", name: "read", arguments: '{"INVALID_JSON":"{\\"pa"}' },
      { type: "function_call_output", call_id: "c.1", output: "one" },
      { type: "function_call_output", call_id: "c2", output: "not JSON" },
    ]);
  });

  test("stores nothing with the vendor and routes by the conversation", () => {
    const model = modelSpec({ thinking: "effort" });
    expect(toResponsesRequest(modelRequest({ model }))).toMatchObject({
      store: false,
      prompt_cache_key: "session-1",
      instructions: "You help.",
      reasoning: { effort: "medium", summary: "auto" },
      include: ["reasoning.encrypted_content"],
    });
  });
});

describe("Chat Completions", () => {
  test("makes one message of an answer; pictures are named to models that cannot see", () => {
    const model = modelSpec({ images: false, local: true });
    const request = modelRequest({ model, messages: [prompt, answer("anthropic-messages"), results] });
    expect(toChatRequest(request).messages).toEqual([
      { role: "system", content: "You help." },
      {
        role: "user",
        content: "Look\n\nconst a = 1;\n\n(A picture was given here; this model cannot see pictures.)",
      },
      {
        role: "assistant",
        content: "Reading.",
        tool_calls: [
          { id: "c.1", type: "function", function: { name: "read", arguments: '{"path":"a"}' } },
          { id: "c2", type: "function", function: { name: "read", arguments: '{"INVALID_JSON":"{\\"pa"}' } },
        ],
      },
      { role: "tool", tool_call_id: "c.1", content: "one" },
      { role: "tool", tool_call_id: "c2", content: "not JSON" },
    ]);
  });

  test("gives reasoning back under the server's own name for it, and only to it", () => {
    const blocks = [
      { part: { type: "thinking", text: "hm" } as const, wire: { reasoning: "hm" } },
      { part: { type: "text", text: "Yes." } as const, wire: { content: "Yes." } },
    ];
    const own: ModelMessage = { role: "assistant", api: "openai-chat", blocks };
    const other: ModelMessage = { role: "assistant", api: "openai-responses", blocks };
    expect(toChatRequest(modelRequest({ system: "", messages: [own, other] })).messages).toEqual([
      { role: "assistant", content: "Yes.", reasoning: "hm" },
      { role: "assistant", content: "Yes." },
    ]);
  });

  test("sends servers other than OpenAI's only the oldest fields", () => {
    const model = modelSpec({ local: true, thinking: "effort" });
    expect(Object.keys(toChatRequest(modelRequest({ model })))).toEqual([
      "model",
      "stream",
      "stream_options",
      "max_tokens",
      "tools",
      "messages",
    ]);
    expect(toChatRequest(modelRequest({ model: modelSpec({ thinking: "effort" }) }))).toMatchObject({
      max_completion_tokens: 1_000,
      prompt_cache_key: "session-1",
      reasoning_effort: "medium",
    });
  });
});
