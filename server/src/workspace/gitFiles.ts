/**
 * Asks git which files there are below a folder, and for the bytes of those that it has. Never writes, never locks.
 *
 * An adapter's part: the only place that starts git. Not here: what to keep (`changeScan.ts`). Easily got wrong: a
 * repository's own settings can name programs, so hooks, monitors and external diffs are off (filters run, as for any look
 * at what is modified); and a folder that git refuses (another owner's) is treated as one without git, never forced.
 */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { log } from "../base/trace.ts";
import type { ShellEnvironment } from "./shellProcess.ts";

/** A file as the index has it. */
export interface IndexedFile {
  /** Names the content in git's object database. */
  readonly oid: string;
}

/** The files below a folder. Paths are relative to that folder, with `/`. */
export interface GitListing {
  /** In the index, without submodules. */
  readonly indexed: ReadonlyMap<string, IndexedFile>;
  /** Those whose content only the working tree has, or that are staged: modified, deleted, staged, or untracked. */
  readonly dirty: ReadonlySet<string>;
  /** What git does not look into: ignored files and folders, nested repositories and submodules. Folders end in `/`. */
  readonly hidden: ReadonlySet<string>;
}

/** Where and how git runs. */
export interface GitPlace {
  readonly cwd: string;
  readonly environment: ShellEnvironment;
}

/** Milliseconds for one question. */
const gitMs = 10_000;
/** Bytes of one answer. */
const answerBytes = 64 * 1024 * 1024;

const quiet = ["--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];

/** Lists the files; `undefined` without git, without a repository, and where git refuses or takes too long. */
export async function listGitFiles(place: GitPlace, signal: AbortSignal): Promise<GitListing | undefined> {
  try {
    const [staged, changed, cached, ignored] = await Promise.all([
      git(place, ["ls-files", "-z", "-s"], signal),
      git(place, ["ls-files", "-z", "-m", "-o", "--exclude-standard"], signal),
      git(place, ["diff", "--cached", "--name-only", "-z", "--relative", "--no-renames", "--no-ext-diff"], signal),
      git(place, ["ls-files", "-z", "-o", "-i", "--exclude-standard", "--directory"], signal),
    ]);
    // The folder itself is ignored by a repository around it: then that says nothing of what is in here.
    if (words(ignored).includes("./")) return undefined;
    const { indexed, submodules } = parseIndex(staged);
    const dirty = new Set([...words(changed), ...words(cached)].filter((path) => !path.endsWith("/")));
    const nested = words(changed).filter((path) => path.endsWith("/"));
    return { indexed, dirty, hidden: new Set([...words(ignored), ...nested, ...submodules]) };
  } catch (error) {
    signal.throwIfAborted();
    log("info", "Git does not say which files there are", error);
    return undefined;
  }
}

/** Paths of all files in the index or untracked and not ignored; `undefined` as for `listGitFiles`. */
export async function listGitPaths(place: GitPlace, signal: AbortSignal): Promise<readonly string[] | undefined> {
  try {
    const all = await git(place, ["ls-files", "-z", "-c", "-o", "--exclude-standard"], signal);
    return words(all).filter((path) => !path.endsWith("/"));
  } catch (error) {
    signal.throwIfAborted();
    log("info", "Git does not say which files there are", error);
    return undefined;
  }
}

/** The bytes of objects, as git stored them: no filter, no conversion of line endings. Missing ones are left out. */
export async function readGitObjects(
  place: GitPlace,
  oids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  if (oids.length === 0) return found;
  const child = spawn("git", [...quiet, "cat-file", "--batch"], {
    cwd: place.cwd,
    env: gitEnvironment(place.environment),
    stdio: ["pipe", "pipe", "ignore"],
    signal: AbortSignal.any([signal, AbortSignal.timeout(gitMs)]),
    windowsHide: true,
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stdin.on("error", () => undefined);
  child.stdin.end(`${[...new Set(oids)].join("\n")}\n`);
  await new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve());
  });
  const all = Buffer.concat(chunks);
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf(10, at);
    if (end === -1) break;
    const [oid = "", type, size = ""] = all.toString("latin1", at, end).split(" ");
    at = end + 1;
    if (type === "missing" || !/^\d+$/.test(size)) continue;
    const bytes = all.subarray(at, at + Number(size));
    if (bytes.length === Number(size) && objectId(bytes, oid.length) === oid) found.set(oid, bytes);
    at += Number(size) + 1;
  }
  return found;
}

/** The name that git gives to a file's content; its length tells which hash the repository uses. */
function objectId(bytes: Uint8Array, length: number): string {
  const hash = createHash(length === 64 ? "sha256" : "sha1");
  return hash.update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function git({ cwd, environment }: GitPlace, args: readonly string[], signal: AbortSignal): Promise<string> {
  const options = {
    cwd,
    env: gitEnvironment(environment),
    maxBuffer: answerBytes,
    timeout: gitMs,
    signal,
    windowsHide: true,
  };
  return new Promise((resolve, reject) => {
    execFile("git", [...quiet, ...args], options, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

/** Without what would point git at another repository. */
function gitEnvironment(environment: ShellEnvironment): { [name: string]: string | undefined } {
  const own = Object.entries(environment).filter(([name]) => !name.toUpperCase().startsWith("GIT_"));
  return {
    ...Object.fromEntries(own),
    LC_ALL: "C",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_TERMINAL_PROMPT: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_LITERAL_PATHSPECS: "1",
  };
}

function words(answer: string): readonly string[] {
  return answer.split("\0").filter((word) => word !== "");
}

/** `mode oid stage TAB path`; a conflict has several stages, and then no content of its own. */
function parseIndex(answer: string): { indexed: Map<string, IndexedFile>; submodules: string[] } {
  const indexed = new Map<string, IndexedFile>();
  const submodules: string[] = [];
  for (const line of words(answer)) {
    const tab = line.indexOf("\t");
    const [mode, oid = ""] = line.slice(0, tab).split(" ");
    const path = line.slice(tab + 1);
    if (mode === "160000") submodules.push(`${path}/`);
    else indexed.set(path, { oid });
  }
  return { indexed, submodules };
}
