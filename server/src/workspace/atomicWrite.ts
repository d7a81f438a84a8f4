/**
 * Puts bytes in the place of a file, whole or not at all: temp file in the same folder, flush, rename, flush the folder.
 *
 * An adapter's part. Not here: whether the bytes may be written (`disk.ts` compares versions). Easily got wrong: `check`
 * runs after the temp file is complete, so that the time between looking and renaming is as short as it can be.
 */
import { link, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode } from "../base/errors.ts";
import { flushFolder } from "../base/flushFolder.ts";

/** What to write and how. */
export interface AtomicWrite {
  /** A real path: symbolic links are resolved by the caller, or the link itself would be replaced. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Part of the temp file's name; must be unused. */
  readonly id: string;
  /** Permission bits and owner to keep; absent when the file is new, which must then not exist. */
  readonly keep?: { readonly mode: number; readonly uid: number; readonly gid: number };
  /** Asked right before the rename; `false` gives up. */
  readonly check: () => Promise<boolean>;
}

/**
 * Writes the file; `false` when `check` said no or a new file turned out to exist, and then nothing has changed. Throws
 * system errors, with the temp file removed.
 */
export async function atomicWrite(write: AtomicWrite): Promise<boolean> {
  const folder = dirname(write.path);
  await makeFolders(folder);
  const temp = join(folder, `.${basename(write.path).slice(0, 40).toWellFormed()}.${write.id}.hermes-tmp`);
  try {
    await writeTemp(temp, write);
    if (!(await write.check())) return false;
    if (write.keep) await rename(temp, write.path);
    else if (!(await moveToNew(temp, write.path))) return false;
  } finally {
    await unlink(temp).catch(() => undefined);
  }
  await flushFolder(folder);
  return true;
}

/**
 * Makes a folder and those it is in. Not `mkdir` with `recursive`: as of Node 24 that never returns where the system denies
 * that a parent exists (`/proc`).
 */
export async function makeFolders(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const code = errorCode(error);
    const isFolder = await stat(folder).then(
      (stats) => stats.isDirectory(),
      () => false,
    );
    if (isFolder) return;
    if (code !== "ENOENT" || dirname(folder) === folder) throw error;
    await makeFolders(dirname(folder));
    await mkdir(folder).catch((again: unknown) => {
      if (errorCode(again) !== "EEXIST") throw again;
    });
  }
}

async function writeTemp(temp: string, { bytes, keep }: AtomicWrite): Promise<void> {
  const file = await open(temp, "wx", keep ? 0o600 : 0o666);
  try {
    await file.writeFile(bytes);
    // Owner first: changing it clears set-user-id bits. Best effort, as only root may give files away.
    if (keep) {
      await file.chown(keep.uid, keep.gid).catch(() => undefined);
      await file.chmod(keep.mode);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Unlike a rename, a link fails when the name is taken; some file systems have no links, there a look must do. */
async function moveToNew(temp: string, path: string): Promise<boolean> {
  try {
    await link(temp, path);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    const exists = await stat(path).then(
      () => true,
      () => false,
    );
    if (exists) return false;
    await rename(temp, path);
    return true;
  }
}
