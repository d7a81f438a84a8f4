/**
 * A workspace on a folder of the disk.
 *
 * Not here: unsaved text (`editor.ts`), merging (`text/merge.ts`), permissions. Easily got wrong: a swap compares the bytes
 * twice, once before it writes its temp file and once right before the rename; writers outside of this process are only
 * caught by that, those inside wait for each other.
 */
import { realpathSync } from "node:fs";
import { chmod, stat, unlink } from "node:fs/promises";
import { dirname, join, resolve as resolvePath } from "node:path";
import { errorCode, messageOf, ToolError } from "../base/errors.ts";
import { flushFolder } from "../base/flushFolder.ts";
import { type Encoding, utf8 } from "../text/encoding.ts";
import { atomicWrite } from "./atomicWrite.ts";
import { CappedOutput, defaultOutputLimits, type OutputLimits } from "./cappedOutput.ts";
import { snapshotFolder, surveyFolder } from "./changeScan.ts";
import { readEntryBytes, swapFileBytes } from "./fileBytes.ts";
import { createIgnoreRules, excludeToIgnorePatterns } from "./ignore.ts";
import { walk } from "./listing.ts";
import { countMissing, findEntries, movePath, removeIfEmpty } from "./moves.ts";
import { nearNames } from "./nearNames.ts";
import { type LocatedPath, locate, nameEntry } from "./paths.ts";
import { createQueues, runInAll } from "./queues.ts";
import { findRipgrep, type RipgrepSearch, searchWithRipgrep } from "./ripgrep.ts";
import { runShell, type ShellEnvironment } from "./shellProcess.ts";
import { encode, maxTextBytes, readTextFile, refuseReadOnly, versionOf } from "./textFile.ts";
import type {
  FileText,
  FoundTree,
  ResolvedPath,
  SwapOptions,
  SwapOutcome,
  TextSearch,
  Version,
  Workspace,
} from "./workspace.ts";

/** What a disk workspace may spend. */
export interface DiskLimits {
  /** Bytes of the largest file that is read. */
  readonly textBytes: number;
  /** Milliseconds a search may take before it stops with what it has. */
  readonly searchMs: number;
  readonly output: OutputLimits;
}

/** 16 MB for a file, 60 s for a search. */
const defaultDiskLimits: DiskLimits = {
  textBytes: maxTextBytes,
  searchMs: 60_000,
  output: defaultOutputLimits,
};

/** What a disk workspace is made of. */
export interface DiskDeps {
  readonly root: string;
  /** Gives the globs that hide files besides ignore files (the editor's exclude settings, rules that deny reading). */
  readonly exclude?: () => readonly string[];
  /** A ripgrep to use before any other; without it one is looked for at the first search. */
  readonly ripgrepPath?: string;
  /** The editor's own ripgrep, or its application's folder: used when the package has none. */
  readonly editorRipgrepPath?: string;
  /** Folder for output that is too large to show. Files there are not removed by the workspace. */
  readonly outputDir: string;
  /** Environment of commands: without secrets. */
  readonly environment: ShellEnvironment;
  /** Makes names that are unused and fit for files. */
  readonly createId: () => string;
  readonly limits?: Partial<DiskLimits>;
  /** The encoding that the user has for a file, by its URI; UTF-8 for all when absent. */
  readonly encodingOf?: (uri: string) => Promise<Encoding>;
}

/** How many entries are looked through for names like a missing one. */
const maxNamesWalked = 5_000;

/** Makes a workspace on a folder that exists. Throws when the folder does not exist. */
export function createDiskWorkspace(deps: DiskDeps): Workspace & TextSearch {
  const root = resolvePath(deps.root);
  const realRoot = realpathSync(root);
  const limits = { ...defaultDiskLimits, ...deps.limits };
  const rules = createIgnoreRules(realRoot, () => deps.exclude?.() ?? []);
  const find = (path: string) => locate(root, realRoot, path);
  const encodingOf = deps.encodingOf ?? (async () => utf8);
  const swapping = createQueues();
  const scanned = { root, realRoot, environment: deps.environment, encodingOf };
  let ripgrep: Promise<string | undefined> | undefined;

  async function resolve(path: string): Promise<ResolvedPath> {
    const { uri, fsPath, linkPath, path: shown, inside } = await find(path);
    const ignored = inside && (await rules.ignores(shown, await kindOf(fsPath)));
    const entry = fsPath === linkPath ? {} : { entryUri: nameEntry(root, realRoot, linkPath).uri };
    return { uri, ...entry, fsPath, path: shown, inside, ignored };
  }

  async function readLocated(located: LocatedPath, signal: AbortSignal): Promise<FileText> {
    const options = { name: located.path, maxBytes: limits.textBytes, encodingOf: () => encodingOf(located.uri) };
    const file = await readTextFile(located.fsPath, options, signal);
    return { uri: located.uri, ...file, source: "disk" };
  }

  async function readIfThere(located: LocatedPath, signal: AbortSignal): Promise<FileText | null> {
    try {
      return await readLocated(located, signal);
    } catch (error) {
      if (isMissing(error)) return null;
      throw readFailure(error, located);
    }
  }

  async function missing(located: LocatedPath, signal: AbortSignal): Promise<ToolError> {
    const near = located.inside ? await namesNear(located.path, signal) : [];
    const hint = near.length > 0 ? ` Did you mean ${near.join(", ")}?` : " Use list or search to find it.";
    return new ToolError(`${located.path} does not exist.${hint}`);
  }

  async function namesNear(path: string, signal: AbortSignal): Promise<string[]> {
    const folder = dirname(path);
    const files = async (below: string, prefix: string, depth: number) => {
      const options = { folder: below, prefix, depth, limit: maxNamesWalked, rules: rules.snapshot() };
      const { entries } = await walk(options, signal).catch((error: unknown) => {
        if (signal.aborted) throw error;
        return { entries: [] };
      });
      return entries.map((entry) => entry.path).filter((entry) => !entry.endsWith("/"));
    };
    const beside = folder === "." ? [] : await files(join(realRoot, folder), `${folder}/`, 1);
    return nearNames(path, [...new Set([...beside, ...(await files(realRoot, "", 20))])]);
  }

  async function swapNow(
    located: LocatedPath,
    change: SwapOptions & { readonly version: Version | null; readonly text: string | null },
    signal: AbortSignal,
  ): Promise<SwapOutcome> {
    const before = await readIfThere(located, signal);
    if ((before?.version ?? null) !== change.version) return { applied: false, reason: "stale", current: before };
    if (before?.mode !== undefined) refuseReadOnly(located.path, before.mode);
    signal.throwIfAborted();
    try {
      const { text } = change;
      const file = text === null ? await remove(located, change.version) : await put(located, text, before, change);
      if (file !== undefined) return { applied: true, file };
    } catch (error) {
      throw writeFailure(error, located.path);
    }
    return { applied: false, reason: "stale", current: await readIfThere(located, signal) };
  }

  /** `undefined` when the file has moved on. */
  async function put(
    located: LocatedPath,
    text: string,
    before: FileText | null,
    options: SwapOptions,
  ): Promise<FileText | undefined> {
    const encoding = options.encoding ?? before?.encoding;
    const bytes = await encode(text, encoding, located.path);
    const keep = before ? await stat(located.fsPath) : undefined;
    const version = before?.version ?? null;
    const done = await atomicWrite({
      path: located.fsPath,
      bytes,
      id: deps.createId(),
      ...(keep ? { keep: { mode: keep.mode & 0o7777, uid: keep.uid, gid: keep.gid } } : {}),
      check: async () => (await currentVersion(located)) === version,
    });
    if (!done) return undefined;
    const { mode } = await stat(located.fsPath);
    const file = { uri: located.uri, text, version: versionOf(bytes), source: "disk", mode: mode & 0o7777 } as const;
    return encoding === undefined ? file : { ...file, encoding };
  }

  async function remove(located: LocatedPath, version: Version | null): Promise<null | undefined> {
    if (version === null) return null;
    if ((await currentVersion(located)) !== version) return undefined;
    await unlink(located.linkPath);
    await flushFolder(dirname(located.linkPath));
    return null;
  }

  async function currentVersion(located: LocatedPath): Promise<Version | null> {
    return (await readIfThere(located, neverAborted))?.version ?? null;
  }

  return {
    root,
    resolve,
    encodingOf: async (uri) => encodingOf((await find(uri)).uri),
    read: async (uri, signal) => {
      const located = await find(uri);
      const file = await readIfThere(located, signal);
      if (!file) throw await missing(located, signal);
      return file;
    },
    swap: async (uri, version, text, signal, options) => {
      const located = await find(uri);
      return swapping.run(located.fsPath, () => swapNow(located, { ...options, version, text }, signal));
    },
    setMode: async (uri, mode, signal) => {
      const located = await find(uri);
      signal.throwIfAborted();
      try {
        await chmod(located.fsPath, mode & 0o7777);
      } catch (error) {
        throw writeFailure(error, located.path);
      }
    },
    readBytes: async (uri, signal) => {
      signal.throwIfAborted();
      return readEntryBytes(await find(uri));
    },
    swapBytes: async (uri, expected, replacement, signal) => {
      const located = await find(uri);
      return swapping.run(located.fsPath, () =>
        swapFileBytes(located, { expected, replacement, id: deps.createId() }, signal),
      );
    },
    findTree: async (path, limit, signal) => findTree(await find(path), limit, signal),
    moveFile: async (from, to, signal) => {
      const [source, target] = [await find(from), await find(to)];
      signal.throwIfAborted();
      try {
        return await runInAll(swapping, [source.fsPath, target.fsPath], () =>
          movePath(source.linkPath, target.linkPath),
        );
      } catch (error) {
        throw moveFailure(error, source.path, target.path);
      }
    },
    removeFolder: async (uri, signal) => {
      const located = await find(uri);
      signal.throwIfAborted();
      return located.path !== "." && removeIfEmpty(located.linkPath);
    },
    countMissingFolders: async (path) => countMissing((await find(path)).linkPath),
    surveyChanges: (scope, signal) => surveyFolder(scanned, scope, signal),
    snapshotChanges: (scope, keep, signal) => snapshotFolder(scanned, scope, keep, signal),
    list: async (path, options, signal) => {
      const resolved = await resolve(path);
      if ((await kindOf(resolved.fsPath)) === "file") throw await notAFolder(resolved, signal);
      const prefix = resolved.path === "." ? "" : `${resolved.path}/`;
      const hiddenAnyway = resolved.ignored || !resolved.inside;
      try {
        return await walk(
          { folder: resolved.fsPath, prefix, ...options, ...(hiddenAnyway ? {} : { rules: rules.snapshot() }) },
          signal,
        );
      } catch (error) {
        throw readFailure(error, resolved);
      }
    },
    search: async (query, signal) => {
      const target = await resolve(query.path ?? ".");
      if (!(await exists(target.fsPath))) throw await missing({ ...target, linkPath: target.fsPath }, signal);
      return searchWithRipgrep(query, ripgrepSearch(target, await ripgrepPath()), signal);
    },
    searchText: async ({ path, text }, { glob: _, ...query }, signal) => {
      const { hits, truncated } = await searchWithRipgrep(query, textSearch(text, await ripgrepPath()), signal);
      return { hits: hits.map((hit) => ({ ...hit, path })), truncated };
    },
    run: async (options, signal) => {
      const output = new CappedOutput(join(deps.outputDir, `${deps.createId()}.txt`), limits.output);
      return runShell(options, { cwd: root, env: deps.environment, output }, signal);
    },
  };

  async function findTree(located: LocatedPath, limit: number, signal: AbortSignal): Promise<FoundTree | undefined> {
    try {
      const found = await findEntries(located.linkPath, limit, signal);
      return found && toTree(root, realRoot, located, found);
    } catch (error) {
      throw readFailure(error, located);
    }
  }

  function ripgrepPath(): Promise<string | undefined> {
    ripgrep ??= findRipgrep({
      configured: deps.ripgrepPath,
      editorPath: deps.editorRipgrepPath,
      path: deps.environment.PATH,
    });
    return ripgrep;
  }

  function textSearch(input: string, path: string | undefined): RipgrepSearch {
    const everything = { target: "-", excludes: [], ignoreFiles: "respected" as const, hides: async () => false };
    return { ...everything, ripgrepPath: path, root: realRoot, input, timeoutMs: limits.searchMs };
  }

  async function notAFolder(resolved: ResolvedPath, signal: AbortSignal): Promise<ToolError> {
    if (!(await exists(resolved.fsPath))) return missing({ ...resolved, linkPath: resolved.fsPath }, signal);
    return new ToolError(`${resolved.path} is a file, not a folder. Use read to see it.`);
  }

  function ripgrepSearch(target: ResolvedPath, path: string | undefined): RipgrepSearch {
    const hiddenAnyway = target.ignored || !target.inside;
    const snapshot = rules.snapshot();
    return {
      ripgrepPath: path,
      root: realRoot,
      target: target.inside ? `./${target.path === "." ? "" : target.path}` : target.fsPath,
      excludes: hiddenAnyway ? [] : [".git", ...(deps.exclude?.() ?? []).flatMap(excludeToIgnorePatterns)],
      ignoreFiles: hiddenAnyway ? "disregarded" : "respected",
      timeoutMs: limits.searchMs,
      // ripgrep knows nothing of .hermesignore; asking again for what it left in is cheap.
      hides: async (found) => !hiddenAnyway && snapshot.ignores(found.replace(/^\.[/\\]/, ""), "file"),
    };
  }
}

const neverAborted = new AbortController().signal;

async function kindOf(path: string): Promise<"file" | "folder"> {
  return stat(path).then(
    (stats) => (stats.isDirectory() ? "folder" : "file"),
    () => "file",
  );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function isMissing(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

function readFailure(error: unknown, { path }: { readonly path: string }): unknown {
  const code = errorCode(error);
  if (error instanceof ToolError || code === undefined) return error;
  if (code === "EACCES" || code === "EPERM") {
    return new ToolError(`${path} may not be read: the system denies access. Ask the user to change its permissions.`, {
      cause: error,
    });
  }
  return new ToolError(`${path} could not be read: ${messageOf(error)}.`, { cause: error });
}

/** Names what was found as the editor does: below the root as it was opened. */
function toTree(
  root: string,
  realRoot: string,
  top: LocatedPath,
  found: NonNullable<Awaited<ReturnType<typeof findEntries>>>,
): FoundTree {
  const name = (path: string) => nameEntry(root, realRoot, path === "" ? top.linkPath : join(top.linkPath, path));
  return {
    ...found,
    files: found.files.map(({ path, ...file }) => ({ ...file, ...name(path) })),
    folders: found.folders.map((path) => name(path).uri),
  };
}

function moveFailure(error: unknown, from: string, to: string): unknown {
  const code = errorCode(error);
  if (error instanceof ToolError || code === undefined) return error;
  const advice = code === "EXDEV" ? "they are on different file systems" : (writeAdvice[code] ?? messageOf(error));
  return new ToolError(`${from} was not moved to ${to}: ${advice}.`, { cause: error });
}

const writeAdvice: { readonly [code: string]: string } = {
  ENOSPC: "the disk is full. Ask the user to make room, then try again",
  EDQUOT: "the user's disk quota is used up. Ask the user to make room, then try again",
  EACCES: "the system denies access to its folder. Ask the user to change the permissions",
  EPERM: "the system does not permit it. Ask the user to change the permissions",
  EROFS: "its file system is read-only. Write somewhere else, or ask the user",
  EISDIR: "it is a folder. Choose a file name",
  EEXIST: "a part of its path is a file, not a folder. Choose another path",
  ENOTDIR: "a part of its path is a file, not a folder. Choose another path",
  ENAMETOOLONG: "its name is too long for the file system. Choose a shorter one",
  EMFILE: "too many files are open. Try again",
};

function writeFailure(error: unknown, path: string): unknown {
  const code = errorCode(error);
  if (error instanceof ToolError || code === undefined) return error;
  const advice = writeAdvice[code] ?? messageOf(error);
  return new ToolError(`${path} was not written, and nothing has changed: ${advice}.`, { cause: error });
}
