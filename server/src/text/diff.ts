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
 * The greatest number of inserted and deleted lines that is looked for one by one, where no line is there to go by. The
 * library's work grows with its square: at 2,000 it stays near 100 ms whatever the length of the texts.
 */
const maxEditLength = 2_000;
/** Inserted and deleted lines up to which no anchors are looked for. */
const fewEdits = 64;
/** Lines of each side that are looked at together while they go side by side: few enough to stay in the processor's cache. */
const slabLines = 2_048;
/** How often a stretch between two anchors is taken apart by anchors of its own. */
const maxDepth = 8;

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
 * The changes that turn one list of lines into another, in order, none touching the next. Where more than a few lines
 * differ, it goes by the lines that occur once on either side, so that the work grows with the length of the lists; a
 * stretch without such lines that differs in more than `maxEdits` is one change.
 */
export function lineChanges(
  oldLines: readonly string[],
  newLines: readonly string[],
  maxEdits = maxEditLength,
): LineChange[] {
  const all = { oldStart: 0, oldCount: oldLines.length, newStart: 0, newCount: newLines.length };
  return new LineDiff(oldLines, newLines, maxEdits).changesIn(all, 0);
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
 * What a second change counts beyond the first when they follow each other as one: formatting beyond its edit. Never below
 * zero, so that both together count at least what the whole does.
 */
export function furtherCounts(first: LineCounts, whole: LineCounts): LineCounts {
  return {
    addedLines: Math.max(0, whole.addedLines - first.addedLines),
    removedLines: Math.max(0, whole.removedLines - first.removedLines),
  };
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

/** Compares two lists of lines, stretch by stretch. */
class LineDiff {
  readonly #old: readonly string[];
  readonly #new: readonly string[];
  /** What is left of the work: the square of the edits that may be looked for one by one. */
  #work: number;

  constructor(oldLines: readonly string[], newLines: readonly string[], maxEdits: number) {
    this.#old = oldLines;
    this.#new = newLines;
    this.#work = maxEdits * maxEdits;
  }

  /** The changes in a stretch; `depth` counts the stretches that it lies in. */
  changesIn(stretch: LineChange, depth: number): LineChange[] {
    const middle = this.#trimmed(stretch);
    if (middle.oldCount === 0 && middle.newCount === 0) return [];
    if (middle.oldCount === 0 || middle.newCount === 0) return [middle];
    return (
      this.#oneByOne(middle, Math.min(fewEdits, this.#affordable())) ??
      this.#byAnchors(middle, depth) ??
      this.#oneByOne(middle, this.#affordable()) ?? [middle]
    );
  }

  #affordable(): number {
    return Math.floor(Math.sqrt(this.#work));
  }

  /** The stretch without the equal lines at its ends. */
  #trimmed({ oldStart, oldCount, newStart, newCount }: LineChange): LineChange {
    const shortest = Math.min(oldCount, newCount);
    let head = 0;
    while (head < shortest && this.#old[oldStart + head] === this.#new[newStart + head]) head += 1;
    let tail = 0;
    const [oldEnd, newEnd] = [oldStart + oldCount - 1, newStart + newCount - 1];
    while (tail < shortest - head && this.#old[oldEnd - tail] === this.#new[newEnd - tail]) tail += 1;
    const same = head + tail;
    return {
      oldStart: oldStart + head,
      oldCount: oldCount - same,
      newStart: newStart + head,
      newCount: newCount - same,
    };
  }

  /** The fewest changes, or `undefined` when they are of more lines than `maxEdits`. */
  #oneByOne(stretch: LineChange, maxEdits: number): LineChange[] | undefined {
    const oldLines = this.#old.slice(stretch.oldStart, stretch.oldStart + stretch.oldCount);
    const newLines = this.#new.slice(stretch.newStart, stretch.newStart + stretch.newCount);
    const parts = diffArrays(oldLines, newLines, { maxEditLength: maxEdits });
    const changes = parts && changesOf(parts, stretch);
    // What is few costs no more than the lines themselves do; only the search for many is rationed.
    if (maxEdits > fewEdits) {
      const edits = changes?.reduce((sum, change) => sum + change.oldCount + change.newCount, 0) ?? maxEdits;
      this.#work = Math.max(0, this.#work - edits * edits);
    }
    return changes;
  }

  /** The changes between the lines that occur once in each side of the stretch; `undefined` when there is none. */
  #byAnchors(stretch: LineChange, depth: number): LineChange[] | undefined {
    const anchors = depth < maxDepth ? this.#anchorsIn(stretch) : [];
    if (anchors.length === 0) return undefined;
    const changes: LineChange[] = [];
    let { oldStart, newStart } = stretch;
    const end = { old: stretch.oldStart + stretch.oldCount, new: stretch.newStart + stretch.newCount };
    for (const anchor of [...anchors, end]) {
      if (anchor.old > oldStart || anchor.new > newStart) {
        const between = { oldStart, oldCount: anchor.old - oldStart, newStart, newCount: anchor.new - newStart };
        for (const change of this.changesIn(between, depth + 1)) changes.push(change);
      }
      oldStart = anchor.old + 1;
      newStart = anchor.new + 1;
    }
    return changes;
  }

  /** The anchors of a stretch: slab by slab while most lines of a slab are anchors, and then of all that is left. */
  #anchorsIn(stretch: LineChange): Anchor[] {
    const anchors: Anchor[] = [];
    let { oldStart, newStart } = stretch;
    const [oldEnd, newEnd] = [oldStart + stretch.oldCount, newStart + stretch.newCount];
    for (;;) {
      const rest = { oldStart, oldCount: oldEnd - oldStart, newStart, newCount: newEnd - newStart };
      const slab = {
        ...rest,
        oldCount: Math.min(slabLines, rest.oldCount),
        newCount: Math.min(slabLines, rest.newCount),
      };
      const found = inOrder(this.#commonOnce(slab));
      const last = found.at(-1);
      const isAligned = last && found.length > slabLines / 2;
      const some = isAligned ? found : inOrder(this.#commonOnce(rest));
      for (const anchor of some) anchors.push(anchor);
      if (!isAligned) return anchors;
      oldStart = last.old + 1;
      newStart = last.new + 1;
    }
  }

  /** Where the lines are that occur once in each side of a stretch, in the order of the old side. */
  #commonOnce({ oldStart, oldCount, newStart, newCount }: LineChange): Anchor[] {
    const oldPlaces = placesOf(this.#old, oldStart, oldCount);
    const newPlaces = placesOf(this.#new, newStart, newCount);
    const anchors: Anchor[] = [];
    for (const [line, old] of oldPlaces) {
      const place = newPlaces.get(line);
      if (old !== severalTimes && place !== undefined && place !== severalTimes) anchors.push({ old, new: place });
    }
    return anchors;
  }
}

/** The places of one line in both lists. */
interface Anchor {
  readonly old: number;
  readonly new: number;
}

const severalTimes = -1;

function placesOf(lines: readonly string[], start: number, count: number): Map<string, number> {
  const places = new Map<string, number>();
  for (let at = start; at < start + count; at += 1) {
    const line = lines[at] ?? "";
    places.set(line, places.has(line) ? severalTimes : at);
  }
  return places;
}

/** The most anchors, given in the order of the old list, that are in the order of the new one too. */
function inOrder(anchors: readonly Anchor[]): Anchor[] {
  /** The index of the anchor that ends the best row of each length, and for each anchor the one before it in its row. */
  const ends: number[] = [];
  const before: number[] = [];
  for (const [index, anchor] of anchors.entries()) {
    let low = 0;
    let high = ends.length;
    // Most lines are in order already, so the end is looked at first.
    if ((anchors[ends[high - 1] ?? -1]?.new ?? -1) < anchor.new) low = high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((anchors[ends[middle] ?? -1]?.new ?? -1) < anchor.new) low = middle + 1;
      else high = middle;
    }
    before[index] = ends[low - 1] ?? -1;
    ends[low] = index;
  }
  const row: Anchor[] = [];
  for (let at = ends.at(-1) ?? -1; at !== -1; at = before[at] ?? -1) {
    const anchor = anchors[at];
    if (anchor) row.push(anchor);
  }
  return row.reverse();
}

function changesOf(
  parts: readonly { readonly count: number; readonly added: boolean; readonly removed: boolean }[],
  stretch: LineChange,
): LineChange[] {
  const changes: LineChange[] = [];
  let { oldStart: oldAt, newStart: newAt } = stretch;
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
