/**
 * The files that a turn changed, as rows that open their diffs, and the buttons that keep, undo and redo them.
 *
 * Not here: what is pending in the whole session (`pendingBar.tsx`), the files that two have changed (`restoreDivider.tsx`).
 * Easily got wrong: an undone file is found by where it was, since undo may have moved it back.
 */
import type { UndoneFile } from "../server/src/protocol/review.ts";
import type { FileChange, SessionId } from "../server/src/protocol/types.ts";
import { relativePath, splitPath } from "./format.ts";
import type { Page } from "./page.ts";
import { Counts, Icon, IconButton } from "./parts.tsx";
import { Conflicts } from "./restoreDivider.tsx";
import { changedFiles, type TurnView } from "./turnState.ts";

interface TurnChangesProps {
  readonly turn: TurnView;
  readonly canUndo: boolean;
  /** True while a restore has taken the turn out of the conversation. */
  readonly isGone: boolean;
  /** The session, while something that this turn changed is pending. */
  readonly pendingIn: SessionId | undefined;
  readonly root: string | undefined;
  readonly page: Page;
}

const undoWords: { readonly [outcome in UndoneFile["outcome"]]: string } = {
  restored: "restored",
  merged: "restored, your changes kept",
  conflict: "left as it is",
  unchanged: "unchanged",
};

/** The files that a turn changed, their diffs, and undo. Nothing while it has changed none. */
export function TurnChanges({ turn, canUndo, isGone, pendingIn, root, page }: TurnChangesProps) {
  const files = changedFiles(turn.changes);
  if (files.length === 0) return null;
  const sum = (name: "addedLines" | "removedLines") => files.reduce((total, file) => total + file[name], 0);
  const { undone } = turn;
  const outcomes = undone?.files.filter(({ uri }) => files.some((file) => file.uri === uri)) ?? [];
  return (
    <section class="changes" aria-label="Changed files">
      <header>
        <span class="changes-title">{files.length === 1 ? "1 file" : `${files.length} files`}</span>
        <Counts added={sum("addedLines")} removed={sum("removedLines")} />
        <IconButton
          icon="diff-multiple"
          label="Open all diffs"
          onClick={() => page.post({ type: "open_all_diffs", changes: files })}
        />
        {pendingIn === undefined || undone ? null : (
          <IconButton
            icon="check"
            label="Keep what is pending of this turn"
            onClick={() => page.post({ type: "review", action: "keep", sessionId: pendingIn, turnId: turn.turnId })}
          />
        )}
        {undone && canUndo && !isGone && outcomes.some(({ outcome }) => outcome !== "conflict") ? (
          <button
            type="button"
            class="button small"
            title="Take back what gave these files their text from before"
            onClick={() => page.post({ type: "undo_restore", restoreId: undone.restoreId })}
          >
            Redo
          </button>
        ) : null}
        {undone || !turn.end ? null : (
          <button
            type="button"
            class="button small"
            title="Give these files their text from before this turn"
            disabled={!canUndo}
            onClick={() => page.post({ type: "undo", turnId: turn.turnId })}
          >
            Undo
          </button>
        )}
      </header>
      <ul>
        {files.map((file) => (
          <li key={file.uri}>
            <ChangedFileRow
              file={file}
              path={relativePath(file.uri, root)}
              movedFrom={file.movedFrom === undefined ? undefined : relativePath(file.movedFrom, root)}
              outcome={outcomes.find(({ uri, movedFrom }) => (movedFrom ?? uri) === file.uri)?.outcome}
              page={page}
            />
          </li>
        ))}
      </ul>
      {undone ? <UndoSummary files={outcomes} /> : null}
      {undone ? <Conflicts restoreId={undone.restoreId} files={outcomes} root={root} page={page} /> : null}
    </section>
  );
}

const statusIcons = {
  Added: "diff-added",
  Deleted: "diff-removed",
  Moved: "diff-renamed",
  Modified: "diff-modified",
} as const;

function statusOf({ before, after, movedFrom }: FileChange): keyof typeof statusIcons {
  if (before === null) return "Added";
  if (after === null) return "Deleted";
  return movedFrom === undefined ? "Modified" : "Moved";
}

function ChangedFileRow(props: {
  readonly file: FileChange;
  readonly path: string;
  readonly movedFrom: string | undefined;
  readonly outcome: UndoneFile["outcome"] | undefined;
  readonly page: Page;
}) {
  const { file, path, movedFrom, outcome, page } = props;
  const { folder, name } = splitPath(path);
  const status = statusOf(file);
  return (
    <button
      type="button"
      class="changed-file"
      title={`${status}: ${movedFrom === undefined ? "" : `${movedFrom} → `}${path}. Open the diff`}
      onClick={() => page.post({ type: "open_diff", change: file })}
    >
      <Icon name={statusIcons[status]} />
      <span class="changed-name">
        {movedFrom === undefined ? null : <span class="muted">{`${movedFrom} → `}</span>}
        {name} <span class="muted">{folder.replace(/\/$/, "")}</span>
      </span>
      {outcome ? (
        <span class={outcome === "conflict" ? "outcome conflict" : "outcome"}>{undoWords[outcome]}</span>
      ) : (
        <Counts added={file.addedLines} removed={file.removedLines} />
      )}
    </button>
  );
}

function UndoSummary({ files }: { readonly files: readonly UndoneFile[] }) {
  const conflicts = files.filter(({ outcome }) => outcome === "conflict").length;
  return (
    <p class={conflicts > 0 ? "undo-summary conflict" : "undo-summary"} role="status">
      <Icon name={conflicts > 0 ? "warning" : "discard"} />
      {conflicts > 0 ? "Undone, except where something was changed since." : "Undone."}
    </p>
  );
}
