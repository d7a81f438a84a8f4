/**
 * Whether an assistant turn of a request is one that the double sent, unchanged.
 *
 * Not here: thinking signatures, which the vendor itself checks (`refusals.ts`). Easily got wrong: of an answer that
 * was cut off, any prefix may come back; what another API or model said may come back in translation.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import type { Answer } from "./answer.ts";
import { asList, asText, canonical, isObject, type JsonObject, parseJson } from "./json.ts";
import type { Memory, Remembered } from "./memory.ts";
import { type Api, asBlocks, type ReadTurn, type RequestView } from "./read.ts";

type AssistantTurn = Extract<ReadTurn, { role: "assistant" }>;

/** `undefined` when the turn is one of the double's answers; else what differs, in words. */
export function recognise(view: RequestView, turn: AssistantTurn, memory: Memory): string | undefined {
  const came = comparable(view.api, turn.blocks, memory);
  if (memory.isEcho(echoKey(view.api, came))) return undefined;
  const recent = memory.answers();
  const same = recent.some((item) => {
    if (item.api === view.api && isOpen(item) && startsWith(comparable(item.api, item.echo, memory), came)) return true;
    const foreign = item.api !== view.api || item.request.model !== view.model;
    return foreign && meansTheSame(item, turn, isOpen(item));
  });
  return same
    ? undefined
    : explain(
        came,
        recent.filter((item) => item.api === view.api),
        memory,
      );
}

/** The key under which `Memory` knows an answer again. */
export function echoKey(api: Api, blocks: readonly Json[]): string {
  return `${api}:${JSON.stringify(blocks)}`;
}

/**
 * Blocks in the form that is compared: arguments that were sent malformed match anything, and a Chat message counts by
 * its content, refusal and calls.
 */
export function comparable(api: Api, blocks: readonly Json[], memory: { isRawCall(id: string): boolean }): Json[] {
  if (api === "chat") return blocks.filter(isObject).flatMap((message) => chatParts(message, memory));
  return blocks.map((block) => {
    if (!isObject(block) || !memory.isRawCall(asText(block.call_id ?? block.id))) return block;
    return api === "anthropic" ? { ...block, input: "(malformed)" } : { ...block, arguments: "(malformed)" };
  });
}

function chatParts(message: JsonObject, memory: { isRawCall(id: string): boolean }): Json[] {
  const content = asBlocks(message.content)
    .map((part) => (isObject(part) ? asText(part.text) : ""))
    .join("");
  const refusal = asText(message.refusal);
  const calls = asList(message.tool_calls).map((call) => {
    if (!isObject(call) || !memory.isRawCall(asText(call.id)) || !isObject(call.function)) return call;
    return { ...call, function: { ...call.function, arguments: "(malformed)" } };
  });
  return [...(content === "" ? [] : [{ text: content }]), ...(refusal === "" ? [] : [{ refusal }]), ...calls];
}

/** The client may not have got all of it, or may have reason to drop its end. */
function isOpen({ answer, request }: Remembered): boolean {
  return request.outcome !== "complete" || ["max_tokens", "refusal", "context_window"].includes(answer.stop);
}

/** `part` holds the first blocks of `whole`; of the last one perhaps only the beginning of its text. */
function startsWith(whole: readonly Json[], part: readonly Json[]): boolean {
  if (part.length > whole.length) return false;
  return part.every((block, at) => {
    const full = whole[at] ?? null;
    if (JSON.stringify(block) === JSON.stringify(full)) return true;
    return at === part.length - 1 && isObject(block) && isObject(full) && isCutText(full, block);
  });
}

function isCutText(full: JsonObject, part: JsonObject): boolean {
  const textOf = (block: JsonObject) =>
    typeof block.text === "string"
      ? block.text
      : asList(block.content)
          .map((inner) => (isObject(inner) ? asText(inner.text) : ""))
          .join("");
  const kind = (block: JsonObject) => asText(block.type);
  const text = textOf(part);
  return kind(full) === kind(part) && text !== "" && textOf(full).startsWith(text);
}

/** The same words and the same calls, whatever form they have. */
function meansTheSame({ answer }: Remembered, turn: AssistantTurn, open: boolean): boolean {
  const text = answer.blocks
    .map((block) => (block.type === "text" || block.type === "compaction" ? (block.text ?? "") : ""))
    .join("");
  const calls = answer.blocks.flatMap((block) => (block.type === "call" ? [block] : []));
  const cameCalls = turn.calls.every((call, at) => sameCall(calls[at], call));
  if (!cameCalls || turn.calls.length > calls.length) return false;
  // A translator may put text blocks on lines of their own.
  const bare = (value: string) => value.replace(/\s+/g, "");
  if (open) return bare(text).startsWith(bare(turn.text));
  return calls.length === turn.calls.length && bare(text) === bare(turn.text);
}

function sameCall(
  sent: Extract<Answer["blocks"][number], { type: "call" }> | undefined,
  came: AssistantTurn["calls"][number],
) {
  if (!sent || sent.name !== came.name) return false;
  return sent.raw || canonical(parseJson(sent.arguments) ?? null) === canonical(parseJson(came.arguments) ?? null);
}

function explain(came: readonly Json[], answers: readonly Remembered[], memory: Memory): string {
  const text = came.map((block) => JSON.stringify(block));
  let best: { at: number; sent: string | undefined } | undefined;
  for (const answer of answers.slice(0, 200)) {
    const sent = comparable(answer.api, answer.echo, memory).map((block) => JSON.stringify(block));
    const at = Math.max(sent.length, text.length) === 0 ? 0 : firstUnequal(sent, text);
    if (!best || at > best.at || (at === best.at && sharesType(sent[at], text[at]))) best = { at, sent: sent[at] };
  }
  if (!best) return "the turn was never sent by this server.";
  return `block ${best.at} was sent as ${clip(best.sent)} and came back as ${clip(text[best.at])}.`;
}

function firstUnequal(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? a.length : at;
}

function sharesType(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a.slice(0, 24) === b.slice(0, 24);
}

function clip(text: string | undefined): string {
  if (text === undefined) return "nothing";
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
