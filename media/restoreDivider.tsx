/**
 * The line that stands for a restore: what went back, the turns that it took out, and files that were left as they are.
 *
 * Not here: the menu that starts one (`restoreMenu.tsx`). Easily got wrong: the turns behind it are drawn only while it is
 * unfolded.
 */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { UndoneFile } from "../server/src/protocol/review.ts";
import type { RestoreId } from "../server/src/protocol/types.ts";
import { relativePath } from "./format.ts";
import type { Page } from "./page.ts";
import { Icon } from "./parts.tsx";
import type { RestoreView } from "./restoreState.ts";
import type { TurnView } from "./turnState.ts";

/** A restore between the turns. */
export function RestoreDivider(props: {
  readonly restore: RestoreView;
  readonly turns: readonly TurnView[];
  readonly isUndoable: boolean;
  readonly root: string | undefined;
  readonly page: Page;
  readonly drawTurn: (turn: TurnView) => ComponentChildren;
}) {
  const { restore, isUndoable, root, page, drawTurn } = props;
  const [isOpen, setOpen] = useState(false);
  const turns = props.turns.filter(({ turnId }) => restore.conversationTurns.includes(turnId));
  return (
    <section class="restored" aria-label="Restore">
      <header>
        {turns.length === 0 ? (
          <span class="restored-title">
            <Icon name="history" />
            {describe(restore)}
          </span>
        ) : (
          <button type="button" class="fold restored-title" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            <Icon name={isOpen ? "chevron-down" : "chevron-right"} />
            {describe(restore)}
          </button>
        )}
        {isUndoable ? (
          <button
            type="button"
            class="button small"
            onClick={() => page.post({ type: "undo_restore", restoreId: restore.restoreId })}
          >
            Undo restore
          </button>
        ) : null}
      </header>
      <Conflicts restoreId={restore.restoreId} files={restore.files ?? []} root={root} page={page} />
      {isOpen ? <div class="restored-turns">{turns.map(drawTurn)}</div> : null}
    </section>
  );
}

/** The files that a restore left as they are, each with a way to decide. */
export function Conflicts(props: {
  readonly restoreId: RestoreId;
  readonly files: readonly UndoneFile[];
  readonly root: string | undefined;
  readonly page: Page;
}) {
  const { restoreId, root, page } = props;
  const files = props.files.filter(({ outcome }) => outcome === "conflict");
  if (files.length === 0) return null;
  return (
    <ul class="conflicts" aria-label="Files left as they are">
      {files.map(({ uri, bothSides }) => (
        <li key={uri}>
          <Icon name="warning" />
          <span>{relativePath(uri, root)}: changed since, left as it is</span>
          {bothSides ? (
            <button
              type="button"
              class="button small"
              aria-label={`Show both sides of ${relativePath(uri, root)}`}
              onClick={() => page.post({ type: "show_conflict", restoreId, uri })}
            >
              Show both sides
            </button>
          ) : null}
        </li>
      ))}
    </ul>
  );
}

function describe({ target, conversationTurns, interrupted }: RestoreView): string {
  if (target.type !== "checkpoint") return "Restore undone, except for some files";
  const what = target.files && target.conversation ? "Files and conversation" : target.files ? "Files" : "Conversation";
  const count = conversationTurns.length;
  const turns = count === 0 ? "" : `, ${count === 1 ? "1 turn" : `${count} turns`} taken back`;
  return `${what} restored${turns}${interrupted ? " (it was interrupted)" : ""}`;
}
