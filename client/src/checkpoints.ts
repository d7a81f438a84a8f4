/**
 * The turns of a session that one can go back to: a pure fold of its events.
 *
 * Not here: restoring (the host does). Easily got wrong: a turn that a restore took out of the conversation is none, until
 * that restore is undone.
 */
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import type { RestoreId, TurnId } from "../../server/src/protocol/types.ts";

/** A turn that one can go back to right before. */
export interface Checkpoint {
  readonly turnId: TurnId;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly prompt: string;
  /** How many files it changed. */
  readonly files: number;
  /** True when its files were given back their text from before. */
  readonly isUndone: boolean;
}

/** All of them, oldest first. */
export function checkpointsOf(events: readonly SessionEvent[]): readonly Checkpoint[] {
  const started = new Map<RestoreId, Extract<SessionEvent, { readonly type: "restore_started" }>>();
  const counting = new Set<RestoreId>();
  const files = new Map<TurnId, Set<string>>();
  for (const event of events) {
    if (event.type === "restore_started") started.set(event.restoreId, event);
    if (event.type === "file_changed") {
      files.set(event.turnId, (files.get(event.turnId) ?? new Set()).add(event.change.uri));
    }
    if (event.type !== "restore_finished") continue;
    const target = started.get(event.restoreId)?.target;
    if (target?.type === "restore") counting.delete(target.restoreId);
    else counting.add(event.restoreId);
  }
  const restores = [...counting].flatMap((id) => started.get(id) ?? []);
  const gone = new Set(restores.flatMap(({ conversationTurns }) => conversationTurns));
  const undone = new Set(restores.flatMap(({ fileTurns }) => fileTurns));
  return events.flatMap((event) => {
    if (event.type !== "turn_started" || gone.has(event.turnId)) return [];
    const { turnId, at } = event;
    const prompt = event.prompt.flatMap((part) => (part.type === "text" ? [part.text] : [])).join(" ");
    return [{ turnId, at, prompt, files: files.get(turnId)?.size ?? 0, isUndone: undone.has(turnId) }];
  });
}
