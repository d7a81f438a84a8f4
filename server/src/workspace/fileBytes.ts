/**
 * Files as bytes, links not followed: what undo needs for what is not text.
 *
 * An adapter's part. Not here: text and its versions (`textFile.ts`). Easily got wrong: a link at the path is never
 * followed, because its target may be a file that nobody meant; and read-only files are replaced, as `mv -f` would.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { chmod, lstat, open, readlink, rename, rmdir, symlink, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCode, messageOf, ToolError } from "../base/errors.ts";
import { flushFolder } from "../base/flushFolder.ts";
import type { BlobId } from "../protocol/types.ts";
import { atomicWrite, makeFolders } from "./atomicWrite.ts";
import type { FileBytes } from "./workspace.ts";

/** Bytes of the largest file that is kept or restored: 64 MB. */
export const maxFileBytes = 64 * 1024 * 1024;

/** Where a file is. */
interface Place {
  /** Absolute; its last part may be a link. */
  readonly linkPath: string;
  /** For messages. */
  readonly path: string;
}

/** What to put in the place of a file. */
interface BytesSwap {
  readonly expected: BlobId | null;
  readonly replacement: { readonly bytes: Uint8Array; readonly mode?: number } | null;
  /** Part of the temp file's name; must be unused. */
  readonly id: string;
}

/** The name that these bytes have in the store. */
export function digestOf(bytes: Uint8Array): BlobId {
  return createHash("sha256").update(bytes).digest("hex") as BlobId;
}

/** The bits of a mode that tell a symbolic link, and their value where it is one. */
const typeBits = 0o170000;
const linkType = 0o120000;

/** True for the mode of a symbolic link. */
export function isLinkMode(mode: number | undefined): boolean {
  return mode !== undefined && (mode & typeBits) === linkType;
}

/** As `readFileBytes`, and the target of a symbolic link. */
export async function readEntryBytes(place: Place): Promise<FileBytes | null> {
  const stats = await lstatOrNull(place.linkPath);
  if (!stats?.isSymbolicLink()) return readFileBytes(place);
  try {
    return { bytes: await readlink(place.linkPath, { encoding: "buffer" }), mode: linkType | 0o777 };
  } catch (error) {
    if (isMissing(error)) return null;
    throw new ToolError(`${place.path} could not be read: ${messageOf(error)}.`, { cause: error });
  }
}

/** The file's bytes; `null` where there is none. Throws `ToolError` for links, devices and files over 64 MB. */
export async function readFileBytes({ linkPath, path }: Place): Promise<FileBytes | null> {
  const stats = await lstatOrNull(linkPath);
  if (stats === null || stats.isDirectory()) return null;
  if (!stats.isFile()) throw new ToolError(`${path} is not a regular file (a link or device); it is left alone.`);
  if (stats.size > maxFileBytes) throw new ToolError(`${path} is larger than 64 MB, so its bytes are not kept.`);
  try {
    // The path may have become a pipe or a link since: neither is waited for or followed.
    const file = await open(linkPath, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      return { bytes: await file.readFile(), mode: (await file.stat()).mode & 0o7777 };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isMissing(error)) return null;
    throw new ToolError(`${path} could not be read: ${messageOf(error)}.`, { cause: error });
  }
}

/** Swaps as `Workspace.swapBytes` says. */
export async function swapFileBytes(place: Place, swap: BytesSwap, signal: AbortSignal): Promise<boolean> {
  const { expected, replacement } = swap;
  signal.throwIfAborted();
  try {
    // A folder that a command left empty is in the way of the file that was there before.
    if (expected === null) await rmdir(place.linkPath).catch(() => undefined);
    if (!(await isAt(place, expected))) return false;
    if (replacement && isLinkMode(replacement.mode)) return await putLink(place, swap, replacement.bytes);
    if (replacement) return await put(place, swap, replacement);
    if (expected !== null) await unlink(place.linkPath);
    await flushFolder(dirname(place.linkPath));
    return true;
  } catch (error) {
    if (error instanceof ToolError) throw error;
    throw new ToolError(`${place.path} was not restored: ${messageOf(error)}.`, { cause: error });
  }
}

async function put(
  place: Place,
  { expected, id }: BytesSwap,
  { bytes, mode }: { readonly bytes: Uint8Array; readonly mode?: number },
): Promise<boolean> {
  const stats = await lstatOrNull(place.linkPath);
  const keep = stats?.isFile() && { mode: (mode ?? stats.mode) & 0o7777, uid: stats.uid, gid: stats.gid };
  const done = await atomicWrite({
    path: place.linkPath,
    bytes,
    id,
    ...(keep ? { keep } : {}),
    check: () => isAt(place, expected),
  });
  if (done && !keep && mode !== undefined) await chmod(place.linkPath, mode & 0o7777);
  return done;
}

async function putLink(place: Place, { expected, id }: BytesSwap, target: Uint8Array): Promise<boolean> {
  const folder = dirname(place.linkPath);
  await makeFolders(folder);
  const temp = join(folder, `.${id}.hermes-tmp`);
  await symlink(Buffer.from(target), temp);
  try {
    if (!(await isAt(place, expected))) return false;
    await rename(temp, place.linkPath);
  } finally {
    await unlink(temp).catch(() => undefined);
  }
  await flushFolder(folder);
  return true;
}

async function isAt(place: Place, expected: BlobId | null): Promise<boolean> {
  const current = await readEntryBytes(place);
  return (current && digestOf(current.bytes)) === expected;
}

async function lstatOrNull(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}
