/**
 * Small tools for waiting: sleeping under a signal, joining calls, linking signals. All of them can be cancelled.
 *
 * Not here: queues (`p-queue`) and retries (`model/retry.ts`). Easily got wrong: code that must be deterministic takes
 * a `Clock` and never calls these with the real timers.
 */

/** Time as the code under test sees it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Resolves after `ms`, or rejects with the abort reason. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal.addEventListener("abort", onAbort, { once: true });
    }),
};

/** Runs async functions one after another, in call order; a failure does not stop the next. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as `run` does, once everything queued before it has settled. */
  run<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run, run);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Resolves when everything queued so far has settled. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}

/** A promise with its two ends in hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** Makes a `Deferred`. */
export function deferred<T>(): Deferred<T> {
  return Promise.withResolvers<T>();
}

/** Settles as `promise` does, or rejects with the abort reason as soon as `signal` aborts; what runs on is ignored. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
