/**
 * Holds back the requests of one key: so many at once, in order, and none while the vendor wants the key to wait.
 *
 * Not here: asking again (`retry.ts`). Easily got wrong: after a refusal every request of the key waits for the same
 * moment, also those of other sessions, so one `Limiter` is shared by all that use the key.
 */
import PQueue from "p-queue";
import { type Clock, deferred } from "../base/async.ts";
import { isAbort, ProviderError } from "../base/errors.ts";
import { phaseRecorder } from "../base/trace.ts";
import { abortError } from "./connection.ts";
import { withoutAdvice } from "./failure.ts";
import type { ModelEvent, ProviderDecorator } from "./provider.ts";
import { readLimits } from "./rateLimits.ts";
import { sleep } from "./retry.ts";

/** What a limiter needs. */
export interface LimiterOptions {
  readonly clock: Clock;
  /** Requests of the key that may be open at once. */
  readonly concurrency: number;
}

/** Requests that may wait for one key; more are refused at once. */
const maxWaiting = 1_000;
/** A longer wait than this is told instead of waited, in ms. */
const maxPauseMs = 60_000;
const firstPauseMs = 1_000;
const maxGuessedPauseMs = 30_000;

/** The limits of one key. */
export class Limiter {
  readonly #clock: Clock;
  readonly #queue: PQueue;
  #openAt = 0;
  #refusedAt = 0;
  #reason = "";
  /** Refusals since the last answer. */
  #refusals = 0;

  constructor({ clock, concurrency }: LimiterOptions) {
    this.#clock = clock;
    this.#queue = new PQueue({ concurrency });
  }

  /** Changes how many requests may be open at once; those that are open stay so. */
  set concurrency(count: number) {
    this.#queue.concurrency = count;
  }

  /** To be told of the headers of every answer that began well. */
  readonly heard = (headers: Headers): void => {
    const now = this.#clock.now();
    this.#refusals = 0;
    // An answer shows that a vendor who wanted hours has changed its mind.
    if (this.#openAt - now > maxPauseMs) this.#openAt = 0;
    const { nextMs } = readLimits(headers, now);
    if (nextMs !== undefined) this.#pause(Math.min(nextMs, maxPauseMs), "The key has used up its requests for now.");
  };

  /** To be told of a refusal. Without a word of the vendor on how long, the wait doubles from 1 s up to 30 s. */
  refused(error: ProviderError): void {
    this.#refusals += 1;
    this.#refusedAt = this.#clock.now();
    // The vendor's newest word holds, also where it is a shorter wait.
    if (error.retryAfterMs !== undefined) this.#openAt = 0;
    const guess = Math.min(maxGuessedPauseMs, firstPauseMs * 2 ** (this.#refusals - 1));
    this.#pause(error.retryAfterMs ?? guess, error.message);
  }

  /** Resolves, in call order, to a function that must be called when the request is over. */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#queue.size >= maxWaiting)
      throw new ProviderError("Too many requests to the model wait already. Stop some of them, and try again.", {
        kind: "rateLimit",
      });
    const over = deferred<void>();
    const begun = deferred<void>();
    const run = async () => {
      begun.resolve();
      await over.promise;
    };
    // An abort takes it out of the queue, or gives its place back; `over` then changes nothing.
    this.#queue.add(run, { signal }).catch(begun.reject);
    try {
      await begun.promise;
    } catch (error) {
      throw signal.aborted && !isAbort(error) ? abortError(signal) : error;
    }
    return over.resolve;
  }

  /**
   * Waits until the key may ask, telling of each wait. Where that is too far off it throws `rateLimit`, for a minute; then
   * one may ask again, lest a wrong number locks the key out.
   */
  async *opened(signal: AbortSignal): AsyncGenerator<ModelEvent> {
    for (;;) {
      const now = this.#clock.now();
      const waitMs = this.#openAt - now;
      const isFar = waitMs > maxPauseMs;
      if (waitMs <= 0 || (isFar && now - this.#refusedAt >= maxPauseMs)) return;
      if (isFar) throw new ProviderError(this.#reason, { kind: "rateLimit", retryAfterMs: waitMs });
      const reason = withoutAdvice(this.#reason);
      yield { type: "retry", attempt: this.#refusals, untilAt: this.#openAt, reason };
      phaseRecorder()?.enter("wait", reason);
      await sleep(this.#clock, waitMs, signal);
      phaseRecorder()?.enter("build");
    }
  }

  #pause(ms: number, reason: string): void {
    const openAt = this.#clock.now() + ms;
    if (openAt <= this.#openAt) return;
    this.#openAt = openAt;
    this.#reason = reason;
  }
}

/** Sends every request through the limiter of its key. */
export function withLimiter(limiter: Limiter): ProviderDecorator {
  return (next) => ({
    async *stream(request, signal) {
      phaseRecorder()?.enter("queue");
      const leave = await limiter.enter(signal);
      phaseRecorder()?.enter("build");
      try {
        yield* limiter.opened(signal);
        yield* telling(limiter, next.stream(request, signal));
      } finally {
        leave();
      }
    },
  });
}

async function* telling(limiter: Limiter, events: AsyncIterable<ModelEvent>): AsyncGenerator<ModelEvent> {
  try {
    yield* events;
  } catch (error) {
    if (error instanceof ProviderError && error.kind === "rateLimit") limiter.refused(error);
    throw error;
  }
}
