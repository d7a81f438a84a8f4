/**
 * Reads what vendors say in headers about how fast a key may ask.
 *
 * Not here: waiting (`limiter.ts`). Easily got wrong: both vendors' resets say when a limit is whole again, while the next
 * request is let through long before: a share of the reset is enough, unless a request was just refused.
 */

/** How long to wait, in ms, by what the headers say. */
export interface RateLimits {
  /** After a refusal: until every limit that is used up is whole again. */
  readonly refusedMs: number | undefined;
  /** After an answer that was the last one allowed: until one more request is. */
  readonly nextMs: number | undefined;
}

const limits = ["requests", "tokens", "input-tokens", "output-tokens"] as const;
/** A reset may be further off than is sensible to wait; the next refusal says more. */
const maxRefusedMs = 60_000;

/** Reads `anthropic-ratelimit-*` and `x-ratelimit-*`. `now` in ms since the epoch. */
export function readLimits(headers: Headers, now: number): RateLimits {
  const used = limits.flatMap((name) => {
    const found = readLimit(headers, name, now);
    return found && found.remaining <= 0 && found.resetMs > 0 ? [{ name, ...found }] : [];
  });
  const requests = used.find(({ name }) => name === "requests");
  return {
    refusedMs: used.length === 0 ? undefined : Math.min(maxRefusedMs, Math.max(...used.map(({ resetMs }) => resetMs))),
    nextMs: requests && requests.limit > 0 ? Math.ceil(requests.resetMs / requests.limit) : undefined,
  };
}

function readLimit(headers: Headers, name: string, now: number) {
  const anthropic = (field: string) => headers.get(`anthropic-ratelimit-${name}-${field}`);
  const openai = (field: string) => headers.get(`x-ratelimit-${field}-${name}`);
  const remaining = anthropic("remaining") ?? openai("remaining");
  const date = anthropic("reset");
  const resetMs = date === null ? readDuration(openai("reset")) : Date.parse(date) - now;
  if (remaining === null || resetMs === undefined || Number.isNaN(resetMs)) return undefined;
  return { remaining: Number(remaining), limit: Number(anthropic("limit") ?? openai("limit") ?? 0), resetMs };
}

const unitMs: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `6m0s`, `1.5s`, `120ms`; `undefined` for anything else. */
function readDuration(text: string | null): number | undefined {
  if (text === null || !/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)].reduce(
    (sum, [, value, unit]) => sum + Number(value) * (unitMs[unit ?? ""] ?? 0),
    0,
  );
}
