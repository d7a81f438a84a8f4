/**
 * Runs VS Code's server for the browser on loopback, with settings that show a plain editor and nothing that asks,
 * promotes or phones home.
 *
 * Not here: the browser, and what folder or extension is opened (that is in the address). Easily got wrong: the port is
 * part of the browser's storage key, so state and secrets survive only where the port stays the same.
 */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { startFront } from "./front.ts";
import { rig } from "./install.ts";
import { startProcess, stopProcess } from "./processes.ts";

/** Settings for every window of the rig; a user's own settings win over them. */
export const plainSettings = {
  "chat.disableAIFeatures": true,
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.welcomePage.walkthroughs.openOnInstall": false,
  "workbench.enableExperiments": false,
  "extensions.ignoreRecommendations": true,
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "update.showReleaseNotes": false,
} as const;

/** How to run the server. */
export interface WebServerOptions {
  /** Holds settings, stored state, installed extensions, the token and the secret key; made when missing. */
  readonly stateFolder: string;
  /** The port on 127.0.0.1. With `"stable"` the one used last with this state folder, when it is free. */
  readonly port: number | "stable";
  /** Merged over `plainSettings`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The user's own settings of a new state folder; later they are the user's to change. */
  readonly firstUserSettings?: Readonly<Record<string, unknown>>;
  /** The whole environment of the server, its extension host and its terminals. */
  readonly env: NodeJS.ProcessEnv;
  /** Lets the address name an extension folder and tests to run in the extension host. */
  readonly testDriver?: boolean;
  /** Given every line that the server prints, noise removed. */
  readonly log?: (line: string) => void;
}

/** A running server. */
export interface WebServer {
  readonly port: number;
  /** The process of VS Code's server; its extension hosts are below it. */
  readonly pid: number;
  /** The address that opens `folder`, with extra payload entries for the test driver. */
  readonly url: (folder: string, payload?: readonly (readonly [string, string])[]) => string;
  /** Resolves with the exit code when the server ends by itself. */
  readonly exited: Promise<number | null>;
  /** Ends the server and everything it started. */
  readonly close: () => Promise<void>;
}

/** How long the server may take until it listens, in ms; usually under 500. */
const startDeadlineMs = 60_000;

/** Lines that say nothing to a reader: optional native modules that the rig leaves out. */
const noise =
  /spdlog|native-watchdog|@github\/copilot|agentHost|agent host|\*\s*$|node:internal|^\s*at |requireStack|code: '(ERR_)?MODULE_NOT_FOUND'|^[\s{}\]]*$|bindings|→ /i;

/** Starts the server and resolves when it listens; throws with its output when it does not. */
export async function startWebServer(options: WebServerOptions): Promise<WebServer> {
  const { stateFolder } = options;
  const machineFolder = path.join(stateFolder, "data", "Machine");
  fs.mkdirSync(machineFolder, { recursive: true });
  fs.writeFileSync(
    path.join(machineFolder, "settings.json"),
    JSON.stringify({ ...plainSettings, ...options.settings }, null, 2),
  );
  const userSettings = path.join(stateFolder, "data", "User", "settings.json");
  if (options.firstUserSettings !== undefined && !fs.existsSync(userSettings)) {
    fs.mkdirSync(path.dirname(userSettings), { recursive: true });
    fs.writeFileSync(userSettings, `${JSON.stringify(options.firstUserSettings, null, 2)}\n`);
  }
  const token = keptBytes(path.join(stateFolder, "connection-token"), 16).toString("hex");
  const secretKey = keptBytes(path.join(stateFolder, "secret-key"), 32);
  // A socket path may not be longer than about 100 bytes, so it cannot lie in the state folder.
  const socketFolder = fs.mkdtempSync(path.join(os.tmpdir(), "hermes-vscode-"));
  const socketPath =
    process.platform === "win32" ? `\\\\.\\pipe\\${path.basename(socketFolder)}` : path.join(socketFolder, "s");

  const child = startProcess(
    rig.node,
    [
      rig.serverMain,
      ...["--socket-path", socketPath, "--connection-token", token, "--accept-server-license-terms"],
      ...["--telemetry-level", "off", "--disable-workspace-trust"],
      // Without this a login shell is asked for its environment, which would replace the PATH that was given.
      ...["--force-disable-user-env", ...folderArguments(stateFolder)],
      ...(options.testDriver ? ["--enable-smoke-test-driver"] : []),
    ],
    // VS Code leaves its own sockets behind when it is stopped; here they go with the folder.
    { env: { XDG_RUNTIME_DIR: socketFolder, ...options.env }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let closing = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => {
      if (!closing) resolve(code);
    });
  });
  const removeSocket = () => fs.rmSync(socketFolder, { recursive: true, force: true });
  try {
    await untilListening(child, exited, options.log ?? (() => {}));
    const front = await listen(options.port, stateFolder, (port) => startFront({ socketPath, port, token, secretKey }));
    return {
      port: front.port,
      pid: child.pid ?? 0,
      exited,
      url: (folder, payload = []) => {
        const query = new URLSearchParams({ tkn: token, folder });
        if (payload.length > 0) query.set("payload", JSON.stringify(payload));
        // The folder stays readable: this address is read by people.
        return `http://127.0.0.1:${front.port}/?${query.toString().replaceAll("%2F", "/").replaceAll("%3A", ":")}`;
      },
      close: async () => {
        closing = true;
        front.close();
        await stopProcess(child);
        removeSocket();
      },
    };
  } catch (error) {
    await stopProcess(child);
    removeSocket();
    throw error;
  }
}

/** The arguments that make the server, or its command line, use `stateFolder`. */
export function folderArguments(stateFolder: string): string[] {
  return [
    ...["--server-data-dir", path.join(stateFolder, "server")],
    ...["--user-data-dir", path.join(stateFolder, "data")],
    ...["--extensions-dir", path.join(stateFolder, "extensions")],
  ];
}

async function untilListening(
  child: ReturnType<typeof startProcess>,
  exited: Promise<number | null>,
  log: (line: string) => void,
): Promise<void> {
  let output = "";
  const listening = new Promise<void>((resolve) => {
    const take = (chunk: Buffer) => {
      const text = String(chunk);
      output = (output + text).slice(-8000);
      for (const line of text.split("\n")) if (!noise.test(line)) log(line);
      if (output.includes("Extension host agent listening")) resolve();
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(new Error(`VS Code's server did not listen within ${startDeadlineMs / 1000} s. It said:\n${output}`)),
      startDeadlineMs,
    );
  });
  const died = exited.then((code) => {
    throw new Error(`VS Code's server ended with code ${code} before it listened. It said:\n${output}`);
  });
  try {
    await Promise.race([listening, late, died]);
  } finally {
    clearTimeout(timer);
    died.catch(() => {});
  }
}

/** Opens the wished port, or for `"stable"` the remembered one, falling back to a free one where another program has it. */
async function listen<T extends { readonly port: number }>(
  wish: number | "stable",
  stateFolder: string,
  open: (port: number) => Promise<T>,
): Promise<T> {
  if (wish !== "stable") {
    try {
      return await open(wish);
    } catch (cause) {
      throw new Error(`Port ${wish} on 127.0.0.1 is taken. Choose another with --port, or leave it out.`, { cause });
    }
  }
  const file = path.join(stateFolder, "port");
  const remembered = fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : undefined;
  try {
    if (remembered !== undefined) return await open(remembered);
  } catch {
    return open(0);
  }
  const opened = await open(0);
  fs.writeFileSync(file, String(opened.port));
  return opened;
}

/** The bytes stored in `file`, made at random the first time; only the owner may read it. */
function keptBytes(file: string, size: number): Buffer {
  if (fs.existsSync(file)) {
    const kept = fs.readFileSync(file);
    if (kept.length === size) return kept;
  }
  const bytes = randomBytes(size);
  fs.writeFileSync(file, bytes, { mode: 0o600 });
  return bytes;
}
