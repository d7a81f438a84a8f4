/**
 * How tools show text: lines, cuts with a note of what is missing, and a budget shared between several parts.
 *
 * Not here: line endings and diffs (the workspace). Easily got wrong: a text that ends in a newline has no empty last
 * line, as people and editors count.
 */
import type { SettledEdit } from "../tool.ts";

/** The lines of a text with `\n` endings, without them. An empty text has none. */
export function splitTextLines(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** `1 line`, `2 lines`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The text, or its first `limit` characters and a note of how many follow. Never cuts a surrogate pair. */
export function clip(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const code = text.charCodeAt(limit - 1);
  const end = code >= 0xd800 && code <= 0xdbff ? limit - 1 : limit;
  return `${text.slice(0, end)}…[${text.length - end} more characters]`;
}

/** Divides `total` so that small needs are met in full and the large ones get equal parts of what is left. */
export function shareOut(needs: readonly number[], total: number): number[] {
  const shares = needs.map(() => 0);
  let left = total;
  const ascending = needs.map((need, at) => ({ need, at })).toSorted((a, b) => a.need - b.need);
  for (const [taken, { need, at }] of ascending.entries()) {
    const share = Math.min(need, Math.floor(left / (needs.length - taken)));
    shares[at] = share;
    left -= share;
  }
  return shares;
}

/** Keeps whole lines from the start within `limit` bytes, and says how many were left out. */
export function headLines(
  lines: readonly string[],
  limit: number,
): { readonly lines: readonly string[]; readonly left: number } {
  let size = 0;
  let end = 0;
  for (const line of lines) {
    size += Buffer.byteLength(line) + 1;
    if (size > limit) break;
    end += 1;
  }
  return { lines: lines.slice(0, end), left: lines.length - end };
}

/** The text, or as many of its first and last lines as `limit` bytes hold, the last ones getting three quarters. */
export function headAndTail(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  const lines = splitTextLines(text).map((line) => clip(line, Math.ceil(limit / 8)));
  const head = headLines(lines, Math.floor(limit / 4)).lines;
  const tail = headLines(lines.slice(head.length).toReversed(), Math.floor((limit * 3) / 4)).lines.toReversed();
  const left = lines.length - head.length - tail.length;
  return [...head, `[${counted(left, "line")} left out]`, ...tail].join("\n");
}

/** The first line of a text within `limit` characters, with an ellipsis when something was left out; for titles. */
export function oneLine(text: string, limit: number): string {
  const line = text.trim().split("\n", 1)[0] ?? "";
  const short = line.length > limit ? line.slice(0, limit - 1) : line;
  return short.length < text.trim().length ? `${short.trimEnd()}…` : short;
}

/** What to add to the result of a change about its formatting and its problems. */
export function settledNote(settled: SettledEdit | undefined): string {
  const formatted = settled?.formatted ? " The file was formatted as the editor does on save." : "";
  return `${formatted}${settled?.problems ? `\n${settled.problems}` : ""}`;
}

/** What to add to the result of a change when the file is open with unsaved text, as a sentence after a space. */
export function unsavedNote(source: "disk" | "buffer"): string {
  if (source === "disk") return "";
  return " The file has unsaved changes in the editor: this change is there too and not on disk, where commands look.";
}
