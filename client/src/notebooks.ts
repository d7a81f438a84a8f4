/**
 * Reads and edits open notebooks for the host, and tells it which have changed.
 *
 * Not here: notebooks as text (the host knows their form). Easily got wrong: VS Code's own serializer turns cells into
 * JSON and back, so nothing here knows a format; and an edit is one kind of edit only, cells or text within cells,
 * because two kinds together are not applied all or nothing.
 */
import {
  commands,
  type Disposable,
  type NotebookCell,
  NotebookCellData,
  NotebookData,
  type NotebookDocument,
  NotebookEdit,
  NotebookRange,
  Range,
  Uri,
  WorkspaceEdit,
  workspace,
} from "vscode";
import type {
  EditNotebookParams,
  EditNotebookResult,
  ReadNotebookParams,
  ReadNotebookResult,
} from "../../server/src/protocol/clientMethods.ts";
import type { NotebookChangedParams } from "../../server/src/protocol/methods.ts";

/** How often a notebook that changes while it is being read is read again. */
const maxReads = 5;
/** Milliseconds in which changes of a notebook are gathered before the host is told. */
const gatherMs = 300;

/** The JSON that saving an open notebook would write, when it has unsaved changes. */
export async function readNotebook({ uri }: ReadNotebookParams): Promise<ReadNotebookResult> {
  const notebook = find(uri);
  return { notebook: notebook?.isDirty ? await serialize(notebook) : null };
}

/** Gives an open notebook other cells, in one undo step, if it is at the given version. It is not saved. */
export async function editNotebook({ uri, version, text }: EditNotebookParams): Promise<EditNotebookResult> {
  const notebook = find(uri);
  if (!notebook || stampOf(notebook) !== version) return { notebook: null };
  const bytes = new TextEncoder().encode(text);
  const type = notebook.notebookType;
  const { cells } = await commands.executeCommand<NotebookData>("vscode.executeDataToNotebook", type, bytes);
  if (stampOf(notebook) !== version) return { notebook: null };
  const applied = await workspace.applyEdit(editTo(notebook, cells));
  return { notebook: applied ? await serialize(notebook) : null };
}

/** Tells of notebooks that were changed or closed, and at once of those that were saved. */
export function watchNotebooks(tell: (change: NotebookChangedParams) => void): Disposable {
  const timers = new Map<string, NodeJS.Timeout>();
  const soon = ({ uri }: NotebookDocument) => {
    const key = uri.toString();
    clearTimeout(timers.get(key));
    const run = () => {
      timers.delete(key);
      tell({ uri: key });
    };
    timers.set(key, setTimeout(run, gatherMs));
  };
  const subscriptions = [
    workspace.onDidChangeNotebookDocument(({ notebook }) => soon(notebook)),
    workspace.onDidSaveNotebookDocument(({ uri }) => tell({ uri: uri.toString(), saved: true })),
    workspace.onDidCloseNotebookDocument(soon),
  ];
  return {
    dispose: () => {
      for (const timer of timers.values()) clearTimeout(timer);
      for (const subscription of subscriptions) subscription.dispose();
    },
  };
}

function find(uri: string): NotebookDocument | undefined {
  const wanted = Uri.parse(uri).toString();
  return workspace.notebookDocuments.find((notebook) => notebook.uri.toString() === wanted && !notebook.isClosed);
}

/** Changes whenever the notebook does. */
function stampOf(notebook: NotebookDocument): string {
  const cells = notebook.getCells().map(({ document }) => `${document.uri.fragment}:${document.version}`);
  return `${notebook.version} ${cells.join(" ")}`;
}

async function serialize(notebook: NotebookDocument): Promise<ReadNotebookResult["notebook"]> {
  for (let reads = 1; ; reads += 1) {
    const version = stampOf(notebook);
    const data = new NotebookData(notebook.getCells().map(toData));
    data.metadata = notebook.metadata;
    const type = notebook.notebookType;
    const bytes = await commands.executeCommand<Uint8Array>("vscode.executeNotebookToData", type, data);
    if (stampOf(notebook) === version) return { text: new TextDecoder().decode(bytes), version };
    if (reads === maxReads) throw new Error(`${notebook.uri.path} changes all the time and could not be read.`);
  }
}

function toData({ kind, document, outputs, metadata, executionSummary }: NotebookCell): NotebookCellData {
  const data = new NotebookCellData(kind, document.getText(), document.languageId);
  data.outputs = [...outputs];
  data.metadata = metadata;
  if (executionSummary) data.executionSummary = executionSummary;
  return data;
}

/** The edit that turns a notebook's cells into others. Cells that stay are not touched. */
function editTo(notebook: NotebookDocument, target: readonly NotebookCellData[]): WorkspaceEdit {
  const cells = notebook.getCells();
  const edit = new WorkspaceEdit();
  if (cells.length === target.length && cells.every((cell, at) => isSameCell(cell, target[at]))) {
    for (const [at, { document }] of cells.entries()) replaceText(edit, document, target[at]?.value ?? "");
    return edit;
  }
  const changes = changesOf(cells, target).map(
    ({ from, to, insert }) => new NotebookEdit(new NotebookRange(from, to), [...insert]),
  );
  edit.set(notebook.uri, changes);
  return edit;
}

interface CellsChange {
  readonly from: number;
  readonly to: number;
  readonly insert: readonly NotebookCellData[];
}

/** Which runs of cells become which, none touching the next. */
function changesOf(cells: readonly NotebookCell[], target: readonly NotebookCellData[]): CellsChange[] {
  const changes: CellsChange[] = [];
  let at = 0;
  let from = 0;
  let insert: NotebookCellData[] = [];
  const close = (to: number) => {
    if (to > from || insert.length > 0) changes.push({ from, to, insert });
    insert = [];
    from = to + 1;
    at = to + 1;
  };
  for (const wanted of target) {
    const found = cells.findIndex((cell, place) => place >= at && isEqualCell(cell, wanted));
    if (found === -1) insert.push(wanted);
    else close(found);
  }
  close(cells.length);
  return changes;
}

function isEqualCell(cell: NotebookCell, data: NotebookCellData): boolean {
  return isSameCell(cell, data) && sameLines(cell.document.getText(), data.value);
}

/** By its id where it has one; by kind and language alone where it has none. */
function isSameCell(cell: NotebookCell, data: NotebookCellData | undefined): boolean {
  if (data?.kind !== cell.kind || data.languageId !== cell.document.languageId) return false;
  return idOf(cell.metadata) === idOf(data.metadata);
}

function idOf(metadata: NotebookCellData["metadata"]): unknown {
  const older = metadata?.custom as { readonly id?: unknown } | undefined;
  return metadata?.id ?? older?.id;
}

function replaceText(edit: WorkspaceEdit, document: NotebookCell["document"], value: string): void {
  const text = document.getText();
  if (sameLines(text, value)) return;
  const lf = value.replaceAll("\r\n", "\n");
  const wanted = text.includes("\r\n") ? lf.replaceAll("\n", "\r\n") : lf;
  const shortest = Math.min(text.length, wanted.length);
  let head = 0;
  while (head < shortest && text[head] === wanted[head]) head += 1;
  let tail = 0;
  while (tail < shortest - head && text[text.length - 1 - tail] === wanted[wanted.length - 1 - tail]) tail += 1;
  const range = new Range(document.positionAt(head), document.positionAt(text.length - tail));
  edit.replace(document.uri, range, wanted.slice(head, wanted.length - tail));
}

function sameLines(one: string, other: string): boolean {
  return one.replaceAll("\r\n", "\n") === other.replaceAll("\r\n", "\n");
}
