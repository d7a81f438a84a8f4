/**
 * Named points at which an answer waits until a test lets it go on, so that tests wait for events and never for time.
 *
 * Not here: where in an answer they stand (`script.ts`). Easily got wrong: both ends latch. A gate released before it is
 * reached does not hold at all, and stays open for every later answer that uses its name.
 */
import { abortable, type Deferred, deferred } from "../../../server/src/base/async.ts";

/** All gates of one double, made on first use. */
export class Gates {
  readonly #gates = new Map<string, { readonly reached: Deferred<void>; readonly released: Deferred<void> }>();

  /** Says that an answer is at the gate, and resolves when it is released; rejects when `signal` aborts. */
  async pass(name: string, signal: AbortSignal): Promise<void> {
    const gate = this.#gate(name);
    gate.reached.resolve();
    await abortable(gate.released.promise, signal);
  }

  /** Resolves when an answer has come to the gate for the first time. */
  reached(name: string): Promise<void> {
    return this.#gate(name).reached.promise;
  }

  /** Opens the gate for good. */
  release(name: string): void {
    this.#gate(name).released.resolve();
  }

  /** Forgets every gate; answers that wait at one stay there until their client leaves. */
  reset(): void {
    this.#gates.clear();
  }

  #gate(name: string) {
    const known = this.#gates.get(name);
    if (known) return known;
    const gate = { reached: deferred<void>(), released: deferred<void>() };
    this.#gates.set(name, gate);
    return gate;
  }
}
