/**
 * Opens a whole VS Code for one test: its own copy of a workspace, its own stored state, its own home, a page that
 * shows it, and ways to reach the Hermes panel in that page.
 *
 * Not here: what a test does with it. Easily got wrong: API keys of the machine never reach the editor, so a test that
 * wants a model says so in `env`.
 */
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { FrameLocator, Locator, Page } from "playwright-core";
import { root } from "../../rig/bootstrap.mjs";
import { hostEnvironment } from "../../rig/hostEnvironment.ts";
import { startWebServer, type WebServer } from "../../rig/webServer.ts";
import { sharedBrowser } from "./browser.ts";

/** What a test may choose. */
export interface WorkbenchOptions {
  /** A folder to copy, or files by relative path. Default: the sample project. */
  readonly workspace?: string | Readonly<Record<string, string>>;
  /** Added to the environment of the editor, its extension host and the agent host. */
  readonly env?: Readonly<Record<string, string>>;
  /** The folder of the extension. Default: `HERMES_EXTENSION`, or else the project. */
  readonly extension?: string;
  /** The folder of a second extension, a test's own; it is installed, because only one can be under development. */
  readonly companion?: string;
  /** Settings, merged over the rig's. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** A module that the extension host runs as tests; see `exit`. */
  readonly testsPath?: string;
  /** Names the pictures. */
  readonly name?: string;
}

/** An open VS Code. */
export interface Workbench {
  readonly page: Page;
  /** The inside of the Hermes panel: `panel.getByRole("textbox")`. Empty until `openPanel` or a click opens it. */
  readonly panel: FrameLocator;
  /** The folder that is open: a copy made for this test. */
  readonly workspace: string;
  /** Where the agent host keeps sessions, rules and logs. */
  readonly hermesHome: string;
  readonly server: WebServer;
  /** What the extension host and the page printed, newest last, at most 2,000 lines. */
  readonly log: readonly string[];
  /** Resolves with the exit code when the tests given by `testsPath` have run. */
  readonly exit: Promise<number>;
  /** Runs a command from the palette by its full title, as `Hermes: New Session`. */
  readonly runCommand: (title: string) => Promise<void>;
  /** Shows the panel by its command and returns its inside, loaded. */
  readonly openPanel: () => Promise<FrameLocator>;
  /** Opens a file of the workspace in an editor, by keys. */
  readonly openFile: (relativePath: string) => Promise<void>;
  /** The text of a workspace file on disk. */
  readonly readFile: (relativePath: string) => Promise<string>;
  /** Takes a picture, of all or of one part: `test-results/<name>-<label>.png`. */
  readonly screenshot: (label: string, part?: Locator) => Promise<string>;
  /** Loads the page anew, as a user would, and waits until the workbench is back. */
  readonly reload: () => Promise<void>;
  /** Closes the page, the server and everything below it, and removes the folders. */
  readonly close: () => Promise<void>;
}

/** The extension under test. */
export function extensionFolder(): string {
  return process.env.HERMES_EXTENSION ?? root;
}

/** How long VS Code may take to show itself, in ms; usually under 5,000. */
const readyDeadlineMs = 60_000;

const logNoise =
  /vsda|spdlog|native-watchdog|deviceid|service ?worker|manifest\.json|favicon|update\/check|net::ERR|agent ?host|The web worker extension host|ERR_NAME_NOT_RESOLVED|open-vsx|Failed to load resource/i;

/** Opens VS Code for `body`, and closes it whatever happens; a failure leaves a picture and the log in `test-results`. */
export async function withWorkbench<T>(
  options: WorkbenchOptions,
  body: (workbench: Workbench) => Promise<T>,
): Promise<T> {
  const workbench = await openWorkbench(options);
  try {
    return await body(workbench);
  } catch (error) {
    await workbench.screenshot("failed").catch(() => {});
    await fs.writeFile(resultFile(options.name, "failed", "txt"), workbench.log.join("\n"));
    throw error;
  } finally {
    await workbench.close();
  }
}

/** Opens VS Code; the caller must `close` it. */
export async function openWorkbench(options: WorkbenchOptions): Promise<Workbench> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "hermes-test-"));
  const closers: (() => Promise<unknown>)[] = [
    () => fs.rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
  ];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const workspace = await layOut(folder, options.workspace ?? path.join(root, "sample"));
    const hermesHome = path.join(folder, "home", ".hermes");
    await fs.mkdir(hermesHome, { recursive: true });
    const log: string[] = [];
    const addLog = (line: string) => {
      const text = line.trimEnd();
      if (text === "" || logNoise.test(text)) return;
      log.push(text);
      if (log.length > 2000) log.shift();
    };
    const stateFolder = path.join(folder, "state");
    if (options.companion !== undefined) await installCompanion(options.companion, stateFolder);
    const server = await startWebServer({
      stateFolder,
      port: 0,
      testDriver: true,
      env: testEnvironment(folder, options.env ?? {}),
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      log: addLog,
    });
    closers.push(server.close);
    const browser = await sharedBrowser();
    const context = await browser.newContext({
      viewport: { width: 1400, height: 900 },
      permissions: ["clipboard-read", "clipboard-write"],
    });
    closers.push(() => context.close());
    const page = await context.newPage();
    page.on("console", (message) => addLog(`[page] ${message.text().slice(0, 2000)}`));
    const exit = new Promise<number>((resolve) => {
      void page.exposeFunction("codeAutomationExit", (code: number) => resolve(code));
    });
    await page.exposeFunction("codeAutomationLog", (type: string, args: unknown[]) =>
      addLog(`[host ${type}] ${describeLog(args)}`),
    );
    const remote = `vscode-remote://127.0.0.1:${server.port}`;
    const payload: [string, string][] = [
      ["extensionDevelopmentPath", `${remote}${options.extension ?? extensionFolder()}`],
    ];
    if (options.testsPath !== undefined) payload.push(["extensionTestsPath", `${remote}${options.testsPath}`]);
    const untilReady = () => page.locator(".monaco-workbench .statusbar").waitFor({ timeout: readyDeadlineMs });
    await page.goto(server.url(workspace, payload));
    await untilReady();
    const panel = page
      .frameLocator('iframe.webview[src*="extensionId=hermes-agent.hermes"]')
      .frameLocator("iframe#active-frame");
    const runCommand = (title: string) => runPaletteCommand(page, title);
    return {
      page,
      panel,
      workspace,
      hermesHome,
      server,
      log,
      exit,
      runCommand,
      openPanel: async () => {
        await runCommand("Hermes: Open Panel");
        // The command puts the cursor there, a moment after the page shows: until then it would close what a test opens.
        await panel.locator("textarea:focus").waitFor({ timeout: readyDeadlineMs });
        return panel;
      },
      openFile: async (relativePath) => {
        await openQuickly(page, relativePath);
        await page
          .locator(".tab.active")
          .filter({ hasText: path.basename(relativePath) })
          .waitFor();
        // A notebook's cells lie over the editor's place, not in it.
        const cells = page.locator(".notebookOverlay .cell-list-container .monaco-list-row").first();
        const text = page.locator(".editor-instance .monaco-editor.focused");
        await (relativePath.endsWith(".ipynb") ? cells : text).waitFor();
      },
      readFile: (relativePath) => fs.readFile(path.join(workspace, relativePath), "utf8"),
      screenshot: async (label, part) => {
        const file = resultFile(options.name, label, "png");
        await fs.mkdir(path.dirname(file), { recursive: true });
        await (part ?? page).screenshot({ path: file });
        return file;
      },
      reload: async () => {
        await page.reload();
        await untilReady();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Picks a file in Quick Open. It is opened again when something else takes the keyboard meanwhile and closes it. */
async function openQuickly(page: Page, relativePath: string): Promise<void> {
  const row = page
    .locator(".quick-input-list .monaco-list-row.focused")
    .filter({ hasText: path.basename(relativePath) });
  const deadline = Date.now() + readyDeadlineMs;
  for (;;) {
    try {
      await page.keyboard.press("ControlOrMeta+KeyP");
      await page.locator(".quick-input-widget input").fill(relativePath, { timeout: 5_000 });
      await row.waitFor({ timeout: 5_000 });
      return await page.keyboard.press("Enter");
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`Quick Open does not offer "${relativePath}".`, { cause: error });
      await page.keyboard.press("Escape");
    }
  }
}

/** Picks a command in the palette. The row is awaited, because extensions register theirs after the window shows. */
async function runPaletteCommand(page: Page, title: string): Promise<void> {
  const input = page.locator(".quick-input-widget input");
  const row = page.locator(".quick-input-list .monaco-list-row.focused").filter({ hasText: title });
  const deadline = Date.now() + readyDeadlineMs;
  await page.keyboard.press("F1");
  await input.waitFor();
  for (;;) {
    // The list is made when the text changes, so it is changed until the command is known.
    await input.fill(">");
    await input.fill(`>${title}`);
    try {
      await row.waitFor({ timeout: 500 });
      break;
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`The palette does not offer "${title}".`, { cause: error });
    }
  }
  await page.keyboard.press("Enter");
}

async function layOut(folder: string, content: string | Readonly<Record<string, string>>): Promise<string> {
  const workspace = path.join(folder, typeof content === "string" ? path.basename(content) : "workspace");
  await fs.mkdir(workspace, { recursive: true });
  if (typeof content === "string") {
    await fs.cp(content, workspace, { recursive: true });
  } else {
    for (const [name, text] of Object.entries(content)) {
      await fs.mkdir(path.dirname(path.join(workspace, name)), { recursive: true });
      await fs.writeFile(path.join(workspace, name), text);
    }
  }
  return workspace;
}

async function installCompanion(folder: string, stateFolder: string): Promise<void> {
  const manifest = JSON.parse(await fs.readFile(path.join(folder, "package.json"), "utf8"));
  const name = `${manifest.publisher}.${manifest.name}-${manifest.version}`;
  await fs.cp(folder, path.join(stateFolder, "extensions", name), { recursive: true });
}

/** The machine's environment with a home of its own and without keys or addresses of models. */
export function testEnvironment(folder: string, extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const clean = Object.entries(hostEnvironment(process.env)).filter(
    ([name]) => !/^(ANTHROPIC|OPENAI|HERMES|XDG)_|_API_KEY$/.test(name),
  );
  const home = path.join(folder, "home");
  return {
    ...Object.fromEntries(clean),
    HOME: home,
    USERPROFILE: home,
    HERMES_HOME: path.join(home, ".hermes"),
    ...extra,
  };
}

function resultFile(name: string | undefined, label: string, extension: string): string {
  return path.join(root, "test-results", `${name ?? "workbench"}-${label}.${extension}`);
}

function describeLog(args: readonly unknown[]): string {
  const text = args.map((arg) => (typeof arg === "string" ? arg : JSON.stringify(arg))).join(" ");
  return text
    .replaceAll("%c", "")
    .replace(/\bcolor: ?[^;]*;?/g, "")
    .slice(0, 2000);
}
