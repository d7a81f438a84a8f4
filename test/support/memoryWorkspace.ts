/**
 * A small `Workspace` in memory, for tests of what stands above it. Deterministic, without a disk or processes.
 *
 * Not here: merging, ignore files and ripgrep's syntax; the contract suite holds the real adapters to those. Easily got
 * wrong: `set` and `remove` are changes from outside, as by another program; they get a new version like any other.
 */
import { posix } from "node:path";
import { ToolError } from "../../server/src/base/errors.ts";
import { digestOf } from "../../server/src/workspace/fileBytes.ts";
import type {
  FileText,
  ListEntry,
  ResolvedPath,
  RunOptions,
  RunOutcome,
  SearchHit,
  SearchQuery,
  Version,
  Workspace,
} from "../../server/src/workspace/workspace.ts";

/** Gives the outcome of a command; `onOutput` may be called first. */
export type FakeRun = (options: RunOptions, signal: AbortSignal) => Promise<RunOutcome>;

/** A workspace with hands on its content. */
export interface MemoryWorkspace extends Workspace {
  /** Changes or creates a file from outside. */
  set(path: string, text: string, source?: FileText["source"]): void;
  remove(path: string): void;
  /** The text of a file, or `undefined`. */
  text(path: string): string | undefined;
  /** Is called before each swap, to change things under it. */
  beforeSwap: (uri: string) => void;
}

/** Makes a workspace at `/project` with the given files; `ignored` lists relative paths that are hidden. */
export function createMemoryWorkspace(
  files: { readonly [path: string]: string } = {},
  options: { readonly ignored?: readonly string[]; readonly run?: FakeRun } = {},
): MemoryWorkspace {
  const root = "/project";
  const held = new Map<string, FileText>();
  let changes = 0;
  const toUri = (path: string) => `file://${posix.resolve(root, path.replace(/^file:\/\//, ""))}`;
  const toPath = (uri: string) => posix.relative(root, uri.slice("file://".length));
  const put = (uri: string, text: string, source: FileText["source"]): FileText => {
    const file: FileText = { uri, text, source, mode: 0o644, version: `v${++changes}` as Version };
    held.set(uri, file);
    return file;
  };
  for (const [path, text] of Object.entries(files)) put(toUri(path), text, "disk");
  const paths = () => [...held.keys()].map(toPath).sort();

  return {
    root,
    beforeSwap: () => undefined,
    set: (path, text, source = "disk") => void put(toUri(path), text, source),
    remove: (path) => void held.delete(toUri(path)),
    text: (path) => held.get(toUri(path))?.text,
    resolve: async (path): Promise<ResolvedPath> => {
      if (path.includes("\0")) throw new ToolError("A path cannot contain a NUL character.");
      const uri = toUri(path);
      const fsPath = uri.slice("file://".length);
      const relative = toPath(uri);
      const inside = relative !== ".." && !relative.startsWith("../");
      const ignored = options.ignored?.includes(relative) ?? false;
      return { uri, fsPath, path: inside ? relative || "." : fsPath, inside, ignored };
    },
    read: async (uri) => {
      const file = held.get(uri);
      if (!file) throw new ToolError(`There is no file ${toPath(uri)}.`);
      return file;
    },
    async swap(uri, version, text) {
      this.beforeSwap(uri);
      const current = held.get(uri) ?? null;
      if ((current?.version ?? null) !== version) return { applied: false, reason: "stale", current };
      if (text !== null) return { applied: true, file: put(uri, text, current?.source ?? "disk") };
      held.delete(uri);
      return { applied: true, file: null };
    },
    readBytes: async (uri) => {
      const file = held.get(uri);
      return file ? { bytes: new TextEncoder().encode(file.text), mode: file.mode ?? 0o644 } : null;
    },
    swapBytes: async (uri, expected, replacement) => {
      const file = held.get(uri);
      if ((file ? digestOf(new TextEncoder().encode(file.text)) : null) !== expected) return false;
      if (replacement) put(uri, new TextDecoder().decode(replacement.bytes), "disk");
      else held.delete(uri);
      return true;
    },
    findTree: async (path, limit) => {
      const top = toUri(path);
      const found = [...held.values()].filter(({ uri }) => uri === top || uri.startsWith(`${top}/`));
      if (found.length === 0) return undefined;
      const isFolder = !held.has(top);
      const files = found.map(({ uri, text }) => ({
        uri,
        path: toPath(uri),
        kind: "file" as const,
        size: text.length,
      }));
      const folders = isFolder ? [top] : [];
      return { isFolder, files: files.slice(0, limit), folders, emptyFolders: 0, truncated: files.length > limit };
    },
    moveFile: async (from, to) => {
      const file = held.get(from);
      if (!file) return "missing";
      if (held.has(to)) return "taken";
      held.delete(from);
      held.set(to, { ...file, uri: to });
      return "moved";
    },
    list: async (path, { depth, limit }) => {
      const base = toPath(toUri(path));
      const below = paths().filter((file) => base === "" || file.startsWith(`${base}/`));
      const entries = new Map<string, ListEntry>();
      for (const file of below) {
        const parts = file.slice(base === "" ? 0 : base.length + 1).split("/");
        for (let at = 1; at <= Math.min(parts.length, depth); at++) {
          const entry = posix.join(base, ...parts.slice(0, at)) + (at < parts.length ? "/" : "");
          const size = held.get(toUri(entry))?.text.length;
          entries.set(entry, { path: entry, ...(size === undefined ? {} : { size }) });
        }
      }
      const all = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
      return { entries: all.slice(0, limit), truncated: all.length > limit };
    },
    search: async (query) => searchFiles(query, paths(), (path) => held.get(toUri(path))?.text ?? ""),
    run: (runOptions, signal) => {
      if (!options.run) throw new Error("This workspace was given no commands to run.");
      return options.run(runOptions, signal);
    },
  };
}

function searchFiles(query: SearchQuery, paths: readonly string[], textOf: (path: string) => string) {
  const source = query.literal ? query.pattern.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&") : query.pattern;
  const expression = new RegExp(source, query.ignoreCase ? "i" : "");
  const hits: SearchHit[] = [];
  for (const path of paths) {
    if (query.path !== undefined && path !== query.path && !path.startsWith(`${query.path}/`)) continue;
    const lines = textOf(path).split("\n");
    for (const [at, text] of lines.entries()) {
      if (!expression.test(text)) continue;
      const before = lines.slice(Math.max(0, at - query.context), at);
      hits.push({ path, line: at + 1, text, before, after: lines.slice(at + 1, at + 1 + query.context) });
    }
  }
  return { hits: hits.slice(0, query.limit), truncated: hits.length > query.limit };
}
