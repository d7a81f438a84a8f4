/**
 * Undoes a turn: gives each file that it changed the text from before the turn, merged with what was changed since.
 *
 * Not here: keeping the images (`toolCalls.ts` stores both before it writes). Easily got wrong: nothing is overwritten
 * that the turn did not write; a file changed since in the same lines is left as it is and reported as a conflict.
 */
import { createHash } from "node:crypto";
import { messageOf, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { BlobId, FileChange, UndoneFile } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { mergeTexts } from "../text/merge.ts";
import type { FileText, Workspace } from "../workspace/workspace.ts";

/** What undoing needs. */
export interface CheckpointDeps {
  readonly store: Pick<SessionStore, "getBlob">;
  readonly workspace: Workspace;
}

/** What a turn did to one file, first to last. */
interface TurnOnFile {
  readonly uri: string;
  readonly before: string | null;
  /** Permission bits before the turn. */
  readonly mode: number | undefined;
  /** Every text that the turn gave the file, the last one last; `null` where it deleted it. */
  readonly afters: readonly (BlobId | null)[];
}

/** How often a file that keeps changing under the undo is looked at again. */
const maxTries = 3;

/**
 * Undoes `changes`, the changes of one turn in their order, file by file. Throws `RequestError` `unknown_blob` or
 * `damaged_blob`, before any file is touched, when a text from before the turn cannot be read.
 */
export async function undoTurn(
  changes: readonly FileChange[],
  deps: CheckpointDeps,
  signal: AbortSignal,
): Promise<readonly UndoneFile[]> {
  const files = await Promise.all([...Map.groupBy(changes, ({ uri }) => uri).values()].map((all) => gather(all, deps)));
  const undone: UndoneFile[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    undone.push({ uri: file.uri, outcome: await undoFile(file, deps, signal) });
  }
  return undone;
}

async function gather(changes: readonly FileChange[], { store }: CheckpointDeps): Promise<TurnOnFile> {
  const [first] = changes;
  if (!first) throw new Error("A file without changes cannot be undone.");
  const before = first.before === null ? null : toText(await store.getBlob(first.before));
  return { uri: first.uri, before, mode: first.mode, afters: changes.map(({ after }) => after) };
}

/** A file that cannot be read or written now is as good as changed by another hand: it is left alone. */
async function undoFile(file: TurnOnFile, deps: CheckpointDeps, signal: AbortSignal): Promise<UndoneFile["outcome"]> {
  try {
    let current = await readCurrent(file.uri, deps.workspace, signal);
    for (let tries = 0; tries < maxTries; tries++) {
      const plan = await planUndo(file, current, deps);
      if (!plan.write) return plan.outcome;
      const swap = await deps.workspace.swap(file.uri, current?.version ?? null, plan.text, signal);
      if (swap.applied) {
        if (current === null) await restoreMode(file, deps.workspace, signal);
        return plan.outcome;
      }
      current = swap.current;
    }
    return "conflict";
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    log("warn", `Undo left ${file.uri} as it is: ${messageOf(error)}`);
    return "conflict";
  }
}

type UndoPlan =
  | { readonly write: false; readonly outcome: "unchanged" | "conflict" }
  | { readonly write: true; readonly outcome: "restored" | "merged"; readonly text: string | null };

async function planUndo(file: TurnOnFile, current: FileText | null, deps: CheckpointDeps): Promise<UndoPlan> {
  const { before, afters } = file;
  const text = current?.text ?? null;
  if (text === before) return { write: false, outcome: "unchanged" };
  // Any text of the turn, not only its last: a host that was killed may have recorded a write that never happened.
  if (afters.includes(text === null ? null : blobIdOf(text))) {
    return { write: true, outcome: "restored", text: before };
  }
  // Deleted since, or made anew since, or never there before: there is nothing to merge with.
  const after = afters.at(-1) ?? null;
  if (text === null || before === null || after === null) return { write: false, outcome: "conflict" };
  const merged = mergeTexts(toText(await deps.store.getBlob(after)), before, text);
  if (!merged.clean) return { write: false, outcome: "conflict" };
  if (merged.text === text) return { write: false, outcome: "unchanged" };
  return { write: true, outcome: "merged", text: merged.text };
}

/** `null` when there is no file. Throws `ToolError` when what is there is not text. */
async function readCurrent(uri: string, workspace: Workspace, signal: AbortSignal): Promise<FileText | null> {
  try {
    return await workspace.read(uri, signal);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    // Reading says only that it failed. Deleting a file on the condition that there is none changes nothing either way.
    const probe = await workspace.swap(uri, null, null, signal);
    return probe.applied ? null : probe.current;
  }
}

/** A file that the turn deleted comes back with the permissions it had. */
async function restoreMode({ uri, mode }: TurnOnFile, workspace: Workspace, signal: AbortSignal): Promise<void> {
  if (mode !== undefined) await workspace.setMode?.(uri, mode, signal);
}

function toText(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function blobIdOf(text: string): BlobId {
  return createHash("sha256").update(text).digest("hex") as BlobId;
}
