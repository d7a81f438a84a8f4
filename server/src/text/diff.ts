/**
 * What differs between two texts, by line: changes, counts, and a unified diff to show.
 *
 * Not here: three-way merge (`merge.ts`). Easily got wrong: a line includes its ending, so a change from `\n` to `\r\n`
 * is a change of every line; and the work is bounded, so two very different texts come back as one large change.
 */
import { diffArrays, formatPatch, type StructuredPatchHunk } from "diff";

/** Lines `oldStart..oldStart+oldCount` of the old text became `newStart..newStart+newCount`; both count from 0. */
export interface LineChange {
  readonly oldStart: number;
  readonly oldCount: number;
  readonly newStart: number;
  readonly newCount: number;
}

/** How many lines an edit added and removed, as people count them: a changed line is one of each. */
export interface LineCounts {
  readonly addedLines: number;
  readonly removedLines: number;
}

/**
 * The greatest number of inserted and deleted lines that is looked for one by one. The library's work grows with its
 * square: at 2,000 it stays near 100 ms whatever the length of the texts.
 */
const maxEditLength = 2_000;

/** The lines of a text, each with its ending; none for an empty text. */
export function splitLines(text: string): string[] {
  const lines: string[] = [];
  let from = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
    lines.push(text.slice(from, at + 1));
    from = at + 1;
  }
  if (from < text.length) lines.push(text.slice(from));
  return lines;
}

/**
 * The changes that turn one list of lines into another, in order, none touching the next. One change for all, where they
 * differ in more than `maxEdits` lines.
 */
export function lineChanges(
  oldLines: readonly string[],
  newLines: readonly string[],
  maxEdits = maxEditLength,
): LineChange[] {
  const shortest = Math.min(oldLines.length, newLines.length);
  let head = 0;
  while (head < shortest && oldLines[head] === newLines[head]) head += 1;
  let tail = 0;
  while (tail < shortest - head && oldLines[oldLines.length - 1 - tail] === newLines[newLines.length - 1 - tail]) {
    tail += 1;
  }
  const oldMiddle = oldLines.slice(head, oldLines.length - tail);
  const newMiddle = newLines.slice(head, newLines.length - tail);
  if (oldMiddle.length === 0 && newMiddle.length === 0) return [];
  const whole = { oldStart: head, oldCount: oldMiddle.length, newStart: head, newCount: newMiddle.length };
  if (oldMiddle.length === 0 || newMiddle.length === 0) return [whole];
  return middleChanges(oldMiddle, newMiddle, { offset: head, maxEdits }) ?? [whole];
}

/** The changes between two texts, by line. */
export function diffTexts(oldText: string, newText: string): LineChange[] {
  return oldText === newText ? [] : lineChanges(splitLines(oldText), splitLines(newText));
}

/** Counts added and removed lines; `null` stands for a file that does not exist. */
export function countLines(oldText: string | null, newText: string | null): LineCounts {
  let addedLines = 0;
  let removedLines = 0;
  for (const change of diffTexts(oldText ?? "", newText ?? "")) {
    addedLines += change.newCount;
    removedLines += change.oldCount;
  }
  return { addedLines, removedLines };
}

/**
 * A unified diff with `context` lines around each change (3 unless told), or "" when nothing differs. `null` stands for
 * a file that does not exist.
 */
export function unifiedDiff(path: string, oldText: string | null, newText: string | null, context = 3): string {
  const oldLines = splitLines(oldText ?? "");
  const newLines = splitLines(newText ?? "");
  const groups = groupChanges(lineChanges(oldLines, newLines), context);
  if (groups.length === 0 && (oldText === null) === (newText === null)) return "";
  return formatPatch(
    {
      oldFileName: oldText === null ? "/dev/null" : `a/${path}`,
      newFileName: newText === null ? "/dev/null" : `b/${path}`,
      oldHeader: undefined,
      newHeader: undefined,
      hunks: groups.map((group) => toHunk(group, { oldLines, newLines, context })),
    },
    { includeIndex: false, includeUnderline: false, includeFileHeaders: true },
  );
}

function middleChanges(
  oldLines: string[],
  newLines: string[],
  { offset, maxEdits }: { readonly offset: number; readonly maxEdits: number },
): LineChange[] | undefined {
  const parts = diffArrays(oldLines, newLines, { maxEditLength: maxEdits });
  if (!parts) return undefined;
  const changes: LineChange[] = [];
  let oldAt = offset;
  let newAt = offset;
  let open: { oldStart: number; oldCount: number; newStart: number; newCount: number } | undefined;
  for (const part of parts) {
    if (!part.added && !part.removed) {
      oldAt += part.count;
      newAt += part.count;
      open = undefined;
      continue;
    }
    if (!open) {
      open = { oldStart: oldAt, oldCount: 0, newStart: newAt, newCount: 0 };
      changes.push(open);
    }
    if (part.removed) {
      open.oldCount += part.count;
      oldAt += part.count;
    } else {
      open.newCount += part.count;
      newAt += part.count;
    }
  }
  return changes;
}

function groupChanges(changes: readonly LineChange[], context: number): LineChange[][] {
  const groups: LineChange[][] = [];
  let end = 0;
  for (const change of changes) {
    const last = groups.at(-1);
    if (last && change.oldStart - end <= 2 * context) last.push(change);
    else groups.push([change]);
    end = change.oldStart + change.oldCount;
  }
  return groups;
}

function toHunk(
  group: readonly LineChange[],
  texts: { readonly oldLines: readonly string[]; readonly newLines: readonly string[]; readonly context: number },
): StructuredPatchHunk {
  const { oldLines, newLines, context } = texts;
  const lines: string[] = [];
  const push = (sign: string, line: string) => {
    if (line.endsWith("\n")) lines.push(sign + line.slice(0, -1));
    else lines.push(sign + line, "\\ No newline at end of file");
  };
  const first = group[0] ?? { oldStart: 0, oldCount: 0, newStart: 0, newCount: 0 };
  const lead = Math.min(context, first.oldStart);
  let at = first.oldStart - lead;
  let newCount = 0;
  const copyTo = (end: number) => {
    for (const line of oldLines.slice(at, end)) push(" ", line);
    newCount += end - at;
    at = end;
  };
  for (const change of group) {
    copyTo(change.oldStart);
    for (const line of oldLines.slice(at, at + change.oldCount)) push("-", line);
    for (const line of newLines.slice(change.newStart, change.newStart + change.newCount)) push("+", line);
    at += change.oldCount;
    newCount += change.newCount;
  }
  copyTo(Math.min(oldLines.length, at + context));
  const oldStart = first.oldStart - lead;
  return {
    oldStart: oldStart + 1,
    oldLines: at - oldStart,
    newStart: first.newStart - lead + 1,
    newLines: newCount,
    lines,
  };
}
