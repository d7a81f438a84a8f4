/**
 * Provides notebooks as the agent sees them, cells as text, for the diffs of review.
 *
 * Not here: that form (the host makes it) and editing, which is done in the notebook's own editor. Easily got wrong: line
 * numbers of hunks in a notebook count in this text, so they mean nothing in the notebook's JSON or in its cells.
 */
import {
  type CancellationToken,
  type Disposable,
  EventEmitter,
  languages,
  type TextDocument,
  type TextDocumentContentProvider,
  Uri,
  workspace,
} from "vscode";
import { notebookText } from "../../server/src/protocol/methods.ts";
import type { AgentClient } from "./agentClient.ts";

/** The scheme of notebooks as text. */
export const notebookScheme = "hermes-notebook";

/** True for the address of a notebook's file. */
export function isNotebook({ scheme, path }: Uri): boolean {
  return scheme === "file" && /\.ipynb$/i.test(path);
}

/** Where the lines of a file's hunks can be seen: the file itself, or a notebook as text. */
export function textOf(uri: Uri): Uri {
  return isNotebook(uri) ? Uri.from({ scheme: notebookScheme, path: uri.path }) : uri;
}

/** The file that such a text is of. */
export function fileOf(uri: Uri): Uri {
  return uri.scheme === notebookScheme ? Uri.file(uri.path) : uri;
}

/** The provider. Call `refresh` when notebooks may have changed. */
export class NotebookTexts implements TextDocumentContentProvider, Disposable {
  readonly #agent: Pick<AgentClient, "request">;
  readonly #changes = new EventEmitter<Uri>();
  readonly #opened = workspace.onDidOpenTextDocument((document) => void colour(document));

  /** A text is another one now. */
  readonly onDidChange = this.#changes.event;

  constructor(agent: Pick<AgentClient, "request">) {
    this.#agent = agent;
  }

  async provideTextDocumentContent(uri: Uri, token: CancellationToken): Promise<string> {
    return (await this.#agent.request(notebookText, { uri: fileOf(uri).toString() }, token)).text;
  }

  /** Asks for the texts that are open anew. */
  refresh(): void {
    for (const { uri } of workspace.textDocuments) if (uri.scheme === notebookScheme) this.#changes.fire(uri);
  }

  dispose(): void {
    this.#changes.dispose();
    this.#opened.dispose();
  }
}

/** By its name, VS Code takes a notebook's text for JSON, and underlines all of it. */
async function colour(document: TextDocument): Promise<void> {
  if (document.uri.scheme === "file" || !isNotebook(Uri.file(document.uri.path))) return;
  const [, language] = /^# Notebook \((.*?)\)/.exec(document.lineAt(0).text) ?? [];
  if (language === undefined) return;
  const known = await languages.getLanguages();
  await languages.setTextDocumentLanguage(document, known.includes(language) ? language : "plaintext");
}
