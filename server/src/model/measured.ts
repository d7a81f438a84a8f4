/**
 * Measures how each request goes: how long to its first token, how fast after that, and whether it failed.
 *
 * Not here: keeping it (`storage/speeds.ts`), deciding by it (`router.ts`). Easily got wrong: a request that the user has
 * stopped, or that was refused for what it asked, says nothing about the model.
 */
import type { Clock } from "../base/async.ts";
import { ProviderError, type ProviderErrorKind } from "../base/errors.ts";
import type { ProviderDecorator } from "./provider.ts";

/** How one request went. */
export interface Measurement {
  /** The model's id. */
  readonly model: string;
  readonly failed: boolean;
  /** Milliseconds to the first event; absent where none came. */
  readonly firstTokenMs?: number;
  /** Absent where the answer was too short to tell. */
  readonly tokensPerSecond?: number;
}

const failing: ReadonlySet<ProviderErrorKind> = new Set(["overloaded", "network", "server", "rateLimit", "protocol"]);
/** An answer of fewer tokens, or a faster one in ms, is mostly the wait for its beginning. */
const leastTokens = 20;
const leastMs = 50;

/** Tells `record` of every request that was answered or failed. Innermost, so that no wait of ours is in it. */
export function withMeasuring(
  clock: Pick<Clock, "now">,
  record: (measurement: Measurement) => void,
): ProviderDecorator {
  return (next) => ({
    async *stream(request, signal) {
      const startedAt = clock.now();
      const model = request.model.id;
      let firstAt: number | undefined;
      try {
        for await (const event of next.stream(request, signal)) {
          firstAt ??= clock.now();
          if (event.type === "done") {
            const ms = clock.now() - firstAt;
            const { outputTokens } = event.usage;
            const isTelling = outputTokens >= leastTokens && ms >= leastMs;
            record({
              model,
              failed: false,
              firstTokenMs: firstAt - startedAt,
              ...(isTelling ? { tokensPerSecond: (1000 * outputTokens) / ms } : {}),
            });
          }
          yield event;
        }
      } catch (error) {
        if (error instanceof ProviderError && failing.has(error.kind) && !signal.aborted)
          record({ model, failed: true });
        throw error;
      }
    },
  });
}
