/**
 * Limits that hold whatever happens at the same time: many turns, retries, cut streams, other hosts, the end of a month.
 *
 * The model of these tests charges what vendors may charge: up to a token for each byte of the prompt, and all of the
 * answer that it was allowed, so that a bound that is too low shows.
 */
import { appendFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ProviderError } from "../../../server/src/base/errors.ts";
import { BudgetError, type Limits, withBudget } from "../../../server/src/model/budget.ts";
import { costOf, fromUsd } from "../../../server/src/model/price.ts";
import type { ModelMessage, ModelRequest, Provider } from "../../../server/src/model/provider.ts";
import { withRetry } from "../../../server/src/model/retry.ts";
import type { SessionId, TurnId, Usage } from "../../../server/src/protocol/types.ts";
import { Spending } from "../../../server/src/storage/spending.ts";
import { type Seeded, seeded } from "../workspace/seeded.ts";
import { fakeClock, modelRequest, modelSpec, noUsage, requestAccount, userMessage } from "./support.ts";

const model = modelSpec({
  id: "test/dear",
  price: {
    input: 3,
    output: 15,
    cacheWrite: 3.75,
    cacheRead: 0.3,
    cliff: { aboveTokens: 3_000, inputTimes: 2, outputTimes: 1.5 },
  },
});

let folder: string;
let now: number;
let ids: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hermes-spending-"));
  now = Date.UTC(2026, 10, 21, 12);
  ids = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function openSpending(): Spending {
  return new Spending({
    folder,
    now: () => now,
    dayOf: (at) => new Date(at).toISOString().slice(0, 10),
    createId: () => {
      ids += 1;
      return `r${ids}`;
    },
  });
}

/** What a vendor's own books say. */
interface Vendor extends Provider {
  tokens: number;
  nano: number;
  requests: number;
}

/** A vendor that may do anything a vendor may. */
function createVendor({ below }: Seeded, faults: boolean): Vendor {
  const charge = (request: ModelRequest, outputTokens: number): Usage => {
    const bytes = Buffer.byteLength(JSON.stringify([request.system, request.tools, request.messages]));
    const prompt = Math.floor(bytes / (1 + below(5)));
    const cacheReadTokens = below(prompt + 1);
    const cacheWriteTokens = below(prompt - cacheReadTokens + 1);
    const inputTokens = prompt - cacheReadTokens - cacheWriteTokens;
    const usage = { ...noUsage, inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens };
    vendor.tokens += prompt + outputTokens;
    vendor.nano += costOf(request.model.price, usage) ?? 0;
    vendor.requests += 1;
    return usage;
  };
  const vendor: Vendor = {
    tokens: 0,
    nano: 0,
    requests: 0,
    async *stream(request, signal) {
      await Promise.resolve();
      signal.throwIfAborted();
      const fate = faults ? below(6) : 5;
      if (fate === 0) throw new ProviderError("busy", { kind: "overloaded", status: 529 });
      const usage = charge(request, below(request.maxOutputTokens + 1));
      if (fate === 1) throw new ProviderError("cut", { kind: "network" });
      yield { type: "text_delta", index: 0, text: "…" };
      if (fate === 2) throw new ProviderError("cut", { kind: "network" });
      yield { type: "done", stop: "end_turn", usage };
    },
  };
  return vendor;
}

async function drain(provider: Provider, request: ModelRequest): Promise<"done" | "budget" | "failed"> {
  try {
    for await (const _ of provider.stream(request, new AbortController().signal));
    return "done";
  } catch (error) {
    return error instanceof BudgetError ? "budget" : "failed";
  }
}

/** A turn that goes on until it is refused, each step with a longer prompt. */
async function runTurn(provider: Provider, turn: string, steps: number): Promise<string> {
  const messages: ModelMessage[] = [userMessage(`Do ${turn}.`)];
  const account = { ...requestAccount, sessionId: `s-${turn}` as SessionId, turnId: turn as TurnId };
  for (let step = 0; step < steps; step++) {
    const end = await drain(
      provider,
      modelRequest({ model, account, messages: [...messages], maxOutputTokens: 2_000 }),
    );
    if (end === "budget") return end;
    messages.push(userMessage(`Step ${step} of ${turn}.`.repeat(5)));
  }
  return "done";
}

describe("20 turns at once, with failures, retries and cut answers", () => {
  test.each([
    ["tokens", { day: { tokens: 60_000 } }],
    ["money", { day: { nano: fromUsd(0.5) } }],
    ["requests", { month: { requests: 37 } }],
    ["all", { day: { tokens: 80_000, nano: fromUsd(0.7) }, month: { requests: 60 } }],
  ] as const)("never go beyond a limit on %s, and use it", async (_, limits: Limits) => {
    for (const seed of [1, 2, 3, 4, 5]) {
      now += 40 * 24 * 3_600_000;
      const random = seeded(seed);
      const vendor = createVendor(random, true);
      // Two hosts that know of each other only by the file.
      const hosts = [openSpending(), openSpending()].map((ledger) =>
        withRetry({ clock: fakeClock(), random: () => 0, maxAttempts: 4, maxTotalMs: 60_000, patient: true })(
          withBudget({ ledger, limits: () => limits })(vendor),
        ),
      );
      const ends = await Promise.all(
        Array.from({ length: 20 }, (_, turn) => runTurn(hosts[turn % 2] as Provider, `t${seed}-${turn}`, 10)),
      );
      expect(ends).toContain("budget");
      const { tokens = Number.POSITIVE_INFINITY, nano = Number.POSITIVE_INFINITY } = limits.day ?? {};
      expect(vendor.tokens).toBeLessThanOrEqual(tokens);
      expect(vendor.nano).toBeLessThanOrEqual(nano);
      expect(vendor.requests).toBeLessThanOrEqual(limits.month?.requests ?? Number.POSITIVE_INFINITY);
      expect(vendor.requests).toBeGreaterThan(5);
    }
  });
});

test("what the vendor has counted bounds the next prompt, so that a limit is used nearly up", async () => {
  const limits: Limits = { turn: { tokens: 30_000 } };
  const vendor: Provider = {
    async *stream(request) {
      const bytes = Buffer.byteLength(JSON.stringify([request.system, request.tools, request.messages]));
      const usage = { ...noUsage, inputTokens: Math.ceil(bytes / 4), outputTokens: 50 };
      yield { type: "done", stop: "end_turn", usage };
    },
  };
  const provider = withBudget({ ledger: openSpending(), limits: () => limits })(vendor);
  const long = userMessage("x".repeat(24_000));
  // By its bytes alone the second request would not fit.
  expect(await drain(provider, modelRequest({ model, messages: [long], maxOutputTokens: 2_000 }))).toBe("done");
  const messages = [long, { role: "assistant", api: "anthropic-messages", blocks: [] } as const, userMessage("on")];
  expect(await drain(provider, modelRequest({ model, messages, maxOutputTokens: 2_000 }))).toBe("done");
  const other = modelSpec({ id: "test/other", price: { input: 1, output: 1, cacheRead: 1, cacheWrite: 1 } });
  expect(await drain(provider, modelRequest({ model: other, messages, maxOutputTokens: 2_000 }))).toBe("budget");
});

test("the answer is made shorter before a request is refused, and the refusal has the numbers", async () => {
  const asked: number[] = [];
  const provider = withBudget({ ledger: openSpending(), limits: () => ({ turn: { tokens: 6_000 } }) })({
    async *stream({ maxOutputTokens }) {
      asked.push(maxOutputTokens);
      yield { type: "done", stop: "end_turn", usage: { ...noUsage, inputTokens: 100, outputTokens: 3_000 } };
    },
  });
  expect(await drain(provider, modelRequest({ model, maxOutputTokens: 4_000 }))).toBe("done");
  expect(await drain(provider, modelRequest({ model, maxOutputTokens: 4_000 }))).toBe("done");
  expect(asked[0]).toBe(4_000);
  expect(asked[1]).toBeLessThan(3_000);
  await expect(drainOrThrow(provider)).rejects.toMatchObject({
    message: expect.stringMatching(
      /^The limit of 6000 tokens for this turn would be passed: 6200 tokens are spent or set aside/,
    ),
    reached: { period: "turn", unit: "tokens", limit: 6_000, spent: 6_200 },
  });

  async function drainOrThrow(limited: Provider): Promise<void> {
    for await (const _ of limited.stream(modelRequest({ model }), new AbortController().signal));
  }
});

test("a model without a price is refused under a limit on money, a local one is free", async () => {
  const provider = withBudget({ ledger: openSpending(), limits: () => ({ day: { nano: fromUsd(1) } }) })(
    createVendor(seeded(1), false),
  );
  expect(await drain(provider, modelRequest({ model: modelSpec() }))).toBe("budget");
  expect(await drain(provider, modelRequest({ model: modelSpec({ local: true }) }))).toBe("done");
});

describe("the ledger", () => {
  const used = (outputTokens: number) => ({ usage: { ...noUsage, inputTokens: 10, outputTokens }, nano: outputTokens });
  const account = { ...requestAccount, model: model.id };

  test("counts a day and a month by the user's calendar, and a session over the end of a month", async () => {
    const spending = openSpending();
    now = Date.UTC(2026, 10, 30, 23, 59);
    const late = await spending.reserve(account, { tokens: 100, nano: 100 });
    now = Date.UTC(2026, 11, 1, 0, 1);
    await spending.settle(late, used(5));
    const { before } = await spending.reserve(account, { tokens: 100, nano: 100 });
    expect(before).toMatchObject({
      day: { requests: 0 },
      month: { requests: 0 },
      session: { requests: 1, tokens: 15, nano: 5 },
    });
    expect((await readdir(folder)).toSorted()).toEqual(["2026-11.jsonl", "2026-12.jsonl"]);
  });

  test("is there again after a restart; what was reserved by a host that was killed counts in full", async () => {
    const first = openSpending();
    await first.settle(await first.reserve(account, { tokens: 100, nano: 100 }), used(5));
    await first.reserve(account, { tokens: 70, nano: 7 });
    const { before } = await openSpending().reserve(account, { tokens: 1, nano: 1 });
    expect(before.day).toEqual({ requests: 2, tokens: 85, nano: 12 });
  });

  test("passes over damaged lines and one that is still being written", async () => {
    const spending = openSpending();
    await spending.settle(await spending.reserve(account, { tokens: 100, nano: 100 }), used(5));
    const path = join(folder, "2026-11.jsonl");
    await appendFile(path, 'garbage\n{"type":"settled"}\n[]\n{"type":"reser');
    expect(await spending.rows(1)).toMatchObject([{ requests: 1, tokens: 15, nano: 5 }]);
    await appendFile(path, 'ved"}\n');
    expect(await openSpending().rows(2)).toMatchObject([
      { day: "2026-11-21", model: "test/dear", sessionId: "session-1", promptTokens: 10, outputTokens: 5, unpriced: 0 },
    ]);
  });

  test("refuses to go on unrecorded", async () => {
    await rm(folder, { recursive: true });
    await appendFile(folder, "a file where the folder should be");
    await expect(openSpending().reserve(account, { tokens: 1, nano: 1 })).rejects.toThrow(/Could not/);
  });

  test("holds nothing but whose, what for and how much", async () => {
    const spending = openSpending();
    await spending.release(await spending.reserve(account, { tokens: 1, nano: 1 }));
    const lines = (await readFile(join(folder, "2026-11.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => Object.keys(line).toSorted().join())).toEqual([
      "at,id,model,nano,purpose,sessionId,tokens,turnId,type",
      "id,type",
    ]);
    expect(await spending.rows(1)).toEqual([]);
  });
});
