/** When a request is repeated, and after how long. */
import { expect, test } from "vitest";
import { isAbort, ProviderError, type ProviderErrorKind } from "../../../server/src/base/errors.ts";
import type { ModelEvent } from "../../../server/src/model/provider.ts";
import { withRetry } from "../../../server/src/model/retry.ts";
import { noUsage } from "../../../server/src/model/usage.ts";
import { collect, fakeClock, modelRequest, noAbort, scripted } from "./support.ts";

const text: ModelEvent = { type: "text_delta", index: 0, text: "hi" };
const done: ModelEvent = { type: "done", stop: "end_turn", usage: noUsage };

function failure(kind: ProviderErrorKind, retryAfterMs?: number): ProviderError {
  return new ProviderError(`${kind} happened`, { kind, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

function retrying(clock = fakeClock(), random = 0, maxAttempts = 5) {
  return {
    clock,
    decorate: withRetry({ clock, random: () => random, maxAttempts, maxTotalMs: 180_000, patient: false }),
  };
}

test.each<ProviderErrorKind>(["rateLimit", "overloaded", "network", "server"])("%s passes by itself", async (kind) => {
  const { clock, decorate } = retrying();
  const events = await collect(
    decorate(scripted([failure(kind)], [failure(kind)], [text, done])).stream(modelRequest(), noAbort()),
  );
  expect(events).toEqual([
    { type: "retry", attempt: 1, untilAt: 1_000_500, reason: `${kind} happened` },
    { type: "retry", attempt: 2, untilAt: 1_001_500, reason: `${kind} happened` },
    text,
    done,
  ]);
  expect(clock.slept).toEqual([500, 1_000]);
});

test.each<ProviderErrorKind>(["auth", "notFound", "contextOverflow", "badRequest", "protocol"])(
  "%s does not pass by itself",
  async (kind) => {
    const { clock, decorate } = retrying();
    const error = failure(kind);
    await expect(collect(decorate(scripted([error], [done])).stream(modelRequest(), noAbort()))).rejects.toBe(error);
    expect(clock.slept).toEqual([]);
  },
);

test("nothing is repeated once the answer has begun", async () => {
  const { decorate } = retrying();
  const error = failure("network");
  await expect(collect(decorate(scripted([text, error], [done])).stream(modelRequest(), noAbort()))).rejects.toBe(
    error,
  );
});

test("waits double up to 8 s and end after the last attempt", async () => {
  const { clock, decorate } = retrying(fakeClock(), 0, 7);
  const error = failure("server");
  const answers = Array.from({ length: 9 }, () => [error]);
  await expect(collect(decorate(scripted(...answers)).stream(modelRequest(), noAbort()))).rejects.toBe(error);
  expect(clock.slept).toEqual([500, 1_000, 2_000, 4_000, 8_000, 8_000]);
});

test("jitter takes up to a quarter off", async () => {
  const { clock, decorate } = retrying(fakeClock(), 0.999_999);
  await collect(decorate(scripted([failure("server")], [done])).stream(modelRequest(), noAbort()));
  expect(clock.slept).toEqual([375]);
});

test("the vendor's wait is honoured up to a minute, and a longer one is told at once", async () => {
  const { clock, decorate } = retrying();
  await collect(decorate(scripted([failure("rateLimit", 60_000)], [done])).stream(modelRequest(), noAbort()));
  expect(clock.slept).toEqual([60_000]);
  const error = failure("rateLimit", 60_001);
  await expect(collect(decorate(scripted([error], [done])).stream(modelRequest(), noAbort()))).rejects.toBe(error);
});

test("an abort ends the wait at once", async () => {
  const controller = new AbortController();
  const clock = {
    now: () => 0,
    sleep: (_ms: number, signal: AbortSignal) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  };
  const events: ModelEvent[] = [];
  const run = async () => {
    const decorated = withRetry({ clock, random: () => 0, maxAttempts: 5, maxTotalMs: 180_000, patient: false })(
      scripted([failure("server")], [done]),
    );
    for await (const event of decorated.stream(modelRequest(), controller.signal)) {
      events.push(event);
      queueMicrotask(() => controller.abort(new Error("the user pressed stop")));
    }
  };
  await expect(run()).rejects.toSatisfy(isAbort);
  expect(events).toHaveLength(1);
});

test("no request is begun after the time for all of them", async () => {
  const clock = fakeClock();
  const error = failure("rateLimit", 50_000);
  const decorate = withRetry({ clock, random: () => 0, maxAttempts: 9, maxTotalMs: 120_000, patient: false });
  const answers = Array.from({ length: 9 }, () => [error]);
  await expect(collect(decorate(scripted(...answers)).stream(modelRequest(), noAbort()))).rejects.toBe(error);
  expect(clock.slept).toEqual([50_000, 50_000]);
});

test("a wait that was told by a layer below does not count as an answer", async () => {
  const { clock, decorate } = retrying();
  const wait: ModelEvent = { type: "retry", attempt: 1, untilAt: 0, reason: "The key must wait." };
  await collect(decorate(scripted([wait, failure("server")], [done])).stream(modelRequest(), noAbort()));
  expect(clock.slept).toEqual([500]);
});

test("what is told while it waits leaves out the advice to try again", async () => {
  const { decorate } = retrying();
  const error = new ProviderError("It is overloaded (529). Try again in 7 s.", { kind: "overloaded" });
  const [retry] = await collect(decorate(scripted([error], [done])).stream(modelRequest(), noAbort()));
  expect(retry).toMatchObject({ reason: "It is overloaded (529)." });
});
