/**
 * Marks what is pending outside of the editors' text: badges in the explorer and on tabs, the count in the status bar,
 * and the context keys that switch keys and buttons on.
 *
 * Not here: the text itself (`reviewDecorations.ts`). Easily got wrong: keys of the context hold paths, because an
 * address is written differently where VS Code's window and its extensions are on different machines.
 */
import {
  commands,
  type Disposable,
  type Event,
  EventEmitter,
  FileDecoration,
  type FileDecorationProvider,
  StatusBarAlignment,
  ThemeColor,
  Uri,
  window,
} from "vscode";
import type { Review } from "./review.ts";

/** The marks. Call `refresh` when something else is pending. */
export class ReviewMarks implements FileDecorationProvider, Disposable {
  readonly #review: Review;
  readonly #changes = new EventEmitter<Uri[]>();
  readonly #item = window.createStatusBarItem("hermes.pending", StatusBarAlignment.Right, 99);
  readonly #registration: Disposable;
  #marked: readonly string[] = [];

  /** Badges changed. */
  readonly onDidChangeFileDecorations: Event<Uri[]> = this.#changes.event;

  constructor(review: Review) {
    this.#review = review;
    this.#item.name = "Hermes: Pending Changes";
    this.#item.command = "hermes.review.openAll";
    this.#registration = window.registerFileDecorationProvider(this);
  }

  /** Shows what is pending now. */
  refresh(): void {
    const { count, files } = this.#review;
    const marked = files.map(({ file }) => file.uri);
    const uris = new Set([...this.#marked, ...marked]);
    this.#marked = marked;
    if (uris.size > 0) this.#changes.fire([...uris].map((uri) => Uri.parse(uri)));
    const fileCount = new Set(marked).size;
    const tooltip = `${counted(count, "change")} by Hermes in ${counted(fileCount, "file")} to keep or undo. Click to open the diff`;
    this.#item.text = `$(diff) ${count} pending`;
    this.#item.tooltip = tooltip;
    this.#item.accessibilityInformation = { label: tooltip };
    if (count > 0) this.#item.show();
    else this.#item.hide();
    const paths = Object.fromEntries(marked.map((uri) => [Uri.parse(uri).fsPath, true]));
    void commands.executeCommand("setContext", "hermes.review.pending", count > 0);
    void commands.executeCommand("setContext", "hermes.review.paths", paths);
  }

  provideFileDecoration(uri: Uri): FileDecoration | undefined {
    if (uri.scheme !== "file") return undefined;
    const count = this.#review.hunksAt(uri.toString()).length;
    if (count === 0) return undefined;
    const badge = count > 99 ? "9+" : String(count);
    const color = new ThemeColor("gitDecoration.modifiedResourceForeground");
    return new FileDecoration(badge, `${counted(count, "change")} by Hermes to keep or undo`, color);
  }

  dispose(): void {
    this.#registration.dispose();
    this.#item.dispose();
    this.#changes.dispose();
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
