/**
 * What the user keeps and takes back: pending hunks, and restores with what they did to each file.
 *
 * Not here: the events that record it (`events.ts`) and anything with runtime code. Easily got wrong: lines count in the
 * present text, from 1, and ids of hunks hold only while neither the hunk nor the lines before it change.
 */
import type { BlobId, RestoreId, TurnId } from "./types.ts";

/** A change of the agent that the user has neither kept nor undone. */
export interface PendingHunk {
  /** Names the hunk while neither it nor the lines before it change; stale ids are refused, never guessed. */
  readonly id: string;
  /** First line in the present text, from 1; for a pure deletion the line that it stands before. */
  readonly fromLine: number;
  /** Lines in the present text; 0 for a pure deletion. */
  readonly lineCount: number;
  /** The lines that were there before, without the last line's ending; empty for a pure addition. */
  readonly before: readonly string[];
  /** The turns that made it, oldest first. */
  readonly turnIds: readonly TurnId[];
}

/** A file with pending hunks. */
export interface PendingFile {
  readonly uri: string;
  readonly status: "added" | "modified" | "deleted";
  /** Where it was before the agent moved it. The move is then the first hunk, without lines. */
  readonly movedFrom?: string;
  /** In line order. A binary or very large file has one hunk for the whole. */
  readonly hunks: readonly PendingHunk[];
  readonly addedLines: number;
  readonly removedLines: number;
  /** The text without the pending hunks, for a diff. */
  readonly shadow: BlobId | null;
}

/** What undo did to one file. */
export interface UndoneFile {
  readonly uri: string;
  /** `conflict`: it was changed since in the same lines, and was left as it is. */
  readonly outcome: "restored" | "merged" | "conflict" | "unchanged";
  /** Where it was before undo moved it back to `uri`. */
  readonly movedFrom?: string;
  /** True for a conflict of two texts: `session/conflict` gives one text with both sides. */
  readonly bothSides?: boolean;
}

/** What a restore takes back. */
export type RestoreTarget =
  /** The files of one turn. */
  | { readonly type: "turn"; readonly turnId: TurnId }
  /** Everything since right before a turn: the files, the conversation, or both. */
  | {
      readonly type: "checkpoint";
      readonly turnId: TurnId;
      readonly files: boolean;
      readonly conversation: boolean;
    }
  /** An earlier restore. */
  | { readonly type: "restore"; readonly restoreId: RestoreId };
