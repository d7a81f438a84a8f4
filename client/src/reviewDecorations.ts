/**
 * Shows pending hunks in the editors that are open: what was added, what was there before, and buttons above each hunk.
 *
 * Not here: what is pending (`review.ts`), and marks outside of editors (`reviewMarks.ts`). Easily got wrong: the host
 * tells lines a moment after the user types; until then VS Code itself moves decorations and buttons along with the text.
 */
import {
  CodeLens,
  type CodeLensProvider,
  type DecorationOptions,
  type Disposable,
  type Event,
  EventEmitter,
  languages,
  MarkdownString,
  OverviewRulerLane,
  Range,
  TabInputText,
  type TextDocument,
  type TextEditor,
  ThemeColor,
  Uri,
  window,
  workspace,
} from "vscode";
import { isNotebook } from "./notebookTexts.ts";
import type { Review, SessionHunk } from "./review.ts";

/** Lines of the text from before that a hover shows; the diff has them all. */
const hoverLines = 60;
/** Hunks of one file that are decorated; more would be slow to draw and say no more. */
const hunkLimit = 2000;

/** Draws pending hunks. Call `refresh` when something else is pending. */
export class ReviewDecorations implements CodeLensProvider, Disposable {
  readonly #review: Review;
  readonly #lensChanges = new EventEmitter<void>();
  readonly #subscriptions: readonly Disposable[];
  readonly #added = window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new ThemeColor("diffEditor.insertedLineBackground"),
    overviewRulerColor: new ThemeColor("editorOverviewRuler.addedForeground"),
    overviewRulerLane: OverviewRulerLane.Left,
  });
  /** The line below which, or above which, lines were taken out: a thin red edge and a hover, so that nothing moves. */
  readonly #removedAbove = window.createTextEditorDecorationType(removedEdge("1px 0 0 0"));
  readonly #removedBelow = window.createTextEditorDecorationType(removedEdge("0 0 1px 0"));

  /** The buttons above hunks changed. */
  readonly onDidChangeCodeLenses: Event<void> = this.#lensChanges.event;

  constructor(review: Review) {
    this.#review = review;
    this.#subscriptions = [
      languages.registerCodeLensProvider([{ scheme: "file" }, { scheme: "untitled" }], this),
      window.onDidChangeVisibleTextEditors(() => this.#draw()),
      window.tabGroups.onDidChangeTabs(() => this.#draw()),
    ];
  }

  /** Shows what is pending now. */
  refresh(): void {
    this.#draw();
    this.#lensChanges.fire();
  }

  provideCodeLenses(document: TextDocument): CodeLens[] {
    const hunks = this.#hunksIn(document);
    return hunks.flatMap((pending) => lensesOf(pending, document));
  }

  dispose(): void {
    for (const part of [this.#added, this.#removedAbove, this.#removedBelow, this.#lensChanges]) part.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #hunksIn({ uri }: TextDocument): readonly SessionHunk[] {
    // Opened as text, a notebook is JSON, in which the lines of its hunks are others.
    return isNotebook(uri) ? [] : this.#review.hunksAt(uri.toString()).slice(0, hunkLimit);
  }

  #draw(): void {
    for (const editor of window.visibleTextEditors) this.#drawIn(editor);
  }

  #drawIn(editor: TextEditor): void {
    const { document } = editor;
    const hunks = isPlainEditor(editor) ? this.#hunksIn(document) : [];
    const changed = hunks.filter(({ hunk }) => hunk.lineCount > 0);
    // A move has buttons and no lines.
    const removed = hunks.filter((pending) => pending.hunk.lineCount === 0 && !isMove(pending));
    const isPastEnd = ({ hunk }: SessionHunk) => hunk.fromLine > document.lineCount;
    editor.setDecorations(
      this.#added,
      changed.map((pending) => decoration(pending, document)),
    );
    editor.setDecorations(
      this.#removedAbove,
      removed.filter((pending) => !isPastEnd(pending)).map((pending) => decoration(pending, document)),
    );
    editor.setDecorations(
      this.#removedBelow,
      removed.filter(isPastEnd).map((pending) => decoration(pending, document)),
    );
  }
}

/** The lines of a hunk in a document, kept inside of it while the document is ahead of the host. */
export function rangeOfHunk({ hunk }: SessionHunk, document: TextDocument): Range {
  const last = document.lineCount - 1;
  const from = Math.min(last, Math.max(0, hunk.fromLine - 1));
  const to = Math.min(last, Math.max(from, hunk.fromLine + hunk.lineCount - 2));
  return new Range(from, 0, to, document.lineAt(to).text.length);
}

function removedEdge(borderWidth: string) {
  return {
    isWholeLine: true,
    borderWidth,
    borderStyle: "solid",
    borderColor: new ThemeColor("editorGutter.deletedBackground"),
    overviewRulerColor: new ThemeColor("editorOverviewRuler.deletedForeground"),
    overviewRulerLane: OverviewRulerLane.Left,
  };
}

function decoration(pending: SessionHunk, document: TextDocument): DecorationOptions {
  const range = rangeOfHunk(pending, document);
  const { before } = pending.hunk;
  if (before.length === 0) return { range };
  const hoverMessage = new MarkdownString(
    before.length === 1 ? "Before Hermes:" : `Before Hermes, ${before.length} lines:`,
  );
  hoverMessage.appendCodeblock(before.slice(0, hoverLines).join("\n"), document.languageId);
  if (before.length > hoverLines)
    hoverMessage.appendMarkdown(`${before.length - hoverLines} more lines: open the diff.`);
  return { range, hoverMessage };
}

/** The move of a file is its first hunk. */
function isMove({ file, hunk }: SessionHunk): boolean {
  return file.movedFrom !== undefined && hunk.id === file.hunks[0]?.id;
}

function lensesOf(pending: SessionHunk, document: TextDocument): CodeLens[] {
  const { sessionId, file, hunk } = pending;
  const { start } = rangeOfHunk(pending, document);
  const range = new Range(start, start);
  const target = [{ sessionId, uri: file.uri, hunkId: hunk.id }];
  const place = [{ uri: file.uri, line: hunk.fromLine }];
  return [
    new CodeLens(range, {
      title: "Keep",
      tooltip: "Keep this change of Hermes",
      command: "hermes.review.keepHunk",
      arguments: target,
    }),
    new CodeLens(range, {
      title: "Undo",
      tooltip: isMove(pending) ? "Move the file back" : "Give these lines the text from before",
      command: "hermes.review.undoHunk",
      arguments: target,
    }),
    new CodeLens(range, {
      title: "↓ Next",
      tooltip: "Go to the next pending change",
      command: "hermes.review.next",
      arguments: place,
    }),
    new CodeLens(range, {
      title: isMove(pending)
        ? `Moved from ${workspace.asRelativePath(Uri.parse(file.movedFrom ?? ""))}`
        : `+${hunk.lineCount} −${hunk.before.length}`,
      tooltip: "Open the diff of this file",
      command: "hermes.review.openFile",
      arguments: [file.uri],
    }),
  ];
}

/** Whether an editor is one of its own: a diff has colours for the same lines, and no room for ours. */
export function isPlainEditor({ viewColumn }: TextEditor): boolean {
  const group = window.tabGroups.all.find((candidate) => candidate.viewColumn === viewColumn);
  return group?.activeTab?.input instanceof TabInputText;
}
