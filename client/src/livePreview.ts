/**
 * Shows what the model is writing in the editors that are open, while it writes it: the lines to be replaced are
 * marked, and the new text grows in a box below them, over the lines that follow, so that nothing moves.
 *
 * Not here: reading the stream (`drafts.ts`). Easily got wrong: it is paint only. The document is never touched, nothing
 * is opened unless the user follows, and all of it is gone with the draft.
 */
import {
  commands,
  type DecorationOptions,
  type Disposable,
  Range,
  type TextDocument,
  type TextEditor,
  TextEditorRevealType,
  ThemeColor,
  Uri,
  window,
  workspace,
} from "vscode";
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import { type Draft, Drafts } from "./drafts.ts";
import { isNotebook } from "./notebookTexts.ts";
import { findLines, type Lines, previewCss } from "./previewText.ts";
import { isPlainEditor } from "./reviewDecorations.ts";

/** Least milliseconds between two drawings: a display frame. */
const drawEveryMs = 16;
/** The same for text that comes faster than anybody reads: each drawing costs VS Code a new style for its whole page. */
const drawFastEveryMs = 100;
/** Characters that come between two drawings of such a text. */
const fastCharacters = 250;

/** Where a draft is in a document, for as long as neither changes. */
interface Found {
  readonly document: TextDocument;
  readonly version: number;
  readonly draft: string;
  readonly lines: Lines | undefined;
}

/** Paints drafts into visible editors. Give it every message that the page is sent. */
export class LivePreview implements Disposable {
  readonly #drafts = new Drafts();
  readonly #subscriptions: readonly Disposable[];
  readonly #removed = window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new ThemeColor("diffEditor.removedLineBackground"),
  });
  readonly #growing = window.createTextEditorDecorationType({});
  /** The editors that have something painted. */
  readonly #painted = new WeakSet<TextEditor>();
  #found: readonly Found[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** True from a drawing until VS Code's window has taken it. */
  #isDrawing = false;
  /** True when something has changed since the last drawing. */
  #isStale = false;
  #drawnAt = 0;
  /** Milliseconds from the last drawing to the next. */
  #interval = drawEveryMs;
  /** Characters of all drafts as last drawn. */
  #drawnLength = 0;
  /** The draft whose file was last shown because the user follows. */
  #shown = "";
  #follow = false;

  constructor() {
    this.#subscriptions = [window.onDidChangeVisibleTextEditors(() => this.#soon())];
  }

  /** Whether files are shown as the agent edits them. */
  get follow(): boolean {
    return this.#follow;
  }

  /** Switches following on or off. */
  setFollow(on: boolean): void {
    this.#follow = on;
    this.#soon();
  }

  /** Takes a message to the page. */
  take(message: ToPanel): void {
    if (this.#drafts.take(message)) this.#soon();
    if (!this.#follow || message.type !== "updates") return;
    const changed = message.updates.findLast((update) => update.type === "file_changed");
    if (changed?.type === "file_changed" && changed.change.after !== null)
      void this.#show(Uri.parse(changed.change.uri));
  }

  /** The host is gone, and with it what it streamed. */
  clear(): void {
    if (this.#drafts.clear()) this.#draw();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#removed.dispose();
    this.#growing.dispose();
  }

  #soon(): void {
    this.#isStale = true;
    if (this.#timer || this.#isDrawing) return;
    const wait = Math.max(0, this.#drawnAt + this.#interval - performance.now());
    if (wait === 0 || this.#drafts.current().length === 0) this.#draw();
    else this.#timer = setTimeout(() => this.#draw(), wait);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawnAt = performance.now();
    this.#isStale = false;
    const drafts = this.#drafts.current();
    const length = drafts.reduce((sum, { text }) => sum + text.length, 0);
    this.#interval = length - this.#drawnLength > fastCharacters ? drawFastEveryMs : drawEveryMs;
    this.#drawnLength = length;
    if (drafts.length === 0) {
      this.#found = [];
      this.#shown = "";
    }
    for (const editor of window.visibleTextEditors) {
      const own = drafts.filter(({ path }) => addressesOf(path).includes(editor.document.uri.toString()));
      if (own.length > 0) this.#paint(editor, own);
      else this.#wipe(editor);
    }
    const last = drafts.at(-1);
    if (this.#follow && last) void this.#showDraft(last);
    void this.#untilTaken(drafts.length > 0);
  }

  /** Drawings that the window is too busy to take would pile up before it, and be seen ever later. */
  async #untilTaken(isWriting: boolean): Promise<void> {
    this.#isDrawing = true;
    // The window answers in the order in which it was told.
    await commands.executeCommand("setContext", "hermes.isWriting", isWriting).then(undefined, () => undefined);
    this.#isDrawing = false;
    if (this.#isStale) this.#soon();
  }

  #paint(editor: TextEditor, drafts: readonly Draft[]): void {
    // Opened as text, a notebook is JSON, in which none of the lines is that is being written.
    if (!isPlainEditor(editor) || isNotebook(editor.document.uri)) return;
    const removed: Range[] = [];
    const growing: DecorationOptions[] = [];
    for (const draft of drafts) {
      const lines = draft.old === undefined ? undefined : this.#find(editor.document, draft);
      if (draft.old !== undefined && !lines) continue;
      if (lines) removed.push(new Range(lines.from, 0, lines.to, 0));
      const top = editor.visibleRanges[0]?.start.line ?? 0;
      const at = lines ? editor.document.lineAt(lines.to).range.end : editor.document.lineAt(top).range.end;
      growing.push(box(draft, new Range(at, at), lines !== undefined));
    }
    editor.setDecorations(this.#removed, removed);
    editor.setDecorations(this.#growing, growing);
    this.#painted.add(editor);
  }

  #wipe(editor: TextEditor): void {
    if (!this.#painted.delete(editor)) return;
    editor.setDecorations(this.#removed, []);
    editor.setDecorations(this.#growing, []);
  }

  #find(document: TextDocument, { index, old = "" }: Draft): Lines | undefined {
    const draft = `${index} ${old}`;
    const known = this.#found.find((found) => found.document === document && found.draft === draft);
    if (known?.version === document.version) return known.lines;
    const found = { document, version: document.version, draft, lines: findLines(document.getText(), old) };
    this.#found = [...this.#found.filter((other) => other !== known), found];
    return found.lines;
  }

  async #showDraft(draft: Draft): Promise<void> {
    const key = `${draft.index} ${draft.path}`;
    if (key === this.#shown) return;
    this.#shown = key;
    for (const address of addressesOf(draft.path)) {
      const editor = await this.#show(Uri.parse(address));
      if (!editor) continue;
      const lines = draft.old === undefined ? undefined : findLines(editor.document.getText(), draft.old);
      if (lines) {
        const range = new Range(lines.from, 0, lines.to, 0);
        editor.revealRange(range, TextEditorRevealType.InCenterIfOutsideViewport);
      }
      return this.#draw();
    }
  }

  /** Shows a file beside the user's work; the keyboard stays where it is. */
  async #show(uri: Uri): Promise<TextEditor | undefined> {
    const open = window.visibleTextEditors.find(({ document }) => document.uri.toString() === uri.toString());
    if (open) return open;
    if (isNotebook(uri)) {
      await commands
        .executeCommand("vscode.open", uri, { preview: true, preserveFocus: true })
        .then(undefined, () => undefined);
      return undefined;
    }
    try {
      return await window.showTextDocument(uri, { preview: true, preserveFocus: true });
    } catch {
      // A new file is not there before it is written; its change will show it.
      return undefined;
    }
  }
}

/** The addresses that a path of the model may mean. */
function addressesOf(path: string): readonly string[] {
  if (/^([a-z]:)?[\\/]/i.test(path)) return [Uri.file(path).toString()];
  return (workspace.workspaceFolders ?? []).map(({ uri }) => Uri.joinPath(uri, path).toString());
}

function box(draft: Draft, range: Range, below: boolean): DecorationOptions {
  return {
    range,
    renderOptions: {
      after: {
        // VS Code shows one line of `contentText`, and none at all without it; the style brings the others.
        contentText: " ",
        textDecoration: previewCss(draft.text, below),
        color: new ThemeColor("editor.foreground"),
        backgroundColor: new ThemeColor("editor.background"),
      },
    },
  };
}
