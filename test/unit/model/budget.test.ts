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
import { BudgetError, type Limits, raiseLimits, withBudget } from "../../../server/src/model/budget.ts";
import { proposeLimit } from "../../../server/src/model/budgetWords.ts";
import { costOf, fromUsd } from "../../../server/src/model/price.ts";
import type { ModelMessage, ModelRequest, Provider } from "../../../server/src/model/provider.ts";
import { withRetry } from "../../../server/src/model/retry.ts";
import { noUsage } from "../../../server/src/model/usage.ts";
import type { SessionId, TurnId, Usage } from "../../../server/src/protocol/types.ts";
import { Spending } from "../../../server/src/storage/spending.ts";
import { type Seeded, seeded } from "../workspace/seeded.ts";
import { fakeClock, modelRequest, modelSpec, requestAccount, userMessage } from "./support.ts";

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
async function runTurn(
  provider: Provider,
  turn: string,
  steps: number,
  /** Asked at a limit; true when that was raised. */
  raise?: (account: { readonly sessionId: SessionId; readonly turnId: TurnId }) => Promise<boolean>,
): Promise<string> {
  const messages: ModelMessage[] = [userMessage(`Do ${turn}.`)];
  const account = { ...requestAccount, sessionId: `s-${turn}` as SessionId, turnId: turn as TurnId };
  for (let step = 0; step < steps; step++) {
    // Now and then the conversation is summarised, or its prefix warmed, between two steps.
    const purpose = (["turn", "turn", "summary", "warm_up"] as const)[step % 4] ?? "turn";
    const maxOutputTokens = purpose === "warm_up" ? 1 : 2_000;
    const asked = modelRequest({ model, account: { ...account, purpose }, messages: [...messages], maxOutputTokens });
    let end = await drain(provider, asked);
    while (end === "budget" && (await raise?.(account))) end = await drain(provider, asked);
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

describe("20 turns at once that wait at a limit and go on", () => {
  test.each([
    ["day", "tokens", 40_000],
    ["day", "nano", fromUsd(0.4)],
    ["month", "requests", 20],
  ] as const)("a %s's limit on %s is never passed, before and after each raise", async (period, unit, first) => {
    for (const seed of [1, 2, 3]) {
      now += 40 * 24 * 3_600_000;
      const vendor = createVendor(seeded(seed), true);
      const overshoots: string[] = [];
      let limit: number = first;
      const check = () => {
        const spent = { tokens: vendor.tokens, nano: vendor.nano, requests: vendor.requests }[unit];
        if (spent > limit) overshoots.push(`${spent} of ${limit}`);
        return spent;
      };
      const ledgers = [openSpending(), openSpending()] as const;
      const hosts = ledgers.map((ledger) =>
        withRetry({ clock: fakeClock(), random: () => 0, maxAttempts: 4, maxTotalMs: 60_000, patient: true })(
          withBudget({ ledger, limits: () => ({ [period]: { [unit]: first } }) })(vendor),
        ),
      );
      /** Three times somebody says yes; the others find that it was raised, and ask again. */
      const raise = (seen: { limit: number }, host: number) => async (account: Parameters<Spending["raise"]>[0]) => {
        check();
        if (seen.limit === limit) {
          if (limit >= first * 4) return false;
          limit += first;
          await ledgers[host]?.raise(account, { period, unit, over: first, limit });
        }
        seen.limit = limit;
        return true;
      };
      await Promise.all(
        Array.from({ length: 20 }, (_, turn) =>
          runTurn(hosts[turn % 2] as Provider, `w${seed}-${turn}`, 12, raise({ limit }, turn % 2)),
        ),
      );
      expect(limit).toBe(first * 4);
      expect(check()).toBeGreaterThan(first);
      expect(overshoots).toEqual([]);
    }
  });
});

test("a request waits for those of its own host that have set aside what they will not use, and not for others", async () => {
  const gates = new Map<string, () => void>();
  const vendor: Provider = {
    async *stream({ account }) {
      await new Promise<void>((open) => gates.set(account.turnId, open));
      yield { type: "done", stop: "end_turn", usage: { ...noUsage, inputTokens: 100, outputTokens: 100 } };
    },
  };
  const limits: Limits = { day: { tokens: 12_000 }, turn: { tokens: 5_000 } };
  const provider = withBudget({ ledger: openSpending(), limits: () => limits })(vendor);
  const ask = (turn: string, maxOutputTokens = 4_000) =>
    drain(provider, modelRequest({ model, maxOutputTokens, account: { ...requestAccount, turnId: turn as TurnId } }));
  const first = [ask("a"), ask("b"), ask("c", 3_000)];
  await expect.poll(() => gates.size).toBe(3);
  // The day is full, but only by what was set aside; the turn of "a" is full with its own.
  const fourth = ask("d");
  const abort = new AbortController();
  const stopped = collectUntilAbort(provider, abort.signal);
  abort.abort();
  await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
  gates.get("a")?.();
  await expect.poll(() => gates.has("d")).toBe(true);
  for (const open of gates.values()) open();
  expect(await Promise.all([...first, fourth])).toEqual(["done", "done", "done", "done"]);

  async function collectUntilAbort(limited: Provider, signal: AbortSignal): Promise<void> {
    for await (const _ of limited.stream(modelRequest({ model, maxOutputTokens: 4_000 }), signal));
  }
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
      /^The limit of 6000 tokens for this turn would be passed: 6200 tokens spent or set aside/,
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

test.each([
  [{ unit: "nano", limit: 1e9, spent: 9e8, needed: 2e8 }, 2e9],
  [{ unit: "nano", limit: 5e7, spent: 5e7, needed: 1e6 }, 1e8],
  [{ unit: "tokens", limit: 100_000, spent: 90_000, needed: 250_000 }, 500_000],
  [{ unit: "requests", limit: 1, spent: 1, needed: 1 }, 2],
] as const)("a round limit that is enough is proposed: %j", (reached, proposed) => {
  expect(proposeLimit({ period: "day", ...reached })).toBe(proposed);
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

  test("a raise holds for its period alone, in every host, and only over the limit that it raised", async () => {
    const [one, two] = [openSpending(), openSpending()];
    const raise = { unit: "tokens", over: 100, limit: 200 } as const;
    await one.raise(account, { period: "session", ...raise });
    await one.raise(account, { period: "day", ...raise, limit: 300 });
    const raised = async (whose: Parameters<Spending["standing"]>[0], limits: Limits) =>
      raiseLimits(limits, (await two.standing(whose)).raises);
    const set = { session: { tokens: 100 }, day: { tokens: 100 } };
    expect(await raised(account, set)).toEqual({ session: { tokens: 200 }, day: { tokens: 300 } });
    expect(await raised({ sessionId: "other" as SessionId }, set)).toEqual({ ...set, day: { tokens: 300 } });
    expect(await raised({}, set)).toEqual({ ...set, day: { tokens: 300 } });
    // The user has set other limits since.
    const other = { session: { tokens: 90 }, day: { requests: 100 } };
    expect(await raised(account, other)).toEqual(other);
    // Two hosts raise at the same time: the higher one holds.
    await two.raise(account, { period: "day", ...raise, limit: 250 });
    expect(await raised(account, set)).toMatchObject({ day: { tokens: 300 } });
    now += 24 * 3_600_000;
    expect(await raised(account, set)).toEqual({ session: { tokens: 200 }, day: { tokens: 100 } });
    now += 10 * 24 * 3_600_000;
    expect(await raised(account, set)).toMatchObject({ session: { tokens: 200 } });
    expect(await one.rows(2)).toEqual([]);
  });

  test("a damaged raise counts for nothing", async () => {
    await openSpending().raise(account, { period: "day", unit: "tokens", over: 1, limit: 2 });
    const path = join(folder, "2026-11.jsonl");
    const line = { type: "raised", id: "x", at: now, unit: "tokens", over: 1, limit: 9 };
    for (const period of ["year", undefined]) await appendFile(path, `${JSON.stringify({ ...line, period })}\n`);
    await appendFile(path, `${JSON.stringify({ ...line, period: "day", limit: "9" })}\n`);
    const { raises } = await openSpending().standing({});
    expect(raises).toEqual([{ period: "day", unit: "tokens", over: 1, limit: 2 }]);
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
