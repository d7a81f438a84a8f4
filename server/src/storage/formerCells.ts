/**
 * Keeps cells that were taken out of notebooks, with their outputs, so that undo can bring them back in another process:
 * one small file per cell, in a folder per notebook.
 *
 * Not here: what a cell is. Easily got wrong: it is bounded, the oldest go first; a cell that is gone from here comes back
 * without outputs.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ToolError } from "../base/errors.ts";
import { makePrivateFolder, storageError, writeFileDurably } from "./durableFile.ts";

/** Files and bytes that are kept of one notebook. */
const maxFiles = 2_000;
const maxBytes = 128 * 1024 * 1024;

/**
 * Makes a store in a folder, which is made when it is needed. `keep` rejects with `ToolError` when cells cannot be kept;
 * `find` gives those that are there.
 */
export function createFormerCellStore(folder: string) {
  const folderOf = (uri: string) => join(folder, digestOf(uri));
  return {
    keep: async (uri: string, parts: ReadonlyMap<string, string>): Promise<void> => {
      const own = folderOf(uri);
      try {
        await makePrivateFolder(own);
        for (const [name, part] of parts) await writeFileDurably(join(own, `${digestOf(name)}.json`), part);
        await trim(own);
      } catch (error) {
        const { message } = storageError("cells could not be kept for undo", own, error);
        throw new ToolError(`Nothing was changed, because its ${message} Tell the user.`, { cause: error });
      }
    },
    find: async (uri: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> => {
      const found = new Map<string, string>();
      for (const name of names) {
        const part = await readFile(join(folderOf(uri), `${digestOf(name)}.json`), "utf8").catch(() => undefined);
        if (part !== undefined) found.set(name, part);
      }
      return found;
    },
  };
}

async function trim(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".json"));
  const files = await Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(folder, name));
      return { path: join(folder, name), size, mtimeMs };
    }),
  );
  let bytes = 0;
  for (const [at, { path, size }] of files.toSorted((a, b) => b.mtimeMs - a.mtimeMs).entries()) {
    bytes += size;
    if (at >= maxFiles || (at > 0 && bytes > maxBytes)) await unlink(path);
  }
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
