/**
 * The editor's open documents and notebooks as the workspace needs them, over an LSP connection.
 *
 * Not here: what counts as a clean or stale buffer. Easily got wrong: editors write the same file's URI in several ways
 * (`file:///c%3A/x`), so documents are found by path, and edits are sent with the editor's own URI.
 */
import { fileURLToPath } from "node:url";
import type { Connection, TextDocuments } from "vscode-languageserver";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { messageOf, ToolError } from "../base/errors.ts";
import { editNotebook, type ReadNotebookResult, readNotebook, saveDocument } from "../protocol/methods.ts";
import type { EditorPort } from "../workspace/editor.ts";
import type { NotebookPort } from "../workspace/openNotebooks.ts";

/** The port, to be told of what LSP does not tell. */
export interface LocalEditorPort extends EditorPort {
  /** A file was saved in the editor that is no text document there. */
  readonly noteSave: (uri: string) => void;
}

/** Makes the port. Requests are sent only while the connection lives; afterwards they reject. */
export function createEditorPort(connection: Connection, documents: TextDocuments<TextDocument>): LocalEditorPort {
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
    applyEdit: async (uri, version, edits) => {
      const document = find(uri);
      if (!document) return false;
      const { applied } = await connection.workspace.applyEdit({
        label: "Hermes",
        edit: { documentChanges: [{ textDocument: { uri: document.uri, version }, edits: [...edits] }] },
      });
      return applied;
    },
    save: async (uri, version) => {
      const document = find(uri);
      if (!document) return false;
      const { saved } = await connection.sendRequest(saveDocument, { uri: document.uri, version });
      return saved;
    },
    lastSave: (uri) => (uri === undefined ? saves : (lastSaves.get(tryPath(uri)) ?? 0)),
  };
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
