/**
 * Takes back moves of files, announced and recorded as changes of the restore that does it, so that it can be undone.
 *
 * Not here: what becomes of their content (`checkpoint.ts`). Easily got wrong: files may have changed places, so moves are
 * taken back one by one, the last one first, and a file that is stuck on the way stays where it is.
 */
import { messageOf, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { FileChange } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { type Queues, runInAll } from "../workspace/queues.ts";
import type { Workspace } from "../workspace/workspace.ts";
import { countNewFolders, presentBytes } from "./fileCalls.ts";

/** What moving needs. */
export interface MoveBackDeps {
  readonly store: Pick<SessionStore, "putBlob">;
  readonly workspace: Workspace;
  readonly fileOrder: Queues;
  readonly announce: (change: FileChange) => Promise<void>;
  readonly failed: (uri: string) => Promise<void>;
}

/** Gives where each file that `changes` had moved is now, by where they left it. */
export async function moveBack(
  changes: readonly FileChange[],
  deps: MoveBackDeps,
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
    const isMoved = place === uri && (await tryMove(uri, movedFrom, deps, signal));
    places.set(left, isMoved ? movedFrom : place);
  }
  return places;
}

/** Moves a file; false when it was not moved. */
export function tryMove(from: string, to: string, deps: MoveBackDeps, signal: AbortSignal): Promise<boolean> {
  const { workspace, store, fileOrder } = deps;
  return runInAll(fileOrder, [from, to], async () => {
    let isAnnounced = false;
    try {
      const file = await workspace.readBytes?.(from, signal);
      if (!file) return false;
      const image = await store.putBlob(await presentBytes(workspace, from, file, signal));
      const made = await countNewFolders(workspace, to, signal);
      const nothing = { addedLines: 0, removedLines: 0 };
      await deps.announce({
        uri: to,
        movedFrom: from,
        before: image,
        after: image,
        ...nothing,
        mode: file.mode,
        ...made,
      });
      isAnnounced = true;
      const isMoved = (await workspace.moveFile?.(from, to, signal)) === "moved";
      if (!isMoved) await deps.failed(to);
      return isMoved;
    } catch (error) {
      if (isAnnounced) await deps.failed(to);
      if (!(error instanceof ToolError)) throw error;
      log("warn", `A restore left ${from} where it is: ${messageOf(error)}`);
      return false;
    }
  });
}
