/**
 * Writing small files so that they are there whole after a crash, and telling a person why storage failed.
 *
 * Not here: journals, which are appended to (`journal.ts`). Easily got wrong: a rename lasts through a power cut only
 * once its folder has been flushed too.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode, messageOf } from "../base/errors.ts";
import { flushFolder } from "../base/flushFolder.ts";

/** Where the temp file goes, which must be the same file system. */
export interface DurableWriteOptions {
  /** The folder of the file itself when absent. */
  readonly tempFolder?: string;
}

/**
 * Replaces a file by `content`, whole or not at all, readable by its owner only. The folder must exist. Throws system
 * errors, with the temp file removed.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  options: DurableWriteOptions = {},
): Promise<void> {
  const folder = dirname(path);
  const temp = join(options.tempFolder ?? folder, `.${basename(path).slice(0, 100)}.${randomUUID()}.tmp`);
  try {
    const file = await open(temp, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (error) {
    await unlink(temp).catch(() => undefined);
    throw error;
  }
  await flushFolder(folder);
}

/** Makes a folder and its parents, for their owner only. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

const reasons: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "the disk is full"],
  ["EDQUOT", "the disk quota is used up"],
  ["EFBIG", "the file would be larger than the system allows"],
  ["EACCES", "the folder may not be written to"],
  ["EPERM", "the folder may not be written to"],
  ["EROFS", "the disk is read-only"],
  ["EMFILE", "too many files are open"],
  ["ENFILE", "too many files are open"],
  ["EIO", "the disk reported an error"],
]);

/** An error that says in words why `what` ("Could not save the conversation") failed, with the cause attached. */
export function storageError(what: string, path: string, error: unknown): Error {
  const code = errorCode(error);
  const reason = code === undefined ? undefined : reasons.get(code);
  return new Error(`${what}: ${reason ? `${reason} (${code}, ${path}).` : `${messageOf(error)}.`}`, { cause: error });
}
