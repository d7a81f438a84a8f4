/**
 * Byte strings under the hash of their content, compressed, in `blobs/ab/cdef…`.
 *
 * Not here: what they mean (file texts before and after a change). Easily got wrong: a name that exists is complete,
 * because files arrive by rename after they were flushed; so storing the same bytes again only looks.
 */
import { readdir, readFile, stat, unlink, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { errorCode, RequestError } from "../base/errors.ts";
import type { BlobId } from "../protocol/types.ts";
import { BlobRoom } from "./blobRoom.ts";
import { makePrivateFolder, storageError, writeFileDurably } from "./durableFile.ts";
import { blobIdOf, unknownBlob } from "./stored.ts";

/** The blob half of a `SessionStore`. */
export interface BlobStore {
  put(bytes: Uint8Array): Promise<BlobId>;
  get(id: BlobId): Promise<Uint8Array>;
  /** Says which blobs must stay when room is made. */
  keep(needed: () => Iterable<BlobId>): void;
  /** Waits for everything put, and stops making room. */
  close(): Promise<void>;
}

/** Bytes of one blob; files that the agent may edit are far smaller. */
export const maxBlobBytes = 256 * 1024 * 1024;

/** Milliseconds after which a temp file belongs to a process that is gone. */
const staleTempMs = 60 * 60 * 1000;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** What the blob store needs from outside. */
export interface BlobStoreDeps {
  /** The folder, made when the first blob is put. */
  readonly dir: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Bytes on disk beyond which the blobs that were used least recently are removed; without end when absent. */
  readonly quota?: () => number;
}

/** Makes the blob store. */
export function createBlobStore({ dir, now, quota }: BlobStoreDeps): BlobStore {
  const room = quota && new BlobRoom(join(dir, "blobs"), now, quota);
  const pending = new Map<BlobId, Promise<void>>();
  const tempFolder = join(dir, "tmp");
  let swept: Promise<void> | undefined;
  const put = async (id: BlobId, bytes: Uint8Array): Promise<void> => {
    const path = pathOf(dir, id);
    try {
      // Used again: it goes last when room is made.
      if (await touch(path, now())) return;
      swept ??= makePrivateFolder(tempFolder).then(() => sweep(tempFolder, now()));
      await Promise.all([swept, makePrivateFolder(dirname(path))]);
      const packed = await compress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
      await writeFileDurably(path, packed, { tempFolder });
      await touch(path, now());
      room?.added(packed.length);
    } catch (error) {
      swept = undefined;
      throw storageError("Could not keep a copy of the text", path, error);
    }
  };
  return {
    put: async (bytes) => {
      if (bytes.length > maxBlobBytes) {
        throw new Error(`Could not keep a copy of the text: ${bytes.length} bytes are more than ${maxBlobBytes}.`);
      }
      const id = blobIdOf(bytes);
      const running = pending.get(id) ?? put(id, bytes).finally(() => pending.delete(id));
      pending.set(id, running);
      await running;
      return id;
    },
    get: async (id) => {
      const bytes = await readBlob(dir, id);
      if (room) await touch(pathOf(dir, id), now()).catch(() => false);
      return bytes;
    },
    keep: (needed) => room?.keep(needed),
    close: async () => {
      await Promise.allSettled(pending.values());
      await room?.close();
    },
  };
}

async function readBlob(dir: string, id: BlobId): Promise<Uint8Array> {
  if (!/^[0-9a-f]{64}$/.test(id)) throw unknownBlob(id);
  const path = pathOf(dir, id);
  let packed: Buffer;
  try {
    packed = await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") throw unknownBlob(id);
    throw storageError("Could not read a stored text", path, error);
  }
  const bytes = await decompress(packed, { maxOutputLength: maxBlobBytes }).catch(() => undefined);
  if (bytes && blobIdOf(bytes) === id) return bytes;
  throw new RequestError(
    "damaged_blob",
    `The stored text ${id} is damaged on disk (${path}), so it cannot be shown or restored. Restore that file from a backup if there is one.`,
  );
}

function pathOf(dir: string, id: BlobId): string {
  return join(dir, "blobs", id.slice(0, 2), id.slice(2));
}

/** Notes that a blob was used now. False when it is not there. */
async function touch(path: string, now: number): Promise<boolean> {
  try {
    await utimes(path, now / 1000, now / 1000);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** Removes what killed processes left half written. */
async function sweep(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => now - mtimeMs,
      () => 0,
    );
    if (age > staleTempMs) await unlink(path).catch(() => undefined);
  }
}
