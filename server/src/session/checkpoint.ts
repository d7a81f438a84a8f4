/**
 * Takes back what turns or a restore did to files: each gets its content from before, merged with what was changed since.
 *
 * Files that are not text come back whole or not at all.
 * Not here: which changes are meant (`restore.ts`), what a file is without them (`fileHistory.ts`). Easily got wrong: what
 * is there is stored and announced before it is replaced; and a file changed since in the same lines is left as it is.
 */
import { messageOf, RequestError, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { FileChange, UndoneFile } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { withConflictMarkers } from "../text/conflictMarkers.ts";
import { countLines } from "../text/diff.ts";
import { digestOf } from "../workspace/fileBytes.ts";
import type { Queues } from "../workspace/queues.ts";
import type { FileText, Version, Workspace } from "../workspace/workspace.ts";
import { bothSides, type FileHistory, historiesOf, type Image, imageOf, without } from "./fileHistory.ts";

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
  const outcomes = new Map<string, UndoneFile>();
  // What was made goes first: a file of it may be where a folder was, and the other way round.
  const order = histories.toSorted((a, b) => Number(a.runs[0]?.before !== null) - Number(b.runs[0]?.before !== null));
  for (const history of order) {
    signal.throwIfAborted();
    outcomes.set(history.uri, await deps.fileOrder.run(history.uri, () => restoreFile(history, deps, signal)));
  }
  return histories.map(({ uri }) => outcomes.get(uri) ?? { uri, outcome: "conflict" });
}

/** The present text of a file, and the same with both sides of what overlaps when `changes` are taken back. */
export async function conflictIn(
  changes: readonly FileChange[],
  { store, workspace }: CheckpointDeps,
  signal: AbortSignal,
): Promise<{ readonly present: string; readonly text: string } | undefined> {
  const [history] = historiesOf(changes);
  const now = history && (await presentOf(history.uri, workspace, signal));
  if (!history || typeof now?.text !== "string") return undefined;
  const sides = await bothSides(history.runs, now, (id) => store.getBlob(id));
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
  const last = new Map(changes.map((change) => [change.uri, change]));
  return Promise.all(
    [...last.values()].map(async ({ uri, after }): Promise<UndoneFile> => {
      const now = await presentOf(uri, workspace, signal).catch(ignoreToolError);
      return { uri, outcome: now?.id === after ? "restored" : "conflict" };
    }),
  );
}

async function assertStored(history: FileHistory, deps: CheckpointDeps, signal: AbortSignal): Promise<void> {
  const now = await presentOf(history.uri, deps.workspace, signal).catch(ignoreToolError);
  if (!now) return;
  await without(history, now, (id) => deps.store.getBlob(id)).catch((error: unknown) => {
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
      const now = await presentOf(uri, deps.workspace, signal);
      if (!now) break;
      const plan = await without(history, now, (id) => deps.store.getBlob(id));
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
  const bytes = typeof image.text === "string" ? encode(image.text) : image.id && (await store.getBlob(image.id));
  const former = typeof now.text === "string" ? encode(now.text) : now.bytes;
  if (former) await store.putBlob(former);
  if (bytes) await store.putBlob(bytes);
  const areTexts = now.text !== undefined && image.text !== undefined;
  const counts = areTexts ? countLines(now.text, image.text) : { addedLines: 0, removedLines: 0 };
  const modes = {
    ...(now.mode === undefined ? {} : { mode: now.mode }),
    ...(mode === undefined ? {} : { modeAfter: mode }),
  };
  await deps.announce({ uri: history.uri, before: now.id, after: image.id, ...counts, ...modes });
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
    const isDone = await swapTexts(uri, now, image, workspace, signal);
    if (isDone === false) return false;
    if (isDone === undefined) return swapWhole(history, now, bytes, mode, workspace, signal);
  }
  if (mode !== undefined) await workspace.setMode?.(uri, mode, signal);
  return true;
}

/** `undefined` where it cannot be done as text: one of the two is none, or the file is read-only. */
async function swapTexts(
  uri: string,
  now: Present,
  image: Image,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  if (now.text === undefined || image.text === undefined) return undefined;
  try {
    return (await workspace.swap(uri, now.version, image.text, signal)).applied;
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
async function presentOf(uri: string, workspace: Workspace, signal: AbortSignal): Promise<Present | undefined> {
  try {
    const file = await readText(uri, workspace, signal);
    if (!file) return { id: null, text: null, version: null, mode: undefined };
    return { ...imageOf(file.text), version: file.version, mode: file.mode };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
  }
  const file = await workspace.readBytes?.(uri, signal);
  if (file === undefined) return undefined;
  if (file === null) return { id: null, text: null, version: null, mode: undefined };
  return { id: digestOf(file.bytes), text: undefined, bytes: file.bytes, version: null, mode: file.mode };
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

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
