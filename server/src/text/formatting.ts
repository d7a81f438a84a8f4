/**
 * Keeps of a formatter's work what touches the lines of one change, so that the user's own lines stay as they typed them.
 *
 * Not here: running a formatter. Easily got wrong: a hunk that reaches beyond the change is dropped as a whole, because
 * half of it may be no valid text.
 */
import { diffTexts, splitLines } from "./diff.ts";
import { toLf } from "./lineEndings.ts";

/** `written` with those hunks of `formatted` that lie within what `written` changed in `before`. Line endings are `\n`. */
export function formattingWithin(before: string, written: string, formatted: string): string {
  const [old, now, wanted] = [toLf(before), toLf(written), toLf(formatted)];
  const own = diffTexts(old, now);
  const lines = splitLines(now);
  const newLines = splitLines(wanted);
  const kept = diffTexts(now, wanted).filter(
    ({ oldStart, oldCount }) =>
      oldCount > 0 && own.some((at) => oldStart >= at.newStart && oldStart + oldCount <= at.newStart + at.newCount),
  );
  for (const { oldStart, oldCount, newStart, newCount } of kept.toReversed()) {
    lines.splice(oldStart, oldCount, ...newLines.slice(newStart, newStart + newCount));
  }
  return lines.join("");
}
