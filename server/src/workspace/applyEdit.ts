/**
 * Writes a text that was made from an older version: swap, and when the file has moved on, merge and swap again.
 *
 * Not here: what counts as a sensible edit, permissions, checkpoints. Easily got wrong: nothing is ever overwritten. A
 * place that both sides changed is a conflict for the caller to show, and then the file is untouched.
 */
import { type MergeConflict, mergeTexts } from "./merge.ts";
import type { FileText, SwapOutcome, Workspace } from "./workspace.ts";

/** What to write. */
export interface MergedWrite {
  readonly uri: string;
  /** The file that `text` was made from; `null` when it is to be created. */
  readonly base: FileText | null;
  /** `null` deletes the file. */
  readonly text: string | null;
}

/** What became of the write. */
export type MergedOutcome =
  | {
      readonly outcome: "applied";
      readonly file: FileText | null;
      /** What was there just before: the base, or what it was merged with. */
      readonly before: FileText | null;
      readonly merged: boolean;
    }
  | {
      readonly outcome: "conflict";
      /** Empty when there is nothing to merge with: the file was deleted, or created by someone else. */
      readonly conflicts: readonly MergeConflict[];
      readonly current: FileText | null;
    };

/** One way to swap; `Workspace.swap`, or a function that saves the before-image first. */
export type Swap = (uri: string, before: FileText | null, text: string | null) => Promise<SwapOutcome>;

/** Swaps lost to another writer in a row before the write is given up as a conflict. */
const maxTries = 3;

/** Writes by merge through a workspace. Throws `ToolError` as `Workspace.swap` does. */
export function writeMerged(workspace: Workspace, write: MergedWrite, signal: AbortSignal): Promise<MergedOutcome> {
  return swapMerged((uri, before, text) => workspace.swap(uri, before?.version ?? null, text, signal), write);
}

/** Writes by merge through any swap. */
export async function swapMerged(swap: Swap, write: MergedWrite): Promise<MergedOutcome> {
  let before = write.base;
  let text = write.text;
  for (let tries = 1; ; tries += 1) {
    const outcome = await swap(write.uri, before, text);
    if (outcome.applied) return { outcome: "applied", file: outcome.file, before, merged: tries > 1 };
    const { current } = outcome;
    if (current !== null && write.text !== null && current.text === write.text) {
      return { outcome: "applied", file: current, before: current, merged: true };
    }
    if (current === null && write.text === null) {
      return { outcome: "applied", file: null, before: null, merged: true };
    }
    if (!current || write.base === null || write.text === null || tries === maxTries) {
      return { outcome: "conflict", conflicts: [], current };
    }
    const merge = mergeTexts(write.base.text, write.text, current.text);
    if (!merge.clean) return { outcome: "conflict", conflicts: merge.conflicts, current };
    before = current;
    text = merge.text;
  }
}
