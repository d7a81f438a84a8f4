/**
 * Runs one shell command in its own process group and leaves nothing of it behind.
 *
 * An adapter's part: the only place that starts a shell. Not here: what may run (permission) and how output is capped
 * (`cappedOutput.ts`). Easily got wrong: a command may leave background processes that hold its output open; they are
 * ended with it. A process that leaves the group by `setsid` escapes, as it does from a terminal.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode, messageOf, ToolError } from "../base/errors.ts";
import type { CappedOutput } from "./cappedOutput.ts";
import type { RunOptions, RunOutcome } from "./workspace.ts";

/** Environment variables by name. */
export type ShellEnvironment = { readonly [name: string]: string | undefined };

/** What a command runs with. */
export interface ShellDeps {
  readonly cwd: string;
  /** Without secrets: the command sees all of it. */
  readonly env: ShellEnvironment;
  readonly output: CappedOutput;
}

/** Milliseconds between asking a group to end and ending it. */
const graceMs = 500;
/** Milliseconds to wait for a killed group to be gone: a zombie that nobody reaps must not hold up the answer. */
const goneMs = 1_000;
const pollMs = 10;

/**
 * The group's leader starts two processes. A watcher reads from a pipe that only the host holds open: when the host dies,
 * however it dies, the pipe ends and the watcher kills the group. The command's shell is the other; the leader waits for
 * it, takes the watcher away, and ends with its exit code. It stays through SIGTERM, so that both are reaped even where
 * no init process does that (containers).
 */
const guarded = [
  "(trap '' TERM INT HUP QUIT; read -r _ <&3; kill -9 0) >/dev/null 2>&1 &",
  "watcher=$!",
  "exec 3<&- 2>&1",
  "trap : TERM",
  '"$1" -c "$2"',
  "code=$?",
  "exec >/dev/null 2>&1",
  "kill -9 $watcher",
  "wait $watcher",
  "exit $code",
].join("\n");

/**
 * Runs a command and resolves when its whole group is gone and all output has arrived. A timeout is an outcome; an abort
 * rejects with its reason once the group is gone. Throws `ToolError` when the shell cannot be started.
 */
export async function runShell(options: RunOptions, deps: ShellDeps, signal: AbortSignal): Promise<RunOutcome> {
  signal.throwIfAborted();
  const child = await start(options.command, deps);
  let timedOut = false;
  let kill: NodeJS.Timeout | undefined;
  const end = () => {
    signalGroup(child, "SIGTERM");
    kill ??= setTimeout(() => signalGroup(child, "SIGKILL"), graceMs);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, options.timeoutMs);
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  const drained = drain(child, options, deps.output).catch((error: unknown) => {
    end();
    return { error };
  });
  const [exitCode, exitSignal] = await exitOf(child);
  clearTimeout(timer);
  clearTimeout(kill);
  signal.removeEventListener("abort", end);
  await endRest(child, drained);
  const failure = await drained;
  const shown = await deps.output.finish();
  signal.throwIfAborted();
  if (failure) throw failure.error;
  return { ...endingOf(exitCode, exitSignal), timedOut, ...shown };
}

/** Shells tell of a command that a signal ended by the exit code 128 plus its number. */
function endingOf(exitCode: number | null, signal: NodeJS.Signals | null): Pick<RunOutcome, "exitCode" | "signal"> {
  const name = Object.entries(constants.signals).find(([, number]) => exitCode === 128 + number)?.[0];
  return name === undefined ? { exitCode, signal } : { exitCode: null, signal: name };
}

async function start(command: string, { cwd, env }: ShellDeps): Promise<ChildProcess> {
  const settings = { cwd, env: environmentOf(env), detached: process.platform !== "win32", windowsHide: true };
  const child =
    process.platform === "win32"
      ? spawn(env.ComSpec ?? "cmd.exe", ["/d", "/s", "/c", `"${command} 2>&1"`], {
          ...settings,
          stdio: ["ignore", "pipe", "ignore"],
          windowsVerbatimArguments: true,
        })
      : spawn("/bin/sh", ["-c", guarded, "sh", shellPath(), command], {
          ...settings,
          stdio: ["ignore", "pipe", "ignore", "pipe"],
        });
  // The pipe to the watcher breaks when the group is killed; that is its purpose.
  child.stdio[3]?.on("error", () => undefined);
  try {
    await once(child, "spawn");
  } catch (cause) {
    throw new ToolError(
      `The command could not be started in ${cwd}: ${messageOf(cause)}. Check that the folder exists and that the machine has a shell.`,
      { cause },
    );
  }
  return child;
}

function shellPath(): string {
  return existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh";
}

/**
 * No pagers and no colours, as nobody sees a terminal; no password prompts of git, as nobody could answer; and nothing
 * that would turn an Electron program started by the command into plain Node.
 */
function environmentOf(env: ShellEnvironment): { [name: string]: string | undefined } {
  const { ELECTRON_RUN_AS_NODE: _electron, FORCE_COLOR: _color, ...rest } = env;
  return { ...rest, PAGER: "cat", GIT_PAGER: "cat", TERM: "dumb", NO_COLOR: "1", GIT_TERMINAL_PROMPT: "0" };
}

/** Resolves when the output has ended or was cut off by `endRest`. */
async function drain(child: ChildProcess, options: RunOptions, output: CappedOutput): Promise<undefined> {
  const decoder = new TextDecoder();
  const report = (text: string) => {
    if (text !== "") options.onOutput(text);
  };
  try {
    for await (const chunk of child.stdout ?? []) {
      report(decoder.decode(chunk, { stream: true }));
      await output.push(chunk);
    }
  } catch (error) {
    if (errorCode(error) !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
  report(decoder.decode());
}

function exitOf(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve([child.exitCode, child.signalCode]);
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve([code, signal])));
}

/** After the command: ends what it left running, then waits for its output and for the group itself. */
async function endRest(child: ChildProcess, drained: Promise<unknown>): Promise<void> {
  if (signalGroup(child, "SIGTERM") && !(await goneWithin(child, graceMs))) {
    signalGroup(child, "SIGKILL");
    await goneWithin(child, goneMs);
  }
  child.stdio[3]?.destroy();
  // Still open then means held by a process that left the group: its output is no longer the command's.
  if (!(await settledWithin(drained, graceMs))) child.stdout?.destroy();
}

async function goneWithin(child: ChildProcess, ms: number): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += pollMs) {
    if (!(await groupLives(child))) return true;
    await sleep(pollMs);
  }
  return false;
}

/** A group of nothing but zombies, which signals still reach, is dead. */
async function groupLives(child: ChildProcess): Promise<boolean> {
  if (!signalGroup(child, 0)) return false;
  if (process.platform !== "linux") return true;
  for (const entry of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    const status = await readFile(`/proc/${entry}/stat`, "utf8").catch(() => "");
    // `pid (name) state parent group`: the name may hold anything, so count from its closing bracket.
    const [, state = "Z", , group] = status.slice(status.lastIndexOf(")")).split(" ");
    if (Number(group) === child.pid && state !== "Z" && state !== "X") return true;
  }
  return false;
}

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return settled;
}

/** False when there is no such group any more. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false;
  try {
    if (process.platform === "win32") {
      if (signal === 0) return false;
      spawn("taskkill", ["/pid", String(child.pid), "/T", "/F"], { stdio: "ignore", windowsHide: true }).unref();
    } else process.kill(-child.pid, signal);
    return true;
  } catch {
    return false;
  }
}
