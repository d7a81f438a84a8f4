/**
 * Holds asynchronous work at named places until it is let through, and tells when nothing more happens by itself: the
 * order of things is then the test's to choose, and the same each time.
 *
 * Easily got wrong: work that does real input or output is counted, because it looks like waiting and is not.
 */

/** Held work, oldest first. */
export interface Gates {
  /** Waits here. */
  readonly hold: () => Promise<void>;
  /** Waits for time to pass: let through after everything else. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Counts work that goes on by itself. */
  readonly busy: <T>(work: () => Promise<T>) => Promise<T>;
  readonly held: (() => void)[];
  readonly sleeping: (() => void)[];
  /** Resolves when everything is held, or done. */
  readonly settle: () => Promise<void>;
}

/** Makes gates. */
export function createGates(): Gates {
  const held: (() => void)[] = [];
  const sleeping: (() => void)[] = [];
  let working = 0;
  return {
    held,
    sleeping,
    hold: () => new Promise((resolve) => held.push(resolve)),
    sleep: (_, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const wake = () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
        const onAbort = () => {
          sleeping.splice(sleeping.indexOf(wake), 1);
          reject(signal.reason);
        };
        signal.addEventListener("abort", onAbort, { once: true });
        sleeping.push(wake);
      }),
    busy: async (work) => {
      working += 1;
      try {
        return await work();
      } finally {
        working -= 1;
      }
    },
    settle: async () => {
      for (let quiet = 0; quiet < 2; ) {
        await new Promise(setImmediate);
        quiet = working === 0 ? quiet + 1 : 0;
      }
    },
  };
}
