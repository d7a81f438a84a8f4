/**
 * Decides whether a host that stopped by itself is started again, and after how long. Pure but for its memory of times.
 *
 * Not here: starting it. Easily got wrong: the limit is on stops within a window, so a host that ran well for long is
 * always started again.
 */

/** Stops within the window after which it is given up. */
const maxRestarts = 5;
/** The window, in ms. */
const windowMs = 3 * 60_000;
/** The wait before the second restart within the window, in ms; it doubles from one to the next. */
const firstDelayMs = 250;

/** What to do about a stop. */
export type RestartDecision = { readonly restart: true; readonly delayMs: number } | { readonly restart: false };

/** Makes a policy; call the result each time the host stops. `now` gives milliseconds. */
export function createRestartPolicy(now: () => number): () => RestartDecision {
  let stops: readonly number[] = [];
  return () => {
    const at = now();
    stops = [...stops.filter((time) => at - time < windowMs), at];
    const earlier = stops.length - 1;
    if (earlier >= maxRestarts) return { restart: false };
    return { restart: true, delayMs: earlier === 0 ? 0 : firstDelayMs * 2 ** (earlier - 1) };
  };
}
