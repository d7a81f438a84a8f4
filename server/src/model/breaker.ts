/**
 * Leaves an endpoint alone that fails again and again: after enough failures in a row it is not asked for a while, then
 * by one request only, whose outcome decides.
 *
 * Not here: waiting or going to another model (`retry.ts`, `session/turn.ts`). Easily got wrong: a refusal of the key or
 * of the request says that the endpoint works, and a cancelled request says nothing.
 */
import type { Clock } from "../base/async.ts";
import { ProviderError, type ProviderErrorKind } from "../base/errors.ts";
import { unavailable } from "./failure.ts";
import type { ProviderDecorator } from "./provider.ts";

/** What a breaker needs. */
export interface BreakerOptions {
  readonly clock: Clock;
  /** Failures in a row after which the endpoint is left alone. */
  readonly threshold?: number;
  /** For how long, in ms. */
  readonly coolDownMs?: number;
}

const failing: ReadonlySet<ProviderErrorKind> = new Set(["overloaded", "network", "server"]);
const defaultThreshold = 5;
const defaultCoolDownMs = 15_000;
/** While one request asks whether the endpoint works again, the others are told to come back after this, in ms. */
const probingMs = 1_000;

/** What is known of one endpoint. */
export class Breaker {
  readonly #clock: Clock;
  readonly #threshold: number;
  readonly #coolDownMs: number;
  #failures = 0;
  #lastReason = "";
  #openUntil: number | undefined;
  #probing = false;

  constructor({ clock, threshold = defaultThreshold, coolDownMs = defaultCoolDownMs }: BreakerOptions) {
    this.#clock = clock;
    this.#threshold = threshold;
    this.#coolDownMs = coolDownMs;
  }

  /** True while the endpoint is left alone. */
  get isOpen(): boolean {
    return this.#openUntil !== undefined && this.#openUntil > this.#clock.now();
  }

  /** Lets a request through, and says whether it is the probe; throws `unavailable` while the endpoint is left alone. */
  enter(): boolean {
    if (this.#openUntil === undefined) return false;
    const waitMs = this.#openUntil - this.#clock.now();
    if (waitMs > 0 || this.#probing)
      throw unavailable(this.#lastReason, this.#failures, this.#probing ? probingMs : waitMs);
    this.#probing = true;
    return true;
  }

  /** The endpoint has answered. */
  succeeded(): void {
    this.#failures = 0;
    this.#openUntil = undefined;
  }

  /** A request that was let through has failed. */
  failed(error: unknown): void {
    if (!(error instanceof ProviderError)) return;
    if (!failing.has(error.kind)) {
      if (error.kind !== "protocol") this.succeeded();
      return;
    }
    this.#failures += 1;
    this.#lastReason = error.message;
    if (this.#failures >= this.#threshold) this.#openUntil = this.#clock.now() + this.#coolDownMs;
  }

  /** The probe is over, whatever came of it. */
  probed(): void {
    this.#probing = false;
  }
}

/** Sends every request through the breaker of its endpoint. */
export function withBreaker(breaker: Breaker): ProviderDecorator {
  return (next) => ({
    async *stream(request, signal) {
      const isProbe = breaker.enter();
      let begun = false;
      try {
        for await (const event of next.stream(request, signal)) {
          // A probe that is answered has shown enough; what follows may take minutes.
          if (isProbe && !begun && event.type !== "retry") {
            begun = true;
            breaker.succeeded();
            breaker.probed();
          }
          if (event.type === "done") breaker.succeeded();
          yield event;
        }
      } catch (error) {
        breaker.failed(error);
        throw error;
      } finally {
        if (isProbe && !begun) breaker.probed();
      }
    },
  });
}
