/**
 * Reads the three vendors' request bodies into one view: turns, tool calls and their results, settings, and the
 * serialised units whose bytes must not change from one request to the next.
 *
 * Not here: judging any of it. Easily got wrong: a Responses conversation has no messages with calls inside; a run of
 * output items (reasoning, message, function call) is one assistant turn.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import { asList, asObjects, asText, digest, isObject, type JsonObject, strip } from "./json.ts";

/** The wire formats of the double. */
export type Api = "anthropic" | "responses" | "chat";

/** A call within an assistant turn. */
export interface ReadCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, as it stands on the wire or re-serialised. */
  readonly arguments: string;
}

/** A result within a user turn, with its text. */
export interface ReadResult {
  readonly id: string;
  readonly text: string;
}

/** One turn of a request, in the order of the wire. `at` is the index of its first unit. */
export type ReadTurn =
  | {
      readonly role: "assistant";
      readonly at: number;
      /** Blocks (Anthropic), items (Responses) or the one message (Chat), without cache markers. */
      readonly blocks: readonly Json[];
      readonly text: string;
      readonly calls: readonly ReadCall[];
    }
  | {
      readonly role: "user" | "system";
      readonly at: number;
      readonly text: string;
      readonly results: readonly ReadResult[];
      /** A block that is no result stands before a result. */
      readonly resultsLate: boolean;
    };

/** What a request says, whatever its wire format. */
export interface RequestView {
  readonly api: Api;
  readonly model: string;
  readonly tools: readonly string[];
  readonly toolNames: readonly string[];
  readonly system: readonly string[];
  readonly systemText: string;
  /** Messages or items, each serialised without cache markers. */
  readonly units: readonly string[];
  readonly turns: readonly ReadTurn[];
  /** Settings that a conversation keeps, each serialised. */
  readonly settings: Readonly<Record<string, string>>;
  readonly firstUser: string;
  readonly lastUser: string;
  /** Tool results of the newest turn. */
  readonly results: readonly ReadResult[];
  /** Digest of every image, in order. */
  readonly images: readonly string[];
  readonly cacheKey: string | undefined;
}

/** Reads a body; never throws, whatever the body holds. `earlier` are items held by the double for a Responses id. */
export function readRequest(api: Api, body: JsonObject, earlier: readonly Json[] = []): RequestView {
  const parts =
    api === "anthropic" ? readAnthropic(body) : api === "chat" ? readChat(body) : readResponses(body, earlier);
  const users = parts.turns.filter((turn) => turn.role === "user");
  const spoken = users.filter((turn) => turn.text.trim() !== "");
  const results: ReadResult[] = [];
  for (let at = parts.turns.length - 1; at >= 0; at -= 1) {
    const turn = parts.turns[at];
    if (!turn || turn.role === "assistant") break;
    results.unshift(...turn.results);
  }
  return {
    api,
    model: asText(body.model),
    tools: asList(body.tools).map(strip),
    toolNames: asObjects(body.tools).map(toolName),
    settings: readSettings(api, body),
    firstUser: spoken[0]?.text ?? "",
    lastUser: spoken.at(-1)?.text ?? "",
    results,
    images: imagesOf(api === "responses" ? [...earlier, body.input ?? []] : (body.messages ?? [])),
    cacheKey: typeof body.prompt_cache_key === "string" ? body.prompt_cache_key : undefined,
    ...parts,
  };
}

interface Parts {
  readonly system: readonly string[];
  readonly systemText: string;
  readonly units: readonly string[];
  readonly turns: readonly ReadTurn[];
}

/** Content as blocks: a bare string is the one text block that the vendor makes of it. */
export function asBlocks(content: Json | undefined): readonly Json[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : asList(content);
}

function readAnthropic(body: JsonObject): Parts {
  const system = asBlocks(body.system);
  const messages = asObjects(body.messages);
  const turns = messages.map((message, at): ReadTurn => {
    const blocks = asBlocks(message.content).map(withoutMarkers).filter(isObject);
    const text = textOf(blocks);
    if (message.role === "assistant") {
      const calls = blocks
        .filter((block) => block.type === "tool_use")
        .map((block) => ({
          id: asText(block.id),
          name: asText(block.name),
          arguments: JSON.stringify(block.input ?? null),
        }));
      return { role: "assistant", at, blocks, text, calls };
    }
    const kinds = blocks.map((block) => block.type === "tool_result");
    const results = blocks
      .filter((block) => block.type === "tool_result")
      .map((block) => ({ id: asText(block.tool_use_id), text: textOf(asBlocks(block.content)) }));
    const resultsLate = kinds.lastIndexOf(true) >= results.length;
    return { role: message.role === "system" ? "system" : "user", at, text, results, resultsLate };
  });
  return {
    system: system.map(strip),
    systemText: textOf(system),
    units: messages.map((message) => strip({ ...message, content: asBlocks(message.content) })),
    turns,
  };
}

function readChat(body: JsonObject): Parts {
  const messages = asObjects(body.messages);
  const isSystem = (message: JsonObject) => message.role === "system" || message.role === "developer";
  const leading = messages.findIndex((message) => !isSystem(message));
  const head = leading < 0 ? messages : messages.slice(0, leading);
  const rest = leading < 0 ? [] : messages.slice(leading);
  const turns = rest.map((message, at): ReadTurn => {
    const text = textOf(asBlocks(message.content));
    if (message.role === "assistant") {
      const calls = asObjects(message.tool_calls).map((call) => {
        const named = isObject(call.function) ? call.function : {};
        return { id: asText(call.id), name: asText(named.name), arguments: asText(named.arguments) };
      });
      return { role: "assistant", at, blocks: [withoutMarkers(message)], text, calls };
    }
    if (message.role === "tool") {
      const results = [{ id: asText(message.tool_call_id), text }];
      return { role: "user", at, text: "", results, resultsLate: false };
    }
    return { role: isSystem(message) ? "system" : "user", at, text, results: [], resultsLate: false };
  });
  return {
    system: head.map(strip),
    systemText: head.map((message) => textOf(asBlocks(message.content))).join("\n"),
    units: rest.map((message) => strip({ ...message, content: message.content ?? null })),
    turns,
  };
}

const outputTypes = new Set(["reasoning", "function_call", "custom_tool_call", "compaction"]);

/** True for an item that a model wrote. */
export function isOutputItem(item: JsonObject): boolean {
  return outputTypes.has(asText(item.type)) || item.role === "assistant";
}

function readResponses(body: JsonObject, earlier: readonly Json[]): Parts {
  const input = typeof body.input === "string" ? [{ role: "user", content: body.input }] : asList(body.input);
  const items = [...earlier, ...input].filter(isObject);
  const turns: ReadTurn[] = [];
  let run: { at: number; items: JsonObject[] } | undefined;
  const close = () => {
    if (run) turns.push(outputTurn(run.at, run.items));
    run = undefined;
  };
  for (const [at, item] of items.entries()) {
    if (isOutputItem(item)) {
      run ??= { at, items: [] };
      run.items.push(item);
      continue;
    }
    close();
    const isResult = asText(item.type).endsWith("_call_output");
    const role = item.role === "system" || item.role === "developer" ? "system" : "user";
    const text = textOf(asBlocks(item.content));
    const result = { id: asText(item.call_id), text: textOf(asBlocks(item.output)) };
    turns.push({ role, at, text, results: isResult ? [result] : [], resultsLate: false });
  }
  close();
  const instructions = body.instructions;
  return {
    system: instructions === undefined || instructions === null ? [] : [JSON.stringify(instructions)],
    systemText: asText(instructions),
    units: items.map(strip),
    turns,
  };
}

function outputTurn(at: number, items: readonly JsonObject[]): ReadTurn {
  const calls = items
    .filter((item) => item.type === "function_call" || item.type === "custom_tool_call")
    .map((item) => ({
      id: asText(item.call_id),
      name: asText(item.name),
      arguments: asText(item.arguments ?? item.input),
    }));
  const text = items.map((item) => textOf(asBlocks(item.content))).join("");
  return { role: "assistant", at, blocks: items.map(withoutMarkers), text, calls };
}

function textOf(blocks: readonly Json[]): string {
  return blocks
    .filter(isObject)
    .map((block) => (asText(block.type).endsWith("text") ? asText(block.text) : ""))
    .join("");
}

function toolName(tool: JsonObject): string {
  return asText(isObject(tool.function) ? tool.function.name : tool.name);
}

function withoutMarkers(block: Json): Json {
  if (!carriesMarker(block)) return block;
  const copy: Json = JSON.parse(strip(block));
  return copy;
}

function carriesMarker(value: Json): boolean {
  if (Array.isArray(value)) return value.some(carriesMarker);
  if (!isObject(value)) return false;
  if ("cache_control" in value || "prompt_cache_breakpoint" in value) return true;
  return Object.values(value).some(carriesMarker);
}

const settingNames: Readonly<Record<Api, readonly string[]>> = {
  anthropic: ["model", "speed", "service_tier", "thinking", "output_config", "tool_choice"],
  responses: ["model", "service_tier", "reasoning", "text", "tool_choice", "parallel_tool_calls"],
  chat: [
    "model",
    "service_tier",
    "reasoning_effort",
    "verbosity",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
  ],
};

function readSettings(api: Api, body: JsonObject): Record<string, string> {
  return Object.fromEntries(settingNames[api].map((name) => [name, JSON.stringify(body[name] ?? null)]));
}

const imageTypes = new Set(["image", "image_url", "input_image"]);

function imagesOf(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(imagesOf);
  if (!isObject(value)) return [];
  if (imageTypes.has(asText(value.type))) return [digest(strip(value))];
  return Object.values(value).flatMap(imagesOf);
}
