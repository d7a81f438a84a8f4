/**
 * One queue per key: what has the same key runs one after another, the rest side by side.
 *
 * Not here: concurrency limits (`p-queue`). Easily got wrong: queues that are idle are forgotten, so keys may be any number.
 */
import { Serial } from "../base/async.ts";

/** Queues by key. */
export interface Queues {
  /** Resolves or rejects as `run` does, once everything queued before it under the same key has settled. */
  readonly run: <T>(key: string, run: () => Promise<T>) => Promise<T>;
}

/** Runs in the place of several keys at once. Always in the same order of keys, so that two never wait for each other. */
export function runInAll<T>(queues: Queues, keys: readonly string[], run: () => Promise<T>): Promise<T> {
  const ordered = [...new Set(keys)].sort();
  return ordered.reduceRight<() => Promise<T>>((next, key) => () => queues.run(key, next), run)();
}

/** Makes queues; there is nothing to release. */
export function createQueues(): Queues {
  const queues = new Map<string, { readonly serial: Serial; waiting: number }>();
  return {
    run: async (key, run) => {
      const queue = queues.get(key) ?? { serial: new Serial(), waiting: 0 };
      queues.set(key, queue);
      queue.waiting += 1;
      try {
        return await queue.serial.run(run);
      } finally {
        queue.waiting -= 1;
        if (queue.waiting === 0) queues.delete(key);
      }
    },
  };
}
