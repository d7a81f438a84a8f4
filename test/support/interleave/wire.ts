/**
 * The way between editor and host, with the host's own port and the protocol library's own documents at its end: news go
 * one way, requests the other, each in order, and both arrive only when they are let through.
 *
 * Not here: JSON-RPC's bytes (`test/integration/hostProcess.test.ts`). Easily got wrong: what the host knows of a
 * document is behind what the user sees by everything that is still on the way.
 */
import { TextDocuments } from "vscode-languageserver";
import { TextDocument } from "vscode-languageserver-textdocument";
import { createEditorPort } from "../../../server/src/main/editorPort.ts";
import { textDigest } from "../../../server/src/protocol/textDigest.ts";
import type { DocumentEdit } from "../../../server/src/workspace/documentEdits.ts";
import type { EditorPort } from "../../../server/src/workspace/editor.ts";
import type { Buffers, DocumentNews } from "./buffers.ts";

/** The wire of one host. */
export interface Wire {
  readonly port: EditorPort;
  /** Messages on the way to the host, and to the editor. */
  readonly toHost: (() => void)[];
  readonly toEditor: (() => void)[];
  /** Puts news on the way. */
  readonly send: (news: DocumentNews) => void;
}

type Handler = (params: unknown) => void;

interface ApplyParams {
  readonly digest: string;
  readonly edit: {
    readonly documentChanges: readonly [
      { readonly textDocument: { readonly uri: string; readonly version: number }; readonly edits: DocumentEdit[] },
    ];
  };
}

/** Makes a wire. `save` is asked for what the host wants to have saved. */
export function createWire(buffers: Buffers, save: (uri: string) => boolean): Wire {
  const toHost: (() => void)[] = [];
  const toEditor: (() => void)[] = [];
  const handlers = new Map<string, Handler>();
  const on = (name: string) => (handler: Handler) => {
    handlers.set(name, handler);
    return { dispose: () => handlers.delete(name) };
  };
  /** A request to the editor; the answer may overtake the news of what it did. */
  const request = <Result>(serve: () => Result): Promise<Result> =>
    new Promise((resolve) => {
      toEditor.push(() => {
        const known = toHost.length;
        const result = serve();
        const place = toEditor.length % 2 === 0 ? known : toHost.length;
        toHost.splice(place, 0, () => resolve(result));
      });
    });
  /** What the client asks before it edits or saves: `isEditCurrent`, `saveIfCurrent`. */
  const isStill = (uri: string, digest: string) => textDigest(buffers.text(uri) ?? "") === digest;
  type Params = { readonly uri: string; readonly digest: string };
  const answers: { readonly [method: string]: (params: Params) => object } = {
    "document/save": ({ uri, digest }) => ({ saved: isStill(uri, digest) && save(uri) }),
    "document/encoding": () => ({ encoding: "utf8" }),
    "document/format": () => ({ edits: null, whole: true }),
    "document/diagnostics": () => ({ known: false }),
  };
  const connection = {
    workspace: {
      applyEdit: ({ edit, digest }: ApplyParams) => {
        const [{ textDocument, edits }] = edit.documentChanges;
        const { uri, version } = textDocument;
        return request(() => ({ applied: isStill(uri, digest) && buffers.applyEdit(uri, version, edits) }));
      },
    },
    sendRequest: ({ method }: { readonly method: string }, params: Params) => request(() => answers[method]?.(params)),
    onDidOpenTextDocument: on("opened"),
    onDidChangeTextDocument: on("changed"),
    onDidCloseTextDocument: on("closed"),
    onDidSaveTextDocument: on("saved"),
    onWillSaveTextDocument: on("will"),
    onWillSaveTextDocumentWaitUntil: on("wait"),
  };
  const documents = new TextDocuments(TextDocument);
  documents.listen(connection as unknown as Parameters<typeof documents.listen>[0]);
  const port = createEditorPort(connection as unknown as Parameters<typeof createEditorPort>[0], documents, {
    canRename: () => false,
  });
  const send = (news: DocumentNews) => toHost.push(() => handlers.get(news.type)?.(toParams(news)));
  for (const uri of buffers.uris()) {
    send({ type: "opened", uri, text: buffers.text(uri) ?? "", version: buffers.version(uri) ?? 1 });
  }
  return { port, toHost, toEditor, send };
}

function toParams(news: DocumentNews): unknown {
  const { type, uri } = news;
  if (type === "opened") {
    return { textDocument: { uri, languageId: "plaintext", version: news.version, text: news.text } };
  }
  if (type === "changed")
    return { textDocument: { uri, version: news.version }, contentChanges: [{ text: news.text }] };
  return { textDocument: { uri } };
}
