/**
 * The editor's open documents and notebooks as the workspace needs them, over an LSP connection.
 *
 * Not here: what counts as a clean or stale buffer. Easily got wrong: editors write the same file's URI in several ways
 * (`file:///c%3A/x`), so documents are found by path, and edits are sent with the editor's own URI.
 */
import { fileURLToPath } from "node:url";
import {
  type ApplyWorkspaceEditParams,
  type CancellationToken,
  CancellationTokenSource,
  type Connection,
  ErrorCodes,
  ResponseError,
  type TextDocuments,
} from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import { abortable } from "../base/async.ts";
import { messageOf, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import {
  documentDiagnostics,
  documentEncoding,
  type EditCondition,
  editNotebook,
  formatDocument,
  type ReadNotebookResult,
  readNotebook,
  saveDocument,
} from "../protocol/clientMethods.ts";
import { textDigest } from "../protocol/textDigest.ts";
import { utf8 } from "../text/encoding.ts";
import type { EditorPort } from "../workspace/editor.ts";
import type { NotebookPort } from "../workspace/openNotebooks.ts";

/** The port, to be told of what LSP does not tell. */
export interface LocalEditorPort extends EditorPort {
  /** A file was saved in the editor that is no text document there. */
  readonly noteSave: (uri: string) => void;
}

/** Milliseconds that a formatter may take; then the text stays as it was written. */
const formatMs = 1_500;
/** Milliseconds that an answer may come after the wait that it was asked with. */
const graceMs = 500;

/** Makes the port. Requests are sent only while the connection lives; afterwards they reject. */
export function createEditorPort(
  connection: Connection,
  documents: TextDocuments<TextDocument>,
  { canRename }: { readonly canRename: () => boolean },
): LocalEditorPort {
  const find = (uri: string): TextDocument | undefined => {
    const path = tryPath(uri);
    return documents.get(uri) ?? documents.all().find((document) => tryPath(document.uri) === path);
  };
  const lastSaves = new Map<string | undefined, number>();
  let saves = 0;
  const noteSave = (uri: string) => {
    saves += 1;
    lastSaves.set(tryPath(uri), saves);
  };
  documents.onDidSave(({ document }) => noteSave(document.uri));
  return {
    noteSave,
    openDocuments: () => documents.all().map(({ uri }) => uri),
    openDocument: (uri) => {
      const document = find(uri);
      return document && { text: document.getText(), version: document.version };
    },
    applyEdit: async (uri, { text, version }, edits) => {
      const document = find(uri);
      if (!document) return false;
      const params: ApplyWorkspaceEditParams & EditCondition = {
        label: "Hermes",
        edit: { documentChanges: [{ textDocument: { uri: document.uri, version }, edits: [...edits] }] },
        digest: textDigest(text),
      };
      return (await connection.workspace.applyEdit(params)).applied;
    },
    renameFile: async (from, to) => {
      if (!canRename()) return false;
      const oldUri = find(from)?.uri ?? from;
      const { applied } = await connection.workspace.applyEdit({
        label: "Hermes",
        edit: { documentChanges: [{ kind: "rename", oldUri, newUri: to, options: { overwrite: false } }] },
      });
      return applied;
    },
    save: async (uri, { text }) => {
      const document = find(uri);
      if (!document) return false;
      const { saved } = await connection.sendRequest(saveDocument, {
        uri: document.uri,
        digest: textDigest(text),
      });
      return saved;
    },
    encodingOf: async (uri) => {
      const known = find(uri)?.uri ?? uri;
      // A client that does not know the request says so: then files are UTF-8, as they were before it was there.
      const answer = await connection.sendRequest(documentEncoding, { uri: known }).catch((error: unknown) => {
        if (!(error instanceof ResponseError) || error.code !== ErrorCodes.MethodNotFound) throw error;
        return { encoding: utf8 };
      });
      return answer.encoding;
    },
    formatAside: async (uri, text, signal) => {
      const params = { uri: find(uri)?.uri ?? uri, text };
      const result = await within(formatMs, "Formatting", signal, (token) =>
        connection.sendRequest(formatDocument, params, token),
      );
      if (!result?.edits) return undefined;
      const edits = result.edits.map(({ range, newText }) => ({ range, newText }));
      return { text: TextDocument.applyEdits(TextDocument.create(uri, "", 0, text), edits), whole: result.whole };
    },
    problems: async (uri, text, waitMs, signal) => {
      const document = find(uri);
      if (!document) return undefined;
      const result = await within(waitMs + graceMs, "Asking for problems", signal, (token) =>
        connection.sendRequest(documentDiagnostics, { uri: document.uri, text, waitMs }, token),
      );
      return result?.known ? result.diagnostics : undefined;
    },
    lastSave: (uri) => (uri === undefined ? saves : (lastSaves.get(tryPath(uri)) ?? 0)),
  };
}

/** Asks the editor for what is good to have: `undefined`, and a line in the log, when it fails or takes too long. */
async function within<T>(
  ms: number,
  what: string,
  signal: AbortSignal,
  ask: (token: CancellationToken) => Promise<T>,
): Promise<T | undefined> {
  const source = new CancellationTokenSource();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  const cancel = () => source.cancel();
  limit.addEventListener("abort", cancel, { once: true });
  try {
    limit.throwIfAborted();
    return await abortable(ask(source.token), limit);
  } catch (error) {
    signal.throwIfAborted();
    log("info", `${what} was given up: ${messageOf(error)}`);
    return undefined;
  } finally {
    limit.removeEventListener("abort", cancel);
    source.dispose();
  }
}

/**
 * Makes the port to the editor's notebooks. What the editor cannot do, because its serializer refuses or it is gone, is a
 * `ToolError`.
 */
export function createNotebookPort(connection: Connection): NotebookPort {
  const asked = async (uri: string, answer: Promise<ReadNotebookResult>) => {
    try {
      return (await answer).notebook ?? undefined;
    } catch (cause) {
      throw new ToolError(`The editor could not give or change the notebook ${uri}: ${messageOf(cause)}`, { cause });
    }
  };
  return {
    unsaved: (uri) => asked(uri, connection.sendRequest(readNotebook, { uri })),
    edit: (uri, version, text) => asked(uri, connection.sendRequest(editNotebook, { uri, version, text })),
  };
}

function tryPath(uri: string): string | undefined {
  try {
    return fileURLToPath(uri);
  } catch {
    return undefined;
  }
}
