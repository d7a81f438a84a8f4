/**
 * One text with both sides of what differs between two, in the marker form that editors and git know.
 *
 * Not here: which places conflict (`merge.ts`). Easily got wrong: a marker stands on a line of its own, so a last line
 * without an ending is given one; and the line endings are those of the first text.
 */
import { lineChanges, splitLines } from "./diff.ts";
import { fromLf, lineStyleOf, toLf, withoutBom } from "./lineEndings.ts";

/** What the markers call the two sides. */
export interface SideLabels {
  readonly yours: string;
  readonly other: string;
}

/** `yours` with every place in which `other` differs shown as both. Equal texts give `yours`. */
export function withConflictMarkers(yours: string, other: string, labels: SideLabels): string {
  if (yours === other) return yours;
  const style = lineStyleOf(yours);
  const plain = style.mixed ? withoutBom : toLf;
  const [mine, theirs] = [splitLines(plain(yours)), splitLines(plain(other))];
  const output: string[] = [];
  let at = 0;
  for (const { oldStart, oldCount, newStart, newCount } of lineChanges(mine, theirs)) {
    output.push(
      ...mine.slice(at, oldStart),
      `<<<<<<< ${labels.yours}\n`,
      ...ended(mine.slice(oldStart, oldStart + oldCount)),
      "=======\n",
      ...ended(theirs.slice(newStart, newStart + newCount)),
      `>>>>>>> ${labels.other}\n`,
    );
    at = oldStart + oldCount;
  }
  if (output.length === 0) return yours;
  const text = [...output, ...mine.slice(at)].join("");
  if (!style.mixed) return fromLf(text, style);
  return style.bom ? `\uFEFF${text}` : text;
}

function ended(lines: readonly string[]): readonly string[] {
  return lines.map((line) => (line.endsWith("\n") ? line : `${line}\n`));
}
