/**
 * Text files as bytes on disk: limits, decoding that round-trips, versions, and what to say about files that are not text.
 *
 * An adapter's part: it opens files. Not here: writing (`atomicWrite.ts`) and finding near names (`disk.ts`). Easily got
 * wrong: the version is a digest of the bytes, because size and time miss a change within one tick of the clock.
 */
import { createHash } from "node:crypto";
import { constants, type FileHandle, open, stat } from "node:fs/promises";
import { ToolError } from "../base/errors.ts";
import { decodeText, type Encoding, encodeText, encodingByMark, isPlainAscii, utf8 } from "../text/encoding.ts";
import type { Version } from "./workspace.ts";

/** Bytes of the largest file that is read whole: 16 MB. */
export const maxTextBytes = 16 * 1024 * 1024;
/** A NUL within this many bytes from the start makes a file binary, as in git. */
const sniffedBytes = 8_192;

/** A text file as it is on disk. */
export interface TextFile {
  readonly text: string;
  readonly version: Version;
  /** Permission bits. */
  readonly mode: number;
  /** Absent for UTF-8. */
  readonly encoding?: Encoding;
}

/** How a file is read. */
export interface ReadOptions {
  /** What messages call it. */
  readonly name: string;
  readonly maxBytes: number;
  /** The encoding that the user has for the file; asked only where it matters. */
  readonly encodingOf: () => Promise<Encoding>;
}

/** The version of a file with these bytes. */
export function versionOf(bytes: Uint8Array): Version {
  return `sha256:${createHash("sha256").update(bytes).digest("base64url")}` as Version;
}

/**
 * Reads a text file, never more than `maxBytes`. Throws `ToolError` for a folder, a device, a binary or too large file,
 * and bytes that are no text in the file's encoding. Other failures (`ENOENT`) are thrown as they come.
 */
export async function readTextFile(path: string, options: ReadOptions, signal: AbortSignal): Promise<TextFile> {
  const { name, maxBytes } = options;
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
    return { ...(await decode(bytes, options)), version: versionOf(bytes), mode: stats.mode & 0o7777 };
  } finally {
    await file.close();
  }
}

/** The bytes of a text. Throws `ToolError` for a text that the encoding cannot hold. */
export async function encode(text: string, encoding: Encoding | undefined, name: string): Promise<Uint8Array> {
  const encoded = await encodeText(text, encoding);
  if (encoded.ok) return encoded.bytes;
  const { missing } = encoded;
  throw new ToolError(
    `${name} was not written, and nothing has changed: ${
      missing.length > 0
        ? `its encoding (${encoding ?? "UTF-8"}) does not have ${missing.map((character) => `“${character}”`).join(", ")}. Write without ${missing.length > 1 ? "them" : "it"}, or ask the user to convert the file to UTF-8`
        : `Hermes does not know its encoding, ${encoding}`
    }.`,
  );
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

async function decode(
  bytes: Buffer,
  { name, encodingOf }: ReadOptions,
): Promise<{ readonly text: string; readonly encoding?: Encoding }> {
  const marked = encodingByMark(bytes);
  const hasNul = bytes.subarray(0, sniffedBytes).includes(0);
  const encoding = marked ?? (isPlainAscii(bytes) ? utf8 : await encodingOf());
  if (hasNul && !encoding.startsWith("utf16")) {
    throw new ToolError(
      `${name} is a binary file (${megabytes(bytes.length)}); it can be neither shown nor edited as text.`,
    );
  }
  const text = await decodeText(bytes, encoding);
  if (text !== undefined) return encoding === utf8 ? { text } : { text, encoding };
  throw new ToolError(
    `${name} is not ${encoding === utf8 ? "UTF-8" : encoding} text (perhaps it has another encoding). ` +
      "It is not read, because writing it back would change its bytes. Look at it with the shell (`file`, `iconv`), " +
      "or ask the user to set its encoding (`files.encoding`).",
  );
}
