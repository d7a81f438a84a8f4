/**
 * What is pending in the session on screen, above the prompt box: counts, and buttons to keep or undo a file or all.
 *
 * Not here: single hunks; their buttons are in the editor. Easily got wrong: the list starts folded, so that it takes one
 * line from the conversation, however many files there are.
 */
import { useId, useState } from "preact/hooks";
import type { PendingSummary } from "../server/src/protocol/panel.ts";
import { relativePath, splitPath } from "./format.ts";
import type { Page } from "./page.ts";
import { Counts, Icon, IconButton } from "./parts.tsx";

interface PendingBarProps {
  readonly files: readonly PendingSummary[];
  readonly root: string | undefined;
  readonly page: Page;
}

/** Draws nothing when nothing is pending. */
export function PendingBar({ files, root, page }: PendingBarProps) {
  const [isOpen, setOpen] = useState(false);
  const listId = useId();
  const [first] = files;
  if (!first) return null;
  const { sessionId } = first;
  const sum = (name: "hunks" | "addedLines" | "removedLines") => files.reduce((total, file) => total + file[name], 0);
  const where = files.length === 1 ? "1 file" : `${files.length} files`;
  return (
    <section class="pending changes" aria-label="Pending changes">
      <header>
        <button
          type="button"
          class="fold"
          aria-expanded={isOpen}
          aria-controls={listId}
          title={`Changes in ${where} to keep or undo`}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name={isOpen ? "chevron-down" : "chevron-right"} />
          <span class="changes-title">{sum("hunks")} pending</span>
        </button>
        <Counts added={sum("addedLines")} removed={sum("removedLines")} />
        <IconButton
          icon="diff-multiple"
          label="Open pending changes"
          onClick={() => page.post({ type: "open_pending" })}
        />
        <IconButton
          icon="check-all"
          label="Keep all pending changes"
          onClick={() => page.post({ type: "review", action: "keep", sessionId })}
        />
        <IconButton
          icon="discard"
          label="Undo all pending changes"
          onClick={() => page.post({ type: "review", action: "undo", sessionId })}
        />
      </header>
      <ul id={listId} hidden={!isOpen}>
        {isOpen
          ? files.map((file) => (
              <li key={file.uri}>
                <PendingRow
                  file={file}
                  path={relativePath(file.uri, root)}
                  movedFrom={file.movedFrom === undefined ? undefined : relativePath(file.movedFrom, root)}
                  page={page}
                />
              </li>
            ))
          : null}
      </ul>
    </section>
  );
}

const statusIcons = { added: "diff-added", modified: "diff-modified", deleted: "diff-removed" } as const;

function PendingRow(props: {
  readonly file: PendingSummary;
  readonly path: string;
  readonly movedFrom: string | undefined;
  readonly page: Page;
}) {
  const { file, path, movedFrom, page } = props;
  const { sessionId, uri } = file;
  const { folder, name } = splitPath(path);
  const decide = (action: "keep" | "undo") => page.post({ type: "review", action, sessionId, uri });
  return (
    <div class="pending-row">
      <button
        type="button"
        class="changed-file"
        title={`${movedFrom === undefined ? "" : `Moved: ${movedFrom} → `}${path}: ${file.hunks} pending. Open the diff`}
        onClick={() => page.post({ type: "open_pending", uri })}
      >
        <Icon name={movedFrom === undefined ? statusIcons[file.status] : "diff-renamed"} />
        <span class="changed-name">
          {movedFrom === undefined ? null : <span class="muted">{`${movedFrom} → `}</span>}
          {name} <span class="muted">{folder.replace(/\/$/, "")}</span>
        </span>
        <span class="muted" title={`${file.hunks} pending`}>
          {file.hunks}
        </span>
        <Counts added={file.addedLines} removed={file.removedLines} />
      </button>
      <IconButton icon="check" label={`Keep ${name}`} onClick={() => decide("keep")} />
      <IconButton icon="discard" label={`Undo ${name}`} onClick={() => decide("undo")} />
    </div>
  );
}
