/**
 * The real SDKs as one function: ask a double through any of the three formats and see what a client sees.
 *
 * Not here: Hermes' own providers. Easily got wrong: retries are off, so each call is exactly one request.
 */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { ModelDouble } from "../../support/modelDouble.ts";

/** The wire formats, for `test.each`. */
export const apis = ["anthropic", "responses", "chat"] as const;
/** One of the wire formats. */
export type Api = (typeof apis)[number];

/** What came out of a stream, in words that fit all three formats. */
export interface Seen {
  thinking: string;
  text: string;
  refusal: string;
  calls: { name: string; arguments: string }[];
  stop: string;
  usage: unknown;
  /** The blocks, items or message that a client must send back. */
  echo: unknown;
}

/** An empty `Seen`, to be filled while a stream runs. */
export function nothingSeen(): Seen {
  return { thinking: "", text: "", refusal: "", calls: [], stop: "", usage: undefined, echo: undefined };
}

/** An Anthropic client of the double. */
export function anthropicOf(double: ModelDouble): Anthropic {
  return new Anthropic({
    apiKey: "sk-ant-0123456789abcdef",
    baseURL: double.anthropicBaseUrl,
    maxRetries: 0,
    logLevel: "off",
  });
}

/** An OpenAI client of the double. */
export function openaiOf(double: ModelDouble): OpenAI {
  return new OpenAI({ apiKey: "sk-0123456789abcdef", baseURL: double.openaiBaseUrl, maxRetries: 0, logLevel: "off" });
}

/** Asks one question and reads the stream to its end. `seen` keeps what came before a failure. */
export async function ask(
  double: ModelDouble,
  api: Api,
  text: string,
  seen: Seen = nothingSeen(),
  signal: AbortSignal | null = null,
): Promise<Seen> {
  const messages = [{ role: "user" as const, content: text }];
  if (api === "anthropic") await askAnthropic(double, messages, seen, signal);
  else if (api === "responses") await askResponses(double, messages, seen, signal);
  else await askChat(double, messages, seen, signal);
  return seen;
}

type Messages = { role: "user"; content: string }[];

async function askAnthropic(double: ModelDouble, messages: Messages, seen: Seen, signal: AbortSignal | null) {
  const request = { model: "claude-opus-5-5", max_tokens: 1000, messages };
  const stream = anthropicOf(double).messages.stream(request, { signal });
  stream.on("streamEvent", (event) => {
    if (event.type === "content_block_start" && event.content_block.type === "tool_use")
      seen.calls.push({ name: event.content_block.name, arguments: "" });
    if (event.type === "message_delta") seen.stop = String(event.delta.stop_reason);
    if (event.type !== "content_block_delta") return;
    if (event.delta.type === "text_delta") seen.text += event.delta.text;
    if (event.delta.type === "thinking_delta") seen.thinking += event.delta.thinking;
    const call = seen.calls.at(-1);
    if (event.delta.type === "input_json_delta" && call) call.arguments += event.delta.partial_json;
  });
  const message = await stream.finalMessage();
  seen.usage = message.usage;
  seen.echo = message.content;
}

async function askResponses(double: ModelDouble, input: Messages, seen: Seen, signal: AbortSignal | null) {
  const request = { model: "gpt-6.1-sol", input, store: false, stream: true as const };
  const stream = await openaiOf(double).responses.create(request, { signal });
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") seen.text += event.delta;
    if (event.type === "response.refusal.delta") seen.refusal += event.delta;
    if (event.type === "response.reasoning_summary_text.delta") seen.thinking += event.delta;
    if (event.type === "response.output_item.added" && event.item.type === "function_call")
      seen.calls.push({ name: event.item.name, arguments: "" });
    const call = seen.calls.at(-1);
    if (event.type === "response.function_call_arguments.delta" && call) call.arguments += event.delta;
    if (event.type !== "response.completed" && event.type !== "response.incomplete") continue;
    seen.stop = event.response.incomplete_details?.reason ?? String(event.response.status);
    seen.usage = event.response.usage;
    seen.echo = event.response.output;
  }
  if (seen.stop === "") throw new Error("The stream ended early.");
}

async function askChat(double: ModelDouble, messages: Messages, seen: Seen, signal: AbortSignal | null) {
  const request = { model: "qwen3-coder", messages, stream: true as const, stream_options: { include_usage: true } };
  const stream = await openaiOf(double).chat.completions.create(request, { signal });
  for await (const chunk of stream) {
    seen.usage = chunk.usage ?? seen.usage;
    const choice = chunk.choices[0];
    if (!choice) continue;
    seen.text += choice.delta.content ?? "";
    seen.refusal += choice.delta.refusal ?? "";
    if ("reasoning_content" in choice.delta) seen.thinking += String(choice.delta.reasoning_content);
    for (const part of choice.delta.tool_calls ?? []) {
      const call = seen.calls[part.index] ?? { name: "", arguments: "" };
      seen.calls[part.index] = call;
      call.name += part.function?.name ?? "";
      call.arguments += part.function?.arguments ?? "";
    }
    seen.stop = choice.finish_reason ?? seen.stop;
  }
  if (seen.stop === "") throw new Error("The stream ended early.");
}
