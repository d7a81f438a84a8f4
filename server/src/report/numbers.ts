/**
 * Numbers, money and times as people read them, in the panel and in the terminal. Pure.
 *
 * Not here: paths and moments (`media/format.ts`). Easily got wrong: small amounts keep digits, or they all look like none.
 */

/** Milliseconds as `40 ms`, `0.4 s`, `12 s` or `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 100) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** A count as `950`, `12.3k` or `1.2M`. */
export function count(value: number): string {
  if (value < 1000) return String(value);
  return value < 1_000_000 ? `${(value / 1000).toFixed(1)}k` : `${(value / 1_000_000).toFixed(1)}M`;
}

/** Tokens of so many bytes of text, for a model with so many bytes to a token: `≈ 950 tokens`, `≈ 1.2k tokens`. */
export function aboutTokens(bytes: number, bytesPerToken: number): string {
  return `≈ ${count(Math.ceil(bytes / bytesPerToken))} tokens`;
}

/** US dollars, exact enough for small sums. */
export function dollars(value: number): string {
  return `$${value.toFixed(value < 0.1 ? 4 : 2)}`;
}

/** A share from 0 to 1 as `62 %`; what is more than nothing is never shown as nothing. */
export function percent(share: number): string {
  const whole = Math.round(100 * share);
  return whole === 0 && share > 0 ? "< 1 %" : `${whole} %`;
}
