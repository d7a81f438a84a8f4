/**
 * Walks a folder for `list` and for near names, hidden entries left out.
 *
 * An adapter's part: it reads folders. Easily got wrong: the walk goes level by level, so that a limit cuts the deepest
 * entries and not the last folders; the result is then put in tree order. Links to folders are shown, never entered.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { IgnoreRules } from "./ignore.ts";
import type { ListEntry } from "./workspace.ts";

/** What to walk. */
export interface Walk {
  /** The folder on disk. */
  readonly folder: string;
  /** The same folder as its entries' paths start: `src/`, or "" for the root. */
  readonly prefix: string;
  readonly depth: number;
  readonly limit: number;
  /** Absent when the folder itself is hidden and was asked for by name. */
  readonly rules?: Pick<IgnoreRules, "ignores">;
}

/** Lists entries, folders first at each level, by code point; sizes of files in bytes. */
export async function walk(
  { folder, prefix, depth, limit, rules }: Walk,
  signal: AbortSignal,
): Promise<{ readonly entries: readonly ListEntry[]; readonly truncated: boolean }> {
  const entries: ListEntry[] = [];
  let level = [{ folder, prefix }];
  for (let at = 1; at <= depth && level.length > 0; at += 1) {
    const next: typeof level = [];
    for (const parent of level) {
      signal.throwIfAborted();
      for (const entry of await children(parent.folder, at === 1)) {
        const path = parent.prefix + entry.name;
        if (await rules?.ignores(path, entry.isFolder ? "folder" : "file")) continue;
        if (entries.length === limit) return { entries: inTreeOrder(entries), truncated: true };
        const disk = join(parent.folder, entry.name);
        if (entry.enter) next.push({ folder: disk, prefix: `${path}/` });
        const size = entry.isFolder ? undefined : await sizeOf(disk);
        entries.push(entry.isFolder ? { path: `${path}/` } : { path, ...(size === undefined ? {} : { size }) });
      }
    }
    level = next;
  }
  return { entries: inTreeOrder(entries), truncated: false };
}

interface Child {
  readonly name: string;
  readonly isFolder: boolean;
  /** A real folder, not a link to one. */
  readonly enter: boolean;
}

async function children(folder: string, mustExist: boolean): Promise<Child[]> {
  let found: Awaited<ReturnType<typeof readEntries>>;
  try {
    found = await readEntries(folder);
  } catch (error) {
    // A folder that vanished or may not be read is shown as empty, unless it is the one that was asked for.
    if (mustExist) throw error;
    return [];
  }
  const list = await Promise.all(
    found.map(async (entry) => ({
      name: entry.name,
      enter: entry.isDirectory(),
      isFolder: entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(join(folder, entry.name)))),
    })),
  );
  return list.sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || compare(a.name, b.name));
}

function readEntries(folder: string) {
  return readdir(folder, { withFileTypes: true });
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (stats) => (stats.isFile() ? stats.size : undefined),
    () => undefined,
  );
}

/** Every entry after the folder it is in, folders before files. */
function inTreeOrder(entries: readonly ListEntry[]): ListEntry[] {
  const keyed = entries.map((entry) => ({ entry, key: orderKey(entry.path) }));
  return keyed.sort((a, b) => compare(a.key, b.key)).map(({ entry }) => entry);
}

/** Folders sort before files at each level: their step starts with a lower character. */
function orderKey(path: string): string {
  const steps = path.split("/");
  const file = steps.pop() ?? "";
  return steps.map((step) => `\u0001${step}\u0000`).join("") + (file === "" ? "" : `\u0002${file}`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
