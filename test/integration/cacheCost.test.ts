/**
 * What the prompt cache gives, over the real SDKs and the double's simulated caches: a long task beside a client that could not
 * do better, and how long a prompt waits with a warm-up, without, and with everything still there.
 *
 * Not here: why a cache breaks (`promptCache.test.ts`). Easily got wrong: the perfect client is worked out from what the
 * double was sent, with nothing of the client's; and waits are those of the double's own clock, which moves when it sleeps.
 */
import { describe, expect, test } from "vitest";
import { findModel } from "../../server/src/model/catalog.ts";
import { costOf } from "../../server/src/model/price.ts";
import type { Usage } from "../../server/src/protocol/types.ts";
import type { DoubleUsage } from "../support/double/journal.ts";
import type { Step } from "../support/modelDouble.ts";
import { type Play, startPlay, type WireFormat, wireFormats } from "../support/play.ts";

/** On a machine that does other things besides. */
const patienceMs = 120_000;
const paths = Array.from({ length: 40 }, (_, at) => `src/file${at}.ts`);
const files = Object.fromEntries(
  paths.map((path, at) => [
    path,
    `// ${path}\n${`export const some${at} = "${"value ".repeat(8 + (at % 5))}";\n`.repeat(12 + at)}`,
  ]),
);
const reads = (...ats: readonly number[]) =>
  ats.map((at) => ({ name: "read", input: { files: [{ path: paths[at % paths.length] ?? "" }] } }));

/** Twenty-five steps: one file, several at once, and once more than a cache marker looks back over. */
const steps: readonly Step[] = [
  ...Array.from({ length: 24 }, (_, at): Step => {
    const think = at % 4 === 0 ? { think: `What is in file ${at}?` } : {};
    const calls =
      at === 11 ? reads(...paths.keys()).slice(0, 26) : at % 3 === 0 ? reads(at, at + 1, at + 2) : reads(at);
    return { ...think, say: `Step ${at + 1}.`, calls };
  }),
  { say: "Everything was read." },
];

function promptOf({ input, cacheRead, cacheWrite }: DoubleUsage): number {
  return input + cacheRead + cacheWrite;
}

/** US dollars of requests of which `read` tokens came from the cache, and all others had to be written there. */
function dollars(
  wire: WireFormat,
  usages: readonly DoubleUsage[],
  split: (at: number) => Pick<DoubleUsage, "input" | "cacheRead" | "cacheWrite">,
) {
  const { price } = findModel(wireFormats[wire]);
  return usages.reduce((sum, { output, thinking }, at) => {
    const { input, cacheRead, cacheWrite } = split(at);
    const usage: Usage = {
      inputTokens: input,
      cacheReadTokens: cacheRead,
      cacheWriteTokens: cacheWrite,
      outputTokens: output,
      thinkingTokens: thinking,
    };
    return sum + (costOf(price, usage) ?? Number.NaN);
  }, 0);
}

describe.each(Object.keys(wireFormats) as WireFormat[])("a task of 25 steps through %s", (wire) => {
  test(
    "reads 99 % of what a perfect client reads from the cache, and costs no more than 1 % above it",
    async () => {
      await using play = await startPlay({ wire, script: { steps }, files });
      expect((await play.prompt("Read everything.")).stopReason).toBe("end_turn");
      const usages = play.double.requests.map(({ usage }) => usage as DoubleUsage);
      expect(usages).toHaveLength(25);
      // A perfect client reads all that it had sent one request before, and writes the rest. Chat Completions as all servers
      // speak it has no breakpoints, and its cache is in steps of 128 tokens.
      const stepTokens = wire === "openai-chat" ? 128 : 1;
      const perfect = (at: number) => {
        const before = at === 0 ? 0 : promptOf(usages[at - 1] as DoubleUsage);
        const cacheRead = before - (before % stepTokens);
        return { input: 0, cacheRead, cacheWrite: promptOf(usages[at] as DoubleUsage) - cacheRead };
      };
      const could = usages.reduce((sum, _, at) => sum + perfect(at).cacheRead, 0);
      const did = usages.reduce((sum, { cacheRead }) => sum + cacheRead, 0);
      const [cost, least] = [dollars(wire, usages, (at) => usages[at] as DoubleUsage), dollars(wire, usages, perfect)];
      console.log(
        `${wire}: read ${did} of ${could} tokens (${((100 * did) / could).toFixed(2)} %), $${(cost / 1e9).toFixed(4)} beside $${(least / 1e9).toFixed(4)} (+${(100 * (cost / least - 1)).toFixed(2)} %)`,
      );
      expect(did / could).toBeGreaterThanOrEqual(0.99);
      expect(cost / least).toBeLessThanOrEqual(1.01);
      const told = play.events().flatMap((event) => (event.type === "step_finished" ? (event.cache ?? []) : []));
      expect(told.map(({ readTokens }) => readTokens)).toEqual(usages.map(({ cacheRead }) => cacheRead));
      expect(told.filter((cache) => cache.break)).toEqual([]);
    },
    patienceMs,
  );
});

/** A model's speed: a vendor measured 137 µs for each token that is read anew (2026). */
const timing = { firstTokenMs: 400, prefillMicrosPerToken: 137 };

async function startSlowPlay(wire: WireFormat): Promise<Play> {
  let now = 1_000_000;
  const clock = {
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
  };
  const script = { steps: [...steps.slice(11, 14), { say: "Read." }, { say: "Yes." }], repeatLast: true };
  return startPlay({ wire, files, script, double: { clock, timing } });
}

/** Simulated milliseconds that the last request waited for its first byte. */
function waited({ double }: Play): number {
  const last = double.requests.findLast(({ aside }) => !aside);
  return (last?.firstByteAt ?? Number.NaN) - (last?.receivedAt ?? 0);
}

const others: { readonly [wire in WireFormat]?: string } = {
  "anthropic-messages": "anthropic/claude-opus-5-5",
  "openai-responses": "openai/gpt-6-astra",
};

describe.each(["anthropic-messages", "openai-responses"] as const)("another model through %s", (wire) => {
  test(
    "waits for its first token as with a warm cache when the prompt was warmed up for, and not without",
    async () => {
      const waits: { [name: string]: number } = {};
      for (const warmed of [false, true]) {
        await using play = await startSlowPlay(wire);
        const { sessionId } = await play.prompt("Read some.");
        await play.prompt("Did you?", { sessionId });
        waits.warm = waited(play);
        await play.local.models.select(others[wire] ?? "");
        if (warmed) {
          const { forecast } = await play.local.host.warmUp({ sessionId, intent: "typing" });
          expect(forecast).toMatchObject({ warmUntilAt: 0 });
          await play.until((update) => update.type === "cache_warmed");
          expect(play.double.requests.at(-1)).toMatchObject({ aside: true, status: 200, outcome: "complete" });
        }
        await play.prompt("And you?", { sessionId });
        waits[warmed ? "warmed" : "cold"] = waited(play);
        // The next request of another model is a break that was announced.
        for (const { rule } of play.double.violations.splice(0)) expect(rule).toBe("I5");
        const steps = play
          .events()
          .flatMap((event) => (event.type === "step_finished" ? [event.cache?.break?.cause] : []));
        expect(steps.at(-1)).toBe(warmed ? undefined : "model_changed");
      }
      console.log(`${wire}: first token after ${JSON.stringify(waits)} simulated ms`);
      expect(waits.cold).toBeGreaterThan(2 * (waits.warm ?? Number.NaN));
      expect(waits.warmed).toBeLessThan((waits.warm ?? Number.NaN) + 100);
    },
    patienceMs,
  );
});
