/**
 * Announcements of state to whoever cares: an `Event` is the function that subscribes, its `Emitter` stays private.
 *
 * Not for control flow: call the method instead. Easily got wrong: listeners run synchronously, in subscription order,
 * and one that throws does not stop the others (its error is rethrown on the next microtask).
 */
import { type Disposable, toDisposable } from "./disposable.ts";

/** Subscribes a listener until the result is disposed. */
export type Event<T> = (listener: (value: T) => void) => Disposable;

/** The private end of an `Event`. */
export class Emitter<T> implements Disposable {
  readonly #listeners = new Map<object, (value: T) => void>();

  /** Hand this out; keep the emitter. */
  readonly event: Event<T> = (listener) => {
    const key = {};
    this.#listeners.set(key, listener);
    return toDisposable(() => this.#listeners.delete(key));
  };

  /** Calls every listener with `value`. */
  fire(value: T): void {
    for (const listener of [...this.#listeners.values()]) {
      try {
        listener(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  dispose(): void {
    this.#listeners.clear();
  }
}
