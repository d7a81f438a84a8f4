/**
 * The panel's page in headless Chromium, without VS Code: messages in, intents out, in any theme and width.
 *
 * Not here: assertions. Easily got wrong: the page is built from its sources each time, so `dist/` may be stale or
 * missing; and its policy is the one that the extension sets, so inline styles and scripts fail here as they do there.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { bundles } from "../../build.mjs";
import type { FromPanel, ToPanel } from "../../server/src/protocol/panel.ts";
import { findChromium } from "../host/support/chromium.ts";

/** The themes that the page is looked at in. */
export type Theme = "dark" | "light" | "high-contrast" | "high-contrast-light";

/** A page that has said `ready`. */
export interface PanelPage {
  readonly page: Page;
  /** Sends messages as the extension does, and waits for the frame that shows them. */
  send(...messages: readonly ToPanel[]): Promise<void>;
  /** What the page has said since the last call, but that the user is about to write: that comes with every focus. */
  posted(): Promise<readonly Exclude<FromPanel, WarmUp>[]>;
  /** How often the page has said that the user is about to write or writes, and which of the two, since the page was made. */
  warmUps(): Promise<readonly WarmUp["intent"][]>;
  close(): Promise<void>;
}

type WarmUp = Extract<FromPanel, { readonly type: "warm_up" }>;

/** Where and how the page is shown. */
export interface PanelPageOptions {
  readonly theme?: Theme;
  readonly width?: number;
  readonly height?: number;
  /** What the page had saved before it was destroyed. */
  readonly saved?: unknown;
}

const origin = "https://panel.test";

/** Starts the browser. Close it. */
export async function openBrowser(): Promise<Browser> {
  const { executablePath, libraryPath } = await findChromium(() => undefined);
  return chromium.launch({
    executablePath,
    args: ["--disable-gpu"],
    ...(libraryPath === undefined ? {} : { env: { ...process.env, LD_LIBRARY_PATH: libraryPath } }),
  });
}

/** Builds the page's files, by name. */
export async function buildPanel(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { outputFiles = [] } = await build({ ...bundles({ production: true }).panel, write: false });
  return new Map(outputFiles.map(({ path, contents }) => [path.slice(path.lastIndexOf("/") + 1), contents]));
}

/** Opens the page. `files` come from `buildPanel`. */
export async function openPanelPage(
  browser: Browser,
  files: ReadonlyMap<string, Uint8Array>,
  options: PanelPageOptions = {},
): Promise<PanelPage> {
  const { theme = "dark", width = 400, height = 800, saved } = options;
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: "reduce" });
  const page = await context.newPage();
  const themes = await readFile(join(import.meta.dirname, "themes.css"), "utf8");
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  await page.route(`${origin}/**`, (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    if (name === "") return route.fulfill({ contentType: "text/html", body: html(theme) });
    if (name === "themes.css") return route.fulfill({ contentType: "text/css", body: themes });
    const contents = files.get(name);
    if (!contents) return route.fulfill({ status: 404, body: "" });
    const contentType = name.endsWith(".js") ? "text/javascript" : name.endsWith(".css") ? "text/css" : "font/ttf";
    return route.fulfill({ contentType, body: Buffer.from(contents) });
  });
  await page.addInitScript((state) => {
    const posted: unknown[] = [];
    const warmUps: unknown[] = [];
    Object.assign(window, {
      posted,
      warmUps,
      acquireVsCodeApi: () => ({
        postMessage: (message: { readonly type: string; readonly intent?: string }) =>
          message.type === "warm_up" ? warmUps.push(message.intent) : posted.push(structuredClone(message)),
        getState: () => state,
        setState: (next: unknown) => Object.assign(window, { saved: next }),
      }),
    });
  }, saved);
  await page.goto(origin);
  await page.waitForFunction(() => "posted" in window && Array.isArray(window.posted) && window.posted.length > 0);
  const frame = () =>
    page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null)))));
  return {
    page,
    send: async (...messages) => {
      // As text: the types of messages are too deep for the types of `evaluate`.
      await page.evaluate((text) => {
        for (const data of JSON.parse(text)) window.dispatchEvent(new MessageEvent("message", { data }));
      }, JSON.stringify(messages));
      await frame();
    },
    posted: () =>
      page.evaluate(() => {
        const { posted } = window as unknown as { posted: Exclude<FromPanel, WarmUp>[] };
        return posted.splice(0);
      }),
    warmUps: () => page.evaluate(() => (window as unknown as { warmUps: WarmUp["intent"][] }).warmUps),
    close: async () => {
      await context.close();
      if (problems.length > 0) throw new Error(`The page complained: ${problems.join("; ")}`);
    },
  };
}

function html(theme: Theme): string {
  const policy = `default-src 'none'; script-src 'nonce-x'; style-src ${origin}; font-src ${origin}; img-src data:`;
  const kind = theme.startsWith("high") ? `vscode-${theme} vscode-high-contrast` : `vscode-${theme}`;
  return `<!DOCTYPE html><html lang="en" data-theme="${theme}"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}"><title>Hermes</title>
<link rel="stylesheet" href="themes.css"><link rel="stylesheet" href="panel.css"></head>
<body class="${kind}"><script nonce="x" src="panel.js"></script></body></html>`;
}
