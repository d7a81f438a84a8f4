/**
 * Takes back what turns or a restore did to files: each gets its content from before, merged with what was changed since.
 *
 * Files that are not text come back whole or not at all; files that were moved go back first (`moveBack.ts`).
 * Not here: which changes are meant (`restore.ts`), what a file is without them (`fileHistory.ts`). Easily got wrong: what
 * is there is stored and announced before it is replaced; and a file changed since in the same lines is left as it is.
 */
import { messageOf, RequestError, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { UndoneFile } from "../protocol/review.ts";
import type { BlobId, FileChange } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { withConflictMarkers } from "../text/conflictMarkers.ts";
import { countLines } from "../text/diff.ts";
import { isNotebookPath } from "../text/notebook.ts";
import { digestOf, isLinkMode } from "../workspace/fileBytes.ts";
import type { Queues } from "../workspace/queues.ts";
import type { FileText, Version, Workspace } from "../workspace/workspace.ts";
import { countNewFolders } from "./fileCalls.ts";
import {
  bothSides,
  bytesOf,
  type FileHistory,
  historiesOf,
  type Image,
  imageOf,
  type LoadImage,
  type Without,
  without,
} from "./fileHistory.ts";
import { foldersMadeBy } from "./madeFolders.ts";
import { moveBack, tryMove } from "./moveBack.ts";
import { shownAsCells } from "./notebookHistory.ts";

/** What looking at files needs. */
export interface CheckpointDeps {
  readonly store: Pick<SessionStore, "getBlob" | "putBlob">;
  readonly workspace: Workspace;
}

/** What restoring files needs. */
export interface RestoreFilesDeps extends CheckpointDeps {
  /** By URI: whoever changes a file waits here for those before. */
  readonly fileOrder: Queues;
  /** Stores that a file is about to be written. Both images are in the store by then. */
  readonly announce: (change: FileChange) => Promise<void>;
  /** Stores that the write announced last for this file did not happen. */
  readonly failed: (uri: string) => Promise<void>;
}

/** How often a file that keeps changing under the restore is looked at again. */
const maxTries = 3;

/** What a file is now. */
interface Present extends Image {
  readonly version: Version | null;
  readonly mode: number | undefined;
  /** Where it is not text. */
  readonly bytes?: Uint8Array;
  readonly encoding?: string;
  /** The file's own bytes, for a notebook, whose text is that of its cells. */
  readonly raw?: { readonly id: BlobId; readonly bytes: Uint8Array; readonly mode: number };
}

/**
 * Takes back `changes`, given in their order, file by file. Throws `RequestError` `image_gone` or `damaged_blob`, before
 * any file is touched, when a content from before cannot be read any more.
 */
export async function restoreFiles(
  changes: readonly FileChange[],
  deps: RestoreFilesDeps,
  signal: AbortSignal,
): Promise<readonly UndoneFile[]> {
  const histories = historiesOf(changes);
  for (const history of histories) {
    signal.throwIfAborted();
    await assertStored(history, deps, signal);
  }
  const outcomes = new Map<FileHistory, UndoneFile>();
  const restoreAt = (history: FileHistory, uri: string) =>
    deps.fileOrder.run(uri, () => restoreFile({ ...history, uri }, deps, signal));
  const [made, others] = [histories.filter(isMade), histories.filter((history) => !isMade(history))];
  // What was made goes first: a file of it may be where a folder was, and the other way round.
  for (const history of made) {
    signal.throwIfAborted();
    outcomes.set(history, await restoreAt(history, history.uri));
  }
  // What was deleted in the end is at no place; another file may be there by now.
  const moved = new Set(others.filter((history) => !isGone(history)).flatMap((history) => history.changes));
  const places = await moveBack(
    changes.filter((change) => moved.has(change)),
    deps,
    signal,
  );
  for (const history of others) {
    signal.throwIfAborted();
    outcomes.set(history, await restoreAtHome(history, places, restoreAt, deps, signal));
  }
  await removeMadeFolders(changes, deps.workspace, signal);
  return histories.flatMap((history) => outcomes.get(history) ?? []);
}

function isMade({ runs }: FileHistory): boolean {
  return runs[0]?.before === null;
}

function isGone({ changes }: FileHistory): boolean {
  return changes.at(-1)?.after === null;
}

/** Restores a file whose moves have been taken back as far as that went. */
async function restoreAtHome(
  history: FileHistory,
  places: ReadonlyMap<string, string>,
  restoreAt: (history: FileHistory, uri: string) => Promise<UndoneFile>,
  deps: RestoreFilesDeps,
  signal: AbortSignal,
): Promise<UndoneFile> {
  const { home, uri: left } = history;
  if (home === left) return restoreAt(history, home);
  const place = isGone(history) ? home : (places.get(left) ?? left);
  if (place !== home) {
    if (place !== left) await tryMove(place, left, deps, signal);
    return (await isStillAtHome(history, deps.workspace, signal))
      ? { uri: home, outcome: "unchanged", movedFrom: left }
      : { uri: left, outcome: "conflict" };
  }
  const restored = await restoreAt(history, home);
  if (isGone(history) && restored.outcome === "conflict") return restored;
  return { ...restored, outcome: restored.outcome === "unchanged" ? "restored" : restored.outcome, movedFrom: left };
}

/** A host that was killed may have recorded a move that never happened. */
async function isStillAtHome(
  { home, uri, runs }: FileHistory,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<boolean> {
  const [there, here] = await Promise.all(
    [uri, home].map((place) => workspace.readBytes?.(place, signal).catch(ignoreToolError)),
  );
  return there === null && here !== null && here !== undefined && digestOf(here.bytes) === runs[0]?.before;
}

/** Folders that were made for files and in which there is nothing any more. */
async function removeMadeFolders(
  changes: readonly FileChange[],
  workspace: Workspace,
  signal: AbortSignal,
): Promise<void> {
  const folders = new Set(changes.flatMap(foldersMadeBy));
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) {
    await workspace.removeFolder?.(folder, signal);
  }
}

/** The present text of a file, and the same with both sides of what overlaps when its history is taken back. */
export async function conflictIn(
  history: FileHistory,
  { store, workspace }: CheckpointDeps,
  signal: AbortSignal,
): Promise<{ readonly present: string; readonly text: string } | undefined> {
  const now = await presentOf(history, workspace, signal);
  if (typeof now?.text !== "string") return undefined;
  const { shown, load } = await shownAsCells(history, (id) => store.getBlob(id));
  const sides = await bothSides(shown, now, load);
  if (!sides) return undefined;
  const labels = { yours: "your text", other: "before the turn" };
  return { present: now.text, text: withConflictMarkers(sides.yours, sides.before, labels) };
}

/** Which of the announced changes are there: what a host that was killed in the middle has written. */
export async function writtenFiles(
  changes: readonly FileChange[],
  { workspace }: Pick<CheckpointDeps, "workspace">,
  signal: AbortSignal,
): Promise<readonly UndoneFile[]> {
  return Promise.all(
    historiesOf(changes).map(async (history): Promise<UndoneFile> => {
      const { uri, home } = history;
      const now = await presentOf(history, workspace, signal).catch(ignoreToolError);
      const outcome = now?.id === (history.changes.at(-1)?.after ?? null) ? "restored" : "conflict";
      return { uri, outcome, ...(home === uri ? {} : { movedFrom: home }) };
    }),
  );
}

async function assertStored(history: FileHistory, deps: CheckpointDeps, signal: AbortSignal): Promise<void> {
  const now = await presentOf(history, deps.workspace, signal).catch(ignoreToolError);
  if (!now) return;
  await planFor(history, now, (id) => deps.store.getBlob(id)).catch((error: unknown) => {
    if (!(error instanceof RequestError) || error.code !== "unknown_blob") throw error;
    throw new RequestError(
      "image_gone",
      `The former content of ${history.uri} is not stored any more: old ones make room for new ones, within hermes.checkpoints.diskSpace. Nothing was changed. Use version control, or restore a later turn.`,
    );
  });
}

/** A file that cannot be read or written now is as good as changed by another hand: it is left alone. */
async function restoreFile(history: FileHistory, deps: RestoreFilesDeps, signal: AbortSignal): Promise<UndoneFile> {
  const { uri } = history;
  try {
    for (let tries = 0; tries < maxTries; tries++) {
      const found = await presentOf(history, deps.workspace, signal);
      if (!found) break;
      const { plan, now } = await planFor(history, found, (id) => deps.store.getBlob(id));
      if (plan.outcome === "conflict") {
        return { uri, outcome: "conflict", ...(plan.bothSides ? { bothSides: true } : {}) };
      }
      const mode = modeToRestore(history, now, plan.image);
      if (plan.image.id === now.id && mode === undefined) return { uri, outcome: plan.outcome };
      if (await replace(history, { now, image: plan.image, mode }, deps, signal)) {
        return { uri, outcome: plan.outcome === "unchanged" ? "restored" : plan.outcome };
      }
    }
  } catch (error) {
    if (!(error instanceof ToolError || error instanceof RequestError)) throw error;
    log("warn", `A restore left ${uri} as it is: ${messageOf(error)}`);
  }
  return { uri, outcome: "conflict" };
}

/**
 * What becomes of a file, and what it is now in the same terms. A notebook whose images are its bytes, because a command
 * changed it, comes back whole with its outputs if nobody has changed it since; otherwise it is restored by its cells.
 */
async function planFor(
  history: FileHistory,
  now: Present,
  load: LoadImage,
): Promise<{ readonly plan: Without; readonly now: Present }> {
  if (now.raw) {
    const raw: Present = { ...now.raw, text: undefined, version: null };
    const plan = await without(history, raw, load);
    if (plan.outcome !== "conflict") return { plan: withoutText(plan), now: raw };
  }
  if (isLink(history)) {
    const plan = await without(history, now, load);
    return { plan: plan.outcome === "conflict" ? plan : withoutText(plan), now };
  }
  if (!isNotebookPath(history.uri)) return { plan: await without(history, now, load), now };
  const cells = await shownAsCells(history, load);
  return { plan: await without(cells.shown, now, cells.load), now };
}

/** Bytes are written as they are, also where they are text: where a link leads is. */
function withoutText(plan: Exclude<Without, { readonly outcome: "conflict" }>): Without {
  return { ...plan, image: { id: plan.image.id, text: plan.image.id === null ? null : undefined } };
}

/** Permissions from before, for a file that comes back, or that still has those that a command gave it. */
function modeToRestore({ mode, modeAfter }: FileHistory, now: Present, image: Image): number | undefined {
  if (mode === undefined || image.id === null || mode === now.mode) return undefined;
  return now.id === null || now.mode === undefined || now.mode === modeAfter ? mode : undefined;
}

interface Replacement {
  readonly now: Present;
  readonly image: Image;
  /** Permission bits to give it. */
  readonly mode: number | undefined;
}

/** Announces and writes. False when the file has moved on. */
async function replace(
  history: FileHistory,
  replacement: Replacement,
  deps: RestoreFilesDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const { now, image, mode } = replacement;
  const { store } = deps;
  const encoding = now.encoding ?? history.encoding;
  const bytes =
    typeof image.text === "string" ? await bytesOf(image.text, encoding) : image.id && (await store.getBlob(image.id));
  const former = typeof now.text === "string" ? await bytesOf(now.text, encoding) : now.bytes;
  if (former) await store.putBlob(former);
  if (bytes) await store.putBlob(bytes);
  const areTexts = now.text !== undefined && image.text !== undefined;
  const named = areTexts && encoding !== undefined ? { encoding } : {};
  const counts = areTexts ? countLines(now.text, image.text) : { addedLines: 0, removedLines: 0 };
  const modes = {
    ...(now.mode === undefined ? {} : { mode: now.mode }),
    ...(mode === undefined ? {} : { modeAfter: mode }),
  };
  const made = now.id === null ? await countNewFolders(deps.workspace, history.uri, signal) : {};
  await deps.announce({ uri: history.uri, before: now.id, after: image.id, ...counts, ...named, ...modes, ...made });
  const isWritten = await write(history, replacement, bytes, deps.workspace, signal).catch(async (error: unknown) => {
    await deps.failed(history.uri);
    throw error;
  });
  if (!isWritten) await deps.failed(history.uri);
  return isWritten;
}

async function write(
  history: FileHistory,
  { now, image, mode }: Replacement,
  bytes: Uint8Array | null,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<boolean> {
  const { uri } = history;
  if (now.id !== image.id) {
    const isDone = await swapTexts(history, now, image, workspace, signal);
    if (isDone === false) return false;
    if (isDone === undefined) return swapWhole(history, now, bytes, mode, workspace, signal);
  }
  if (mode !== undefined) await workspace.setMode?.(uri, mode, signal);
  return true;
}

/** `undefined` where it cannot be done as text: one of the two is none, or the file is read-only. */
async function swapTexts(
  { uri, encoding }: FileHistory,
  now: Present,
  image: Image,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  if (now.text === undefined || image.text === undefined) return undefined;
  try {
    const options = encoding === undefined ? undefined : { encoding };
    return (await workspace.swap(uri, now.version, image.text, signal, options)).applied;
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

async function swapWhole(
  { uri, mode: modeBefore, modeAfter }: FileHistory,
  now: Present,
  bytes: Uint8Array | null,
  mode: number | undefined,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<boolean> {
  const current = await workspace.readBytes?.(uri, signal);
  if (current === undefined || !workspace.swapBytes) throw new ToolError("It cannot be written here.");
  // Made read-only since: that is somebody's word.
  const isLocked = current !== null && (current.mode & 0o222) === 0;
  if (isLocked && current.mode !== modeBefore && current.mode !== modeAfter) throw new ToolError("It is read-only.");
  return workspace.swapBytes(uri, now.id, bytes && { bytes, ...(mode === undefined ? {} : { mode }) }, signal);
}

/** `undefined` when what is there cannot be read as bytes either. */
async function presentOf(
  history: FileHistory,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<Present | undefined> {
  const { uri, encoding } = history;
  const text = isLink(history) ? undefined : await textAt(uri, encoding, workspace, signal);
  if (text && !(isNotebookPath(uri) && text.id !== null)) return text;
  const file = await workspace.readBytes?.(uri, signal).catch((error: unknown) => {
    if (text) return undefined;
    throw error;
  });
  if (text) return file ? { ...text, raw: { id: digestOf(file.bytes), bytes: file.bytes, mode: file.mode } } : text;
  if (file === undefined) return undefined;
  if (file === null) return { id: null, text: null, version: null, mode: undefined };
  return { id: digestOf(file.bytes), text: undefined, bytes: file.bytes, version: null, mode: file.mode };
}

/** A link is known by where it leads, and not by what is there. */
function isLink({ mode, modeAfter }: FileHistory): boolean {
  return isLinkMode(mode) || isLinkMode(modeAfter);
}

/** `undefined` when what is there is not text. */
async function textAt(
  uri: string,
  encoding: string | undefined,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<Present | undefined> {
  try {
    const file = await readText(uri, workspace, signal);
    if (!file) return { id: null, text: null, version: null, mode: undefined };
    const named = file.encoding ?? encoding;
    const image = await imageOf(file.text, named);
    return { ...image, version: file.version, mode: file.mode, ...(named === undefined ? {} : { encoding: named }) };
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

/** `null` when there is no file. Throws `ToolError` when what is there is not text. */
async function readText(uri: string, workspace: Workspace, signal: AbortSignal): Promise<FileText | null> {
  // Reading a missing file searches for names like it; deleting it if it is missing only says what is there.
  const probe = await workspace.swap(uri, null, null, signal);
  return probe.applied ? null : probe.current;
}

function ignoreToolError(error: unknown): undefined {
  if (!(error instanceof ToolError)) throw error;
}
