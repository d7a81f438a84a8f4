/**
 * The pure fold of restores: which turns each took back, how, and whether it can be undone.
 *
 * Not here: drawing (`restoreDivider.tsx`) and turns themselves (`turnState.ts`). Easily got wrong: a restore counts from
 * its end on, and its undoing is a restore too.
 */
import type { SessionEvent } from "../server/src/protocol/events.ts";
import type { RestoreTarget, UndoneFile } from "../server/src/protocol/review.ts";
import type { RestoreId, TurnId } from "../server/src/protocol/types.ts";

/** A restore as the page shows it. */
export interface RestoreView {
  readonly restoreId: RestoreId;
  readonly target: RestoreTarget;
  readonly fileTurns: readonly TurnId[];
  readonly conversationTurns: readonly TurnId[];
  /** The last turn at that time: what was done is shown after it. */
  readonly after: TurnId | undefined;
  /** Per file, once it has ended. */
  readonly files: readonly UndoneFile[] | undefined;
  readonly interrupted: boolean;
  readonly undone: boolean;
}

/** The restores after one more event. `last` is the last turn. */
export function foldRestores(
  restores: readonly RestoreView[],
  event: SessionEvent,
  last: TurnId | undefined,
): readonly RestoreView[] {
  if (event.type === "restore_started") {
    const { restoreId, target, fileTurns, conversationTurns } = event;
    const scope = { restoreId, target, fileTurns, conversationTurns };
    return [...restores, { ...scope, after: last, files: undefined, interrupted: false, undone: false }];
  }
  if (event.type !== "restore_finished") return restores;
  const ended = restores.find(({ restoreId }) => restoreId === event.restoreId);
  const undone = ended?.target.type === "restore" ? ended.target.restoreId : undefined;
  return restores.map((restore) => {
    if (restore.restoreId === undone) return { ...restore, undone: true };
    if (restore !== ended) return restore;
    return { ...restore, files: event.files, interrupted: event.interrupted === true };
  });
}

/** The turns that are not in the conversation now. */
export function goneTurns(restores: readonly RestoreView[]): ReadonlySet<TurnId> {
  return new Set(restores.filter(counts).flatMap(({ conversationTurns }) => conversationTurns));
}

/** How the files of a turn went back, if they did: by its undo, or by a restore of more. */
export function undoneBy(restores: readonly RestoreView[], turnId: TurnId) {
  const by = restores.findLast((restore) => counts(restore) && restore.fileTurns.includes(turnId));
  return by?.files ? { restoreId: by.restoreId, files: by.files } : undefined;
}

/** What is worth a line after a turn: restores to a checkpoint that hold, and conflicts of undone ones. */
export function dividersAfter(restores: readonly RestoreView[], turnId: TurnId): readonly RestoreView[] {
  return restores.filter(
    (restore) =>
      restore.after === turnId &&
      ((restore.target.type === "checkpoint" && counts(restore)) ||
        (restore.target.type === "restore" && restore.files?.some(({ outcome }) => outcome === "conflict"))),
  );
}

/** Whether a restore can be taken back: its conversation only while nothing was added, the latest first. */
export function isUndoable(restores: readonly RestoreView[], restore: RestoreView, last: TurnId | undefined): boolean {
  if (!counts(restore)) return false;
  if (restore.conversationTurns.length === 0) return true;
  const latest = restores.findLast((one) => counts(one) && one.conversationTurns.length > 0);
  return restore.after === last && latest === restore;
}

function counts({ target, files, undone }: RestoreView): boolean {
  return target.type !== "restore" && files !== undefined && !undone;
}
