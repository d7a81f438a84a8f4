/**
 * The disk tier of a cache in memory, for tests of what stands above it.
 *
 * Not here: limits and damage; `test/unit/storage/cacheFiles.test.ts` has those. Easily got wrong: values go through JSON,
 * as on disk.
 */
import type { CacheFiles } from "../../server/src/storage/cacheFiles.ts";

/** Makes one; `texts` holds what was written, by key. */
export function memoryCacheFiles(texts = new Map<string, string>()): CacheFiles {
  return {
    read: async (key) => {
      const text = texts.get(key);
      return text === undefined ? undefined : JSON.parse(text);
    },
    write: async (key, value) => void texts.set(key, JSON.stringify(value)),
    remove: async (key) => void texts.delete(key),
    readAll: async () => [...texts.values()].map((text) => JSON.parse(text)),
  };
}
