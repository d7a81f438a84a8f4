/**
 * Types of `progress.mjs`, which is JavaScript because it runs before anything is installed.
 *
 * Not here: behaviour. Easily got wrong: a change of the signature there must be made here too.
 */

/** Runs `work` under one progress line and returns what it returns; on failure marks the line and rethrows. */
export function step<T>(label: string, work: (detail: (text: string) => void) => Promise<T> | T): Promise<T>;
