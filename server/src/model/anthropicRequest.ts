/**
 * Writes a `ModelRequest` in the form of the Anthropic Messages API; a pure function: the same request, the same bytes.
 *
 * Not here: sending, and reading the answer (`anthropic.ts`). Easily got wrong: nothing already sent may change on a
 * later request, because thinking blocks are bound to the exact system, tools and messages before them (a 400 on
 * current models), so messages are only ever appended and never merged with their neighbours.
 */
import type { BetaCompactionConfig } from "@anthropic-ai/sdk/resources/beta/messages/messages";
import type {
  ContentBlockParam,
  MessageCreateParamsBase,
  MessageParam,
  Tool,
} from "@anthropic-ai/sdk/resources/messages/messages";
import { assertNever } from "../base/errors.ts";
import type { AssistantBlock, CallId, Json, PromptPart, ToolResult, ToolSpec } from "../protocol/types.ts";
import { echoedInput, isRecord, withoutTrailingThinking } from "./json.ts";
import { placeBreakpoints } from "./promptCache.ts";
import type { ModelMessage, ModelRequest } from "./provider.ts";
import { remembered } from "./wireMessages.ts";

interface BlockMessage {
  readonly role: "user" | "assistant";
  readonly content: ContentBlockParam[];
}

const short = { type: "ephemeral" } as const;
const long = { type: "ephemeral", ttl: "1h" } as const;

/** The body of a request; the SDK types compaction only in its beta namespace. */
export type AnthropicBody = MessageCreateParamsBase & { readonly compaction?: BetaCompactionConfig };

/** The beta that a request needs which asks for a compaction or holds one. */
const compactionBeta = "compact-2026-09-04";

/** Header fields that go with a request. */
export function anthropicHeaders({ compaction, messages }: ModelRequest): { readonly [name: string]: string } {
  const [first] = messages;
  const holdsBlock = first?.role === "assistant" && first.blocks.some(({ wire }) => isCompaction(wire));
  return compaction || holdsBlock ? { "anthropic-beta": compactionBeta } : {};
}

/** Whether a block of this API is a compaction. */
export function isCompaction(wire: Json | undefined): boolean {
  return isRecord(wire) && wire.type === "compaction";
}

/**
 * The body of the request, which the vendor streams unless it only warms the cache. Sampling parameters are never sent: the
 * API has none any more (SDK 1.11).
 */
export function toAnthropicRequest(request: ModelRequest): AnthropicBody {
  const { model, system, tools, pauses = false, previousResponseId } = request;
  return {
    model: model.wireId,
    max_tokens: request.maxOutputTokens,
    // A request without an answer must not be streamed (2026-11).
    stream: request.maxOutputTokens > 0,
    // Servers other than the vendor's may refuse what they do not know.
    ...(previousResponseId === undefined || model.baseUrl !== undefined
      ? {}
      : { diagnostics: { previous_message_id: previousResponseId } }),
    ...(system === "" ? {} : { system: [{ type: "text", text: system, cache_control: pauses ? long : short }] }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toTool) }),
    // Without a display the summaries are left out and the user sees nothing between tool calls (2026-11).
    ...(model.thinking === "none" ? {} : { thinking: { type: "adaptive", display: "summarized" } }),
    ...(request.compaction ? { compaction: { type: "summarize", ...request.compaction } } : {}),
    messages: withMarkers(messagesOf(request).filter(hasContent), pauses),
  };
}

const messagesOf = remembered(toMessage);

/** The form of a call's id that this API accepts: those that another API made may hold dots and colons. */
function idOf(callId: CallId, own: boolean): string {
  return own ? callId : callId.replace(/[^\w-]/g, "_");
}

function isOwn(message: ModelMessage | undefined): boolean {
  return message?.role !== "assistant" || message.api === "anthropic-messages";
}

function toTool(tool: ToolSpec): Tool {
  return {
    name: tool.name,
    description: tool.description,
    input_schema: { ...tool.inputSchema, type: "object" },
    // Arguments then stream as they are written, unchecked: a long edit shows at once, and JSON may be malformed.
    eager_input_streaming: true,
  };
}

function hasContent(message: BlockMessage): boolean {
  return message.content.length > 0;
}

function toMessage(message: ModelMessage, images: boolean, before: ModelMessage | undefined): BlockMessage {
  switch (message.role) {
    case "user":
      return { role: "user", content: message.parts.flatMap((part) => toPromptBlocks(part, images)) };
    case "tool":
      return { role: "user", content: message.results.map((result) => toResultBlock(result, isOwn(before))) };
    case "assistant": {
      const own = isOwn(message);
      return {
        role: "assistant",
        content: withoutTrailingThinking(message.blocks).flatMap((block) => toAnswerBlocks(block, own)),
      };
    }
    default:
      return assertNever(message);
  }
}

function toPromptBlocks(part: PromptPart, images: boolean): ContentBlockParam[] {
  switch (part.type) {
    case "text":
    case "reference":
      return part.text.trim() === "" ? [] : [{ type: "text", text: part.text }];
    case "image":
      return images
        ? [{ type: "image", source: { type: "base64", media_type: part.mimeType, data: part.base64 } }]
        : [{ type: "text", text: "(A picture was given here; this model cannot see pictures.)" }];
    default:
      return assertNever(part);
  }
}

function toResultBlock(result: ToolResult, own: boolean): ContentBlockParam {
  return {
    type: "tool_result",
    tool_use_id: idOf(result.callId, own),
    content: result.text,
    ...(result.isError ? { is_error: true } : {}),
  };
}

function toAnswerBlocks({ part, wire }: AssistantBlock, own: boolean): ContentBlockParam[] {
  // The vendor's own block goes back as it came: the SDK's types are the one thing it is trusted to fit.
  if (own && wire !== undefined) return [wire as unknown as ContentBlockParam];
  switch (part.type) {
    case "text":
      return part.text.trim() === "" ? [] : [{ type: "text", text: part.text }];
    case "tool_call":
      return [
        {
          type: "tool_use",
          id: idOf(part.callId, own),
          name: part.name,
          input: echoedInput(part),
        },
      ];
    case "thinking":
    case "opaque":
      return [];
    default:
      return assertNever(part);
  }
}

/** Markers are placed in what the newest turn has added, and no turn adds more messages than this. */
const markedMessages = 2_000;

function withMarkers(messages: readonly BlockMessage[], pauses: boolean): MessageParam[] {
  const from = Math.max(0, messages.length - markedMessages);
  const places = placeBreakpoints(messages.slice(from), pauses);
  const marked: BlockMessage[] = [...messages];
  for (const { message: at, block, long: isLong } of places) {
    const message = marked[from + at];
    if (!message) continue;
    const content = message.content.map((one, index) =>
      index === block ? ({ ...one, cache_control: isLong ? long : short } as ContentBlockParam) : one,
    );
    marked[from + at] = { ...message, content };
  }
  return marked;
}
