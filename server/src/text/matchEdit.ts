/**
 * Finds the one place that an edit's old text means and puts the new text there: a ladder of ever more tolerant rungs.
 *
 * Not here: reading and writing files, nearest lines (`nearestLines.ts`). Easily got wrong: tolerance is never about
 * similarity. Each rung ignores one named thing (trailing spaces, outer blanks, typographic characters, indentation),
 * and the first rung with any match decides: several matches there are an error, never a reason to guess.
 */
import { reindent, toIndentShift } from "./indentation.ts";
import { type LineEnding, lineStyleOf, toLf } from "./lineEndings.ts";
import { type NearestLines, nearestLines } from "./nearestLines.ts";

/** Which rung of the ladder matched. */
export type MatchRung = "exact" | "trailingSpace" | "outerSpace" | "typography" | "indentation";

/** Where the edit went. */
export interface EditRange {
  /** Half-open range of the original text that was replaced, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** First and last line, from 1, of the new text in the result; the line at the gap when nothing was put there. */
  readonly fromLine: number;
  readonly toLine: number;
}

/** The edited text, or why the edit was refused and what the file has instead. */
export type MatchOutcome =
  | {
      readonly ok: true;
      readonly text: string;
      /** The first place when `all` replaced several. */
      readonly range: EditRange;
      readonly rung: MatchRung;
      /** How many places were replaced. */
      readonly count: number;
    }
  | {
      readonly ok: false;
      readonly reason: "missing" | "ambiguous" | "no_change";
      /** The real lines most like the old text, when it is missing. */
      readonly nearest?: NearestLines;
      /** First lines of the matches, from 1, at most 20, when there are several. */
      readonly lines?: readonly number[];
    };

/** How to match. */
export interface MatchOptions {
  /** Replace every exact occurrence instead of asking for a unique one. */
  readonly all?: boolean;
}

/** How many places an ambiguous match lists. */
const maxPlaces = 20;

/** A place in the text with `\n` endings, and what goes there. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

/**
 * Replaces the one occurrence of `oldText` by `newText`. Line endings of arguments do not matter: the result keeps those
 * of the file, its byte order mark and its missing final newline. An empty `oldText` fits an empty file only. Takes time
 * linear in the file.
 */
export function matchEdit(text: string, oldText: string, newText: string, options: MatchOptions = {}): MatchOutcome {
  const lf = toLf(text);
  const oldLf = toLf(oldText);
  const newLf = toLf(newText);
  if (oldLf === "") return matchEmpty(text, lf, newLf);
  if (oldLf === newLf) return { ok: false, reason: "no_change" };
  const exact = findAll(lf, oldLf, options.all ? Number.POSITIVE_INFINITY : maxPlaces + 1);
  if (options.all && exact.length > 0) {
    const places = withoutOverlaps(exact, oldLf.length).map((start) => placeAt(lf, start, oldLf, newLf).place);
    return apply(text, lf, places, "exact");
  }
  if (exact.length > 1) return { ok: false, reason: "ambiguous", lines: linesAt(lf, exact.slice(0, maxPlaces)) };
  const [only] = exact;
  if (only !== undefined) {
    const { place, rung } = placeAt(lf, only, oldLf, newLf);
    return apply(text, lf, [place], rung);
  }
  return climb(text, lf, oldLf, newLf);
}

function matchEmpty(text: string, lf: string, newLf: string): MatchOutcome {
  if (lf !== "") return { ok: false, reason: "ambiguous", lines: [] };
  if (newLf === "") return { ok: false, reason: "no_change" };
  return apply(text, lf, [{ start: 0, end: 0, replacement: newLf }], "exact");
}

/**
 * The exact place. One old line that matches from inside a line's indentation is really a match of shifted indentation:
 * the file has more of it than the old text, so the new text's further lines need the same.
 */
function placeAt(lf: string, start: number, oldLf: string, newLf: string): { place: Place; rung: MatchRung } {
  const end = start + oldLf.length;
  const lead = lf.slice(lf.lastIndexOf("\n", start - 1) + 1, start);
  const oneLine = !oldLf.trimEnd().includes("\n");
  const shifted = oneLine && lead !== "" && lead.trim() === "" && /^[ \t]/.test(oldLf) && newLf.includes("\n");
  if (!shifted) return { place: { start, end, replacement: newLf }, rung: "exact" };
  const [first = "", ...rest] = newLf.split("\n");
  const replacement = [first, ...rest.map((line) => (line.trim() === "" ? line : lead + line))].join("\n");
  return { place: { start, end, replacement }, rung: "indentation" };
}

interface Rung {
  readonly name: MatchRung;
  readonly keyOf: (line: string) => string;
  /** Whether blank lines around the old text and the indentation of its first line are ignored as well. */
  readonly outer: boolean;
}

const rungs: readonly Rung[] = [
  { name: "trailingSpace", keyOf: (line) => line.trimEnd(), outer: false },
  { name: "outerSpace", keyOf: (line) => line.trimEnd(), outer: true },
  { name: "typography", keyOf: (line) => plain(line).trimEnd(), outer: true },
  { name: "indentation", keyOf: (line) => plain(line).trim(), outer: true },
];

function climb(text: string, lf: string, oldLf: string, newLf: string): MatchOutcome {
  const fileLines = lf.split("\n");
  const starts = startsOf(fileLines);
  for (const rung of rungs) {
    const block = toBlock(oldLf, newLf, rung.outer);
    if (block.oldLines.length === 0) continue;
    const found = findBlocks(fileLines, block.oldLines, rung);
    const places: Place[] = [];
    const lines: number[] = [];
    for (const at of found) {
      const place = toPlace({ fileLines, starts, at, block, rung });
      if (!place) continue;
      places.push(place);
      lines.push(at + 1);
      if (places.length > maxPlaces) break;
    }
    if (places.length > 1) return { ok: false, reason: "ambiguous", lines: lines.slice(0, maxPlaces) };
    if (places.length === 1) return apply(text, lf, places, rung.name);
  }
  const nearest = nearestLines(fileLines, oldLf.trimEnd().split("\n"));
  return { ok: false, reason: "missing", ...(nearest ? { nearest } : {}) };
}

interface Block {
  readonly oldLines: readonly string[];
  readonly newLines: readonly string[];
  /** The old text ended with a newline, so the replaced range takes the last line's ending too. */
  readonly oldEnds: boolean;
  readonly newEnds: boolean;
}

function toBlock(oldLf: string, newLf: string, outer: boolean): Block {
  const oldEnds = oldLf.endsWith("\n");
  const newEnds = newLf.endsWith("\n");
  let oldLines = (oldEnds ? oldLf.slice(0, -1) : oldLf).split("\n");
  let newLines = newLf === "" ? [] : (newEnds ? newLf.slice(0, -1) : newLf).split("\n");
  if (!outer) return { oldLines, newLines, oldEnds, newEnds };
  const lead = blankCount(oldLines);
  const trail = lead === oldLines.length ? 0 : blankCount(oldLines.toReversed());
  oldLines = oldLines.slice(lead, oldLines.length - trail);
  newLines = newLines.slice(Math.min(lead, blankCount(newLines)));
  newLines = newLines.slice(0, newLines.length - Math.min(trail, blankCount(newLines.toReversed())));
  return { oldLines, newLines, oldEnds, newEnds };
}

function blankCount(lines: readonly string[]): number {
  const first = lines.findIndex((line) => line.trim() !== "");
  return first === -1 ? lines.length : first;
}

/** Where the keys of `oldLines` occur in those of the file, by Knuth, Morris and Pratt: linear even for blank lines. */
function findBlocks(fileLines: readonly string[], oldLines: readonly string[], rung: Rung): number[] {
  const relaxed = (line: string, index: number) =>
    rung.outer && index === 0 ? rung.keyOf(line).trimStart() : rung.keyOf(line);
  if (!rung.outer || rung.name === "indentation") return findKeys(fileLines.map(rung.keyOf), oldLines.map(rung.keyOf));
  // The first line is compared apart because its key differs from that of the same line further down.
  const [first = "", ...rest] = oldLines.map(relaxed);
  const keys = fileLines.map(rung.keyOf);
  if (rest.length === 0) return indexesWhere(keys, (key) => key.trimStart() === first);
  return findKeys(keys, rest)
    .map((at) => at - 1)
    .filter((at) => at >= 0 && keys[at]?.trimStart() === first);
}

function findKeys(keys: readonly string[], wanted: readonly string[]): number[] {
  const fallback = [0];
  for (let i = 1, k = 0; i < wanted.length; i += 1) {
    while (k > 0 && wanted[i] !== wanted[k]) k = fallback[k - 1] ?? 0;
    if (wanted[i] === wanted[k]) k += 1;
    fallback.push(k);
  }
  const found: number[] = [];
  for (let i = 0, k = 0; i < keys.length; i += 1) {
    while (k > 0 && keys[i] !== wanted[k]) k = fallback[k - 1] ?? 0;
    if (keys[i] === wanted[k]) k += 1;
    if (k === wanted.length) {
      found.push(i - k + 1);
      k = fallback[k - 1] ?? 0;
    }
  }
  return found;
}

function indexesWhere(keys: readonly string[], test: (key: string) => boolean): number[] {
  return keys.flatMap((key, index) => (test(key) ? [index] : []));
}

interface Candidate {
  readonly fileLines: readonly string[];
  readonly starts: readonly number[];
  readonly at: number;
  readonly block: Block;
  readonly rung: Rung;
}

function toPlace({ fileLines, starts, at, block, rung }: Candidate): Place | undefined {
  const count = block.oldLines.length;
  const real = fileLines.slice(at, at + count);
  let newLines = block.newLines;
  if (rung.name === "indentation") {
    const shift = toIndentShift(block.oldLines, real);
    if (!shift) return undefined;
    newLines = newLines.map(shift);
  } else if (rung.outer) {
    newLines = newLines.map((line, i) => (i === 0 ? reindent(line, block.oldLines[0] ?? "", real[0] ?? "") : line));
  }
  const start = starts[at] ?? 0;
  const last = at + count - 1;
  const contentEnd = (starts[last] ?? 0) + (fileLines[last] ?? "").length;
  const atEnd = last === fileLines.length - 1;
  const takesEnding = !atEnd && (block.oldEnds || newLines.length === 0);
  // At the end of a file without final newline there is no ending to take, so none is given either.
  const ends = newLines.length > 0 && (takesEnding ? block.newEnds : block.newEnds && !block.oldEnds && !atEnd);
  return {
    start,
    end: takesEnding ? contentEnd + 1 : contentEnd,
    replacement: newLines.join("\n") + (ends ? "\n" : ""),
  };
}

function startsOf(lines: readonly string[]): number[] {
  const starts: number[] = [];
  let at = 0;
  for (const line of lines) {
    starts.push(at);
    at += line.length + 1;
  }
  return starts;
}

function findAll(text: string, wanted: string, limit: number): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(wanted); at !== -1 && found.length < limit; at = text.indexOf(wanted, at + 1)) {
    found.push(at);
  }
  return found;
}

function withoutOverlaps(starts: readonly number[], length: number): number[] {
  let free = 0;
  return starts.filter((start) => {
    if (start < free) return false;
    free = start + length;
    return true;
  });
}

function linesAt(text: string, offsets: readonly number[]): number[] {
  let line = 1;
  let from = 0;
  return offsets.map((offset) => {
    line += countNewlines(text, from, offset);
    from = offset;
    return line;
  });
}

function countNewlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at !== -1 && at < to; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** Carries places from the text with `\n` endings over to the real one. */
function apply(text: string, lf: string, places: readonly Place[], rung: MatchRung): MatchOutcome {
  const style = lineStyleOf(text);
  const toReal = offsetMap(text, lf);
  let result = "";
  let copied = 0;
  let range: EditRange | undefined;
  for (const place of places) {
    const start = toReal(place.start);
    const end = toReal(place.end);
    const replacement = withEnding(place.replacement, style.mixed ? endingOf(text, start, end) : style.ending);
    result += text.slice(copied, start) + replacement;
    copied = end;
    if (range) continue;
    const fromLine = 1 + countNewlines(lf, 0, place.start);
    const body = place.replacement.endsWith("\n") ? place.replacement.slice(0, -1) : place.replacement;
    range = { start, end, fromLine, toLine: fromLine + countNewlines(body, 0, body.length) };
  }
  result += text.slice(copied);
  if (!range || result === text) return { ok: false, reason: "no_change" };
  return { ok: true, text: result, range, rung, count: places.length };
}

/** The ending that most lines near a place have: in a file that mixes them, the neighbours decide. */
function endingOf(text: string, start: number, end: number): LineEnding {
  const next = text.indexOf("\n", end);
  return lineStyleOf(text.slice(start, next === -1 ? text.length : next + 1)).ending;
}

function withEnding(text: string, ending: LineEnding): string {
  return ending === "\r\n" ? text.replaceAll("\n", "\r\n") : text;
}

/** Maps rising offsets in the text with `\n` endings to offsets in the real one. */
function offsetMap(text: string, lf: string): (offset: number) => number {
  if (text.length === lf.length) return (offset) => offset;
  let real = text.startsWith("\uFEFF") ? 1 : 0;
  let passed = 0;
  return (offset) => {
    while (passed < offset) {
      const at = text.indexOf("\r\n", real);
      if (at === -1 || at - real >= offset - passed) {
        real += offset - passed;
        passed = offset;
      } else {
        passed += at - real + 1;
        real = at + 2;
      }
    }
    return real;
  };
}

const typographic: ReadonlyMap<string, string> = new Map([
  ...[..."\u2018\u2019\u201A\u201B"].map((char) => [char, "'"] as const),
  ...[..."\u201C\u201D\u201E\u201F"].map((char) => [char, '"'] as const),
  ...[..."\u2010\u2011\u2012\u2013\u2014\u2015\u2212"].map((char) => [char, "-"] as const),
  ...[..."\u00A0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u202F\u205F\u3000"].map(
    (char) => [char, " "] as const,
  ),
  ["\u2026", "..."],
]);
const typographicPattern = new RegExp(`[${[...typographic.keys()].join("")}]`, "g");

/** The line with typographic quotes, dashes, spaces and ellipses made plain. */
function plain(line: string): string {
  return line.replace(typographicPattern, (char) => typographic.get(char) ?? char);
}
