/**
 * Undoes a turn: gives each file that it changed the text from before the turn, merged with what was changed since.
 *
 * Files that are not text come back whole or not at all. Files that it moved go back first, with what they have become.
 * Not here: keeping the images (`toolCalls.ts` stores both before it writes). Easily got wrong: nothing is overwritten
 * that the turn did not write; a file changed since in the same lines is left as it is and reported as a conflict.
 */
import { messageOf, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { BlobId, FileChange, UndoneFile } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { decodeText, encodeText } from "../text/encoding.ts";
import { mergeTexts } from "../text/merge.ts";
import { isNotebookPath } from "../text/notebook.ts";
import { shownText } from "../text/notebookJson.ts";
import { digestOf, isLinkMode } from "../workspace/fileBytes.ts";
import { maxTextBytes } from "../workspace/textFile.ts";
import type { FileText, Workspace } from "../workspace/workspace.ts";
import { foldersMadeBy } from "./madeFolders.ts";

/** What undoing needs. */
export interface CheckpointDeps {
  readonly store: Pick<SessionStore, "getBlob">;
  readonly workspace: Workspace;
}

/** What a turn did to one file, first to last. */
interface TurnOnFile {
  /** Where it was before the turn. */
  readonly uri: string;
  /** Where the turn left it. */
  readonly movedTo: string;
  readonly changes: readonly FileChange[];
  readonly before: Uint8Array | null;
  /** Permission bits before the turn. */
  readonly mode: number | undefined;
  /** Permission bits that a command gave it. */
  readonly modeAfter: number | undefined;
  /** Every text that the turn gave the file, the last one last; `null` where it deleted it. */
  readonly afters: readonly (BlobId | null)[];
  /** How its bytes are text; `undefined` for UTF-8 and for what is no text. */
  readonly encoding: string | undefined;
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
  const tracks = tracksOf(changes);
  const files = await Promise.all(tracks.map((track) => gather(track, deps)));
  const outcomes = new Map<TurnOnFile, UndoneFile>();
  const [made, others] = [files.filter(({ before }) => before === null), files.filter(({ before }) => before !== null)];
  // What the turn made goes first: a file of it may be where a folder was, and the other way round.
  for (const file of made) {
    signal.throwIfAborted();
    const uri = file.movedTo;
    outcomes.set(file, { uri, outcome: await undoFile({ ...file, uri }, deps, signal) });
  }
  // What it deleted in the end is at no place; another file may be there by now.
  const moved = new Set(others.filter(({ afters }) => afters.at(-1) !== null).flatMap((file) => file.changes));
  const places = await moveBack(
    changes.filter((change) => moved.has(change)),
    deps.workspace,
    signal,
  );
  for (const file of others) {
    signal.throwIfAborted();
    outcomes.set(file, await undoAtHome(file, places, deps, signal));
  }
  await removeMadeFolders(changes, deps.workspace, signal);
  return files.flatMap((file) => outcomes.get(file) ?? []);
}

/** The changes of each file, followed through its moves. */
function tracksOf(changes: readonly FileChange[]): readonly (readonly FileChange[])[] {
  const tracks: FileChange[][] = [];
  const byPlace = new Map<string, FileChange[]>();
  for (const change of changes) {
    const place = change.movedFrom ?? change.uri;
    const track = byPlace.get(place) ?? [];
    if (track.length === 0) tracks.push(track);
    track.push(change);
    byPlace.delete(place);
    byPlace.set(change.uri, track);
  }
  return tracks;
}

async function gather(changes: readonly FileChange[], { store }: CheckpointDeps): Promise<TurnOnFile> {
  const [first, last] = [changes[0], changes.at(-1)];
  if (!first || !last) throw new Error("A file without changes cannot be undone.");
  const before = first.before === null ? null : await store.getBlob(first.before);
  const modeAfter = changes.findLast((change) => change.modeAfter !== undefined)?.modeAfter;
  const encoding = changes.find((change) => change.encoding !== undefined)?.encoding;
  const afters = changes.map(({ after }) => after);
  const uri = first.movedFrom ?? first.uri;
  return { uri, movedTo: last.uri, changes, before, mode: first.mode, modeAfter, afters, encoding };
}

/**
 * Takes back the turn's moves, the last one first, so that files which changed places do so again. Gives where each file
 * that the turn had moved is now, by where the turn left it.
 */
async function moveBack(
  changes: readonly FileChange[],
  workspace: Workspace,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  const leftBy = new Map<string, string>();
  for (const { uri, movedFrom } of changes.toReversed()) {
    if (movedFrom === undefined) continue;
    signal.throwIfAborted();
    const left = leftBy.get(uri) ?? uri;
    leftBy.delete(uri);
    leftBy.set(movedFrom, left);
    const place = places.get(left) ?? uri;
    // Stuck on the way: what is left of the way is not gone either.
    const isMoved = place === uri && (await tryMove(workspace, uri, movedFrom, signal));
    places.set(left, isMoved ? movedFrom : place);
  }
  return places;
}

async function tryMove(workspace: Workspace, from: string, to: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await workspace.moveFile?.(from, to, signal)) === "moved";
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    log("warn", `Undo left ${from} where it is: ${messageOf(error)}`);
    return false;
  }
}

async function undoAtHome(
  file: TurnOnFile,
  places: ReadonlyMap<string, string>,
  deps: CheckpointDeps,
  signal: AbortSignal,
): Promise<UndoneFile> {
  const { uri, movedTo, afters } = file;
  if (uri === movedTo) return { uri, outcome: await undoFile(file, deps, signal) };
  const isGone = afters.at(-1) === null;
  const place = isGone ? uri : (places.get(movedTo) ?? movedTo);
  if (place !== uri) {
    if (place !== movedTo) await tryMove(deps.workspace, place, movedTo, signal);
    const neverMoved = await isStillAtHome(file, deps.workspace, signal);
    return neverMoved ? { uri, outcome: "unchanged", movedFrom: movedTo } : { uri: movedTo, outcome: "conflict" };
  }
  const outcome = await undoFile(file, deps, signal);
  if (isGone && outcome === "conflict") return { uri, outcome };
  return { uri, outcome: outcome === "unchanged" ? "restored" : outcome, movedFrom: movedTo };
}

/** A host that was killed may have recorded a move that never happened. */
async function isStillAtHome(
  { uri, movedTo, before }: TurnOnFile,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const [there, here] = [await workspace.readBytes?.(movedTo, signal), await workspace.readBytes?.(uri, signal)];
    return there === null && before !== null && digestOf(before) === (here && digestOf(here.bytes));
  } catch (error) {
    if (error instanceof ToolError) return false;
    throw error;
  }
}

/** Folders that the turn made and in which there is nothing any more. */
async function removeMadeFolders(
  changes: readonly FileChange[],
  workspace: Workspace,
  signal: AbortSignal,
): Promise<void> {
  const made = new Set(changes.flatMap(foldersMadeBy));
  for (const folder of [...made].sort((a, b) => b.length - a.length)) await workspace.removeFolder?.(folder, signal);
}

/** A file that cannot be read or written now is as good as changed by another hand: it is left alone. */
async function undoFile(file: TurnOnFile, deps: CheckpointDeps, signal: AbortSignal): Promise<UndoneFile["outcome"]> {
  try {
    const before = file.before && (await toText(file.before, file.encoding));
    if (before === undefined || isLinkMode(file.mode)) return await undoBytes(file, deps.workspace, signal);
    if (isNotebookPath(file.uri)) return await undoNotebook({ ...file, before }, deps, signal);
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

/**
 * A notebook whose images are its bytes, because a command changed it, comes back whole with its outputs if nobody has
 * changed it since. Otherwise, and where the images are its cells as text, it is undone as text.
 */
async function undoNotebook(
  file: TurnOnText,
  { store, workspace }: CheckpointDeps,
  signal: AbortSignal,
): Promise<UndoneFile["outcome"]> {
  const { before } = file;
  if (before === null || shownText(before) !== before) {
    const bytes = before === null ? null : new TextEncoder().encode(before);
    const outcome = await undoBytes({ ...file, before: bytes }, workspace, signal).catch((error: unknown) => {
      // It is open with unsaved changes, say.
      if (error instanceof ToolError) return "conflict" as const;
      throw error;
    });
    if (outcome !== "conflict") return outcome;
  }
  const shown = new Map<BlobId, Uint8Array>();
  const show = async (id: BlobId) => {
    const text = await toText(await store.getBlob(id), undefined);
    if (text === undefined) return id;
    const bytes = new TextEncoder().encode(shownText(text));
    shown.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  };
  // One that is lost is known by its id all the same.
  const afters = await Promise.all(file.afters.map((after) => after && show(after).catch(() => after)));
  const shownStore = { getBlob: async (id: BlobId) => shown.get(id) ?? store.getBlob(id) };
  return undoText({ ...file, before: before && shownText(before), afters }, { store: shownStore, workspace }, signal);
}

type TurnOnText = Omit<TurnOnFile, "before"> & { readonly before: string | null };

async function undoText(file: TurnOnText, deps: CheckpointDeps, signal: AbortSignal): Promise<UndoneFile["outcome"]> {
  let current = await readCurrent(file.uri, deps.workspace, signal);
  const options = file.encoding === undefined ? undefined : { encoding: file.encoding };
  for (let tries = 0; tries < maxTries; tries++) {
    const plan = await planUndo(file, current, deps);
    if (plan.outcome === "conflict") return plan.outcome;
    if (!plan.write) {
      const restored = current !== null && (await restoreMode(file, current.mode, deps.workspace, signal));
      return restored ? "restored" : plan.outcome;
    }
    const swap = await deps.workspace.swap(file.uri, current?.version ?? null, plan.text, signal, options);
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

async function planUndo(file: TurnOnText, current: FileText | null, deps: CheckpointDeps): Promise<UndoPlan> {
  const { before, afters } = file;
  const text = current?.text ?? null;
  if (text === before) return { write: false, outcome: "unchanged" };
  // Any text of the turn, not only its last: a host that was killed may have recorded a write that never happened.
  const digest = text === null ? null : await digestOfText(text, current?.encoding ?? file.encoding);
  if (digest !== undefined && afters.includes(digest)) {
    return { write: true, outcome: "restored", text: before };
  }
  // Deleted since, or made anew since, or never there before: there is nothing to merge with.
  const after = afters.at(-1) ?? null;
  if (text === null || before === null || after === null) return { write: false, outcome: "conflict" };
  const base = await toText(await deps.store.getBlob(after), file.encoding);
  if (base === undefined) return { write: false, outcome: "conflict" };
  const merged = mergeTexts(base, before, text);
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
async function toText(bytes: Uint8Array, encoding: string | undefined): Promise<string | undefined> {
  if (bytes.length > maxTextBytes || (encoding === undefined && bytes.includes(0))) return undefined;
  return decodeText(bytes, encoding);
}

async function digestOfText(text: string, encoding: string | undefined): Promise<BlobId | undefined> {
  const encoded = await encodeText(text, encoding);
  return encoded.ok ? digestOf(encoded.bytes) : undefined;
}
