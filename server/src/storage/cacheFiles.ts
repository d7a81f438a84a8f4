/**
 * Small JSON values that may be lost, in files by key: the disk tier of a cache, shared by every host of the user.
 *
 * Not here: what the values mean and when they expire. Easily got wrong: nothing in here may fail its caller's work; what
 * cannot be read is not there, and what cannot be written is logged.
 */
import { readdir, readFile, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Serial } from "../base/async.ts";
import { errorCode, messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { makePrivateFolder, writeFileDurably } from "./durableFile.ts";

/** How much is kept. */
export interface CacheLimits {
  readonly entries: number;
  /** Of all files together. */
  readonly bytes: number;
  /** Milliseconds since the last use. */
  readonly ageMs: number;
}

/** Values by key. Keys are lower-case hex. */
export interface CacheFiles {
  /** The value as it was written, or `undefined`. */
  read(key: string): Promise<unknown>;
  /** Keeps a value as the most recently used, and drops the least recently used ones beyond the limits. */
  write(key: string, value: object): Promise<void>;
  remove(key: string): Promise<void>;
  /** Every value, the most recently used first. */
  readAll(): Promise<readonly unknown[]>;
}

/** Bytes of one file; more is neither written nor read. */
const maxFileBytes = 1024 * 1024;
/** Milliseconds after which a temp file belongs to a process that is gone. */
const staleTempMs = 60 * 60 * 1000;

/** Makes the store in a folder, which is made with the first value. `now` is in milliseconds since the epoch. */
export function createCacheFiles(dir: string, limits: () => CacheLimits, now: () => number): CacheFiles {
  const writing = new Serial();
  const pathOf = (key: string) => join(dir, `${key}.json`);
  const forget = (path: string) => unlink(path).catch(() => undefined);
  return {
    read: (key) => readValue(pathOf(key)),
    write: (key, value) =>
      writing.run(async () => {
        const text = JSON.stringify(value);
        if (Buffer.byteLength(text) > maxFileBytes) return;
        try {
          await makePrivateFolder(dir);
          await writeFileDurably(pathOf(key), text);
          await utimes(pathOf(key), now() / 1000, now() / 1000);
          for (const path of await superfluous(dir, limits(), now())) await forget(path);
        } catch (error) {
          log("warn", `An answer could not be kept for later: ${messageOf(error)}`);
        }
      }),
    remove: (key) => writing.run(async () => void (await forget(pathOf(key)))),
    readAll: async () => {
      const { entries } = limits();
      const files = (await list(dir)).filter(({ path }) => path.endsWith(".json")).slice(0, entries);
      const values = await Promise.all(files.map(({ path }) => readValue(path)));
      return values.filter((value) => value !== undefined);
    },
  };
}

async function readValue(path: string): Promise<unknown> {
  try {
    if ((await stat(path)).size > maxFileBytes) return undefined;
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    // Not a warning of its own for each: whoever asked finds nothing, and the next value takes the place.
    log("debug", `A kept answer could not be read: ${messageOf(error)}`);
    return undefined;
  }
}

interface ListedFile {
  readonly path: string;
  readonly bytes: number;
  readonly usedAt: number;
}

/** Files of the folder, the most recently used first. */
async function list(dir: string): Promise<readonly ListedFile[]> {
  const names = await readdir(dir).catch(() => []);
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(dir, name);
      const found = await stat(path).catch(() => undefined);
      return found?.isFile() ? [{ path, bytes: found.size, usedAt: found.mtimeMs }] : [];
    }),
  );
  return files.flat().toSorted((a, b) => b.usedAt - a.usedAt);
}

async function superfluous(dir: string, limits: CacheLimits, now: number): Promise<readonly string[]> {
  let entries = 0;
  let bytes = 0;
  return (await list(dir)).flatMap((file) => {
    if (!file.path.endsWith(".json")) {
      return file.path.endsWith(".tmp") && now - file.usedAt > staleTempMs ? [file.path] : [];
    }
    entries += 1;
    bytes += file.bytes;
    const isKept = entries <= limits.entries && bytes <= limits.bytes && now - file.usedAt <= limits.ageMs;
    return isKept ? [] : [file.path];
  });
}
