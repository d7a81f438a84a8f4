/** Measuring requests: what is told of an answer, and what says nothing about the model. */
import { expect, test } from "vitest";
import { ProviderError } from "../../../server/src/base/errors.ts";
import { type Measurement, withMeasuring } from "../../../server/src/model/measured.ts";
import type { Provider } from "../../../server/src/model/provider.ts";
import { noUsage } from "../../../server/src/model/usage.ts";
import { collect, modelRequest, noAbort } from "./support.ts";

async function measure(outputTokens: number, ms: number, error?: Error, signal = noAbort()): Promise<Measurement[]> {
  let now = 0;
  const provider: Provider = {
    async *stream() {
      now = 700;
      if (error) throw error;
      yield { type: "text_delta", index: 0, text: "x" };
      now += ms;
      yield { type: "done", stop: "end_turn", usage: { ...noUsage, outputTokens } };
    },
  };
  const told: Measurement[] = [];
  const measured = withMeasuring({ now: () => now }, (one) => told.push(one))(provider);
  await collect(measured.stream(modelRequest(), signal)).catch(() => undefined);
  return told;
}

test("an answer tells the wait for its beginning and its pace; a very short one no pace", async () => {
  expect(await measure(300, 3_000)).toEqual([
    { model: "test/model", failed: false, firstTokenMs: 700, tokensPerSecond: 100 },
  ]);
  expect(await measure(3, 3_000)).toEqual([{ model: "test/model", failed: false, firstTokenMs: 700 }]);
  expect(await measure(300, 10)).toEqual([{ model: "test/model", failed: false, firstTokenMs: 700 }]);
});

test("a failure of the model is told; one of the key or the request, or a stopped request, is not", async () => {
  const failure = (kind: "overloaded" | "auth") => new ProviderError("No.", { kind });
  expect(await measure(0, 0, failure("overloaded"))).toEqual([{ model: "test/model", failed: true }]);
  expect(await measure(0, 0, failure("auth"))).toEqual([]);
  expect(await measure(0, 0, failure("overloaded"), AbortSignal.abort())).toEqual([]);
});
