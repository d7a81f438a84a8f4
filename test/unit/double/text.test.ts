/**
 * The double speaks to the real SDKs: text, thinking, parallel and malformed calls, refusals, through all three formats.
 */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterEach, expect, test } from "vitest";
import { type DoubleOptions, type ModelDouble, startModelDouble } from "../../support/modelDouble.ts";

let double: ModelDouble | undefined;
afterEach(async () => double?.close());

async function start(options: DoubleOptions) {
  double = await startModelDouble(options);
  const anthropic = new Anthropic({ apiKey: "sk-ant-0123456789", baseURL: double.anthropicBaseUrl, maxRetries: 0 });
  const openai = new OpenAI({ apiKey: "sk-0123456789", baseURL: double.openaiBaseUrl, maxRetries: 0 });
  return { double, anthropic, openai };
}

const script = {
  steps: [
    {
      think: "The user greets. 😀",
      say: "Hällo wörld, I read two files.",
      calls: [
        { name: "read", input: { path: "a.ts" } },
        { name: "read", input: { path: "b.ts" } },
      ],
    },
  ],
};
const user = { role: "user", content: "hello" } as const;

test("Messages: the SDK assembles thinking, text and parallel calls from the stream", async () => {
  const { anthropic } = await start({ script });
  const message = await anthropic.messages
    .stream({ model: "claude-opus-5-5", max_tokens: 1000, messages: [user] })
    .finalMessage();
  expect(message.content).toMatchObject([
    { type: "thinking", thinking: "The user greets. 😀", signature: expect.stringMatching(/.{40}/) },
    { type: "text", text: "Hällo wörld, I read two files." },
    { type: "tool_use", name: "read", input: { path: "a.ts" } },
    { type: "tool_use", name: "read", input: { path: "b.ts" } },
  ]);
  expect(message.stop_reason).toBe("tool_use");
  expect(message.usage.output_tokens).toBeGreaterThan(10);
});

test("Responses: the SDK assembles thinking, text and parallel calls from the stream", async () => {
  const { openai } = await start({ script });
  const response = await openai.responses.stream({ model: "gpt-6.1-sol", input: [user], store: false }).finalResponse();
  expect(response.output).toMatchObject([
    { type: "reasoning", summary: [{ text: "The user greets. 😀" }], encrypted_content: expect.any(String) },
    { type: "message", content: [{ type: "output_text", text: "Hällo wörld, I read two files." }] },
    { type: "function_call", name: "read", arguments: '{"path":"a.ts"}' },
    { type: "function_call", name: "read", arguments: '{"path":"b.ts"}' },
  ]);
  expect(response.usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(0);
});

test("Chat: the SDK assembles text and parallel calls from the chunks", async () => {
  const { openai } = await start({ script });
  const stream = openai.chat.completions.stream({
    model: "qwen3-coder",
    messages: [user],
    stream_options: { include_usage: true },
  });
  const completion = await stream.finalChatCompletion();
  expect(completion.choices[0]).toMatchObject({
    finish_reason: "tool_calls",
    message: {
      content: "Hällo wörld, I read two files.",
      tool_calls: [
        { function: { name: "read", arguments: '{"path":"a.ts"}' } },
        { function: { name: "read", arguments: '{"path":"b.ts"}' } },
      ],
    },
  });
  expect(completion.usage?.completion_tokens).toBeGreaterThan(10);
});
