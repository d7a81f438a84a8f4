/**
 * Which lines of a text are the agent's and still wait for the user's word: pure functions over a text and its *shadow*,
 * the same text without the pending hunks.
 *
 * Not here: files, events, ids (`session/editLedger.ts`). Easily got wrong: hunks are carried from change to change and
 * never found anew by comparing shadow and text, because such a diff may well align the user's lines with the agent's;
 * and line endings and byte order marks are kept apart from lines, so line numbers mean the same in any style.
 */
import { type LineChange, lineChanges, splitLines } from "./diff.ts";
import { type LineEnding, withoutBom } from "./lineEndings.ts";
import { endingFor, joined, type Lines, linesOf, pushAll, rawLines, withEnding } from "./styledLines.ts";
import {
  besideFormatting,
  isSameWordByWord,
  isUnlike,
  isWithinLines,
  lineByLine,
  putAndTaken,
  sameWords,
} from "./userEdits.ts";

/** Some lines, counted from the start of their hunk. */
export interface LineRange {
  readonly start: number;
  readonly count: number;
}

/** A pending change: lines `old…` of the shadow became lines `new…` of the text. */
export interface Hunk<By> extends LineChange {
  /** Who made it, first to last. */
  readonly by: readonly By[];
  /** The shadow's lines that the agent removed; the others in the hunk the user did. */
  readonly removed: readonly LineRange[];
  /** The text's lines that the agent wrote; the others in the hunk the user did. */
  readonly written: readonly LineRange[];
}

/** A text and what is pending in it. `null` stands for a file that does not exist. */
export interface PendingText<By> {
  readonly shadow: string | null;
  readonly text: string | null;
  /** In line order, none touching the next. Read them by `hunksOf`: some changes are of the whole file. */
  readonly lineHunks: readonly Hunk<By>[];
  /** Everyone who changed the text since nothing was pending. */
  readonly by: readonly By[];
  /** True when the user has put other words into a file that the agent made. */
  readonly edited: boolean;
  /** What was pending before the agent deleted the file: it holds again when the text is there again. */
  readonly beforeDeletion?: PendingText<By>;
  /** The newest states that the agent's changes led to, since a hunk was kept or undone last. */
  readonly past?: readonly PendingText<By>[];
}

/** Lines up to which a reworked hunk is taken apart again: it happens as the user types, and must cost little. */
const maxRegionEdits = 300;

/** States of the past that are kept. */
const maxPast = 4;
/** Characters of the longest text of which it is asked whether it goes back to one of them. */
const maxRevertLength = 1_000_000;

/** A text in which nothing is pending. */
export function settled<By>(text: string | null): PendingText<By> {
  return { shadow: text, text, lineHunks: [], by: [], edited: false };
}

/** What differs between a shadow and a text, found anew: for when the way from one to the other is not known. */
export function pendingBetween<By>(shadow: string | null, text: string | null, by: readonly By[]): PendingText<By> {
  const lineHunks = shadow === null || text === null ? [] : freshHunks(shadow, text, by);
  return normal({ shadow, text, lineHunks, by, edited: false });
}

/** The shadow's and the text's lines of a hunk, without their endings. */
export interface HunkLines {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** The lines of every hunk, in the order of `hunksOf`. */
export function linesOfHunks<By>(pending: PendingText<By>): readonly HunkLines[] {
  const hunks = hunksOf(pending);
  if (hunks.length === 0) return [];
  const [shadow, text] = [pending.shadow, pending.text].map((side) => (side === null ? [] : rawLines(side).raw));
  const bare = (lines: readonly string[] = [], start: number, count: number) =>
    lines.slice(start, start + count).map((line) => withEnding(line, ""));
  return hunks.map((hunk) => ({
    before: bare(shadow, hunk.oldStart, hunk.oldCount),
    after: bare(text, hunk.newStart, hunk.newCount),
  }));
}

/** True when nothing is pending. */
export function isSettled<By>(pending: PendingText<By>): boolean {
  return pending.shadow === pending.text;
}

/** The pending hunks in line order; one for the whole when the file came, went, or changed only its line endings. */
export function hunksOf<By>(pending: PendingText<By>): readonly Hunk<By>[] {
  if (isSettled(pending)) return [];
  if (!isWhole(pending)) return pending.lineHunks;
  const [oldCount, newCount] = [countOf(pending.shadow), countOf(pending.text)];
  return [wholeHunk({ oldStart: 0, oldCount, newStart: 0, newCount }, pending.by)];
}

/**
 * The state after the user, or any program that is not the agent, made `next` of the text. What does not touch a
 * pending hunk becomes part of the shadow; what does stays in the hunk, as long as something of the agent's is in it.
 */
export function userChanged<By>(pending: PendingText<By>, next: string | null): PendingText<By> {
  const { shadow, text } = pending;
  if (next === text) return pending;
  // The file is back, or never left an editor that had it open: only what the agent wrote before is pending in it.
  if (text === null && next !== null && pending.beforeDeletion) return userChanged(pending.beforeDeletion, next);
  // The user's own deletion or new file takes the place of whatever was pending.
  if (isSettled(pending) || text === null || next === null) return settled(next);
  if (shadow === null) return { ...pending, text: next, edited: pending.edited || !sameWords(text, next) };
  const direct = stepped({ ...pending, shadow, text }, next, []);
  if (agentLines(direct) >= agentLines(pending) || next.length > maxRevertLength) return direct;
  // The document may have been reverted, to a text in which more of what was pending is untouched.
  const { past = [] } = pending;
  const reverted = past.flatMap((state) =>
    state.shadow === null || state.text === null
      ? []
      : [{ ...stepped({ ...state, shadow: state.shadow, text: state.text }, next, []), past }],
  );
  return reverted.reduceRight((most, one) => (agentLines(one) > agentLines(most) ? one : most), direct);
}

/**
 * The state after the agent replaced `before` by `after`. Whatever differs between `before` and the text known so far
 * was the user's doing. Start from `settled(before)`.
 */
export function agentChanged<By>(
  pending: PendingText<By>,
  before: string | null,
  after: string | null,
  who: By,
): PendingText<By> {
  const known = userChanged(pending, before);
  if (after === known.text) return known;
  const by = union(known.by, [who]);
  const { shadow, text } = known;
  if (shadow === null || text === null || after === null) {
    const edited = shadow !== after && known.edited;
    const past = after === null && shadow !== after ? { beforeDeletion: known } : {};
    return { ...pendingBetween(shadow, after, by), edited, ...past };
  }
  const next = stepped({ ...known, shadow, text, by }, after, [who]);
  const { past = [], ...state } = next;
  const isKept = !isSettled(next) && after.length <= maxRevertLength;
  return isKept ? { ...state, past: [...past, state].slice(-maxPast) } : next;
}

/** The state after the user accepted some hunks, given by their places in `hunksOf`. The text stays as it is. */
export function keepHunks<By>(pending: PendingText<By>, chosen: ReadonlySet<number>): PendingText<By> {
  return withChosen(pending, chosen, "shadow");
}

/** The state, and in it the new text, after the user rejected some hunks. No line outside of them changes. */
export function undoHunks<By>(pending: PendingText<By>, chosen: ReadonlySet<number>): PendingText<By> {
  return withChosen(pending, chosen, "text");
}

/** Where a hunk's lines are in either side. */
const places = {
  shadow: { start: "oldStart", count: "oldCount" },
  text: { start: "newStart", count: "newCount" },
} as const;

/** Gives one side the other's lines in the chosen hunks, so that they are no hunks any more. */
function withChosen<By>(
  pending: PendingText<By>,
  chosen: ReadonlySet<number>,
  side: keyof typeof places,
): PendingText<By> {
  const otherSide = side === "shadow" ? "text" : "shadow";
  // With nothing left the byte order mark and the line endings are the other's, too.
  if (hunksOf(pending).every((_, at) => chosen.has(at))) return settled(pending[otherSide]);
  if (isWhole(pending) || pending.shadow === null || pending.text === null) return pending;
  const both = { shadow: rawLines(pending.shadow), text: rawLines(pending.text) };
  const [own, other] = [both[side], both[otherSide]];
  const [{ start, count }, from] = [places[side], places[otherSide]];
  const lines: string[] = [];
  const lineHunks: Hunk<By>[] = [];
  let at = 0;
  let growth = 0;
  for (const [index, hunk] of pending.lineHunks.entries()) {
    pushAll(lines, own.raw, at, hunk[start]);
    at = hunk[start] + hunk[count];
    if (chosen.has(index)) {
      pushAll(lines, other.raw, hunk[from.start], hunk[from.start] + hunk[from.count], own.ending);
      growth += hunk[from.count] - hunk[count];
    } else {
      pushAll(lines, own.raw, hunk[start], at);
      lineHunks.push({ ...hunk, [start]: hunk[start] + growth });
    }
  }
  pushAll(lines, own.raw, at, own.raw.length);
  const { past: _, ...rest } = pending;
  return normal({ ...rest, [side]: joined(lines, own.bom), lineHunks });
}

/** Takes names off the hunks. A hunk that nobody is left to answer for becomes part of the shadow. */
export function withoutAuthors<By>(pending: PendingText<By>, gone: ReadonlySet<By>): PendingText<By> {
  if (gone.size === 0 || !pending.by.some((who) => gone.has(who))) return pending;
  const left = (by: readonly By[]) => by.filter((who) => !gone.has(who));
  const orphans = new Set(hunksOf(pending).flatMap(({ by }, at) => (left(by).length === 0 ? [at] : [])));
  const kept = keepHunks(pending, orphans);
  const lineHunks = kept.lineHunks.map((hunk) => ({ ...hunk, by: left(hunk.by) }));
  return { ...kept, lineHunks, by: left(kept.by) };
}

/** Carries the hunks over to the next text, made by the given authors: none, when the user made it. */
function stepped<By>(
  pending: PendingText<By> & { readonly shadow: string; readonly text: string },
  next: string,
  authors: readonly By[],
): PendingText<By> {
  const lines = linesOf(pending.shadow, pending.text, next);
  const isUsers = authors.length === 0;
  const output = new ShadowWriter<By>();
  const found = lineChanges(lines.text.compared, lines.next.compared);
  const isReformat = (edit: LineChange) => isUsers && isSameWordByWord(edit, lines);
  const parts = isUsers ? found.flatMap((edit) => besideFormatting(edit, lines)) : found;
  const edits = parts.flatMap((edit) => {
    if (isReformat(edit) || (isUsers && isWithinLines(edit, lines))) return lineByLine(edit);
    return isUsers && isUnlike(edit, lines, pending.lineHunks) ? putAndTaken(edit) : [edit];
  });
  const hunks = isUsers ? partedBy(pending.lineHunks, edits) : pending.lineHunks;
  /** The user has put exactly the lines back that the agent took away. */
  const isRestored = (hunk: Hunk<By>, edit: LineChange) =>
    hunk.newCount === 0 &&
    edit.oldCount === 0 &&
    hunk.newStart === edit.oldStart &&
    hunk.oldCount === edit.newCount &&
    lines.shadow.compared
      .slice(hunk.oldStart, hunk.oldStart + hunk.oldCount)
      .every((line, at) => line === lines.next.compared[edit.newStart + at]);
  for (const region of regionsOf(hunks, edits, isUsers ? isRestored : undefined)) {
    const [only] = region.hunks;
    if (only && region.edits.length === 0) {
      output.put({ ...only, newStart: region.newStart });
      continue;
    }
    const removed = removedIn(region, isUsers);
    const written = writtenIn(region, isUsers, isReformat);
    const by = union(byOf(region.hunks), authors);
    for (const change of changesIn(region, lines.shadow.compared, lines.next.compared)) {
      output.put({
        ...change,
        by,
        removed: within(removed, change.oldStart, change.oldCount),
        written: within(written, change.newStart, change.newCount),
      });
    }
  }
  const bom = isUsers && lines.shadow.bom === lines.text.bom ? lines.next.bom : lines.shadow.bom;
  const shadowLines = output.lines(lines.shadow, lines.next, isUsers ? endingFor(lines) : lines.shadow.ending);
  const isSame = shadowLines === lines.shadow.raw && bom === lines.shadow.bom;
  const shadow = isSame ? pending.shadow : joined(shadowLines, bom);
  return normal({ ...pending, shadow, text: next, lineHunks: output.hunks });
}

/** How many lines of either side are the agent's doing. */
function agentLines<By>({ lineHunks }: PendingText<By>): number {
  const sum = (ranges: readonly LineRange[]) => ranges.reduce((total, { count }) => total + count, 0);
  return lineHunks.reduce((total, { removed, written }) => total + sum(removed) + sum(written), 0);
}

/** A place where hunks and edits of the text meet: lines `old…` of the shadow are lines `new…` of the next text. */
interface Region<By> extends LineChange {
  /** Its first line in the text. */
  readonly start: number;
  readonly hunks: readonly Hunk<By>[];
  /** From the text to the next text. */
  readonly edits: readonly LineChange[];
}

/**
 * Groups hunks (shadow to text) and edits (text to next) that meet in the text. The agent's edits join the hunks that they
 * touch; the user's only those whose lines they changed or put back: what is put beside the agent's lines is not the
 * agent's. `isRestored` is given for the user's edits.
 */
function regionsOf<By>(
  hunks: readonly Hunk<By>[],
  edits: readonly LineChange[],
  isRestored: ((hunk: Hunk<By>, edit: LineChange) => boolean) | undefined,
): Region<By>[] {
  const regions: Region<By>[] = [];
  let hunkAt = 0;
  let editAt = 0;
  let hunkGrowth = 0;
  let editGrowth = 0;
  for (;;) {
    const start = Math.min(hunks[hunkAt]?.newStart ?? Infinity, edits[editAt]?.oldStart ?? Infinity);
    if (start === Infinity) return regions;
    const [firstHunk, firstEdit] = [hunkAt, editAt];
    const [oldStart, newStart] = [start - hunkGrowth, start + editGrowth];
    let end = start;
    const isFirst = () => hunkAt === firstHunk && editAt === firstEdit;
    const joins = (at: number) => isFirst() || (isRestored ? at < end : at <= end);
    const isPutBack = (hunk: Hunk<By>) => {
      const last = editAt > firstEdit ? edits[editAt - 1] : undefined;
      return last !== undefined && isRestored?.(hunk, last) === true;
    };
    for (;;) {
      const hunk = hunks[hunkAt];
      const edit = edits[editAt];
      if (hunk && isBefore(hunk, edit) && (joins(hunk.newStart) || isPutBack(hunk))) {
        end = Math.max(end, hunk.newStart + hunk.newCount);
        hunkGrowth += hunk.newCount - hunk.oldCount;
        hunkAt += 1;
      } else if (edit && !isBefore(hunk, edit) && joins(edit.oldStart)) {
        end = Math.max(end, edit.oldStart + edit.oldCount);
        editGrowth += edit.newCount - edit.oldCount;
        editAt += 1;
      } else break;
    }
    regions.push({
      start,
      oldStart,
      oldCount: end - hunkGrowth - oldStart,
      newStart,
      newCount: end + editGrowth - newStart,
      hunks: hunks.slice(firstHunk, hunkAt),
      edits: edits.slice(firstEdit, editAt),
    });
  }
}

/** Of two that begin at one place, the one without lines there comes first. */
function isBefore<By>(hunk: Hunk<By> | undefined, edit: LineChange | undefined): boolean {
  if (!hunk || !edit) return hunk !== undefined;
  return hunk.newStart === edit.oldStart ? hunk.newCount === 0 && edit.oldCount > 0 : hunk.newStart < edit.oldStart;
}

/** The hunks, parted where the user has put lines in between: those are not the agent's. */
function partedBy<By>(hunks: readonly Hunk<By>[], edits: readonly LineChange[]): readonly Hunk<By>[] {
  const places = edits.flatMap(({ oldStart, oldCount }) => (oldCount === 0 ? [oldStart] : []));
  if (places.length === 0) return hunks;
  return hunks.flatMap((hunk) => {
    const parts: Hunk<By>[] = [];
    let rest = hunk;
    for (const place of places) {
      const count = place - rest.newStart;
      if (count <= 0 || count >= rest.newCount) continue;
      parts.push({ ...rest, newCount: count, written: within(rest.written, 0, count) });
      rest = {
        ...rest,
        oldStart: rest.oldStart + rest.oldCount,
        oldCount: 0,
        removed: [],
        newStart: place,
        newCount: rest.newCount - count,
        written: within(rest.written, count, rest.newCount - count),
      };
    }
    return [...parts, rest];
  });
}

/** What differs in a region between the shadow and the next text. */
function changesIn<By>(
  region: Region<By>,
  oldLines: readonly string[],
  newLines: readonly string[],
): readonly LineChange[] {
  const { oldStart, oldCount, newStart, newCount } = region;
  if (region.hunks.length === 0) return [{ oldStart, oldCount, newStart, newCount }];
  const changes = lineChanges(
    oldLines.slice(oldStart, oldStart + oldCount),
    newLines.slice(newStart, newStart + newCount),
    maxRegionEdits,
  );
  return changes.map((change) => ({
    ...change,
    oldStart: change.oldStart + oldStart,
    newStart: change.newStart + newStart,
  }));
}

/** The shadow's lines in a region that the agent removed, by the region's edits too unless they are the user's. */
function removedIn<By>({ hunks, edits, start, oldStart }: Region<By>, isUsers: boolean): LineRange[] {
  const before = hunks.flatMap((hunk) => absolute(hunk.removed, hunk.oldStart));
  if (isUsers) return before;
  const cut = edits.map((edit): LineRange => ({ start: edit.oldStart, count: edit.oldCount }));
  const backwards = hunks.map((hunk): LineChange => {
    const { oldStart: newStart, oldCount: newCount, newStart: from, newCount: count } = hunk;
    return { oldStart: from, oldCount: count, newStart, newCount };
  });
  return [...before, ...carried(cut, backwards, oldStart - start)];
}

/**
 * The next text's lines in a region that the agent wrote, by the region's edits too unless they are the user's. Its lines
 * stay its own when they are only formatted.
 */
function writtenIn<By>(
  { hunks, edits, start, newStart }: Region<By>,
  isUsers: boolean,
  isReformat: (edit: LineChange) => boolean,
): LineRange[] {
  const before = hunks.flatMap((hunk) => absolute(hunk.written, hunk.newStart));
  const left = carried(
    before,
    edits.filter((edit) => !isReformat(edit)),
    newStart - start,
  );
  if (isUsers) return left;
  return [...left, ...edits.map((edit): LineRange => ({ start: edit.newStart, count: edit.newCount }))];
}

/** Where those lines went that no change took away; `shift` is for what lies before the first change. */
function carried(ranges: readonly LineRange[], changes: readonly LineChange[], shift: number): LineRange[] {
  const left: LineRange[] = [];
  for (const { start, count } of ranges) {
    let at = start;
    let moved = shift;
    for (const change of changes) {
      if (change.oldStart >= start + count) break;
      if (change.oldStart > at) left.push({ start: at + moved, count: change.oldStart - at });
      at = Math.max(at, change.oldStart + change.oldCount);
      moved += change.newCount - change.oldCount;
    }
    if (at < start + count) left.push({ start: at + moved, count: start + count - at });
  }
  return left;
}

function absolute(ranges: readonly LineRange[], offset: number): LineRange[] {
  return ranges.map(({ start, count }) => ({ start: start + offset, count }));
}

/** The part of the ranges that lies within some lines, counted from the first of them. */
function within(ranges: readonly LineRange[], from: number, lineCount: number): LineRange[] {
  return ranges.flatMap(({ start, count }) => {
    const first = Math.max(start, from);
    const end = Math.min(start + count, from + lineCount);
    return first < end ? [{ start: first - from, count: end - first }] : [];
  });
}

/** Gathers what becomes of the shadow, region by region, and the hunks that stay. */
class ShadowWriter<By> {
  readonly hunks: Hunk<By>[] = [];
  readonly #taken: LineChange[] = [];
  #growth = 0;

  /**
   * Takes a change, given with its place in the old shadow. Of the agent's the shadow's lines stay; where nothing in it is
   * the agent's, the next text's lines take their place.
   */
  put(change: Hunk<By>): void {
    if (change.removed.length + change.written.length === 0) {
      this.#taken.push(change);
      this.#growth += change.newCount - change.oldCount;
      return;
    }
    const hunk = { ...change, oldStart: change.oldStart + this.#growth };
    const last = this.hunks.at(-1);
    // The user may have taken away what was between two hunks.
    if (last && last.newStart + last.newCount === hunk.newStart) this.hunks.splice(-1, 1, together(last, hunk));
    else this.hunks.push(hunk);
  }

  /** The lines of the new shadow, with `ending` where one is given. */
  lines(shadow: Lines, next: Lines, ending: LineEnding | undefined): readonly string[] {
    if (this.#taken.length === 0 && (ending === undefined || ending === shadow.ending)) return shadow.raw;
    const lines: string[] = [];
    let at = 0;
    for (const { oldStart, oldCount, newStart, newCount } of this.#taken) {
      pushAll(lines, shadow.raw, at, oldStart, ending);
      pushAll(lines, next.raw, newStart, newStart + newCount, ending);
      at = oldStart + oldCount;
    }
    pushAll(lines, shadow.raw, at, shadow.raw.length, ending);
    return lines;
  }
}

function isWhole<By>({ shadow, text, lineHunks }: PendingText<By>): boolean {
  return shadow === null || text === null || lineHunks.length === 0;
}

function countOf(text: string | null): number {
  return text === null ? 0 : splitLines(withoutBom(text)).length;
}

function normal<By>(pending: PendingText<By>): PendingText<By> {
  return isSettled(pending) ? settled(pending.text) : pending;
}

function freshHunks<By>(shadow: string, text: string, by: readonly By[]): Hunk<By>[] {
  const lines = linesOf(shadow, shadow, text);
  return lineChanges(lines.shadow.compared, lines.next.compared).map((change) => wholeHunk(change, by));
}

/** A hunk of which every line is the agent's doing. */
function wholeHunk<By>(change: LineChange, by: readonly By[]): Hunk<By> {
  const all = (count: number) => (count === 0 ? [] : [{ start: 0, count }]);
  return { ...change, by, removed: all(change.oldCount), written: all(change.newCount) };
}

/** Two hunks of which the second begins where the first ends. */
function together<By>(first: Hunk<By>, second: Hunk<By>): Hunk<By> {
  return {
    oldStart: first.oldStart,
    oldCount: first.oldCount + second.oldCount,
    newStart: first.newStart,
    newCount: first.newCount + second.newCount,
    by: union(first.by, second.by),
    removed: [...first.removed, ...absolute(second.removed, first.oldCount)],
    written: [...first.written, ...absolute(second.written, first.newCount)],
  };
}

function byOf<By>(hunks: readonly Hunk<By>[]): readonly By[] {
  const [only] = hunks;
  return hunks.length === 1 && only
    ? only.by
    : union(
        hunks.flatMap(({ by }) => by),
        [],
      );
}

function union<By>(some: readonly By[], others: readonly By[]): readonly By[] {
  return [...new Set([...some, ...others])];
}
