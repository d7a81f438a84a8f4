/**
 * Moves files and finds what is in folders, links not followed: the disk's part of the tools `move` and `delete`.
 *
 * An adapter's part. Not here: editors' documents (`editor.ts`), what is stored for undo. Easily got wrong: a rename
 * replaces what it meets, so a file gets its new name by a link, which fails there, before it loses the old one; and on a
 * disk that ignores case, `A` and `a` are one file and not a name that is taken.
 */
import type { Stats } from "node:fs";
import { link, lstat, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode } from "../base/errors.ts";
import { flushFolder } from "../base/flushFolder.ts";
import { makeFolders } from "./atomicWrite.ts";
import type { FoundFile, MoveOutcome } from "./workspace.ts";

/** What `findEntries` gives: paths are relative to the folder, `""` for itself. */
interface FoundEntries {
  readonly isFolder: boolean;
  readonly files: readonly (Pick<FoundFile, "kind" | "size"> & { readonly path: string })[];
  readonly folders: readonly string[];
  readonly emptyFolders: number;
  readonly truncated: boolean;
}

/** Looks at a path and below, hidden entries too; `undefined` where there is nothing. Throws system errors. */
export async function findEntries(top: string, limit: number, signal: AbortSignal): Promise<FoundEntries | undefined> {
  const stats = await lstatOrNull(top);
  if (!stats) return undefined;
  if (!stats.isDirectory()) return { ...nothing, files: [{ path: "", ...describe(stats) }] };
  const files: { readonly path: string; readonly kind: FoundFile["kind"]; readonly size: number }[] = [];
  const folders = [""];
  let emptyFolders = 0;
  // The list grows while it is walked.
  for (const folder of folders) {
    signal.throwIfAborted();
    const names = (await readdir(join(top, folder))).sort();
    if (names.length === 0) emptyFolders += 1;
    for (const name of names) {
      if (files.length + folders.length > limit) {
        return { isFolder: true, files, folders, emptyFolders, truncated: true };
      }
      const path = join(folder, name);
      const entry = await lstat(join(top, path));
      if (entry.isDirectory()) folders.push(path);
      else files.push({ path, ...describe(entry) });
    }
  }
  return { isFolder: true, files, folders, emptyFolders, truncated: false };
}

const nothing = { isFolder: false, folders: [], emptyFolders: 0, truncated: false };

/** Moves as `Workspace.moveFile` says. Throws system errors; a move to another file system is one (`EXDEV`). */
export async function movePath(from: string, to: string): Promise<MoveOutcome> {
  const stats = await lstatOrNull(from);
  if (!stats || stats.isDirectory()) return "missing";
  const there = await lstatOrNull(to);
  if (there && !(await isSameEntry(from, to, stats, there))) return "taken";
  await makeFolders(dirname(to));
  if (there || !stats.isFile()) await rename(from, to);
  else if (!(await renameToNew(from, to))) return "taken";
  await flushFolder(dirname(to));
  await flushFolder(dirname(from));
  return "moved";
}

/** Removes a folder if it is empty. Never throws. */
export async function removeIfEmpty(path: string): Promise<boolean> {
  return rmdir(path).then(
    () => true,
    () => false,
  );
}

/** How many of the folders above a path do not exist. */
export async function countMissing(path: string): Promise<number> {
  let missing = 0;
  for (let folder = dirname(path); (await lstatOrNull(folder)) === null; folder = dirname(folder)) missing += 1;
  return missing;
}

/** Some file systems have no links; there a look, made before, must do. */
async function renameToNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    await rename(from, to);
    return true;
  }
  await unlink(from);
  return true;
}

/** One name in two spellings; two links to one file are two names, and both are listed. */
async function isSameEntry(from: string, to: string, a: Stats, b: Stats): Promise<boolean> {
  if (a.ino !== b.ino || a.dev !== b.dev || from.toLowerCase() !== to.toLowerCase()) return false;
  return !(await readdir(dirname(to))).includes(basename(to));
}

function describe(stats: Stats): Pick<FoundFile, "kind" | "size"> {
  return { kind: stats.isSymbolicLink() ? "link" : stats.isFile() ? "file" : "other", size: stats.size };
}

async function lstatOrNull(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}
