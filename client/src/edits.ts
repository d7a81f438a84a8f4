/**
 * Shows what the agent changed in VS Code's diff editors, and saves documents for the host on its condition.
 *
 * Not here: applying edits, which the language client does, versions checked. Easily got wrong: the left side of a diff
 * is the stored text from before; the right side is the file itself, so that the user can edit it there.
 */
import {
  type CancellationToken,
  commands,
  type Disposable,
  EventEmitter,
  Range,
  type TextDocument,
  type TextDocumentContentProvider,
  Uri,
  window,
  workspace,
} from "vscode";
import type { ApplyWorkspaceEditParams } from "vscode-languageclient/node";
import type {
  DocumentEncodingParams,
  DocumentEncodingResult,
  EditCondition,
  SaveDocumentParams,
  SaveDocumentResult,
} from "../../server/src/protocol/clientMethods.ts";
import { notebookText, readBlob } from "../../server/src/protocol/methods.ts";
import { textDigest } from "../../server/src/protocol/textDigest.ts";
import type { BlobId, FileChange } from "../../server/src/protocol/types.ts";
import type { AgentClient } from "./agentClient.ts";
import { isNotebook, textOf } from "./notebookTexts.ts";
import type { Review, SessionFile } from "./review.ts";

/** The scheme of texts from before a turn. */
export const beforeScheme = "hermes-before";

/** Makes the provider of texts from before a turn. */
export function createBeforeTexts(agent: Pick<AgentClient, "request">): TextDocumentContentProvider {
  return {
    provideTextDocumentContent: async ({ query }: Uri, token: CancellationToken) => {
      const [blob = "", encoding] = query.split(" ");
      if (blob === "") return "";
      const params = { blob: toBlobId(blob), ...(encoding === undefined ? {} : { encoding }) };
      return (await agent.request(readBlob, params, token)).text;
    },
  };
}

/** The scheme of the texts without what is pending. */
export const shadowScheme = "hermes-shadow";

/**
 * Provides the texts of files without what is pending in a session. Their addresses stay the same while hunks are kept
 * and undone, so that an open diff follows; a file in which nothing is pending any more equals its present text.
 */
export class ShadowTexts implements TextDocumentContentProvider, Disposable {
  readonly #agent: Pick<AgentClient, "request">;
  readonly #review: Review;
  readonly #changes = new EventEmitter<Uri>();
  /** The open texts, by address, with the blob that each showed last. */
  readonly #open = new Map<string, BlobId | null | undefined>();

  /** A text is another one now. */
  readonly onDidChange = this.#changes.event;

  constructor(agent: Pick<AgentClient, "request">, review: Review) {
    this.#agent = agent;
    this.#review = review;
  }

  async provideTextDocumentContent(uri: Uri, token: CancellationToken): Promise<string> {
    const blob = this.#blobOf(uri);
    this.#open.set(uri.toString(), blob);
    if (blob === null) return "";
    if (blob !== undefined) return (await this.#agent.request(readBlob, { blob }, token)).text;
    const file = Uri.file(uri.path);
    if (isNotebook(file)) return (await this.#agent.request(notebookText, { uri: file.toString() }, token)).text;
    return workspace.openTextDocument(file).then(
      (document) => document.getText(),
      () => "",
    );
  }

  /** Something else is pending: tells VS Code which of the open texts are others now. */
  refresh(): void {
    for (const [address, shown] of this.#open) {
      const uri = Uri.parse(address);
      if (!workspace.textDocuments.some((document) => document.uri.toString() === address)) this.#open.delete(address);
      else if (this.#blobOf(uri) !== shown) this.#changes.fire(uri);
    }
  }

  dispose(): void {
    this.#changes.dispose();
  }

  #blobOf({ path, query }: Uri): BlobId | null | undefined {
    const files = this.#review.filesAt(Uri.file(path).toString());
    return files.find(({ sessionId }) => sessionId === query)?.file.shadow;
  }
}

/** Opens the diff of a file: its text without what is pending against the file. */
export async function openPendingDiff(pending: SessionFile): Promise<void> {
  const { left, right, uri } = sidesOf(pending);
  const title = `${movedName(uri, pending.file.movedFrom)} (pending changes by Hermes)`;
  await commands.executeCommand("vscode.diff", left, right, title, { preview: true });
}

/** Opens the diffs of all pending files in one editor. */
export async function openAllPending(files: readonly SessionFile[]): Promise<void> {
  const resources = files.map((pending) => {
    const { left, right, uri } = sidesOf(pending);
    const { status } = pending.file;
    return [uri, status === "added" ? undefined : left, status === "deleted" ? undefined : right] as const;
  });
  await commands.executeCommand("vscode.changes", "Pending changes by Hermes", resources);
}

/** Opens the diff of one file: its text from before against the file. */
export async function openDiff(change: FileChange): Promise<void> {
  const uri = Uri.parse(change.uri);
  const now = change.after === null ? before(uri, null) : textOf(uri);
  const title = `${movedName(uri, change.movedFrom)} (${describe(change)})`;
  await commands.executeCommand("vscode.diff", before(uri, change.before, change.encoding), now, title, {
    preview: true,
  });
}

/** Opens the diffs of several files in one editor. */
export async function openAllDiffs(changes: readonly FileChange[]): Promise<void> {
  const resources = changes.map((change) => {
    const uri = Uri.parse(change.uri);
    return [
      uri,
      change.before === null ? undefined : before(uri, change.before, change.encoding),
      change.after === null ? undefined : textOf(uri),
    ] as const;
  });
  await commands.executeCommand("vscode.changes", "Changes by Hermes", resources);
}

/** Opens a file: a `file:` address, or a path in the workspace. The line counts from 1. */
export async function openFile(path: string, line: number | undefined): Promise<void> {
  const uri = await find(path);
  if (!uri) {
    void window.showWarningMessage(`Hermes: ${path} is not a file of this workspace.`);
    return;
  }
  if (isNotebook(uri)) {
    await commands.executeCommand("vscode.open", uri, { preview: true });
    return;
  }
  const at = line === undefined ? {} : { selection: rangeOf(line) };
  await window.showTextDocument(uri, { preview: true, ...at });
}

/** Saves a document if it still has the given text, and tells whether it did. */
export async function saveIfCurrent({ uri, digest }: SaveDocumentParams): Promise<SaveDocumentResult> {
  const document = findOpen(uri);
  if (!document || document.isUntitled || textDigest(document.getText()) !== digest) return { saved: false };
  return { saved: await document.save() };
}

/** True if the document that an edit is for is open and has the text that the edit was made against. */
export function isEditCurrent({ edit, digest }: ApplyWorkspaceEditParams & EditCondition): boolean {
  if (digest === undefined) return true;
  const [change] = edit.documentChanges ?? [];
  const document = change && "textDocument" in change ? findOpen(change.textDocument.uri) : undefined;
  return document !== undefined && textDigest(document.getText()) === digest;
}

function findOpen(uri: string): TextDocument | undefined {
  const wanted = Uri.parse(uri).toString();
  return workspace.textDocuments.find((document) => !document.isClosed && document.uri.toString() === wanted);
}

/** The encoding of an open document, or the one that the user has set for a file. */
export function encodingOf({ uri }: DocumentEncodingParams): DocumentEncodingResult {
  const document = findOpen(uri);
  const set = workspace.getConfiguration("files", document ?? Uri.parse(uri)).get<string>("encoding");
  return { encoding: document?.encoding ?? set ?? "utf8" };
}

async function find(path: string): Promise<Uri | undefined> {
  if (/^file:/i.test(path)) {
    const uri = Uri.parse(path);
    // Another machine's files are not opened: asking for them alone tells that machine who the user is.
    return uri.authority === "" ? uri : undefined;
  }
  const folders = (workspace.workspaceFolders ?? []).map(({ uri }) => uri);
  const candidates = path.startsWith("/")
    ? [Uri.file(path), ...folders.map((folder) => Uri.joinPath(folder, path))]
    : folders.map((folder) => Uri.joinPath(folder, path));
  for (const uri of candidates) {
    if (uri.authority !== "" && !folders.some(({ authority }) => authority === uri.authority)) continue;
    const exists = await workspace.fs.stat(uri).then(
      () => true,
      () => false,
    );
    if (exists) return uri;
  }
  return undefined;
}

function sidesOf({ sessionId, file }: SessionFile) {
  const uri = Uri.parse(file.uri);
  const left = Uri.from({ scheme: shadowScheme, path: uri.path, query: sessionId });
  return { uri, left, right: file.status === "deleted" ? before(uri, null) : textOf(uri) };
}

function rangeOf(line: number): Range {
  return new Range(Math.max(0, line - 1), 0, Math.max(0, line - 1), 0);
}

function before(uri: Uri, blob: BlobId | null, encoding?: string): Uri {
  const query = blob === null || encoding === undefined ? (blob ?? "") : `${blob} ${encoding}`;
  return Uri.from({ scheme: beforeScheme, path: uri.path, query });
}

function nameOf(uri: Uri): string {
  return uri.path.slice(uri.path.lastIndexOf("/") + 1);
}

/** `old.ts → new.ts`; where only the folder changed, with it. */
function movedName(uri: Uri, movedFrom: string | undefined): string {
  if (movedFrom === undefined) return nameOf(uri);
  const from = Uri.parse(movedFrom);
  if (nameOf(from) !== nameOf(uri)) return `${nameOf(from)} → ${nameOf(uri)}`;
  return `${workspace.asRelativePath(from)} → ${workspace.asRelativePath(uri)}`;
}

function describe(change: FileChange): string {
  if (change.before === null) return "added by Hermes";
  if (change.after === null) return "deleted by Hermes";
  return change.movedFrom !== undefined && change.before === change.after ? "moved by Hermes" : "before Hermes ↔ now";
}

function toBlobId(text: string): BlobId {
  return text as BlobId;
}
