/**
 * Undoes a turn: gives each file that it changed the text from before the turn, merged with what was changed since.
 *
 * Files that are not text come back whole or not at all.
 * Not here: keeping the images (`toolCalls.ts` stores both before it writes). Easily got wrong: nothing is overwritten
 * that the turn did not write; a file changed since in the same lines is left as it is and reported as a conflict.
 */
import { messageOf, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { BlobId, FileChange, UndoneFile } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { mergeTexts } from "../text/merge.ts";
import { digestOf } from "../workspace/fileBytes.ts";
import { maxTextBytes } from "../workspace/textFile.ts";
import type { FileText, Workspace } from "../workspace/workspace.ts";

/** What undoing needs. */
export interface CheckpointDeps {
  readonly store: Pick<SessionStore, "getBlob">;
  readonly workspace: Workspace;
}

/** What a turn did to one file, first to last. */
interface TurnOnFile {
  readonly uri: string;
  readonly before: Uint8Array | null;
  /** Permission bits before the turn. */
  readonly mode: number | undefined;
  /** Permission bits that a command gave it. */
  readonly modeAfter: number | undefined;
  /** Every text that the turn gave the file, the last one last; `null` where it deleted it. */
  readonly afters: readonly (BlobId | null)[];
  /** The changes in runs, first to last: between two runs somebody else has changed the file. */
  readonly runs: readonly Run[];
}

/** Changes of which each began with the text that the one before it had left. */
interface Run {
  readonly before: BlobId | null;
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
  const outcomes = new Map<string, UndoneFile["outcome"]>();
  // What the turn made goes first: a file of it may be where a folder was, and the other way round.
  const order = files.toSorted((a, b) => Number(a.before !== null) - Number(b.before !== null));
  for (const file of order) {
    signal.throwIfAborted();
    outcomes.set(file.uri, await undoFile(file, deps, signal));
  }
  return files.map(({ uri }) => ({ uri, outcome: outcomes.get(uri) ?? "conflict" }));
}

async function gather(changes: readonly FileChange[], { store }: CheckpointDeps): Promise<TurnOnFile> {
  const [first] = changes;
  if (!first) throw new Error("A file without changes cannot be undone.");
  const before = first.before === null ? null : await store.getBlob(first.before);
  const modeAfter = changes.findLast((change) => change.modeAfter !== undefined)?.modeAfter;
  return {
    uri: first.uri,
    before,
    mode: first.mode,
    modeAfter,
    afters: changes.map(({ after }) => after),
    runs: runsOf(changes),
  };
}

function runsOf(changes: readonly FileChange[]): readonly Run[] {
  const runs: { readonly before: BlobId | null; readonly afters: (BlobId | null)[] }[] = [];
  for (const { before, after } of changes) {
    const last = runs.at(-1);
    if (last && last.afters.at(-1) === before) last.afters.push(after);
    else runs.push({ before, afters: [after] });
  }
  return runs;
}

/** A file that cannot be read or written now is as good as changed by another hand: it is left alone. */
async function undoFile(file: TurnOnFile, deps: CheckpointDeps, signal: AbortSignal): Promise<UndoneFile["outcome"]> {
  try {
    const before = file.before && toTextOrUndefined(file.before);
    if (before === undefined) return await undoBytes(file, deps.workspace, signal);
    return await undoText({ ...file, before }, deps, signal).catch((error: unknown) => {
      // What is there is no text any more, too large, or read-only.
      if (error instanceof ToolError) return undoBytes(file, deps.workspace, signal);
      throw error;
    });
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    log("warn", `Undo left ${file.uri} as it is: ${messageOf(error)}`);
    return "conflict";
  }
}

type TurnOnText = Omit<TurnOnFile, "before"> & { readonly before: string | null };

async function undoText(file: TurnOnText, deps: CheckpointDeps, signal: AbortSignal): Promise<UndoneFile["outcome"]> {
  let current = await readCurrent(file.uri, deps.workspace, signal);
  for (let tries = 0; tries < maxTries; tries++) {
    const plan = await planUndo(file, current, deps);
    if (plan.outcome === "conflict") return plan.outcome;
    if (!plan.write) {
      const restored = current !== null && (await restoreMode(file, current.mode, deps.workspace, signal));
      return restored ? "restored" : plan.outcome;
    }
    const swap = await deps.workspace.swap(file.uri, current?.version ?? null, plan.text, signal);
    if (swap.applied) {
      if (plan.text !== null) await restoreMode(file, current?.mode, deps.workspace, signal);
      return plan.outcome;
    }
    current = swap.current;
  }
  return "conflict";
}

/** What is not text is restored whole, if it has the bytes that the turn left, or not at all. */
async function undoBytes(file: TurnOnFile, workspace: Workspace, signal: AbortSignal): Promise<UndoneFile["outcome"]> {
  const { uri, before, mode, modeAfter, afters } = file;
  const current = await workspace.readBytes?.(uri, signal);
  if (current === undefined || !workspace.swapBytes) return "conflict";
  const digest = current && digestOf(current.bytes);
  const modeIsOurs = mode !== undefined && (current === null || current.mode === modeAfter);
  const sameMode = !modeIsOurs || current?.mode === mode;
  if (digest === (before && digestOf(before)) && sameMode) return "unchanged";
  if (!afters.includes(digest)) return "conflict";
  // Made read-only since the turn: that is somebody's word.
  const locked = current !== null && (current.mode & 0o222) === 0;
  if (locked && current.mode !== mode && current.mode !== modeAfter) return "conflict";
  const replacement = before && { bytes: before, ...(modeIsOurs ? { mode } : {}) };
  return (await workspace.swapBytes(uri, digest, replacement, signal)) ? "restored" : "conflict";
}

type UndoPlan =
  | { readonly write: false; readonly outcome: "unchanged" | "conflict" }
  | { readonly write: true; readonly outcome: "restored" | "merged"; readonly text: string | null };

/** Takes the runs back, last to first, so that what others did in between stays. */
async function planUndo(
  { before, runs }: TurnOnText,
  current: FileText | null,
  deps: CheckpointDeps,
): Promise<UndoPlan> {
  const start = current?.text ?? null;
  if (start === before) return { write: false, outcome: "unchanged" };
  // Any text of the turn, not only its last: a host that was killed may have recorded a write that never happened.
  const known = runs.findLastIndex(({ afters }) => afters.includes(start === null ? null : blobIdOf(start)));
  let text = start;
  let isMerged = false;
  for (const run of runs.slice(0, known === -1 ? undefined : known + 1).reverse()) {
    const undone = await undoRun(run, text, deps);
    if (!undone) return { write: false, outcome: "conflict" };
    text = undone.text;
    isMerged ||= undone.isMerged;
  }
  if (text === start) return { write: false, outcome: "unchanged" };
  return { write: true, outcome: isMerged ? "merged" : "restored", text };
}

/** `undefined` where others have changed the same lines. */
async function undoRun(
  { before: id, afters }: Run,
  text: string | null,
  { store }: CheckpointDeps,
): Promise<{ readonly text: string | null; readonly isMerged: boolean } | undefined> {
  const before = id === null ? null : toText(await store.getBlob(id));
  if (afters.includes(text === null ? null : blobIdOf(text))) return { text: before, isMerged: false };
  // Deleted since, or made anew since, or never there before: there is nothing to merge with.
  const after = afters.at(-1) ?? null;
  if (text === null || before === null || after === null) return undefined;
  const merged = mergeTexts(toText(await store.getBlob(after)), before, text);
  return merged.clean ? { text: merged.text, isMerged: true } : undefined;
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

/**
 * A file that the turn deleted comes back with the permissions it had; one whose permissions a command changed gets them
 * back if it still has those. `current` are the present ones, `undefined` where there was no file. False if nothing was to do.
 */
async function restoreMode(
  { uri, mode, modeAfter }: Pick<TurnOnFile, "uri" | "mode" | "modeAfter">,
  current: number | undefined,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<boolean> {
  if (mode === undefined || mode === current || (current !== undefined && current !== modeAfter)) return false;
  await workspace.setMode?.(uri, mode, signal);
  return true;
}

/** `undefined` for bytes that a text would not give back, and for texts that the workspace does not read. */
function toTextOrUndefined(bytes: Uint8Array): string | undefined {
  if (bytes.length > maxTextBytes || bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function toText(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function blobIdOf(text: string): BlobId {
  return digestOf(new TextEncoder().encode(text));
}
