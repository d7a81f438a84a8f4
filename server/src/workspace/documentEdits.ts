/**
 * The edits that turn an editor's document into a new text and touch nothing else: cursors and marks elsewhere stay.
 *
 * Not here: sending them (`editor.ts`). Easily got wrong: an editor's document has one kind of line ending and no byte
 * order mark, whatever the file has; the new text is brought to that first.
 */
import { diffTexts, splitLines } from "../text/diff.ts";
import { fromLf, lineStyleOf } from "../text/lineEndings.ts";

/** One replaced range, in LSP's words: lines and UTF-16 characters count from 0, the end is not included. */
export interface DocumentEdit {
  readonly range: { readonly start: DocumentPosition; readonly end: DocumentPosition };
  readonly newText: string;
}

/** A place in a document, counted from 0. */
export interface DocumentPosition {
  readonly line: number;
  readonly character: number;
}

/** The edits, in order and not overlapping; none when the texts differ in line endings or byte order mark only. */
export function toDocumentEdits(document: string, text: string): DocumentEdit[] {
  const wanted = fromLf(text, { bom: document.startsWith("\uFEFF"), ending: lineStyleOf(document).ending });
  const oldLines = splitLines(document);
  const newLines = splitLines(wanted);
  return diffTexts(document, wanted).map((change) => {
    const before = oldLines.slice(change.oldStart, change.oldStart + change.oldCount).join("");
    const after = newLines.slice(change.newStart, change.newStart + change.newCount).join("");
    const { head, tail } = commonEnds(before, after);
    return {
      range: {
        start: positionIn(before, head, change.oldStart),
        end: positionIn(before, before.length - tail, change.oldStart),
      },
      newText: after.slice(head, after.length - tail),
    };
  });
}

function commonEnds(a: string, b: string): { head: number; tail: number } {
  const shortest = Math.min(a.length, b.length);
  let head = 0;
  while (head < shortest && a[head] === b[head]) head += 1;
  while (head > 0 && (isInside(a, head) || isInside(b, head))) head -= 1;
  let tail = 0;
  while (tail < shortest - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  while (tail > 0 && (isInside(a, a.length - tail) || isInside(b, b.length - tail))) tail -= 1;
  return { head, tail };
}

/** True between the two units of a character, and between `\r` and `\n`. */
function isInside(text: string, at: number): boolean {
  const [unit = 0, next = 0] = [text.charCodeAt(at - 1), text.charCodeAt(at)];
  return (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000) || (unit === 0x0d && next === 0x0a);
}

function positionIn(text: string, offset: number, firstLine: number): DocumentPosition {
  let line = firstLine;
  let from = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", from)) {
    line += 1;
    from = at + 1;
  }
  return { line, character: offset - from };
}
