/** One key's requests: how many at once, in which order, and that all wait for the same moment. */
import { expect, test } from "vitest";
import { deferred } from "../../../server/src/base/async.ts";
import { isAbort, ProviderError } from "../../../server/src/base/errors.ts";
import { Limiter, withLimiter } from "../../../server/src/model/limiter.ts";
import type { ModelEvent, Provider } from "../../../server/src/model/provider.ts";
import { readLimits } from "../../../server/src/model/rateLimits.ts";
import { noUsage } from "../../../server/src/model/usage.ts";
import { collect, fakeClock, modelRequest, noAbort, scripted } from "./support.ts";

const done: ModelEvent = { type: "done", stop: "end_turn", usage: noUsage };

function refusal(retryAfterMs?: number): ProviderError {
  return new ProviderError("Slower, please.", {
    kind: "rateLimit",
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

test("a refusal makes every request of the key wait for the same moment, and says so", async () => {
  const clock = fakeClock();
  const limit = withLimiter(new Limiter({ clock, concurrency: 4 }));
  await expect(collect(limit(scripted([refusal(7_000)])).stream(modelRequest(), noAbort()))).rejects.toThrow();
  await clock.sleep(2_000, noAbort());
  const events = await collect(limit(scripted([done])).stream(modelRequest(), noAbort()));
  expect(events).toEqual([{ type: "retry", attempt: 1, untilAt: 1_007_000, reason: "Slower, please." }, done]);
  expect(clock.slept).toEqual([2_000, 5_000]);
});

test("without a word of the vendor the wait doubles, up to 30 s, until an answer begins well", async () => {
  const clock = fakeClock();
  const limiter = new Limiter({ clock, concurrency: 1 });
  const limit = withLimiter(limiter);
  for (let failures = 0; failures < 7; failures++)
    await expect(collect(limit(scripted([refusal()])).stream(modelRequest(), noAbort()))).rejects.toThrow();
  expect(clock.slept).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
  limiter.heard(new Headers());
  await expect(collect(limit(scripted([refusal()])).stream(modelRequest(), noAbort()))).rejects.toThrow();
  await collect(limit(scripted([done])).stream(modelRequest(), noAbort()));
  expect(clock.slept.at(-1)).toBe(1_000);
});

test("a wait beyond a minute is told at once, without asking", async () => {
  const clock = fakeClock();
  const limit = withLimiter(new Limiter({ clock, concurrency: 1 }));
  await expect(collect(limit(scripted([refusal(600_000)])).stream(modelRequest(), noAbort()))).rejects.toThrow();
  const ask = () => collect(limit(scripted([done])).stream(modelRequest(), noAbort()));
  await expect(ask()).rejects.toMatchObject({ kind: "rateLimit", retryAfterMs: 600_000 });
  expect(clock.slept).toEqual([]);
  await clock.sleep(60_000, noAbort());
  expect(await ask()).toEqual([done]);
});

test("the vendor's newest word holds, also where it is a shorter wait", async () => {
  const clock = fakeClock();
  const limiter = new Limiter({ clock, concurrency: 1 });
  limiter.refused(refusal(600_000));
  limiter.refused(refusal(5_000));
  await collect(withLimiter(limiter)(scripted([done])).stream(modelRequest(), noAbort()));
  expect(clock.slept).toEqual([5_000]);
});

test("an answer opens a key that was to wait for long", async () => {
  const clock = fakeClock();
  const limiter = new Limiter({ clock, concurrency: 1 });
  limiter.refused(refusal(600_000));
  limiter.heard(new Headers());
  expect(await collect(withLimiter(limiter)(scripted([done])).stream(modelRequest(), noAbort()))).toEqual([done]);
});

test("the key's last request of a period holds the next one back", async () => {
  const clock = fakeClock();
  const limiter = new Limiter({ clock, concurrency: 1 });
  limiter.heard(
    new Headers({
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-limit-requests": "60",
      "x-ratelimit-reset-requests": "1m0s",
    }),
  );
  await collect(withLimiter(limiter)(scripted([done])).stream(modelRequest(), noAbort()));
  expect(clock.slept).toEqual([1_000]);
});

test("so many run at once, the others in order; who leaves the queue or the loop gives the place on", async () => {
  const limit = withLimiter(new Limiter({ clock: fakeClock(), concurrency: 2 }));
  const began: string[] = [];
  const gates = new Map<string, () => void>();
  const provider = (name: string): Provider => ({
    async *stream() {
      began.push(name);
      const gate = deferred<void>();
      gates.set(name, gate.resolve);
      await gate.promise;
      yield done;
    },
  });
  const run = (name: string, signal = noAbort()) => collect(limit(provider(name)).stream(modelRequest(), signal));
  const leaving = new AbortController();
  const [a, b, c, d] = [run("a"), run("b"), run("c", leaving.signal), run("d")];
  await expect.poll(() => began).toEqual(["a", "b"]);
  leaving.abort();
  await expect(c).rejects.toSatisfy(isAbort);
  gates.get("a")?.();
  await a;
  await expect.poll(() => began).toEqual(["a", "b", "d"]);
  gates.get("b")?.();
  gates.get("d")?.();
  await Promise.all([b, d]);

  const endless: Provider = {
    async *stream() {
      for (;;) yield { type: "text_delta", index: 0, text: "more" } as const;
    },
  };
  for (let times = 0; times < 3; times++) for await (const _ of limit(endless).stream(modelRequest(), noAbort())) break;
  expect(await collect(limit(scripted([done])).stream(modelRequest(), noAbort()))).toEqual([done]);
});

test.each<{ name: string; headers: Record<string, string>; refusedMs?: number; nextMs?: number }>([
  { name: "nothing", headers: {} },
  {
    name: "limits that are not used up",
    headers: { "x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1s" },
  },
  {
    name: "tokens used up, as a date",
    headers: {
      "anthropic-ratelimit-tokens-remaining": "0",
      "anthropic-ratelimit-tokens-limit": "1000",
      "anthropic-ratelimit-tokens-reset": new Date(9_000).toISOString(),
    },
    refusedMs: 8_000,
  },
  {
    name: "requests used up, as a duration",
    headers: {
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-limit-requests": "10",
      "x-ratelimit-reset-requests": "1.5s",
    },
    refusedMs: 1_500,
    nextMs: 150,
  },
  {
    name: "a reset that is far off",
    headers: { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2h3m" },
    refusedMs: 60_000,
  },
  {
    name: "a reset that cannot be read",
    headers: { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon" },
  },
  {
    name: "a reset that has passed",
    headers: {
      "anthropic-ratelimit-requests-remaining": "0",
      "anthropic-ratelimit-requests-reset": new Date(500).toISOString(),
    },
  },
])("headers with $name", ({ headers, refusedMs, nextMs }) => {
  expect(readLimits(new Headers(headers), 1_000)).toEqual({ refusedMs, nextMs });
});
