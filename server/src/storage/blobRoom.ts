/**
 * Keeps the blobs of a folder within a number of bytes: removes those used least recently, in the background.
 *
 * Not here: reading and writing blobs (`blobs.ts`). Easily got wrong: other hosts share the folder and nothing is locked,
 * so files may vanish at any time, and what was used a short while ago is not removed: another host may count on it.
 */
import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { BlobId } from "../protocol/types.ts";

/** Room is made down to this part of the quota, so that there is not soon too little again. */
const filledPart = 0.8;
/** Milliseconds for which a blob stays after it was used, whatever the quota says. */
const graceMs = 10 * 60_000;
const blockBytes = 4096;
/** Files looked at side by side. */
const statsAtOnce = 32;
/** This part of the quota may be written between two looks: other hosts write too. */
const lookPart = 0.1;

interface BlobFile {
  readonly id: BlobId;
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
}

/** Makes room in one folder of blobs. */
export class BlobRoom {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #quota: () => number;
  #needed: () => Iterable<BlobId> = () => [];
  #looked = false;
  /** Bytes since the last look. */
  #written = 0;
  #closed = false;
  #making: Promise<void> | undefined;

  constructor(folder: string, now: () => number, quota: () => number) {
    this.#folder = folder;
    this.#now = now;
    this.#quota = quota;
  }

  /** Says which blobs must stay. */
  keep(needed: () => Iterable<BlobId>): void {
    this.#needed = needed;
  }

  /** A blob of so many bytes was written. Looks whether that is too much, now and then. */
  added(bytes: number): void {
    this.#written += onDisk(bytes);
    if (this.#making || (this.#looked && this.#written <= this.#quota() * lookPart)) return;
    this.#looked = true;
    this.#making = this.#make()
      .catch((error: unknown) => log("warn", `Old file contents could not be removed: ${messageOf(error)}`))
      .finally(() => {
        this.#making = undefined;
      });
  }

  /** Waits until room has been made. */
  async idle(): Promise<void> {
    await this.#making;
  }

  /** Stops making room; what is left to do is done by the next host. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#making;
  }

  async #make(): Promise<void> {
    this.#written = 0;
    const files = await this.#list();
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total > this.#quota() * (1 - lookPart)) {
      const needed = new Set(this.#needed());
      const before = this.#now() - graceMs;
      const removable = files.filter(({ id, usedAt }) => usedAt < before && !needed.has(id));
      for (const file of removable.toSorted((a, b) => a.usedAt - b.usedAt)) {
        if (this.#closed || total <= this.#quota() * filledPart) break;
        if (await this.#remove(file)) total -= file.bytes;
      }
    }
  }

  /** True when the file is gone. One that was used meanwhile stays. */
  async #remove({ path, usedAt }: BlobFile): Promise<boolean> {
    try {
      if ((await stat(path)).mtimeMs !== usedAt) return false;
      await unlink(path);
      return true;
    } catch (error) {
      return errorCode(error) === "ENOENT";
    }
  }

  async #list(): Promise<readonly BlobFile[]> {
    const files: BlobFile[] = [];
    for (const prefix of await namesIn(this.#folder)) {
      const names = await namesIn(join(this.#folder, prefix));
      if (this.#closed) return [];
      for (let at = 0; at < names.length; at += statsAtOnce) {
        const found = names.slice(at, at + statsAtOnce).map((name) => lookAt(this.#folder, prefix, name));
        files.push(...(await Promise.all(found)).filter((file) => file !== undefined));
      }
    }
    return files;
  }
}

async function lookAt(folder: string, prefix: string, name: string): Promise<BlobFile | undefined> {
  const path = join(folder, prefix, name);
  try {
    const { size, mtimeMs } = await stat(path);
    return { id: `${prefix}${name}` as BlobId, path, bytes: onDisk(size), usedAt: mtimeMs };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** File systems give space in blocks. */
function onDisk(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}

/** None where there is no such folder. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return [];
    throw error;
  }
}
