/**
 * Starts child programs so that none of them, nor anything they started, outlives this process.
 *
 * Not here: what is started. Easily got wrong: VS Code's terminals and hosts leave the process group, so stopping takes
 * the whole tree of descendants as it was just before the first signal.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import fs from "node:fs";

const running = new Set<ChildProcess>();

/** Starts a program in its own process group; it is ended with this process at the latest. */
export function startProcess(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(command, args, { ...options, detached: process.platform !== "win32" });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Ends a program and everything below it: politely first, after `graceMs` by force. Resolves when all have ended. */
export async function stopProcess(child: ChildProcess, graceMs = 3000): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  const tree = [pid, ...descendants(pid)];
  for (const member of tree) signal(member, "SIGTERM");
  const deadline = Date.now() + graceMs;
  while (tree.some(isAlive) && Date.now() < deadline) await new Promise((done) => setTimeout(done, 25));
  for (const member of tree) if (isAlive(member)) signal(member, "SIGKILL");
  running.delete(child);
}

/** Ends everything that `startProcess` started and that still runs. */
export async function stopAllProcesses(): Promise<void> {
  await Promise.all([...running].map((child) => stopProcess(child)));
}

/**
 * Calls `stop` once when this process is asked to end (Ctrl+C, SIGTERM, SIGHUP) or its parent is gone, ends all started
 * programs, and exits: with 128 plus the signal's number, or with 1 when the parent vanished.
 */
export function stopOnSignals(stop: () => Promise<void> | void): void {
  let stopping = false;
  const end = (code: number) => {
    if (stopping) return;
    stopping = true;
    void Promise.resolve()
      .then(stop)
      .catch((error: unknown) => console.error(error))
      .then(stopAllProcesses)
      .finally(() => process.exit(code));
  };
  process.on("SIGINT", () => end(130));
  process.on("SIGTERM", () => end(143));
  process.on("SIGHUP", () => end(129));
  process.on("disconnect", () => end(1));
  process.on("exit", killAll);
}

/** Last resort when the process exits without having waited: synchronous, by force. */
function killAll(): void {
  for (const child of running) {
    if (child.pid === undefined) continue;
    for (const member of [child.pid, ...descendants(child.pid)]) signal(member, "SIGKILL");
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** True when the process runs; one that has ended and only waits to be collected by its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== "linux") return true;
  try {
    return !/^\d+ \(.*\) Z/s.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Every process below `pid`, nearest first. */
export function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const [child, parent] of processTable()) children.set(parent, [...(children.get(parent) ?? []), child]);
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const below = children.get(next) ?? [];
    found.push(...below);
    queue.push(...below);
  }
  return found;
}

/** Pairs of process and parent. A bare Debian has no `ps`, so Linux is read from /proc. */
function processTable(): [number, number][] {
  if (process.platform === "linux") {
    return fs.readdirSync("/proc").flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const fields = /^(\d+) \(.*\) \S (\d+) /s.exec(fs.readFileSync(`/proc/${name}/stat`, "utf8"));
        return fields ? [[Number(fields[1]), Number(fields[2])] as [number, number]] : [];
      } catch {
        return [];
      }
    });
  }
  if (process.platform === "win32") return [];
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  return table.split("\n").flatMap((line) => {
    const fields = /^\s*(\d+)\s+(\d+)/.exec(line);
    return fields ? [[Number(fields[1]), Number(fields[2])] as [number, number]] : [];
  });
}
