/**
 * How an edit of the user is to be understood line by line: as formatting, as going on with what was there, or as other
 * words in its place.
 *
 * Not here: whose lines they are (`pending.ts`). Easily got wrong: it is asked at every keystroke, so what costs more than
 * the edit itself is bounded.
 */
import { type LineChange, lineChanges } from "./diff.ts";
import { sameButForEndings } from "./lineEndings.ts";
import type { ThreeTexts } from "./styledLines.ts";

/** Lines up to which the words of an edit are compared. */
const maxComparedLines = 300;

/**
 * An edit as the smallest edits that it is made of when white space does not count: lines that were only formatted are
 * apart from those put between them.
 */
export function besideFormatting(edit: LineChange, { text, next }: ThreeTexts): readonly LineChange[] {
  const { oldStart, oldCount, newStart, newCount } = edit;
  if (oldCount === 0 || newCount === 0 || oldCount + newCount > maxComparedLines) return [edit];
  const bare = (lines: readonly string[], start: number, count: number) =>
    lines.slice(start, start + count).map((line) => line.replace(/\s+/g, ""));
  const parts: LineChange[] = [];
  let at = 0;
  let newAt = 0;
  const formatted = (upTo: number) => {
    for (; at < upTo; at += 1, newAt += 1) {
      const [old, now] = [oldStart + at, newStart + newAt];
      if (text.compared[old] !== next.compared[now])
        parts.push({ oldStart: old, oldCount: 1, newStart: now, newCount: 1 });
    }
  };
  for (const change of lineChanges(bare(text.raw, oldStart, oldCount), bare(next.raw, newStart, newCount))) {
    formatted(change.oldStart);
    parts.push({ ...change, oldStart: change.oldStart + oldStart, newStart: change.newStart + newStart });
    at = change.oldStart + change.oldCount;
    newAt = change.newStart + change.newCount;
  }
  formatted(oldCount);
  return parts;
}

/** True for an edit that changes white space within lines and nothing else. */
export function isSameWordByWord(
  { oldStart, oldCount, newStart, newCount }: LineChange,
  { text, next }: ThreeTexts,
): boolean {
  if (oldCount !== newCount) return false;
  const isSame = (at: number) => sameWords(text.raw[oldStart + at] ?? "", next.raw[newStart + at] ?? "");
  return Array.from({ length: oldCount }, (_, at) => at).every(isSame);
}

/** True for an edit within lines: each has words of its own line from before. */
export function isWithinLines(
  { oldStart, oldCount, newStart, newCount }: LineChange,
  { text, next }: ThreeTexts,
): boolean {
  if (oldCount !== newCount || oldCount < 2 || oldCount > maxComparedLines) return false;
  const isOwn = (at: number) => haveCommonWords(text.raw[oldStart + at] ?? "", next.raw[newStart + at] ?? "");
  return Array.from({ length: oldCount }, (_, at) => at).every(isOwn);
}

/** A change that keeps the number of lines, as one change for each. */
export function lineByLine({ oldStart, oldCount, newStart }: LineChange): LineChange[] {
  return Array.from({ length: oldCount }, (_, at) => ({
    oldStart: oldStart + at,
    oldCount: 1,
    newStart: newStart + at,
    newCount: 1,
  }));
}

/**
 * True for other words in the place of the agent's lines: whoever put them there did not go on with what was there, nor
 * with what the agent took away, and may never have seen it, because their document was behind its file.
 */
export function isUnlike(
  { oldStart, oldCount, newStart, newCount }: LineChange,
  { shadow, text, next }: ThreeTexts,
  hunks: readonly LineChange[],
): boolean {
  if (oldCount === 0 || newCount === 0 || oldCount + newCount > maxComparedLines) return false;
  const met = hunks.filter((hunk) => hunk.newStart < oldStart + oldCount && oldStart < hunk.newStart + hunk.newCount);
  if (met.length === 0) return false;
  const was = [
    ...text.raw.slice(oldStart, oldStart + oldCount),
    ...met.flatMap((hunk) => shadow.raw.slice(hunk.oldStart, hunk.oldStart + hunk.oldCount)),
  ].join("");
  const is = next.raw.slice(newStart, newStart + newCount).join("");
  return is.trim() !== "" && !haveCommonWords(was, is);
}

/** Compares marks where one of the texts has no words. */
function haveCommonWords(a: string, b: string): boolean {
  const words = [a, b].map((text) => text.match(/[\p{L}\p{N}_]+/gu) ?? []);
  const [left = [], right = []] = words.some(({ length }) => length === 0)
    ? [a, b].map((text) => text.match(/\S/gu) ?? [])
    : words;
  const known = new Set<string>(left);
  return right.some((word) => known.has(word));
}

/** A change as the new lines, put before the old ones, and the old ones taken away, each by itself. */
export function putAndTaken({ oldStart, oldCount, newStart, newCount }: LineChange): LineChange[] {
  const taken = Array.from({ length: oldCount }, (_, at) => ({
    oldStart: oldStart + at,
    oldCount: 1,
    newStart: newStart + newCount,
    newCount: 0,
  }));
  return [{ oldStart, oldCount: 0, newStart, newCount }, ...taken];
}

/** True for texts that differ in white space only: reformatting puts no words of the user's into a text. */
export function sameWords(a: string, b: string): boolean {
  return a.replace(/\s+/g, "") === b.replace(/\s+/g, "");
}

/**
 * True when a text may be what a formatter made of another: they differ in more than line endings, but not in letters and
 * digits. Formatters also change marks, as quotes and final commas; other words are somebody's typing.
 */
export function isFormatted(before: string, after: string): boolean {
  const bare = (text: string) => text.replace(/[^\p{L}\p{N}_]+/gu, "");
  return !sameButForEndings(before, after) && bare(before) === bare(after);
}
