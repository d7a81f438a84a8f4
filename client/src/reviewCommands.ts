/**
 * The commands of review: go to the next pending hunk, keep or undo a hunk, a file or everything, and open the diffs.
 *
 * Not here: what is pending (`review.ts`) and what the host does about it. Easily got wrong: buttons pass what they are
 * about, keys pass nothing and mean the editor and the line of the cursor; a key never decides on a hunk out of sight.
 */
import {
  commands,
  type Disposable,
  Selection,
  TabInputNotebook,
  TabInputTextDiff,
  TextEditorRevealType,
  Uri,
  window,
} from "vscode";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { openAllPending, openPendingDiff } from "./edits.ts";
import { fileOf, isNotebook } from "./notebookTexts.ts";
import type { Review, ReviewTarget, SessionHunk } from "./review.ts";
import { rangeOfHunk } from "./reviewDecorations.ts";

/** A place in a file; the line counts from 1. */
interface Place {
  readonly uri: string;
  readonly line: number;
}

/** Registers the commands of review. */
export function registerReviewCommands(review: Review): readonly Disposable[] {
  const all: { readonly [id: string]: (...args: never[]) => unknown } = {
    "hermes.review.next": (place?: Place) => go(review, 1, place),
    "hermes.review.previous": (place?: Place) => go(review, -1, place),
    "hermes.review.keepHunk": (target?: ReviewTarget) => decideHunk(review, "keep", target),
    "hermes.review.undoHunk": (target?: ReviewTarget) => decideHunk(review, "undo", target),
    "hermes.review.keepFile": (uri?: unknown) => decideFile(review, "keep", uri),
    "hermes.review.undoFile": (uri?: unknown) => decideFile(review, "undo", uri),
    "hermes.review.keepAll": () => review.decideAll("keep"),
    "hermes.review.undoAll": () => undoAll(review),
    "hermes.review.openAll": () => openAllPending(review.files),
    "hermes.review.openFile": (uri?: unknown) => openFileDiff(review, uri),
  };
  return Object.entries(all).map(([id, run]) => commands.registerCommand(id, run));
}

/** Undoes everything that is pending, in one session or in all, once the user has confirmed it. */
export async function undoAll(review: Review, sessionId?: SessionId): Promise<void> {
  const files = review.files.filter((pending) => sessionId === undefined || pending.sessionId === sessionId);
  const count = files.reduce((sum, { file }) => sum + file.hunks.length, 0);
  const fileCount = new Set(files.map(({ file }) => file.uri)).size;
  const question = `Undo all ${count} pending changes by Hermes in ${fileCount === 1 ? "one file" : `${fileCount} files`}?`;
  if (count > 1 && (await window.showWarningMessage(question, { modal: true }, "Undo All")) !== "Undo All") return;
  if (sessionId === undefined) await review.decideAll("undo");
  else await review.decide("undo", { sessionId });
}

async function go(review: Review, step: 1 | -1, place: Place | undefined): Promise<void> {
  const hunk = review.neighbour(place ?? activePlace(), step);
  if (!hunk) return void window.showInformationMessage("Hermes: nothing is pending.");
  await reveal(hunk);
}

async function reveal(pending: SessionHunk): Promise<void> {
  const uri = Uri.parse(pending.file.uri);
  if (pending.file.status === "deleted") return openPendingDiff(pending);
  if (isNotebook(uri)) await openPendingDiff(pending);
  const editor = isNotebook(uri) ? window.activeTextEditor : await window.showTextDocument(uri, { preview: true });
  if (!editor) return;
  const range = rangeOfHunk(pending, editor.document);
  editor.selection = new Selection(range.start, range.start);
  editor.revealRange(range, TextEditorRevealType.InCenterIfOutsideViewport);
}

async function decideHunk(review: Review, action: "keep" | "undo", given: ReviewTarget | undefined): Promise<void> {
  if (given?.hunkId !== undefined) return review.decide(action, given);
  const place = activePlace();
  const hunk = place && review.hunkAtLine(place.uri, place.line);
  if (!hunk) return go(review, 1, undefined);
  await review.decide(action, { sessionId: hunk.sessionId, uri: hunk.file.uri, hunkId: hunk.hunk.id });
}

async function decideFile(review: Review, action: "keep" | "undo", given: unknown): Promise<void> {
  const uri = uriOf(given);
  if (uri === undefined) return void window.showInformationMessage("Hermes: open a file with pending changes first.");
  await review.decideFile(action, uri);
}

async function openFileDiff(review: Review, given: unknown): Promise<void> {
  const [file] = review.filesAt(uriOf(given) ?? "");
  if (file) await openPendingDiff(file);
}

/** What a button of an editor or a row of the explorer is about; without one, the active editor. */
function uriOf(given: unknown): string | undefined {
  if (given instanceof Uri) return given.toString();
  if (typeof given === "string") return given;
  const input = window.tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof TabInputTextDiff) return fileOf(input.modified).toString();
  if (input instanceof TabInputNotebook) return input.uri.toString();
  return window.activeTextEditor?.document.uri.toString();
}

function activePlace(): Place | undefined {
  const editor = window.activeTextEditor;
  return editor && { uri: fileOf(editor.document.uri).toString(), line: editor.selection.active.line + 1 };
}
