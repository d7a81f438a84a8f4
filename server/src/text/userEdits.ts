/**
 * How an edit of the user is to be understood line by line: as formatting, as going on with what was there, or as other
 * words in its place.
 *
 * Not here: whose lines they are (`pending.ts`). Easily got wrong: it is asked at every keystroke, so what costs more than
 * the edit itself is bounded.
 */
import type { LineChange } from "./diff.ts";
import type { ThreeTexts } from "./styledLines.ts";

/** Lines up to which the words of an edit are compared. */
const maxComparedLines = 300;

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
