/** When an endpoint is left alone, and how it is asked again. */
import { expect, test } from "vitest";
import { ProviderError, type ProviderErrorKind } from "../../../server/src/base/errors.ts";
import { Breaker, withBreaker } from "../../../server/src/model/breaker.ts";
import { compose, type ModelEvent, type Provider } from "../../../server/src/model/provider.ts";
import { withRetry } from "../../../server/src/model/retry.ts";
import { noUsage } from "../../../server/src/model/usage.ts";
import { collect, fakeClock, modelRequest, noAbort } from "./support.ts";

const text: ModelEvent = { type: "text_delta", index: 0, text: "hi" };
const done: ModelEvent = { type: "done", stop: "end_turn", usage: noUsage };

function setUp(threshold = 3) {
  const clock = fakeClock();
  const breaker = new Breaker({ clock, threshold, coolDownMs: 10_000 });
  let asked = 0;
  const ask = async (...answer: readonly (ModelEvent | ProviderErrorKind)[]) => {
    const provider: Provider = {
      async *stream() {
        asked += 1;
        for (const event of answer) {
          if (typeof event === "string") throw new ProviderError(`It was ${event}.`, { kind: event });
          yield event;
        }
      },
    };
    return collect(withBreaker(breaker)(provider).stream(modelRequest(), noAbort())).then(
      () => "answered",
      (error: unknown) => (error instanceof ProviderError ? error : Promise.reject(error)),
    );
  };
  return { clock, breaker, ask, asked: () => asked };
}

test("after failures in a row nothing is asked for a while, and why is said", async () => {
  const { ask, asked, clock } = setUp();
  await ask("server");
  await ask("network");
  await ask("overloaded");
  await clock.sleep(4_000, noAbort());
  const refused = await ask(done);
  expect(refused).toMatchObject({ kind: "unavailable", retryAfterMs: 6_000 });
  expect(String(refused)).toContain("It was overloaded. It has failed 3 times in a row");
  expect(asked()).toBe(3);
});

test("then one request goes through: if it is answered all do, else none for another while", async () => {
  const { ask, clock } = setUp(1);
  await ask("server");
  await clock.sleep(10_000, noAbort());
  expect(await ask("server")).toMatchObject({ kind: "server" });
  expect(await ask(done)).toMatchObject({ kind: "unavailable" });
  await clock.sleep(10_000, noAbort());
  expect(await ask(text, done)).toBe("answered");
  expect(await ask(done)).toBe("answered");
});

test("while that one is asked, the others are not", async () => {
  const { breaker, ask, clock, asked } = setUp(1);
  await ask("server");
  await clock.sleep(10_000, noAbort());
  expect(breaker.enter()).toBe(true);
  expect(await ask(done)).toMatchObject({ kind: "unavailable", retryAfterMs: 1_000 });
  breaker.probed();
  expect(await ask(done)).toBe("answered");
  expect(asked()).toBe(2);
});

test("a probe that is left before it was answered lets the next one try", async () => {
  const { breaker, ask, clock } = setUp(1);
  await ask("server");
  await clock.sleep(10_000, noAbort());
  const left = withBreaker(breaker)({
    async *stream() {
      yield { type: "retry", attempt: 1, untilAt: 0, reason: "" } as const;
    },
  });
  for await (const _ of left.stream(modelRequest(), noAbort())) break;
  expect(await ask(done)).toBe("answered");
});

test("an answer between failures, or a refusal of the key, starts the count anew", async () => {
  for (const between of [[done], ["auth"], ["rateLimit"]] as const) {
    const { ask } = setUp(2);
    await ask("server");
    await ask(...between);
    await ask("server");
    expect(await ask(done), String(between)).toBe("answered");
  }
});

test("a failure in the middle of an answer counts", async () => {
  const { ask } = setUp(2);
  await ask(text, "network");
  await ask(text, "network");
  expect(await ask(done)).toMatchObject({ kind: "unavailable" });
});

test.each([
  { patient: true, kind: undefined, waited: [10_000] },
  { patient: false, kind: "unavailable", waited: [] },
])("where it is patient ($patient), retry waits for it", async ({ patient, kind, waited }) => {
  const { breaker, ask, clock } = setUp(1);
  await ask("server");
  const provider = compose(
    {
      async *stream() {
        yield done;
      },
    },
    withRetry({ clock, random: () => 0, maxAttempts: 1, maxTotalMs: 60_000, patient }),
    withBreaker(breaker),
  );
  const run = collect(provider.stream(modelRequest(), noAbort())).catch((error: unknown) => error);
  const result = await run;
  expect(result instanceof ProviderError ? result.kind : undefined).toBe(kind);
  expect(clock.slept).toEqual(waited);
});
