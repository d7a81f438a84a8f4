/**
 * What the vendors themselves refuse, in their words.
 *
 * Not here: rules of ours that a vendor would let pass (`invariants.ts`). Easily got wrong: `rule` is set where the
 * refusal means a bug in the client; a wrong key or an unknown model is the user's affair and is no violation.
 */
import type { IncomingHttpHeaders } from "node:http";
import { refuseCompaction } from "./compaction.ts";
import type { RecordedRequest } from "./journal.ts";
import { asObjects, asText, isObject, type JsonObject, tokensOf } from "./json.ts";
import { type Memory, prefixDigests } from "./memory.ts";
import { anthropicMarkers } from "./prefixCache.ts";
import { type Api, asBlocks, isOutputItem, type RequestView } from "./read.ts";
import type { FailureKind } from "./wire.ts";

/** A request that is not answered. `rule` names the violation that it also is. */
export interface Refusal {
  readonly kind: FailureKind;
  readonly message: string;
  readonly rule?: string;
}

/** What decides: see `DoubleOptions`. */
export interface RefusalOptions {
  readonly models?: readonly string[];
  readonly contextWindow?: number;
}

/** Refuses a missing or wrong key. Chat Completions, as local servers speak it, needs none. */
export function refuseKey(api: Api, headers: IncomingHttpHeaders, key: string | undefined): Refusal | undefined {
  const bearer = headers.authorization?.replace(/^bearer\s+/i, "");
  const header = headers["x-api-key"];
  const given = (api === "anthropic" && typeof header === "string" ? header : undefined) ?? bearer;
  if (!given && (api !== "chat" || key !== undefined)) {
    const message = api === "anthropic" ? "x-api-key header is required" : "You didn't provide an API key.";
    return { kind: "auth", message };
  }
  if (key === undefined || given === key) return undefined;
  const message = api === "anthropic" ? "invalid x-api-key" : `Incorrect API key provided: …${given?.slice(-4) ?? ""}.`;
  return { kind: "auth", message };
}

/** Refuses whatever the vendor of the request's API would refuse. */
export function refuseRequest(record: RecordedRequest, memory: Memory, options: RefusalOptions): Refusal | undefined {
  const { api, json, view } = record;
  if (!json || !view) return { kind: "badRequest", message: "The request body is not a JSON object.", rule: "body" };
  const checks = { anthropic: refuseAnthropic, responses: refuseResponses, chat: refuseChat };
  const beta = record.headers["anthropic-beta"];
  const message =
    refuseCompaction(api, json, beta, (seal) => memory.thought(seal)?.text) ?? checks[api](json, view, record, memory);
  return (
    (message === undefined ? undefined : { kind: "badRequest", message, rule: "vendor" }) ??
    refuseModel(api, view.model, options.models) ??
    refuseLength(api, record, options.contextWindow)
  );
}

function refuseModel(api: Api, model: string, models: readonly string[] | undefined): Refusal | undefined {
  const usual = { anthropic: /^claude-/, responses: /^(gpt-|o\d|codex)/, chat: /./ };
  if (models ? models.includes(model) : usual[api].test(model)) return undefined;
  const message =
    api === "anthropic" ? `model: ${model}` : `The model \`${model}\` does not exist or you do not have access to it.`;
  return { kind: "notFound", message };
}

function refuseLength(api: Api, record: RecordedRequest, window: number | undefined): Refusal | undefined {
  const view = record.view;
  if (window === undefined || !view) return undefined;
  const tokens = [...view.tools, ...view.system, ...view.units].reduce((sum, text) => sum + tokensOf(text), 0);
  if (tokens <= window) return undefined;
  const message = {
    anthropic: `prompt is too long: ${tokens} tokens > ${window} maximum`,
    responses: "Your input exceeds the context window of this model. Please adjust your input and try again.",
    chat: `This model's maximum context length is ${window} tokens. However, your messages resulted in ${tokens} tokens. Please reduce the length of the messages.`,
  };
  return { kind: "contextOverflow", message: message[api] };
}

// ------------------------------------------------------------------------------------------------ Anthropic

const anthropicFields = new Set(
  "model max_tokens messages cache_control container diagnostics inference_geo metadata output_config service_tier speed stop_sequences stream system thinking tool_choice tools user_profile_id workspace_id temperature top_p top_k context_management compaction fallbacks mcp_servers thread betas".split(
    " ",
  ),
);
const adaptiveOnly = /^claude-(opus-5-5|sonnet-5-5|fable-5-[1-9])/;
const alwaysThinks = /^claude-(opus-5-5|fable-)/;
/** Models that bind each thinking block to everything before it. */
const preservedThinking = /^claude-(fable-5-[12]|mythos-5-[12]|opus-5-5|sonnet-5-5|haiku-5-5)/;

function refuseAnthropic(
  json: JsonObject,
  view: RequestView,
  record: RecordedRequest,
  memory: Memory,
): string | undefined {
  if (record.headers["anthropic-version"] === undefined) return "anthropic-version: header is required";
  const unknown = Object.keys(json).find((key) => !anthropicFields.has(key));
  if (unknown !== undefined) return `${unknown}: Extra inputs are not permitted`;
  if (view.model === "") return "model: Field required";
  if (typeof json.max_tokens !== "number") return "max_tokens: Field required";
  return (
    refuseWarmUp(json) ??
    refuseTools(json, view) ??
    refuseMessages(json) ??
    anthropicMarkers(json) ??
    refuseAnthropicPairs(view) ??
    refuseThinking(json, view, memory)
  );
}

function refuseWarmUp(json: JsonObject): string | undefined {
  const maxTokens = json.max_tokens;
  if (typeof maxTokens === "number" && maxTokens < 0) return "max_tokens: Input should be greater than or equal to 0";
  if (maxTokens !== 0) return undefined;
  const thinking = isObject(json.thinking) && json.thinking.type === "enabled";
  if (json.stream === true || thinking) return "max_tokens: 0 is not supported with `stream` or `thinking.enabled`";
  return undefined;
}

function refuseTools(json: JsonObject, view: RequestView): string | undefined {
  const bad = view.toolNames.findIndex((name) => !/^[a-zA-Z0-9_-]{1,128}$/.test(name));
  if (bad >= 0) return `tools.${bad}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`;
  if (new Set(view.toolNames).size < view.toolNames.length) return "tools: Tool names must be unique.";
  const choice = isObject(json.tool_choice) ? asText(json.tool_choice.type) : "";
  if (adaptiveOnly.test(view.model) && (choice === "any" || choice === "tool"))
    return `tool_choice: '${choice}' is not supported by ${view.model}. Use 'auto' or 'none'.`;
  const thinking = isObject(json.thinking) ? asText(json.thinking.type) : "";
  if (alwaysThinks.test(view.model) && thinking === "disabled")
    return `thinking: ${view.model} cannot disable thinking`;
  if (adaptiveOnly.test(view.model) && thinking === "enabled")
    return `thinking.type: 'enabled' is not supported by ${view.model}. Use 'adaptive'.`;
  return undefined;
}

function refuseMessages(json: JsonObject): string | undefined {
  const messages = asObjects(json.messages);
  if (messages.length === 0) return "messages: at least one message is required";
  const [opening] = asBlocks(messages[0]?.content);
  const isCompacted = isObject(opening) && opening.type === "compaction";
  if (messages[0]?.role !== "user" && !isCompacted) return 'messages: first message must use the "user" role';
  for (const [at, message] of messages.entries()) {
    const role = asText(message.role);
    if (!["user", "assistant", "system"].includes(role))
      return `messages.${at}.role: Input should be 'user', 'assistant' or 'system'`;
    if (role === "system" && messages[at - 1]?.role !== "user")
      return `messages.${at}: a system message must follow a user message`;
    const blocks = asBlocks(message.content);
    if (blocks.length === 0 && at < messages.length - 1)
      return `messages.${at}: all messages must have non-empty content`;
    for (const [index, block] of blocks.entries()) {
      if (!isObject(block)) return `messages.${at}.content.${index}: Input should be a valid dictionary`;
      if (block.type === "text" && asText(block.text).trim() === "")
        return `messages.${at}.content.${index}: text content blocks must contain non-whitespace text`;
      if (block.type === "tool_use" && !isObject(block.input))
        return `messages.${at}.content.${index}.tool_use.input: Input should be a valid dictionary`;
    }
  }
  return messages.at(-1)?.role === "assistant" && json.compaction === undefined
    ? "This model does not support assistant message prefill. The conversation must end with a user message."
    : undefined;
}

function refuseAnthropicPairs(view: RequestView): string | undefined {
  for (const [at, turn] of view.turns.entries()) {
    if (turn.role === "assistant") {
      const next = view.turns[at + 1];
      const answered = new Set(next && next.role !== "assistant" ? next.results.map((result) => result.id) : []);
      const open = turn.calls.map((call) => call.id).filter((id) => !answered.has(id));
      if (open.length > 0)
        return `messages.${at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.join(", ")}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`;
      continue;
    }
    const before = view.turns[at - 1];
    const asked = before?.role === "assistant" ? before.calls.map((call) => call.id) : [];
    const orphan = turn.results.find((result) => !asked.includes(result.id));
    if (orphan)
      return `messages.${at}.content: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${orphan.id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`;
    const ids = turn.results.map((result) => result.id);
    const twice = ids.find((id, index) => ids.indexOf(id) !== index);
    if (twice !== undefined)
      return `messages.${at}.content: each tool_use must have a single result. Found multiple \`tool_result\` blocks with id: ${twice}`;
    if (turn.resultsLate)
      return `messages.${at}: \`tool_result\` blocks must come before any other content of the message`;
  }
  return undefined;
}

function refuseThinking(json: JsonObject, view: RequestView, memory: Memory): string | undefined {
  const thinking = isObject(json.thinking) ? json.thinking : {};
  const binding = isObject(thinking.block_binding) ? thinking.block_binding : {};
  const bound = preservedThinking.test(view.model) && binding.prefix_mismatch_behavior !== "drop_block";
  const prefixes = bound ? prefixDigests(view) : [];
  for (const turn of view.turns) {
    if (turn.role !== "assistant") continue;
    for (const [index, block] of turn.blocks.entries()) {
      if (!isObject(block) || (block.type !== "thinking" && block.type !== "redacted_thinking")) continue;
      const where = `messages.${turn.at}.content.${index}`;
      const thought = memory.thought(asText(block.signature ?? block.data));
      if (!thought) return `${where}: Invalid \`signature\` in \`thinking\` block`;
      if (block.type === "thinking" && block.thinking !== thought.text)
        return `${where}: \`thinking\` or \`redacted_thinking\` blocks cannot be modified. These blocks must remain as they were in the original response.`;
      if (bound && thought.prefix !== prefixes[turn.at])
        return `${where}: \`thinking\` blocks are bound to the \`tools\`, \`system\` and messages before them, which differ from those of the original request.`;
    }
  }
  return undefined;
}

// --------------------------------------------------------------------------------------------------- OpenAI

function refuseResponses(
  json: JsonObject,
  view: RequestView,
  _record: RecordedRequest,
  memory: Memory,
): string | undefined {
  if (view.model === "") return "Missing required parameter: 'model'.";
  const previous = json.previous_response_id;
  if (typeof previous === "string" && !memory.holds(previous))
    return `Previous response with id '${previous}' not found.`;
  if (view.units.length === 0)
    return "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.";
  return (
    refuseOpenAiTools(view) ??
    refuseLimit(json.max_output_tokens, "max_output_tokens", 16) ??
    refuseItems(memory.responsesItems(json), memory)
  );
}

function refuseItems(items: readonly unknown[], memory: Memory): string | undefined {
  const open = new Map<string, number>();
  for (const [at, item] of items.entries()) {
    if (!isObject(item)) return `Invalid type for 'input[${at}]': expected an object.`;
    const type = asText(item.type);
    const id = asText(item.call_id);
    if (type === "function_call" || type === "custom_tool_call") open.set(id, at);
    if (type.endsWith("_call_output") && !open.delete(id))
      return `No tool call found for function call output with call_id ${id}.`;
    if (type !== "reasoning") continue;
    const next = items[at + 1];
    if (!isObject(next) || !isOutputItem(next))
      return `Item '${asText(item.id)}' of type 'reasoning' was provided without its required following item.`;
    const sealed = item.encrypted_content;
    if (typeof sealed === "string" && !memory.thought(sealed))
      return `The encrypted content for item ${asText(item.id)} could not be verified.`;
  }
  const [first] = open.keys();
  return first === undefined ? undefined : `No tool output found for function call ${first}.`;
}

function refuseChat(json: JsonObject, view: RequestView): string | undefined {
  if (view.model === "") return "you must provide a model parameter";
  const messages = asObjects(json.messages);
  if (messages.length === 0)
    return "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
  const roles = ["system", "developer", "user", "assistant", "tool"];
  const odd = messages.findIndex((message) => !roles.includes(asText(message.role)));
  if (odd >= 0) return `Invalid value: '${asText(messages[odd]?.role)}'. Supported values are: ${roles.join(", ")}.`;
  return (
    refuseOpenAiTools(view) ??
    refuseLimit(json.max_completion_tokens ?? json.max_tokens, "max_tokens", 1) ??
    refuseChatPairs(view)
  );
}

function refuseChatPairs(view: RequestView): string | undefined {
  let open: string[] = [];
  const unanswered = () =>
    `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${open.join(", ")}`;
  for (const turn of view.turns) {
    if (turn.role === "user" && turn.results.length > 0) {
      const id = turn.results[0]?.id ?? "";
      if (!open.includes(id))
        return "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
      open = open.filter((other) => other !== id);
      continue;
    }
    if (open.length > 0) return unanswered();
    if (turn.role === "assistant") open = turn.calls.map((call) => call.id);
  }
  return open.length > 0 ? unanswered() : undefined;
}

function refuseOpenAiTools(view: RequestView): string | undefined {
  const bad = view.toolNames.findIndex((name) => name !== "" && !/^[a-zA-Z0-9_-]{1,64}$/.test(name));
  return bad < 0 ? undefined : `Invalid 'tools[${bad}].name': string does not match pattern '^[a-zA-Z0-9_-]+$'.`;
}

function refuseLimit(value: unknown, name: string, least: number): string | undefined {
  if (value === undefined || value === null || (typeof value === "number" && value >= least)) return undefined;
  return `Invalid '${name}': integer below minimum value. Expected a value >= ${least}, but got ${String(value)} instead.`;
}
