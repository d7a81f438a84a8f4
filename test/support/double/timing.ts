/**
 * How long a model takes: to its first token, for every token it must read anew, and for every token it writes.
 *
 * Not here: scripted waits (`gates.ts`). Easily got wrong: it is off unless asked for, and then the same seed gives the
 * same waits for the same step of a conversation, whatever else runs at the same time.
 */
import type { Clock } from "../../../server/src/base/async.ts";
import { digest } from "./json.ts";

/** A model's speed. A field left out costs no time. */
export interface Timing {
  /** Milliseconds from the request to the first event, with everything cached. */
  readonly firstTokenMs?: number;
  /** Microseconds for every input token that was not read from the cache. */
  readonly prefillMicrosPerToken?: number;
  readonly tokensPerSecond?: number;
  /** Share (0 to 1) by which each wait varies up and down. */
  readonly jitter?: number;
}

/** Paces one answer. Waits are kept to a schedule, so that timers that fire late do not add up. */
export class Pace {
  readonly #timing: Timing;
  readonly #clock: Clock;
  readonly #random: () => number;
  #due: number;

  constructor(timing: Timing, clock: Clock, seed: string) {
    this.#timing = timing;
    this.#clock = clock;
    this.#random = seededRandom(seed);
    this.#due = clock.now();
  }

  /** Waits until the first event of an answer that had to read `uncached` input tokens. */
  first(uncached: number, signal: AbortSignal): Promise<void> {
    const { firstTokenMs = 0, prefillMicrosPerToken = 0 } = this.#timing;
    return this.#wait(firstTokenMs + (uncached * prefillMicrosPerToken) / 1000, signal);
  }

  /** Waits as long as it takes to write `tokens`. */
  write(tokens: number, signal: AbortSignal): Promise<void> {
    const { tokensPerSecond = 0 } = this.#timing;
    return this.#wait(tokensPerSecond > 0 ? (tokens * 1000) / tokensPerSecond : 0, signal);
  }

  /** Starts the schedule anew, after a wait that is not the model's. */
  resume(): void {
    this.#due = Math.max(this.#due, this.#clock.now());
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0) return;
    const { jitter = 0 } = this.#timing;
    this.#due += ms * (1 + jitter * (2 * this.#random() - 1));
    const rest = this.#due - this.#clock.now();
    // Timers are no finer than a millisecond; what is less is carried over to the next wait.
    if (rest >= 1) await this.#clock.sleep(rest, signal);
  }
}

/** Numbers in [0, 1) that depend on nothing but the seed (mulberry32). */
export function seededRandom(seed: string): () => number {
  let state = Number.parseInt(digest(seed).slice(0, 8), 16);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
