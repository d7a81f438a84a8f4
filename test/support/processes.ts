/**
 * Starts the shipped bundles as real processes: the terminal entry, and the host over LSP's stdio.
 *
 * Not here: VS Code (`test/host`). Easily got wrong: everything started here is ended by its own pid in `dispose`, and
 * nothing waits for time: callers await messages and exits.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import {
  createMessageConnection,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import * as clientMethods from "../../server/src/protocol/clientMethods.ts";
import type { SessionUpdate } from "../../server/src/protocol/events.ts";
import type { InitializationOptions } from "../../server/src/protocol/methods.ts";
import type { ApprovalChoice, PermissionRequest } from "../../server/src/protocol/types.ts";

/** The folder with `cli.js` and `server.js` of this test run. */
export function testDist(): string {
  const dist = process.env.HERMES_TEST_DIST;
  if (!dist) throw new Error("The host is not bundled: vitest.config.ts must name test/support/bundleHost.ts.");
  return dist;
}

/** What a finished program left behind. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON lines. */
  readonly lines: () => readonly { readonly type: string; readonly [key: string]: unknown }[];
}

/** Runs `hermes` to its end. */
export async function runHermes(
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly input?: string },
): Promise<Finished> {
  const child = spawn(process.execPath, [join(testDist(), "cli.js"), ...args], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(options.input ?? "");
  const [stdout, stderr, [code]] = await Promise.all([
    readAll(child.stdout),
    readAll(child.stderr),
    once(child, "close"),
  ]);
  const lines = () =>
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  return { code, stdout, stderr, lines };
}

/** A host process with a client's end of the connection. */
export interface HostProcess extends AsyncDisposable {
  readonly connection: MessageConnection;
  readonly child: ChildProcess;
  readonly pid: number;
  readonly updates: SessionUpdate[];
  /** Resolves when an update satisfies the test; updates so far count. */
  readonly until: (test: (update: SessionUpdate) => boolean) => Promise<SessionUpdate>;
  /** Resolves when the process has ended. */
  readonly ended: Promise<unknown>;
}

/** Starts a host on a folder and initialises it. */
export async function startHost(options: {
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  readonly initialization?: Partial<InitializationOptions>;
  readonly ask?: (request: PermissionRequest) => Promise<ApprovalChoice>;
  /** The URI of the workspace folder; that of `root` when absent. */
  readonly folder?: string;
  /** Called before `initialize`, to serve more of the client's side. */
  readonly prepare?: (connection: MessageConnection) => void;
}): Promise<HostProcess> {
  const child = spawn(process.execPath, [join(testDist(), "server.js"), "--stdio"], {
    cwd: options.root,
    env: { PATH: process.env.PATH, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr = (stderr + chunk).slice(-10_000);
  });
  const connection = createMessageConnection(
    new StreamMessageReader(child.stdout),
    new StreamMessageWriter(child.stdin),
  );
  const updates: SessionUpdate[] = [];
  const watchers = new Set<(update: SessionUpdate) => void>();
  connection.onNotification(clientMethods.sessionUpdate, ({ updates: batch }) => {
    for (const update of batch) {
      updates.push(update);
      for (const watcher of [...watchers]) watcher(update);
    }
  });
  connection.onRequest(clientMethods.requestPermission, async (request) => ({
    choice: await (options.ask?.(request) ?? Promise.resolve("allow_once" as const)),
  }));
  connection.onRequest("window/workDoneProgress/create", () => null);
  connection.onRequest("client/registerCapability", () => null);
  options.prepare?.(connection);
  connection.listen();
  await connection.sendRequest("initialize", {
    processId: process.pid,
    rootUri: null,
    capabilities: {
      window: { workDoneProgress: true },
      workspace: { applyEdit: true, didChangeWatchedFiles: { dynamicRegistration: true } },
    },
    workspaceFolders: [{ uri: options.folder ?? pathToFileURL(options.root).href, name: "work" }],
    initializationOptions: { credentials: {}, settings: {}, trusted: true, ...options.initialization },
  });
  await connection.sendNotification("initialized", {});
  return {
    connection,
    child,
    pid: child.pid ?? 0,
    updates,
    ended,
    until: (test) => {
      const past = updates.find(test);
      if (past) return Promise.resolve(past);
      return new Promise((resolve, reject) => {
        const watcher = (update: SessionUpdate) => {
          if (!test(update)) return;
          watchers.delete(watcher);
          resolve(update);
        };
        watchers.add(watcher);
        ended.then(() => reject(new Error(`The host ended. ${stderr}`)), reject);
      });
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        await connection.sendRequest("shutdown").catch(() => undefined);
        await connection.sendNotification("exit").catch(() => undefined);
        child.stdin.end();
      }
      await ended;
      connection.dispose();
    },
  };
}

/** Pids of running processes whose command line or environment holds `mark`. Linux only, where CI runs. */
export async function processesWith(mark: string): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const read = (name: string) => readFile(`/proc/${pid}/${name}`, "latin1").catch(() => "");
      const [command, environment, status] = await Promise.all([read("cmdline"), read("environ"), read("status")]);
      const isZombie = /^State:\s+Z/m.test(status);
      return !isZombie && (command.includes(mark) || environment.includes(mark)) ? [Number(pid)] : [];
    }),
  );
  return found.flat().filter((pid) => pid !== process.pid);
}

/** Resolves when no process holds `mark`; gives up after many looks, naming those left. */
export async function noneLeft(mark: string): Promise<void> {
  for (let looks = 0; looks < 2_000; looks++) {
    if ((await processesWith(mark)).length === 0) return;
  }
  throw new Error(`Processes are left: ${(await processesWith(mark)).join(", ")}`);
}
