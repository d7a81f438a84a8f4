/**
 * Deletes and moves files for calls: the bytes are stored and the change is journaled before the disk is touched.
 *
 * Not here: texts that are written (`toolCalls.ts`), what commands change (`commandChanges.ts`), undo. Easily got wrong: a
 * move onto a place whose file the session deleted is recorded as two changes and not as a move, because there a pending
 * deletion waits, and one place cannot hold both.
 */
import { messageOf, ToolError } from "../base/errors.ts";
import type { SessionEventBody } from "../protocol/events.ts";
import type { BlobId, CallId, FileChange, TurnId } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { countLines } from "../text/diff.ts";
import { digestOf, isLinkMode } from "../workspace/fileBytes.ts";
import { type Queues, runInAll } from "../workspace/queues.ts";
import type { FileBytes, FileText, MoveOutcome, Workspace } from "../workspace/workspace.ts";

/** What deleting and moving needs. */
export interface FileCallDeps {
  readonly append: (...bodies: readonly SessionEventBody[]) => Promise<void>;
  readonly store: Pick<SessionStore, "putBlob">;
  readonly workspace: Workspace;
  readonly turnId: TurnId;
  readonly callId: CallId;
  readonly fileOrder: Queues;
  readonly lastSeen: Map<string, FileText>;
  /** What the session has changed so far, in order. */
  readonly changes: () => readonly FileChange[];
}

/** How often a file that changes between storing and deleting it is stored again. */
const maxTries = 3;
/** Bytes of the largest text whose lines are counted. */
const maxCountedBytes = 1024 * 1024;

/** Deletes as `ToolContext.remove` says. */
export function removeFile(deps: FileCallDeps, uri: string, signal: AbortSignal): Promise<boolean> {
  const { workspace, lastSeen } = deps;
  return deps.fileOrder.run(uri, async () => {
    for (let tries = 0; tries < maxTries; tries++) {
      const file = await workspace.readBytes?.(uri, signal);
      if (!file) return false;
      const before = await keep(deps, file.bytes);
      const change: FileChange = { uri, before, after: null, ...countsOf(file), mode: file.mode };
      const isGone = () => workspace.swapBytes?.(uri, digestOf(file.bytes), null, signal);
      if (!(await announced(deps, [change], async () => (await isGone()) === true, signal))) continue;
      lastSeen.delete(uri);
      return true;
    }
    throw new ToolError(`${uri} keeps changing, so it was not deleted. Try again in a moment.`);
  });
}

/** Moves as `ToolContext.move` says. */
export function moveFile(deps: FileCallDeps, from: string, to: string, signal: AbortSignal): Promise<MoveOutcome> {
  const { workspace, lastSeen } = deps;
  return runInAll(deps.fileOrder, [from, to], async () => {
    const file = await workspace.readBytes?.(from, signal);
    if (!file) return "missing";
    const image = await keep(deps, await presentBytes(workspace, from, file, signal));
    const changes = await describeMove(deps, { from, to, image, file }, signal);
    let outcome: MoveOutcome = "missing";
    const move = async () => {
      outcome = (await workspace.moveFile?.(from, to, signal)) ?? "missing";
      return outcome === "moved";
    };
    if (!(await announced(deps, changes, move, signal))) return outcome;
    const seen = lastSeen.get(from);
    lastSeen.delete(from);
    lastSeen.delete(to);
    if (seen) lastSeen.set(to, { ...seen, uri: to });
    return "moved";
  });
}

/** For a change that makes a file: the folders that it will make. */
export async function countNewFolders(
  workspace: Workspace,
  uri: string,
  signal: AbortSignal,
): Promise<Pick<FileChange, "madeFolders">> {
  const madeFolders = (await workspace.countMissingFolders?.(uri, signal)) ?? 0;
  return madeFolders > 0 ? { madeFolders } : {};
}

async function describeMove(
  deps: FileCallDeps,
  move: { readonly from: string; readonly to: string; readonly image: BlobId; readonly file: FileBytes },
  signal: AbortSignal,
): Promise<readonly FileChange[]> {
  const { from, to, image, file } = move;
  const made = await countNewFolders(deps.workspace, to, signal);
  const { mode } = file;
  if (!awaitsDeletion(deps.changes(), to)) {
    return [{ uri: to, movedFrom: from, before: image, after: image, addedLines: 0, removedLines: 0, mode, ...made }];
  }
  const counts = countsOf(file);
  return [
    { uri: from, before: image, after: null, ...counts, mode },
    { uri: to, before: null, after: image, addedLines: counts.removedLines, removedLines: 0, modeAfter: mode, ...made },
  ];
}

/** True when the last that the session did to the file of this place was to delete it. */
function awaitsDeletion(changes: readonly FileChange[], uri: string): boolean {
  const last = changes.findLast((change) => change.uri === uri || change.movedFrom === uri);
  return last !== undefined && last.uri === uri && last.after === null;
}

/** Journals the changes, makes them, and takes them back in the journal when they did not happen. */
async function announced(
  { append, turnId, callId }: FileCallDeps,
  changes: readonly FileChange[],
  make: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<boolean> {
  signal.throwIfAborted();
  await append(...changes.map((change) => ({ type: "file_changed", turnId, callId, change }) as const));
  const failed = () =>
    append(...changes.map(({ uri }) => ({ type: "file_change_failed", turnId, callId, uri }) as const));
  const done = await make().catch(async (error: unknown) => {
    await failed();
    throw error;
  });
  if (!done) await failed();
  return done;
}

/** What an editor holds unsaved is what is moved; for what is no text the bytes on disk are. */
export async function presentBytes(
  workspace: Workspace,
  uri: string,
  { bytes, mode }: FileBytes,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (isLinkMode(mode)) return bytes;
  try {
    const { text, source } = await workspace.read(uri, signal);
    return source === "buffer" ? new TextEncoder().encode(text) : bytes;
  } catch (error) {
    if (error instanceof ToolError) return bytes;
    throw error;
  }
}

async function keep({ store }: FileCallDeps, bytes: Uint8Array): Promise<BlobId> {
  try {
    return await store.putBlob(bytes);
  } catch (error) {
    throw new ToolError(
      `Nothing was changed, because the file's bytes could not be stored for undo: ${messageOf(error)} Tell the user.`,
      { cause: error },
    );
  }
}

function countsOf({ bytes, mode }: FileBytes): Pick<FileChange, "addedLines" | "removedLines"> {
  if (isLinkMode(mode) || bytes.length > maxCountedBytes || bytes.includes(0)) {
    return { addedLines: 0, removedLines: 0 };
  }
  return countLines(new TextDecoder().decode(bytes), null);
}
