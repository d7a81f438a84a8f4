/**
 * Records what a command changed as changes of its call, with before-images stored before it runs.
 *
 * Not here: finding the changes (the workspace), what a change means for undo (`checkpoint.ts`). Easily got wrong: what a
 * command did is recorded also when it failed, timed out or was stopped: its changes are on disk all the same.
 */
import { messageOf, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { SessionEventBody } from "../protocol/events.ts";
import type { CallId, TurnId } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import type { ChangeScope, ChangeSnapshot, FoundChanges, Workspace } from "../workspace/workspace.ts";

/** What recording needs. */
export interface CommandChangeDeps {
  readonly append: (...bodies: readonly SessionEventBody[]) => Promise<void>;
  readonly store: Pick<SessionStore, "putBlob">;
  readonly workspace: Workspace;
  readonly turnId: TurnId;
  readonly callId: CallId;
}

/** Milliseconds for looking after a command: it goes on when the turn was stopped, but not for ever. */
const lookMs = 30_000;

/** Runs the command, as `ToolContext.observe` says. */
export async function observeCommand<Result>(
  deps: CommandChangeDeps,
  scope: ChangeScope,
  run: () => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const snapshot = await takeSnapshot(deps, scope, signal);
  if (!snapshot) return run();
  try {
    return await run();
  } finally {
    await record(deps, snapshot);
  }
}

async function takeSnapshot(
  { workspace, store }: CommandChangeDeps,
  scope: ChangeScope,
  signal: AbortSignal,
): Promise<ChangeSnapshot | undefined> {
  try {
    return await workspace.snapshotChanges?.(scope, (bytes) => store.putBlob(bytes), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new ToolError(
      `The command was not run, because files that it could change could not be stored for undo: ${messageOf(error)} Tell the user.`,
      { cause: error },
    );
  }
}

async function record({ append, turnId, callId }: CommandChangeDeps, snapshot: ChangeSnapshot): Promise<void> {
  const found = await look(snapshot);
  if (!found) {
    await append(
      warning("What the command changed could not be recorded, so undoing this turn does not bring it back."),
    );
    return;
  }
  const { changes, lost, saved = [] } = found;
  if (changes.length > 0) {
    await append(...changes.map((change) => ({ type: "file_changed", turnId, callId, change }) as const));
  }
  if (saved.length > 0) {
    await append(
      warning(
        `You saved these files while a command ran, so undoing this turn leaves them as they are: ${some(saved)}.`,
      ),
    );
  }
  if (lost.length === 0) return;
  await append(
    warning(
      `Undoing this turn does not bring back what the command changed here, as there was no before-image: ${some(lost)}.`,
    ),
  );
}

async function look(snapshot: ChangeSnapshot): Promise<FoundChanges | undefined> {
  try {
    return await snapshot.changes(AbortSignal.timeout(lookMs));
  } catch (error) {
    log("error", "What a command changed could not be found out", error);
    return undefined;
  }
}

function some(paths: readonly string[]): string {
  return paths.slice(0, 5).join(", ") + (paths.length > 5 ? ` and ${paths.length - 5} more` : "");
}

function warning(message: string): SessionEventBody {
  return { type: "notice", level: "warning", message };
}
