/**
 * Asks again after failures that pass by themselves, and says so while it waits.
 *
 * Not here: streams that die half-way (`session/turn.ts` goes on from their last complete block). Easily got wrong: a
 * request is repeated only while nothing of its answer has been seen, so no text shows twice and no call runs twice.
 */
import type { Clock } from "../base/async.ts";
import { isAbort, ProviderError, type ProviderErrorKind } from "../base/errors.ts";
import { abortError } from "./connection.ts";
import type { ProviderDecorator } from "./provider.ts";

/** What retrying needs. */
export interface RetryDeps {
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Requests in all, the first included. */
  readonly maxAttempts: number;
}

const passing: ReadonlySet<ProviderErrorKind> = new Set(["rateLimit", "overloaded", "network", "server"]);
const firstDelayMs = 500;
const maxDelayMs = 8_000;
/** A person would rather be told than wait longer than this. */
const maxRetryAfterMs = 60_000;

/**
 * Repeats a request that failed before its first event. Yields a `retry` event before each wait, whose `attempt` counts
 * the failures so far. Throws the last failure as it is when it will not pass, or not within 60 s.
 */
export function withRetry(deps: RetryDeps): ProviderDecorator {
  return (next) => ({
    async *stream(request, signal) {
      for (let attempt = 1; ; attempt++) {
        let begun = false;
        try {
          for await (const event of next.stream(request, signal)) {
            begun = true;
            yield event;
          }
          return;
        } catch (error) {
          const waitMs = begun || attempt >= deps.maxAttempts ? undefined : waitAfter(error, attempt, deps.random);
          if (waitMs === undefined || !(error instanceof ProviderError)) throw error;
          yield { type: "retry", attempt, untilAt: deps.clock.now() + waitMs, reason: error.message };
          await sleep(deps.clock, waitMs, signal);
        }
      }
    },
  });
}

/** Milliseconds to wait after the failure, or `undefined` when asking again would be no use. */
function waitAfter(error: unknown, attempt: number, random: () => number): number | undefined {
  if (!(error instanceof ProviderError) || !passing.has(error.kind)) return undefined;
  if (error.retryAfterMs !== undefined) return error.retryAfterMs > maxRetryAfterMs ? undefined : error.retryAfterMs;
  const delay = Math.min(maxDelayMs, firstDelayMs * 2 ** (attempt - 1));
  // Up to a quarter less, so that many hosts that failed together do not come back together.
  return Math.round(delay * (1 - 0.25 * random()));
}

async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    throw signal.aborted && !isAbort(error) ? abortError(signal) : error;
  }
}
