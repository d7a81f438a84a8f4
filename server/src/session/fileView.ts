/**
 * What is pending in one file now, by its lines or by its bytes, and how a client is told of it.
 *
 * Not here: how it came about (`editLedger.ts`), acting on it (`review.ts`). Easily got wrong: a move is pending beside the
 * content and apart from it, but not for a file that was made or is gone, which has no other place to be.
 */
import { createHash } from "node:crypto";
import type { PendingFile, PendingHunk } from "../protocol/review.ts";
import type { BlobId, TurnId } from "../protocol/types.ts";
import { type HunkLines, hunksOf, isSettled, linesOfHunks, type PendingText } from "../text/pending.ts";

/** Lines from before that one hunk carries; its file's counts are of all of them. */
const maxBeforeLines = 2_000;

/** The text that a file has now; `not text` with the digest of its bytes, where they could be read. */
export type Present =
  | { readonly kind: "text"; readonly text: string | null }
  | { readonly kind: "not text"; readonly digest: BlobId | undefined };

/** What is pending in one file now. */
export type FileView =
  | {
      readonly kind: "text";
      readonly pending: PendingText<TurnId>;
      readonly lines: readonly HunkLines[];
      readonly ids: readonly string[];
      readonly modes: ReviewedModes;
      readonly move?: PendingMove;
    }
  | {
      /** Not text, or too large: known by its bytes alone. */
      readonly kind: "bytes";
      readonly shadow: BlobId | null;
      readonly text: BlobId | null;
      readonly by: readonly TurnId[];
      /** Of the bytes as a whole; empty when only the move is pending. */
      readonly ids: readonly string[];
      readonly modes: ReviewedModes;
      readonly move?: PendingMove;
    };

/** Permission bits, as far as they are known. */
export interface ReviewedModes {
  /** How its bytes are text; `undefined` for UTF-8. */
  readonly encoding: string | undefined;
  /** Before the first pending change. */
  readonly before: number | undefined;
  /** As the agent last set them. */
  readonly after: number | undefined;
}

/** What was known of a file after its last event. */
export type FileState =
  | { readonly kind: "text"; readonly pending: PendingText<TurnId> }
  | {
      readonly kind: "bytes";
      readonly shadow: BlobId | null;
      readonly text: BlobId | null;
      readonly by: readonly TurnId[];
    };

/** A move of a file by a turn. */
export interface Move {
  readonly from: string;
  readonly turnId: TurnId;
}

/** A move that waits for the user's word. */
export interface PendingMove {
  readonly id: string;
  /** Where the file was before. */
  readonly from: string;
  readonly by: readonly TurnId[];
}

/** The id by which all hunks of a file are meant. */
export function wholeFileId(uri: string): string {
  return `file:${createHash("sha256").update(uri).digest("hex").slice(0, 16)}`;
}

/** The id that the store gives these characters. */
export function blobIdOf(text: string): BlobId {
  return createHash("sha256").update(text).digest("hex") as BlobId;
}

/** Digests of each hunk's own lines, and of its place among equal ones: other hunks may change, and an id stays. */
export function idsOf(lines: readonly HunkLines[]): readonly string[] {
  const seen = new Map<string, number>();
  return lines.map(({ before, after }) => {
    const digest = createHash("sha256")
      .update(`${before.length}\n${before.join("\n")}\n${after.join("\n")}`)
      .digest("hex");
    const ordinal = seen.get(digest) ?? 0;
    seen.set(digest, ordinal + 1);
    return `${digest.slice(0, 16)}-${ordinal}`;
  });
}

/** The shadow of a state, and whose what is pending is. */
export function wholeOf(state: FileState): { readonly shadow: BlobId | null; readonly by: readonly TurnId[] } {
  if (state.kind === "bytes") return state;
  const { shadow, by } = state.pending;
  return { shadow: shadow === null ? null : blobIdOf(shadow), by };
}

/** What is pending of the moves of a file that is at `uri` now. */
export function moveOf(uri: string, moves: readonly Move[]): PendingMove | undefined {
  const from = moves[0]?.from;
  if (from === undefined || from === uri) return undefined;
  const id = createHash("sha256").update(`move\n${from}\n${uri}`).digest("hex").slice(0, 16);
  return { id, from, by: [...new Set(moves.map(({ turnId }) => turnId))] };
}

/** A hunk for the whole of a file. */
export function wholeHunk(id: string, turnIds: readonly TurnId[]): PendingHunk {
  return { id, fromLine: 1, lineCount: 0, before: [], turnIds };
}

/** What is pending in a file that has, or had, lines. */
export function viewOfText(
  pending: PendingText<TurnId>,
  modes: ReviewedModes,
  move: PendingMove | undefined,
): FileView | undefined {
  const isThere = pending.text !== null && pending.shadow !== null;
  if (isSettled(pending) && !(isThere && move)) return undefined;
  const lines = linesOfHunks(pending);
  return { kind: "text", pending, lines, ids: idsOf(lines), modes, ...(isThere && move ? { move } : {}) };
}

/** What is pending of a file whose content is the user's: where it is, if the agent has put it there. */
export function viewOfOther(digest: BlobId | undefined, move: PendingMove, modes: ReviewedModes): FileView | undefined {
  return digest && { kind: "bytes", shadow: digest, text: digest, by: [], ids: [], modes, move };
}

/** What is pending in a file that is known by its bytes. */
export function viewOfBytes(
  { shadow, text, by }: Extract<FileState, { readonly kind: "bytes" }>,
  present: Present,
  modes: ReviewedModes,
  move: PendingMove | undefined,
): FileView | undefined {
  const now = present.kind === "not text" ? present.digest : present.text === null ? null : blobIdOf(present.text);
  // Bytes have no lines to tell apart: once somebody else has changed them, they are theirs.
  if (shadow === text || now !== text) return move && now ? viewOfOther(now, move, modes) : undefined;
  const id = createHash("sha256").update(`${shadow}\n${text}`).digest("hex").slice(0, 16);
  const moved = move && shadow !== null && text !== null ? { move } : {};
  return { kind: "bytes", shadow, text, by, ids: [id], modes, ...moved };
}

/** What a client is told of a file. */
export function describeView(uri: string, view: FileView): PendingFile {
  const { move } = view;
  const moved = move ? [wholeHunk(move.id, move.by)] : [];
  const movedFrom = move ? { movedFrom: move.from } : {};
  if (view.kind === "bytes") {
    const changed = view.ids.map((id) => wholeHunk(id, view.by));
    const status = statusOf(view.shadow, view.text);
    const hunks = [...moved, ...changed];
    return { uri, status, ...movedFrom, hunks, addedLines: 0, removedLines: 0, shadow: view.shadow };
  }
  const { pending, lines, ids } = view;
  const hunks = hunksOf(pending);
  return {
    uri,
    status: statusOf(pending.shadow, pending.text),
    ...movedFrom,
    hunks: [
      ...moved,
      ...hunks.map(
        (hunk, at): PendingHunk => ({
          id: ids[at] ?? "",
          fromLine: hunk.newStart + 1,
          lineCount: hunk.newCount,
          before: (lines[at]?.before ?? []).slice(0, maxBeforeLines),
          turnIds: hunk.by,
        }),
      ),
    ],
    addedLines: hunks.reduce((sum, { newCount }) => sum + newCount, 0),
    removedLines: hunks.reduce((sum, { oldCount }) => sum + oldCount, 0),
    shadow: pending.shadow === null ? null : blobIdOf(pending.shadow),
  };
}

/** The word for what became of a file. */
export function statusOf(shadow: string | null, text: string | null): PendingFile["status"] {
  return shadow === null ? "added" : text === null ? "deleted" : "modified";
}
