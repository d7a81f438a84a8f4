/**
 * Hosts the panel's page: its content policy, its files, and messages relayed unchanged both ways.
 *
 * Not here: what messages mean. Easily got wrong: the page is destroyed whenever it is hidden and comes back without
 * memory; it says `ready` and is told everything again.
 */
import { randomBytes } from "node:crypto";
import {
  commands,
  type Disposable,
  type Event,
  EventEmitter,
  Uri,
  type WebviewView,
  type WebviewViewProvider,
} from "vscode";
import type { FromPanel, ToPanel } from "../../server/src/protocol/panel.ts";

/** The id of the view, as the manifest has it. */
export const viewId = "hermes.panel";

/** The panel. Register it as the provider of `viewId`. */
export class ChatView implements WebviewViewProvider, Disposable {
  readonly #extension: Uri;
  readonly #messages = new EventEmitter<FromPanel>();
  readonly #visibility = new EventEmitter<boolean>();
  #view: WebviewView | undefined;
  /** Resolves when the page of the view listens. */
  #listening = Promise.withResolvers<void>();
  /** Whether the page that is being loaded should take the keyboard, because the user has asked for it. */
  #wantsFocus = false;

  /** The page says something. */
  readonly onDidReceive: Event<FromPanel> = this.#messages.event;
  /** The panel was shown or hidden. */
  readonly onDidChangeVisibility: Event<boolean> = this.#visibility.event;

  /** `extension` is the extension's folder. */
  constructor(extension: Uri) {
    this.#extension = extension;
  }

  /** Whether the user can see the panel. */
  get visible(): boolean {
    return this.#view?.visible ?? false;
  }

  /** Fills the view. VS Code calls it whenever the view has to be made. */
  resolveWebviewView(view: WebviewView): void {
    this.#view = view;
    this.#listening = Promise.withResolvers<void>();
    const { webview } = view;
    const dist = Uri.joinPath(this.#extension, "dist");
    webview.options = { enableScripts: true, localResourceRoots: [dist, Uri.joinPath(this.#extension, "media")] };
    webview.onDidReceiveMessage((message: FromPanel) => this.#receive(message));
    view.onDidChangeVisibility(() => {
      if (!view.visible) this.#listening = Promise.withResolvers<void>();
      this.#visibility.fire(view.visible);
    });
    view.onDidDispose(() => {
      if (this.#view === view) this.#view = undefined;
    });
    const file = (name: string) => webview.asWebviewUri(Uri.joinPath(dist, name)).toString();
    webview.html = pageHtml({ script: file("panel.js"), style: file("panel.css"), source: webview.cspSource });
  }

  /** Shows the panel, gives it the keyboard and sends to its page as soon as that listens. */
  async tell(message: ToPanel): Promise<void> {
    await commands.executeCommand(`${viewId}.focus`);
    await this.#listening.promise;
    this.post(message);
  }

  /** Sends to the page; lost when there is none, because a new page is told everything. */
  post(message: ToPanel): void {
    void this.#view?.webview.postMessage(message);
  }

  /** Shows the panel and, if asked, puts the cursor into its prompt box. */
  async show(options: { readonly takeFocus: boolean }): Promise<void> {
    if (this.#view && !options.takeFocus) return this.#view.show(true);
    this.#wantsFocus = options.takeFocus && !this.visible;
    await commands.executeCommand(`${viewId}.focus`);
    if (options.takeFocus) this.post({ type: "focus" });
  }

  /** A number or a dot on the panel's icon, to call the user. */
  setBadge(count: number): void {
    if (!this.#view) return;
    this.#view.badge = count === 0 ? undefined : { value: count, tooltip: "Hermes asks for your approval" };
  }

  #receive(message: FromPanel): void {
    this.#messages.fire(message);
    if (message.type === "ready") this.#listening.resolve();
    if (message.type !== "ready" || !this.#wantsFocus) return;
    this.#wantsFocus = false;
    this.post({ type: "focus" });
  }

  dispose(): void {
    this.#messages.dispose();
    this.#visibility.dispose();
  }
}

function pageHtml(files: { readonly script: string; readonly style: string; readonly source: string }): string {
  const nonce = randomBytes(18).toString("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${files.source}`,
    `font-src ${files.source}`,
    "img-src data:",
    "form-action 'none'",
    "base-uri 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hermes</title>
<link rel="stylesheet" href="${files.style}">
</head>
<body>
<script nonce="${nonce}" src="${files.script}"></script>
</body>
</html>`;
}
