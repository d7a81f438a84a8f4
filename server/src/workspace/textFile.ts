/**
 * Text files as bytes on disk: limits, decoding that round-trips, versions, and what to say about files that are not text.
 *
 * An adapter's part: it opens files. Not here: writing (`atomicWrite.ts`) and finding near names (`disk.ts`). Easily got
 * wrong: the version is a digest of the bytes, because size and time miss a change within one tick of the clock.
 */
import { createHash } from "node:crypto";
import { constants, type FileHandle, open, stat } from "node:fs/promises";
import { ToolError } from "../base/errors.ts";
import type { Version } from "./workspace.ts";

/** Bytes of the largest file that is read whole: 10 MB. */
export const maxTextBytes = 10 * 1024 * 1024;
/** A NUL within this many bytes from the start makes a file binary, as in git. */
const sniffedBytes = 8_192;

/** A text file as it is on disk. */
export interface TextFile {
  readonly text: string;
  readonly version: Version;
  /** Permission bits. */
  readonly mode: number;
}

/** The version of a file with these bytes. */
export function versionOf(bytes: Uint8Array): Version {
  return `sha256:${createHash("sha256").update(bytes).digest("base64url")}` as Version;
}

/**
 * Reads a text file, never more than `maxBytes`. Throws `ToolError` for a folder, a device, a binary or too large file,
 * and text that is not UTF-8; `name` is what the message calls it. Other failures (`ENOENT`) are thrown as they come.
 */
export async function readTextFile(
  path: string,
  name: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<TextFile> {
  // Asked before opening: opening a named pipe would wait for its other end.
  refuseSpecial(await stat(path), name);
  signal.throwIfAborted();
  const file = await open(path, constants.O_RDONLY);
  try {
    const stats = await file.stat();
    refuseSpecial(stats, name);
    if (stats.size > maxBytes) throw tooLarge(name, stats.size, maxBytes);
    const bytes = await readAll(file, stats.size, maxBytes);
    if (!bytes) throw tooLarge(name, maxBytes + 1, maxBytes);
    signal.throwIfAborted();
    return { text: decode(bytes, name), version: versionOf(bytes), mode: stats.mode & 0o7777 };
  } finally {
    await file.close();
  }
}

/** The bytes of a text. Throws `ToolError` for a text that has no UTF-8 form. */
export function encode(text: string, name: string): Buffer {
  if (!text.isWellFormed()) {
    throw new ToolError(
      `${name} was not written: the text has half of a surrogate pair, which UTF-8 cannot hold. Send whole characters.`,
    );
  }
  return Buffer.from(text, "utf8");
}

/**
 * Throws `ToolError` for a file without a write bit. Judged by the mode: the superuser could write all the same, but the
 * bits are the owner's word.
 */
export function refuseReadOnly(name: string, mode: number): void {
  if ((mode & 0o222) !== 0) return;
  throw new ToolError(
    `${name} is read-only (mode ${(mode & 0o777).toString(8)}) and was left as it is. ` +
      "If it should be changed, ask the user, or make it writable with chmod u+w first.",
  );
}

function refuseSpecial(stats: { isDirectory(): boolean; isFile(): boolean }, name: string): void {
  if (stats.isDirectory()) throw new ToolError(`${name} is a folder. Use list to see what is in it.`);
  if (!stats.isFile()) throw new ToolError(`${name} is not a regular file (a device, pipe or socket); it is not read.`);
}

/** Reads to the end even where the size is not known beforehand (`/proc`); `undefined` when that passes the limit. */
async function readAll(file: FileHandle, size: number, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.max(4_096, Math.min(size, maxBytes) - total + 1));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, total);
    if (bytesRead === 0) return Buffer.concat(chunks);
    total += bytesRead;
    if (total > maxBytes) return undefined;
    chunks.push(chunk.subarray(0, bytesRead));
  }
}

function tooLarge(name: string, bytes: number, maxBytes: number): ToolError {
  return new ToolError(
    `${name} is ${megabytes(bytes)}, over the limit of ${megabytes(maxBytes)} for reading a file. ` +
      "Find what you need with search, or print a part with the shell (for example `sed -n '100,200p'`).",
  );
}

function megabytes(bytes: number): string {
  const value = bytes / (1024 * 1024);
  if (value >= 1024) return `${(value / 1024).toFixed(1)} GB`;
  return value >= 0.1 ? `${value.toFixed(1)} MB` : `${bytes} bytes`;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer, name: string): string {
  const head = bytes.subarray(0, sniffedBytes);
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (utf16) {
    throw new ToolError(
      `${name} is UTF-16 text, not UTF-8. Convert it first (for example with iconv) or leave it alone.`,
    );
  }
  if (head.includes(0)) {
    throw new ToolError(
      `${name} is a binary file (${megabytes(bytes.length)}); it can be neither shown nor edited as text.`,
    );
  }
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new ToolError(
      `${name} is not UTF-8 text (perhaps Latin-1 or another older encoding). ` +
        "It is not read, because writing it back would change its bytes. Look at it with the shell (`file`, `iconv`).",
      { cause },
    );
  }
}
