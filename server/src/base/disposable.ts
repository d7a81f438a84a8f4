/**
 * Ownership of things that must be released: `Disposable`, a store of them, and a tracker that tests use to find leaks.
 *
 * Not here: draining, which is asynchronous and called `close()`. Easily got wrong: `dispose` is idempotent and never
 * throws, and whoever creates a disposable registers it on the next line or returns it.
 */

/** Something to release once, synchronously. */
export interface Disposable {
  dispose(): void;
}

const live = new Set<Disposable>();

/** Disposables made by this module that are not yet disposed; for leak checks in tests. */
export function liveDisposables(): number {
  return live.size;
}

/** Wraps a function so that it runs once, on the first `dispose`. */
export function toDisposable(release: () => void): Disposable {
  const disposable: Disposable = {
    dispose: () => {
      if (live.delete(disposable)) release();
    },
  };
  live.add(disposable);
  return disposable;
}

/** Owns disposables and releases them in reverse order of registration. */
export class DisposableStore implements Disposable {
  readonly #items: Disposable[] = [];
  #disposed = false;

  /** Takes ownership and returns its argument; disposes it at once when the store is already disposed. */
  add<T extends Disposable>(item: T): T {
    if (this.#disposed) item.dispose();
    else this.#items.push(item);
    return item;
  }

  dispose(): void {
    this.#disposed = true;
    for (let item = this.#items.pop(); item; item = this.#items.pop()) item.dispose();
  }
}
