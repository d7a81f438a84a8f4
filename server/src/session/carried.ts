/**
 * What a compaction carries over without a model: the user's own words and the changed files, and, by rule, as much of
 * the end of the conversation as there is room for. Pure: the same session gives the same text.
 *
 * Not here: when and by what means a conversation is compacted (`compact.ts`). Easily got wrong: the words come from the
 * turns and not from the messages, so that the tenth compaction still has those of the first turn.
 */
import type { ModelMessage } from "../model/provider.ts";
import type { AssistantBlock, FileChange, PromptPart, ToolCallPart, ToolResult, TurnId } from "../protocol/types.ts";
import { messagesOf, type SessionState, type TurnRecord } from "./reduce.ts";

/** What a carried text begins with: no other message does. */
export const carriedMark = "<compacted-conversation>";

/** Bytes that each part may take. */
export interface CarriedRoom {
  readonly words: number;
  readonly extract: number;
}

/** What the text is made of. */
export interface CarriedOptions {
  /** The turn in whose midst it is written; its prompt follows the text and is not part of it. */
  readonly turnId: TurnId | undefined;
  /** Empty where the vendor's own block says it all. */
  readonly summary: string;
  /** Whether the vendor's own block stands before the text. */
  readonly followsBlock: boolean;
}

/** Changed files that are named. */
const maxFiles = 200;
/** Part of the room for words that one message may take while there are others, where there is not enough for all. */
const largestShare = 0.5;
/** Bytes of a call's arguments and of a result in an extract. */
const maxArguments = 300;
const maxResult = 600;

/** The text that stands for the conversation so far, beside the vendor's block where there is one. */
export function carriedText(
  state: SessionState,
  { turnId, summary, followsBlock }: CarriedOptions,
  room: CarriedRoom,
): string {
  const turns = state.turns.filter((turn) => !turn.gone);
  const spoken = turns.filter((turn) => turn.turnId !== turnId);
  const contexts = spoken.map(({ context }) => context).filter((context) => context !== "");
  // Where it is, and the newest date that was told.
  const told = new Set([...contexts.slice(0, 1), ...contexts.slice(-1)]);
  return [
    carriedMark,
    `The conversation so far was compacted to save room (compaction ${state.compactions.length + 1}). This is what is carried over; the user has not just written it.`,
    ...told,
    ...section("What the user has said, word for word", userWords(spoken, room.words)),
    ...section("Files that were changed", changedFiles(state, turns)),
    ...(followsBlock ? ["The summary of what was done stands before this message."] : []),
    ...section("What was done", summary),
    "</compacted-conversation>",
    ...(turnId === undefined ? [] : ["The user's present request follows. It is under way: go on with it from there."]),
  ].join("\n\n");
}

/** The end of the conversation by rule: the last summary, then texts, calls and results, the oldest left out first. */
export function extractOf(state: SessionState, room: number, options: { readonly pruneSimilar: boolean }): string {
  const former = cutText(state.compactions.at(-1)?.summary ?? "", Math.floor(room / 3));
  const lines = linesOf(messagesOf(state), options.pruneSimilar);
  const kept: string[] = [];
  let left = room - bytesOf(former);
  for (const line of lines.toReversed()) {
    left -= bytesOf(line) + 1;
    if (left < 0) break;
    kept.unshift(line);
  }
  const missing = lines.length - kept.length;
  return [
    ...(former ? [former] : []),
    ...(missing > 0 ? [`(${missing} earlier lines of the conversation are left out.)`] : []),
    ...kept,
  ].join("\n");
}

function section(title: string, text: string): readonly string[] {
  return text === "" ? [] : [`# ${title}`, text];
}

/** The newest first where there is no room for all; what is missing is said. */
function userWords(turns: readonly TurnRecord[], room: number): string {
  let left = room;
  let missing = 0;
  const kept: string[] = [];
  const all = turns.map(({ prompt }) => wordsOf(prompt));
  const isEnough = turns.length === 1 || all.reduce((sum, words) => sum + bytesOf(words), 0) <= room;
  const share = isEnough ? room : Math.floor(room * largestShare);
  for (const [index, whole] of [...all.entries()].toReversed()) {
    const words = cutText(whole, Math.min(left, share));
    left -= bytesOf(words);
    if (words === "") missing += 1;
    else kept.unshift(`## Message ${index + 1} of ${turns.length}\n\n${words}`);
  }
  const note = `(${missing === 1 ? "1 older message is" : `${missing} older messages are`} left out for want of room.)`;
  return [...(missing > 0 ? [note] : []), ...kept].join("\n\n");
}

function wordsOf(prompt: readonly PromptPart[]): string {
  return prompt
    .map((part) => {
      if (part.type === "text") return part.text;
      return part.type === "image" ? "(a picture)" : `(with ${part.label})`;
    })
    .filter((text) => text.trim() !== "")
    .join("\n");
}

function changedFiles({ cwd }: SessionState, turns: readonly TurnRecord[]): string {
  const files = new Map<string, string>();
  for (const { changes, undone } of turns)
    for (const change of changes.filter(({ uri }) => !undone.has(uri))) {
      files.delete(change.uri);
      files.set(change.uri, describeChange(change, cwd));
    }
  const lines = [...files.values()];
  const missing = lines.length - maxFiles;
  return [...(missing > 0 ? [`(${missing} more)`] : []), ...lines.slice(-maxFiles)].join("\n");
}

function describeChange({ uri, movedFrom, before, after }: FileChange, cwd: string): string {
  const path = pathIn(uri, cwd);
  if (movedFrom !== undefined) return `- ${path}: moved here from ${pathIn(movedFrom, cwd)}`;
  return `- ${path}: ${before === null ? "created" : after === null ? "deleted" : "changed"}`;
}

function pathIn(uri: string, cwd: string): string {
  const path = decodeURIComponent(uri.replace(/^file:\/\//, ""));
  return path.startsWith(`${cwd}/`) ? path.slice(cwd.length + 1) : path;
}

function linesOf(messages: readonly ModelMessage[], pruneSimilar: boolean): readonly string[] {
  const calls = callsOf(messages);
  const repeated = pruneSimilar ? repeatedResults(messages, calls) : new Set();
  return messages.flatMap((message) => {
    if (message.role === "assistant") return message.blocks.flatMap(answerLines);
    // The user's words are carried on their own.
    if (message.role === "user") return [];
    return message.results.map((result) =>
      repeated.has(result) ? "← (the same as a later result)" : `← ${cutText(result.text, maxResult)}`,
    );
  });
}

function answerLines({ part, wire }: AssistantBlock): readonly string[] {
  if (part.type === "tool_call") return [`→ ${part.name} ${cutText(JSON.stringify(part.input), maxArguments)}`];
  const isSummary = typeof wire === "object" && wire !== null && "type" in wire && wire.type === "compaction";
  return part.type === "text" && part.text.trim() && !isSummary ? [part.text] : [];
}

function callsOf(messages: readonly ModelMessage[]): ReadonlyMap<string, ToolCallPart> {
  return new Map(
    messages.flatMap((message) =>
      message.role === "assistant"
        ? message.blocks.flatMap(({ part }) => (part.type === "tool_call" ? [[part.callId, part] as const] : []))
        : [],
    ),
  );
}

/** Results that a later one says again: of the same call, or with the same text. */
function repeatedResults(
  messages: readonly ModelMessage[],
  calls: ReadonlyMap<string, ToolCallPart>,
): ReadonlySet<ToolResult> {
  const results = messages.flatMap((message) => (message.role === "tool" ? message.results : []));
  const seen = new Set<string>();
  const repeated = new Set<ToolResult>();
  for (const result of results.toReversed()) {
    const call = calls.get(result.callId);
    const names = [JSON.stringify([call?.name, call?.input]), result.text.trim()];
    if (names.some((name) => seen.has(name))) repeated.add(result);
    for (const name of names) seen.add(name);
  }
  return repeated;
}

const encoder = new TextEncoder();

function bytesOf(text: string): number {
  return encoder.encode(text).length;
}

/** The beginning of a text that is too long, and a note of what is missing; nothing where not even that has room. */
function cutText(text: string, room: number): string {
  const bytes = encoder.encode(text);
  if (bytes.length <= room) return text;
  const note = ` […${bytes.length} bytes in all; the rest is left out]`;
  const kept = room - bytesOf(note);
  if (kept <= 0) return "";
  // As for a stream: a character that the limit cuts in two is left out.
  return new TextDecoder().decode(bytes.subarray(0, kept), { stream: true }) + note;
}
