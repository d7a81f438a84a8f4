/**
 * Asks again after failures that pass by themselves, and says so while it waits.
 *
 * Not here: streams that die half-way (`session/turn.ts` goes on from their last complete block). Easily got wrong: a
 * request is repeated only while nothing of its answer has been seen, so no text shows twice and no call runs twice.
 */
import type { Clock } from "../base/async.ts";
import { isAbort, ProviderError, type ProviderErrorKind } from "../base/errors.ts";
import { phaseRecorder } from "../base/trace.ts";
import { abortError } from "./connection.ts";
import { withoutAdvice } from "./failure.ts";
import type { ProviderDecorator } from "./provider.ts";

/** What retrying needs. */
export interface RetryDeps {
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Requests in all, the first included. */
  readonly maxAttempts: number;
  /** No request is begun later than this after the first, in ms. */
  readonly maxTotalMs: number;
  /** Whether an endpoint that is left alone for now is waited for; where there is another model to ask, it is not. */
  readonly patient: boolean;
}

const passing: ReadonlySet<ProviderErrorKind> = new Set(["rateLimit", "overloaded", "network", "server"]);
const firstDelayMs = 500;
const maxDelayMs = 8_000;
/** A person would rather be told than wait longer than this. */
const maxRetryAfterMs = 60_000;

/**
 * Repeats a request that failed before its first event. Yields a `retry` event before each wait, whose `attempt` counts
 * the failures so far. Throws the last failure as it is when it will not pass, or not in time.
 */
export function withRetry(deps: RetryDeps): ProviderDecorator {
  return (next) => ({
    async *stream(request, signal) {
      const lastAt = deps.clock.now() + deps.maxTotalMs;
      for (let attempt = 1; ; ) {
        let begun = false;
        try {
          for await (const event of next.stream(request, signal)) {
            if (event.type !== "retry") begun = true;
            yield event;
          }
          return;
        } catch (error) {
          const waitMs = begun ? undefined : waitAfter(error, attempt, deps);
          const untilAt = deps.clock.now() + (waitMs ?? 0);
          if (waitMs === undefined || untilAt > lastAt || !(error instanceof ProviderError)) throw error;
          const reason = withoutAdvice(error.message);
          yield { type: "retry", attempt, untilAt, reason };
          phaseRecorder()?.enter("wait", reason);
          await sleep(deps.clock, waitMs, signal);
          phaseRecorder()?.enter("build");
          // An endpoint that is left alone was not asked, so that was no attempt.
          if (error.kind !== "unavailable") attempt++;
        }
      }
    },
  });
}

/** Milliseconds to wait after the failure, or `undefined` when asking again would be no use. */
function waitAfter(error: unknown, attempt: number, deps: RetryDeps): number | undefined {
  if (!(error instanceof ProviderError)) return undefined;
  if (error.kind === "unavailable") return deps.patient ? error.retryAfterMs : undefined;
  if (!passing.has(error.kind) || attempt >= deps.maxAttempts) return undefined;
  if (error.retryAfterMs !== undefined) return error.retryAfterMs > maxRetryAfterMs ? undefined : error.retryAfterMs;
  const delay = Math.min(maxDelayMs, firstDelayMs * 2 ** (attempt - 1));
  // Up to a quarter less, so that many hosts that failed together do not come back together.
  return Math.round(delay * (1 - 0.25 * deps.random()));
}

/** Resolves after `ms`; an aborted signal ends the wait at once, with an abort error whatever its reason. */
export async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    throw signal.aborted && !isAbort(error) ? abortError(signal) : error;
  }
}
