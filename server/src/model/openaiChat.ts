/**
 * The OpenAI Chat Completions API as a `Provider`: for every compatible server, local ones first of all.
 *
 * Not here: the Responses API (`openaiResponses.ts`), retries (`retry.ts`). Easily got wrong: this format has no event
 * for the end of a block, so a tool call is complete when the next one begins or the finish reason arrives; and servers
 * other than OpenAI's refuse fields they do not know, so they are sent only the oldest ones.
 */
import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionCreateParamsStreaming,
  ChatCompletionMessageParam,
  ChatCompletionMessageToolCall,
} from "openai/resources/chat/completions/completions";
import { assertNever } from "../base/errors.ts";
import type { AssistantBlock, PromptPart } from "../protocol/types.ts";
import { type Connection, stream } from "./connection.ts";
import { echoedInput, isRecord, textOf } from "./json.ts";
import { ChatAnswer } from "./openaiChatAnswer.ts";
import { type OpenAIEndpoint, type OpenAIOptions, openClient, toEndpoint } from "./openaiClient.ts";
import type { ModelEvent, ModelMessage, ModelRequest, Provider } from "./provider.ts";
import { remembered } from "./wireMessages.ts";

/** Where and how to reach the server. */
export interface OpenAIChatOptions extends OpenAIOptions {
  /** Makes an id for a tool call that a server sent without one, or with one it had used before. */
  readonly newCallId?: () => string;
}

/** Makes the provider; nothing is loaded and no connection opened before the first request. */
export function createOpenAIChatProvider(options: OpenAIChatOptions): Provider {
  const newCallId = options.newCallId ?? (() => `call_${crypto.randomUUID().replaceAll("-", "")}`);
  return {
    stream(request, signal) {
      const endpoint = toEndpoint(request, options);
      return stream(endpoint, options, signal, (connection) => ask(request, endpoint, connection, newCallId));
    },
  };
}

async function* ask(
  request: ModelRequest,
  endpoint: OpenAIEndpoint,
  connection: Connection,
  newCallId: () => string,
): AsyncGenerator<ModelEvent> {
  const client = await openClient(endpoint, connection);
  const chunks = await client.chat.completions.create(toChatRequest(request), { signal: connection.signal });
  yield* new ChatAnswer(endpoint, usedCallIds(request), newCallId).read(chunks, connection.finishing);
}

/** The body of the request; a pure function: the same request, the same bytes. */
export function toChatRequest(request: ModelRequest): ChatCompletionCreateParamsStreaming {
  const { model, system, tools } = request;
  return {
    model: model.wireId,
    stream: true,
    stream_options: { include_usage: true },
    ...(isOpenAI(request)
      ? {
          max_completion_tokens: request.maxOutputTokens,
          prompt_cache_key: request.cacheKey,
          reasoning_effort: "medium",
        }
      : { max_tokens: request.maxOutputTokens }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, inputSchema }) => ({
            type: "function",
            function: { name, description, parameters: { ...inputSchema } },
          })),
        }),
    messages: [...(system === "" ? [] : [{ role: "system" as const, content: system }]), ...messagesOf(request).flat()],
  };
}

const messagesOf = remembered(toMessages);

/** OpenAI's own current models, wherever they are served from; everyone else gets the least common denominator. */
function isOpenAI({ model }: ModelRequest): boolean {
  return model.thinking === "effort" && model.local !== true;
}

function usedCallIds(request: ModelRequest): ReadonlySet<string> {
  const blocks = request.messages.flatMap((message) => (message.role === "assistant" ? message.blocks : []));
  return new Set(blocks.flatMap(({ part }) => (part.type === "tool_call" ? [part.callId] : [])));
}

function toMessages(message: ModelMessage, images: boolean): ChatCompletionMessageParam[] {
  switch (message.role) {
    case "user":
      return message.parts.length === 0 ? [] : [{ role: "user", content: toContent(message.parts, images) }];
    case "tool":
      return message.results.map(({ callId, text }) => ({ role: "tool", tool_call_id: callId, content: text }));
    case "assistant":
      return toAssistantMessages(message.blocks, message.api === "openai-chat");
    default:
      return assertNever(message);
  }
}

/** Plain text as a string where possible: some servers' chat templates know no lists of parts. */
function toContent(parts: readonly PromptPart[], images: boolean): string | ChatCompletionContentPart[] {
  const contents = parts.map((part) => toContentPart(part, images));
  return contents.every((content) => content.type === "text")
    ? contents.map((content) => content.text).join("\n\n")
    : contents;
}

function toContentPart(part: PromptPart, images: boolean): ChatCompletionContentPart {
  switch (part.type) {
    case "text":
    case "reference":
      return { type: "text", text: part.text };
    case "image":
      return images
        ? { type: "image_url", image_url: { url: `data:${part.mimeType};base64,${part.base64}` } }
        : { type: "text", text: "(A picture was given here; this model cannot see pictures.)" };
    default:
      return assertNever(part);
  }
}

/** One message of all blocks; a block's `wire` is the fragment of the message that it stands for. */
function toAssistantMessages(blocks: readonly AssistantBlock[], own: boolean): ChatCompletionMessageParam[] {
  const texts: string[] = [];
  const calls: ChatCompletionMessageToolCall[] = [];
  const reasoning: { [field: string]: string } = {};
  for (const { part, wire } of blocks) {
    switch (part.type) {
      case "text":
        texts.push(part.text);
        break;
      case "thinking":
        // Servers that show reasoning want it back under their own name for it; others never sent any.
        if (own && isRecord(wire))
          for (const [field, text] of Object.entries(wire))
            reasoning[field] = (reasoning[field] ?? "") + (textOf(text) ?? "");
        break;
      case "tool_call":
        // The call goes back as it came, with whatever else the server hung on it.
        calls.push(own && isRecord(wire) ? (wire as unknown as ChatCompletionMessageToolCall) : toCall(part));
        break;
      case "opaque":
        break;
      default:
        assertNever(part);
    }
  }
  if (texts.length === 0 && calls.length === 0) return [];
  const message: ChatCompletionAssistantMessageParam = {
    role: "assistant",
    content: texts.length === 0 ? null : texts.join(""),
    ...reasoning,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return [message];
}

function toCall(part: Extract<AssistantBlock["part"], { type: "tool_call" }>): ChatCompletionMessageToolCall {
  return {
    id: part.callId,
    type: "function",
    function: { name: part.name, arguments: JSON.stringify(echoedInput(part)) },
  };
}
