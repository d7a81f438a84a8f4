/**
 * Restores and their undoing in a session: which changes and turns are meant, and the events that record it.
 *
 * Not here: files (`checkpoint.ts`), what follows for the model and the user (`reduce.ts`). Easily got wrong: that a
 * restore begins is stored first, so that whatever a killed host has written can be found out and undone.
 */
import { RequestError } from "../base/errors.ts";
import type { ConflictResult, RestoreResult } from "../protocol/methods.ts";
import type { RestoreTarget } from "../protocol/review.ts";
import type { FileChange, RestoreId, TurnId } from "../protocol/types.ts";
import { type CheckpointDeps, conflictIn, type RestoreFilesDeps, restoreFiles, writtenFiles } from "./checkpoint.ts";
import { historiesOf } from "./fileHistory.ts";
import type { RestoreRecord, SessionState } from "./reduce.ts";
import type { Session } from "./session.ts";

/** What restoring needs besides the session. */
export interface RestoreDeps extends Pick<RestoreFilesDeps, "store" | "workspace" | "fileOrder"> {
  readonly hostPid: number;
}

/** What a restore is about. */
type Scope = Pick<RestoreRecord, "fileTurns" | "conversationTurns">;

/**
 * Takes back what `target` names. Throws `RequestError` when it is not there (`unknown_turn`, `unknown_restore`), cannot
 * be taken back any more (`not_undoable`), or an image is gone; then nothing has been changed.
 */
export async function restore(
  session: Session,
  restoreId: RestoreId,
  target: RestoreTarget,
  deps: RestoreDeps,
  signal: AbortSignal,
): Promise<RestoreResult> {
  const { state } = session;
  const { hostPid } = deps;
  const scope = scopeOf(state, target);
  const changes = changesOf(state, target, scope);
  let isStarted = false;
  const start = async () => {
    if (!isStarted) await session.append({ type: "restore_started", restoreId, target, ...scope, hostPid });
    isStarted = true;
  };
  const files = await restoreFiles(
    changes,
    {
      ...deps,
      announce: async (change) => {
        await start();
        await session.append({ type: "file_restored", restoreId, change });
      },
      failed: (uri) => session.append({ type: "file_restore_failed", restoreId, uri }),
    },
    signal,
  );
  await start();
  await session.append({ type: "restore_finished", restoreId, files });
  const back = target.type === "checkpoint" && target.conversation ? turnOf(state, target.turnId) : undefined;
  return { restoreId, files, ...(back ? { prompt: back.prompt } : {}) };
}

/** Ends a restore that a killed host has left open, by what is there. */
export async function recoverRestore(
  session: Session,
  deps: Pick<CheckpointDeps, "workspace">,
  signal: AbortSignal,
): Promise<void> {
  const open = session.state.restores.find(({ finished }) => !finished);
  if (!open) return;
  const files = await writtenFiles(open.changes, deps, signal);
  await session.append({ type: "restore_finished", restoreId: open.restoreId, files, interrupted: true });
}

/** A file that a restore left alone, with both sides. Throws `RequestError` `no_conflict` when there are not two texts. */
export async function conflictOf(
  state: SessionState,
  { restoreId, uri }: { readonly restoreId: RestoreId; readonly uri: string },
  deps: CheckpointDeps,
  signal: AbortSignal,
): Promise<ConflictResult> {
  const record = restoreOf(state, restoreId);
  const histories = historiesOf(changesOf(state, record.target, record));
  const history = histories.find((one) => one.uri === uri || one.home === uri);
  const conflict = history && (await conflictIn({ ...history, uri }, deps, signal));
  if (conflict) return conflict;
  throw new RequestError(
    "no_conflict",
    "There are no two texts of this file to compare: it came or went, or is not text.",
  );
}

function scopeOf(state: SessionState, target: RestoreTarget): Scope {
  switch (target.type) {
    case "turn":
      return { fileTurns: [turnOf(state, target.turnId).turnId], conversationTurns: [] };
    case "checkpoint": {
      const first = turnOf(state, target.turnId);
      if (first.gone) {
        throw new RequestError("unknown_turn", "A restore has taken this turn back. Undo that restore first.");
      }
      const turns = state.turns.slice(state.turns.indexOf(first));
      return {
        fileTurns: target.files ? turns.map(({ turnId }) => turnId) : [],
        conversationTurns: target.conversation ? turns.flatMap((turn) => (turn.gone ? [] : [turn.turnId])) : [],
      };
    }
    case "restore": {
      const record = restoreOf(state, target.restoreId);
      assertUndoable(state, record);
      return { fileTurns: record.fileTurns, conversationTurns: record.conversationTurns };
    }
  }
}

function changesOf(state: SessionState, target: RestoreTarget, { fileTurns }: Scope): readonly FileChange[] {
  if (target.type === "restore") return restoreOf(state, target.restoreId).changes;
  return state.turns.flatMap(({ turnId, changes, undone }) =>
    fileTurns.includes(turnId)
      ? changes.filter(({ uri, movedFrom = uri }) => !undone.has(uri) && !undone.has(movedFrom))
      : [],
  );
}

/** The conversation comes back only as it was: not below turns that were added since, and in the reverse order. */
function assertUndoable(state: SessionState, record: RestoreRecord): void {
  if (record.undone || record.target.type === "restore" || !record.finished) {
    throw new RequestError("not_undoable", "This restore has been undone already. Nothing was changed.");
  }
  if (record.conversationTurns.length === 0) return;
  if (state.turns.at(-1)?.turnId !== record.lastTurn) {
    throw new RequestError(
      "not_undoable",
      "The conversation has gone on since this restore, so it cannot come back. Nothing was changed. Restore to the first turn after it, or undo single turns.",
    );
  }
  const later = state.restores.slice(state.restores.indexOf(record) + 1);
  if (
    later.some(
      ({ undone, conversationTurns, target }) => !undone && target.type !== "restore" && conversationTurns.length > 0,
    )
  ) {
    throw new RequestError(
      "not_undoable",
      "A later restore went back further. Undo that one first. Nothing was changed.",
    );
  }
}

function turnOf(state: SessionState, turnId: TurnId) {
  const turn = state.turns.find((one) => one.turnId === turnId);
  if (turn) return turn;
  throw new RequestError("unknown_turn", "This session has no such turn.");
}

function restoreOf(state: SessionState, restoreId: RestoreId): RestoreRecord {
  const record = state.restores.find((one) => one.restoreId === restoreId);
  if (record) return record;
  throw new RequestError("unknown_restore", "This session has no such restore.");
}
