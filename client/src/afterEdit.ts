/**
 * What VS Code knows after an edit: how its formatter would have the text, and the problems of exactly that text.
 *
 * Not here: changing documents, which the host does. Easily got wrong: VS Code gives diagnostics without a version, so
 * they count only when news of them came after the text did, and while the document still has that text.
 */
import {
  type CancellationToken,
  commands,
  DiagnosticSeverity,
  Disposable,
  extensions,
  languages,
  type TextDocument,
  type TextEdit,
  Uri,
  workspace,
} from "vscode";
import type {
  DocumentDiagnosticsParams,
  DocumentDiagnosticsResult,
  FormatDocumentParams,
  FormatDocumentResult,
} from "../../server/src/protocol/clientMethods.ts";

/** Milliseconds without news after which diagnostics count as complete: servers publish in waves. */
const settleMs = 150;
const unformatted: FormatDocumentResult = { edits: null, whole: false };

/** Computes what format on save would make of a text, where the user has it. Changes no document and shows none. */
export async function formatAside(
  { uri, text }: FormatDocumentParams,
  token: CancellationToken,
): Promise<FormatDocumentResult> {
  const document = await workspace.openTextDocument(Uri.parse(uri)).then(
    (opened) => opened,
    () => undefined,
  );
  if (!document || !hasText(document, text)) return unformatted;
  const settings = workspace.getConfiguration("editor", document);
  if (settings.get("formatOnSave") !== true || isFormatterMissing(settings.get("defaultFormatter"))) return unformatted;
  const edits = await commands.executeCommand<readonly TextEdit[] | undefined>(
    "vscode.executeFormatDocumentProvider",
    document.uri,
    optionsOf(settings),
  );
  if (!edits || token.isCancellationRequested || !hasText(document, text)) return unformatted;
  const whole = (settings.get<string>("formatOnSaveMode") ?? "file") === "file";
  return { edits: edits.map(({ range: { start, end }, newText }) => ({ range: { start, end }, newText })), whole };
}

/** Knows which diagnostics are about which text. Listens from the start: what came before it is nobody's. */
export class FreshDiagnostics implements Disposable {
  readonly #changed = new Map<string, number>();
  readonly #published = new Map<string, number>();
  readonly #waiting = new Set<(key: string) => void>();
  readonly #listening: Disposable;
  #count = 0;

  constructor() {
    this.#listening = Disposable.from(
      workspace.onDidOpenTextDocument(({ uri }) => this.#changed.set(uri.toString(), this.#next())),
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0) this.#changed.set(document.uri.toString(), this.#next());
      }),
      workspace.onDidCloseTextDocument(({ uri }) => {
        this.#changed.delete(uri.toString());
        this.#published.delete(uri.toString());
      }),
      languages.onDidChangeDiagnostics(({ uris }) => {
        for (const key of uris.map(String)) {
          if (this.#changed.has(key)) this.#published.set(key, this.#next());
          for (const tell of [...this.#waiting]) tell(key);
        }
      }),
    );
  }

  /** The errors and warnings of this text once they have settled, or that they are not known within the wait. */
  async of(
    { uri, text, waitMs }: DocumentDiagnosticsParams,
    token: CancellationToken,
  ): Promise<DocumentDiagnosticsResult> {
    const address = Uri.parse(uri);
    const key = address.toString();
    const document = workspace.textDocuments.find((candidate) => candidate.uri.toString() === key);
    if (!document || !hasText(document, text)) return { known: false };
    await this.#settled(key, waitMs, token);
    if (document.isClosed || !hasText(document, text) || !this.#isFresh(key)) return { known: false };
    const diagnostics = languages.getDiagnostics(address).flatMap(({ severity, range, message }) => {
      if (severity !== DiagnosticSeverity.Error && severity !== DiagnosticSeverity.Warning) return [];
      const word = severity === DiagnosticSeverity.Error ? ("error" as const) : ("warning" as const);
      return [{ severity: word, line: range.start.line + 1, message }];
    });
    return { known: true, diagnostics };
  }

  dispose(): void {
    this.#listening.dispose();
    this.#waiting.clear();
  }

  #settled(key: string, waitMs: number, token: CancellationToken): Promise<void> {
    return new Promise((resolve) => {
      let quiet: NodeJS.Timeout | undefined;
      const done = () => {
        clearTimeout(quiet);
        clearTimeout(over);
        cancelled.dispose();
        this.#waiting.delete(tell);
        resolve();
      };
      const tell = (told: string) => {
        if (told !== key || !this.#isFresh(key)) return;
        clearTimeout(quiet);
        quiet = setTimeout(done, settleMs);
      };
      const over = setTimeout(done, waitMs);
      const cancelled = token.onCancellationRequested(done);
      this.#waiting.add(tell);
      tell(key);
    });
  }

  #isFresh(key: string): boolean {
    const changed = this.#changed.get(key);
    return changed !== undefined && (this.#published.get(key) ?? 0) > changed;
  }

  #next(): number {
    this.#count += 1;
    return this.#count;
  }
}

function hasText(document: TextDocument, text: string): boolean {
  return document.getText().replaceAll("\r\n", "\n") === text.replaceAll("\r\n", "\n");
}

/** Saving formats nothing either when the formatter that the user has chosen is not there. */
function isFormatterMissing(id: string | null | undefined): boolean {
  return typeof id === "string" && id !== "" && !extensions.getExtension(id);
}

function optionsOf(settings: { get<T>(name: string): T | undefined }) {
  const size = settings.get<number | string>("tabSize");
  return {
    tabSize: typeof size === "number" ? size : 4,
    insertSpaces: settings.get<boolean | string>("insertSpaces") !== false,
  };
}
