/**
 * What in the editor goes along with a prompt: the selection by itself, the open file on request, and what was pinned.
 *
 * Not here: drawing chips. Easily got wrong: the text is what the editor shows, unsaved changes included, and is frozen
 * when the prompt is sent (a pinned selection: when it was pinned, because lines move).
 */
import {
  type Disposable,
  type Event,
  EventEmitter,
  Position,
  Range,
  type TextDocument,
  type TextEditor,
  window,
  workspace,
} from "vscode";
import type { ReferenceChip } from "../../server/src/protocol/panel.ts";
import type { ReferencePart } from "../../server/src/protocol/types.ts";

/** Characters of a reference; what is longer is cut, with a line that says so. */
const characterLimit = 24_000;
/** Pinned references at most; a further one replaces the oldest. */
const pinLimit = 20;
/** Milliseconds for which the editor must be still before chips follow it. */
const settleMs = 80;

/** The references of the next prompt. */
export class References implements Disposable {
  readonly #changes = new EventEmitter<readonly ReferenceChip[]>();
  readonly #subscriptions: readonly Disposable[];
  #pinned: readonly { readonly id: string; readonly part: ReferencePart }[] = [];
  /** What the user decided about the chip of the active editor, for as long as it has this id. */
  #decided: { readonly id: string; readonly included: boolean } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** The chips changed. */
  readonly onDidChange: Event<readonly ReferenceChip[]> = this.#changes.event;

  constructor() {
    const follow = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#fire(), settleMs);
    };
    this.#subscriptions = [
      window.onDidChangeActiveTextEditor(follow),
      window.onDidChangeTextEditorSelection(({ textEditor }) => {
        if (textEditor === window.activeTextEditor) follow();
      }),
    ];
  }

  /** The chips as they are now. */
  chips(): readonly ReferenceChip[] {
    const active = this.#active();
    const pinned = this.#pinned.map(
      ({ id, part }): ReferenceChip => ({
        id,
        label: part.label,
        kind: "selection",
        included: true,
        bytes: byteCount(part.text),
      }),
    );
    return active && !pinned.some(({ label }) => label === active.chip.label) ? [active.chip, ...pinned] : pinned;
  }

  /** Includes what is only offered; takes out what is included. */
  toggle(id: string): void {
    if (this.#pinned.some((pin) => pin.id === id)) this.#pinned = this.#pinned.filter((pin) => pin.id !== id);
    else {
      const chip = this.#active()?.chip;
      if (chip?.id === id) this.#decided = { id, included: !chip.included };
    }
    this.#fire();
  }

  /** Pins the selection of the active editor, or its whole file. Answers false when there is no such editor. */
  pin(): boolean {
    const active = this.#active();
    if (!active) return false;
    const id = `pin:${active.chip.id}`;
    const others = this.#pinned.filter((pin) => pin.id !== id).slice(1 - pinLimit);
    this.#pinned = [...others, { id, part: freeze(active.editor, active.chip.label) }];
    this.#fire();
    return true;
  }

  /** What goes with the prompt that is being sent; pinned references are used up by it. */
  take(): readonly ReferencePart[] {
    const active = this.#active();
    const included = this.chips().some(({ id, included }) => id === active?.chip.id && included);
    const parts = [
      ...(active && included ? [freeze(active.editor, active.chip.label)] : []),
      ...this.#pinned.map(({ part }) => part),
    ];
    this.#pinned = [];
    this.#fire();
    return parts;
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#changes.dispose();
  }

  #active(): { readonly editor: TextEditor; readonly chip: ReferenceChip } | undefined {
    const editor = window.activeTextEditor;
    if (!editor || !["file", "untitled"].includes(editor.document.uri.scheme)) return undefined;
    const { selection } = editor;
    const label = labelOf(editor);
    const id = `active:${editor.document.uri.toString()}:${selection.isEmpty ? "" : label}`;
    const included = this.#decided?.id === id ? this.#decided.included : !selection.isEmpty;
    const kind = selection.isEmpty ? "file" : "selection";
    return { editor, chip: { id, label, kind, included, bytes: bytesOf(editor) } };
  }

  #fire(): void {
    this.#changes.fire(this.chips());
  }
}

function labelOf({ document, selection }: TextEditor): string {
  const path = workspace.asRelativePath(document.uri);
  if (selection.isEmpty) return path;
  const [from, to] = lines(selection);
  return from === to ? `${path}:${from}` : `${path}:${from}-${to}`;
}

/** First and last line of a selection, from 1; a line of which nothing is selected does not count. */
function lines({ start, end }: TextEditor["selection"]): readonly [number, number] {
  const last = end.character === 0 && end.line > start.line ? end.line : end.line + 1;
  return [start.line + 1, last];
}

function freeze({ document, selection }: TextEditor, label: string): ReferencePart {
  const text = selection.isEmpty ? document.getText() : document.getText(selection);
  return { type: "reference", label, uri: document.uri.toString(), text: cut(text, document) };
}

const encoder = new TextEncoder();

function byteCount(text: string): number {
  return encoder.encode(text).length;
}

/** Bytes of what would be frozen, without taking the text of a long file apart at every move of the cursor. */
function bytesOf({ document, selection }: TextEditor): number {
  const { start, end } = selection.isEmpty ? wholeOf(document) : selection;
  const characters = document.offsetAt(end) - document.offsetAt(start);
  return characters > characterLimit ? characterLimit : byteCount(document.getText(new Range(start, end)));
}

function wholeOf(document: TextDocument): { readonly start: Position; readonly end: Position } {
  return { start: new Position(0, 0), end: document.lineAt(document.lineCount - 1).range.end };
}

function cut(text: string, document: TextDocument): string {
  if (text.length <= characterLimit) return text;
  const note = `\n[Cut after ${characterLimit} characters; read ${workspace.asRelativePath(document.uri)} for the rest.]`;
  return text.slice(0, characterLimit) + note;
}
