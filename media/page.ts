/**
 * The page's side of the wire to the extension, and the drafts that outlive the page.
 *
 * Not here: what messages mean. Easily got wrong: `acquireVsCodeApi` may be called once, and messages are taken only
 * from the page's own window: the extension is the only one that can post there.
 */
import type { FromPanel, ToPanel } from "../server/src/protocol/panel.ts";

interface VsCodeApi {
  postMessage(message: FromPanel): void;
  getState(): unknown;
  setState(state: Saved): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

/** What the page keeps for itself while VS Code destroys and makes it again. */
export interface Saved {
  readonly draft: string;
}

/** Messages out, messages in, and the saved draft. */
export interface Page {
  post(message: FromPanel): void;
  /** Calls `run` for every message from the extension. */
  listen(run: (message: ToPanel) => void): void;
  readonly saved: Saved;
  save(saved: Saved): void;
}

/** Connects the page. Call it once. */
export function connectPage(): Page {
  const api = acquireVsCodeApi();
  const state = api.getState();
  const draft = isRecord(state) && typeof state.draft === "string" ? state.draft : "";
  return {
    post: (message) => api.postMessage(message),
    listen: (run) =>
      window.addEventListener("message", ({ data }) => {
        if (isMessage(data)) run(data);
      }),
    saved: { draft },
    save: (saved) => api.setState(saved),
  };
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null;
}

function isMessage(value: unknown): value is ToPanel {
  return isRecord(value) && typeof value.type === "string";
}
