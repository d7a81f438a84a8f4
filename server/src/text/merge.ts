/**
 * Three-way merge of texts by line: what both sides made of one base, or the places where they really overlap.
 *
 * Not here: reading, writing, retrying. Easily got wrong: changes that touch without a line between them
 * count as overlapping, as in git; and `ours` is what the agent proposes, `theirs` what is there now.
 */
import { diff3Merge } from "node-diff3";
import { type LineChange, lineChanges, splitLines } from "./diff.ts";
import { fromLf, lineStyleOf, toLf, withoutBom } from "./lineEndings.ts";

/** One place where both sides changed the same lines differently. */
export interface MergeConflict {
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
  /** First line of `theirs` in the text that is there now, from 1. */
  readonly theirsLine: number;
}

/** The merged text, or why there is none. */
export type MergeOutcome =
  | { readonly clean: true; readonly text: string }
  | { readonly clean: false; readonly conflicts: readonly MergeConflict[] };

/** `node-diff3` takes quadratic time, so a larger overlap (product of its two lengths) is a conflict unseen. */
const maxOverlap = 4_000_000;

/**
 * Merges two descendants of `base`. Every line that either side added is in a clean result. Line endings and the byte
 * order mark are merged apart from the lines, so a file that became CRLF meanwhile still merges.
 */
export function mergeTexts(base: string, ours: string, theirs: string): MergeOutcome {
  return merge(base, ours, theirs, undefined);
}

/** As `mergeTexts`, with one side taken where both overlap, so that there always is a text. */
export function mergeInFavour(base: string, ours: string, theirs: string, favoured: "ours" | "theirs"): string {
  const merged = merge(base, ours, theirs, favoured);
  if (!merged.clean) throw new Error("A merge in favour of one side has no conflicts.");
  return merged.text;
}

function merge(base: string, ours: string, theirs: string, favoured: "ours" | "theirs" | undefined): MergeOutcome {
  if (ours === base || ours === theirs) return { clean: true, text: theirs };
  if (theirs === base) return { clean: true, text: ours };
  const styles = { base: lineStyleOf(base), ours: lineStyleOf(ours), theirs: lineStyleOf(theirs) };
  const bom = styles.ours.bom === styles.base.bom ? styles.theirs.bom : styles.ours.bom;
  const endingsDiffer = styles.ours.ending !== styles.base.ending || styles.theirs.ending !== styles.base.ending;
  if (endingsDiffer && !styles.base.mixed && !styles.ours.mixed && !styles.theirs.mixed) {
    const ending = styles.ours.ending === styles.base.ending ? styles.theirs.ending : styles.ours.ending;
    const merged = mergeLines(toLf(base), toLf(ours), toLf(theirs), favoured);
    return merged.clean ? { clean: true, text: fromLf(merged.text, { bom, ending }) } : merged;
  }
  const merged = mergeLines(withoutBom(base), withoutBom(ours), withoutBom(theirs), favoured);
  return merged.clean && bom ? { clean: true, text: `\uFEFF${merged.text}` } : merged;
}

interface Region {
  baseStart: number;
  baseEnd: number;
  readonly ours: LineChange[];
  readonly theirs: LineChange[];
}

/**
 * The linear-time line diff finds the few places that changed; `node-diff3`, too slow for whole files, settles those
 * that both sides changed.
 */
function mergeLines(
  baseText: string,
  oursText: string,
  theirsText: string,
  favoured: "ours" | "theirs" | undefined,
): MergeOutcome {
  const base = splitLines(baseText);
  const ours = splitLines(oursText);
  const theirs = splitLines(theirsText);
  const output: string[] = [];
  const conflicts: MergeConflict[] = [];
  let at = 0;
  let oursShift = 0;
  let theirsShift = 0;
  for (const region of regionsOf(lineChanges(base, ours), lineChanges(base, theirs))) {
    for (const line of base.slice(at, region.baseStart)) output.push(line);
    const oursGrowth = growthOf(region.ours);
    const theirsGrowth = growthOf(region.theirs);
    const oursPart = ours.slice(region.baseStart + oursShift, region.baseEnd + oursShift + oursGrowth);
    const theirsFrom = region.baseStart + theirsShift;
    const theirsPart = theirs.slice(theirsFrom, region.baseEnd + theirsShift + theirsGrowth);
    const basePart = base.slice(region.baseStart, region.baseEnd);
    const agreed = settle(region, { basePart, oursPart, theirsPart });
    const settled = agreed ?? (favoured && (favoured === "ours" ? oursPart : theirsPart));
    if (settled) for (const line of settled) output.push(line);
    else {
      conflicts.push({
        base: basePart.join(""),
        ours: oursPart.join(""),
        theirs: theirsPart.join(""),
        theirsLine: theirsFrom + 1,
      });
    }
    at = region.baseEnd;
    oursShift += oursGrowth;
    theirsShift += theirsGrowth;
  }
  if (conflicts.length > 0) return { clean: false, conflicts };
  for (const line of base.slice(at)) output.push(line);
  return { clean: true, text: output.join("") };
}

function growthOf(changes: readonly LineChange[]): number {
  return changes.reduce((growth, change) => growth + change.newCount - change.oldCount, 0);
}

function regionsOf(ours: readonly LineChange[], theirs: readonly LineChange[]): Region[] {
  const all = [
    ...ours.map((change) => ({ side: "ours" as const, change })),
    ...theirs.map((change) => ({ side: "theirs" as const, change })),
  ].sort((a, b) => a.change.oldStart - b.change.oldStart || a.change.oldCount - b.change.oldCount);
  const regions: Region[] = [];
  for (const { side, change } of all) {
    const end = change.oldStart + change.oldCount;
    let region = regions.at(-1);
    if (!region || change.oldStart > region.baseEnd) {
      region = { baseStart: change.oldStart, baseEnd: end, ours: [], theirs: [] };
      regions.push(region);
    }
    region.baseEnd = Math.max(region.baseEnd, end);
    region[side].push(change);
  }
  return regions;
}

function settle(
  region: Region,
  parts: { readonly basePart: string[]; readonly oursPart: string[]; readonly theirsPart: string[] },
): readonly string[] | undefined {
  const { basePart, oursPart, theirsPart } = parts;
  if (region.theirs.length === 0) return oursPart;
  if (region.ours.length === 0) return theirsPart;
  if (oursPart.length === theirsPart.length && oursPart.every((line, i) => line === theirsPart[i])) return oursPart;
  if (Math.max(basePart.length, 1) * Math.max(oursPart.length, theirsPart.length) > maxOverlap) return undefined;
  const merged: string[] = [];
  const pieces: { ok?: string[]; conflict?: unknown }[] = diff3Merge(oursPart, basePart, theirsPart, {
    excludeFalseConflicts: true,
  });
  for (const piece of pieces) {
    if (!piece.ok) return undefined;
    merged.push(...piece.ok);
  }
  return merged;
}
