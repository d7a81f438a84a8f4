/**
 * Limits on what requests may spend: before each one its worst case is reserved, after it what it really used is settled.
 *
 * Not here: keeping the sums (`storage/spending.ts`), prices (`price.ts`), asking the user for more (`session/pauses.ts`).
 * Easily got wrong: the bound must never be below what a vendor may charge, so a prompt is bounded by its bytes (no
 * tokeniser makes more tokens than bytes) except for the part whose tokens the vendor has counted before; and every
 * attempt of a retry is a request of its own.
 */
import { abortable, type Deferred, deferred, Serial } from "../base/async.ts";
import { ProviderError } from "../base/errors.ts";
import type { BudgetPeriod, LimitReached, Usage } from "../protocol/types.ts";
import { describeReached } from "./budgetWords.ts";
import { affordableOutput, costOf, highestCost, type NanoUsd } from "./price.ts";
import type { ModelRequest, ProviderDecorator, RequestAccount } from "./provider.ts";

/** What is counted: model requests, tokens of prompt and answer, money in nano-dollars. */
export interface Amount {
  readonly requests: number;
  readonly tokens: number;
  readonly nano: number;
}

/** The periods that a limit can be set for, the shortest first. */
export const periods = ["turn", "session", "day", "month"] as const satisfies readonly BudgetPeriod[];

/** What may be spent in each period; what is absent has no limit. */
export type Limits = { readonly [period in BudgetPeriod]?: Partial<Amount> };

/** A limit that was raised: `limit` holds for as long as the one that is set is `over`. */
export interface Raised {
  readonly period: BudgetPeriod;
  readonly unit: keyof Amount;
  readonly over: number;
  readonly limit: number;
}

/** A request was not sent, because it could have gone beyond a limit. The message is for the user. */
export class BudgetError extends Error {
  override readonly name = "BudgetError";
  /** `undefined` where nobody can say what the request costs. */
  readonly reached: LimitReached | undefined;

  constructor(message: string, reached?: LimitReached) {
    super(message);
    this.reached = reached;
  }
}

/** What was set aside for a request, and what had been spent, set aside or raised before it. */
export interface Held {
  readonly before: { readonly [period in BudgetPeriod]: Amount };
  readonly raises: readonly Raised[];
}

/** The sums that are kept; `storage/spending.ts` is one. All reject when they cannot be stored. */
export interface Ledger<H extends Held> {
  reserve(account: RequestAccount & { readonly model: string }, amount: Omit<Amount, "requests">): Promise<H>;
  settle(held: H, used: Used): Promise<void>;
  release(held: H): Promise<void>;
}

/** What a request used. */
export interface Used {
  readonly usage: Usage;
  /** `undefined` where the price is not known. */
  readonly nano: number | undefined;
  /** True when the vendor did not say: then all that was reserved counts. */
  readonly estimated?: boolean;
}

/** What the decorator needs. */
export interface BudgetDeps<H extends Held> {
  readonly ledger: Ledger<H>;
  /** Read for each request, so that a raised limit holds at once. */
  readonly limits: (account: RequestAccount) => Limits;
}

/** Tokens of answer below which a request is not worth sending. */
const leastOutput = 1_024;
/** How often a smaller answer is tried for: other requests may take what is left meanwhile. */
const maxTries = 4;

/** Lets a request pass only when its worst case is within every limit; throws `BudgetError` otherwise. */
export function withBudget<H extends Held>({ ledger, limits }: BudgetDeps<H>): ProviderDecorator {
  const known = createPromptBounds();
  const flights = new Set<Flight>();
  const reserving = new Serial();
  return (next) => ({
    async *stream(request, signal) {
      signal.throwIfAborted();
      const promptTokens = known.of(request);
      const { held, maxOutputTokens, flight } = await reserve(request, promptTokens, signal);
      let settled = false;
      let refused = false;
      try {
        for await (const event of next.stream({ ...request, maxOutputTokens }, signal)) {
          if (event.type === "done") {
            settled = true;
            known.learn(request, event.usage);
            await ledger.settle(held, { usage: event.usage, nano: costOfModel(request, event.usage) });
          }
          yield event;
        }
      } catch (error) {
        refused = wasRefused(error);
        throw error;
      } finally {
        try {
          if (!settled && refused) await ledger.release(held);
          else if (!settled) await ledger.settle(held, worstCase(request, promptTokens, maxOutputTokens));
        } finally {
          flights.delete(flight);
          flight.landed.resolve();
        }
      }
    },
  });

  async function reserve(request: ModelRequest, promptTokens: number, signal: AbortSignal): Promise<Reserved<H>> {
    for (;;) {
      // One after another: what one tries for must not be in the way of the next.
      const { outcome, flying } = await reserving.run(async () => {
        // Before the sums are read: what lands meanwhile must not be missed.
        const flying = [...flights];
        return { outcome: await tryReserve(request, promptTokens), flying };
      });
      if ("flight" in outcome) return outcome;
      const others = inTheWay(flying, request.account, outcome);
      if (others.length === 0) throw new BudgetError(describeReached(outcome), outcome);
      // Most of what is set aside is not spent in the end: a refusal now would be too early.
      await abortable(Promise.race(others.map(({ landed }) => landed.promise)), signal);
    }
  }

  async function tryReserve(request: ModelRequest, promptTokens: number): Promise<Reserved<H> | LimitReached> {
    const { account, model } = request;
    const allowed = limits(account);
    if (model.price === undefined && !model.local && periods.some((period) => allowed[period]?.nano !== undefined)) {
      throw new BudgetError(
        `The price of ${model.label} is not known, so a limit on money cannot hold for it. Give its price in ~/.hermes/models.json, choose another model, or remove the limit.`,
      );
    }
    let output = request.maxOutputTokens;
    for (let tries = 1; ; tries++) {
      const nano = model.price ? highestCost(model.price, promptTokens, output, request.pauses) : 0;
      const amount = { tokens: promptTokens + output, nano };
      const held = await ledger.reserve({ ...account, model: model.id }, amount);
      const room = roomFor(request, promptTokens, held, raiseLimits(allowed, held.raises));
      if (room.output >= output) {
        const flight = { account, amount, landed: deferred<void>() };
        flights.add(flight);
        return { held, maxOutputTokens: output, flight };
      }
      await ledger.release(held);
      if (room.output < Math.min(leastOutput, request.maxOutputTokens) || tries === maxTries) return room.narrowest;
      output = room.output;
    }
  }
}

/** What was set aside for a request that may be sent. */
interface Reserved<H> {
  readonly held: H;
  readonly maxOutputTokens: number;
  readonly flight: Flight;
}

/** A request of this process that is under way. */
interface Flight {
  readonly account: RequestAccount;
  /** What is set aside for it. */
  readonly amount: Omit<Amount, "requests">;
  readonly landed: Deferred<void>;
}

/** The requests under way that count to a limit, if there would be room once they have used less than was set aside. */
function inTheWay(flights: readonly Flight[], account: RequestAccount, reached: LimitReached): readonly Flight[] {
  const { period, unit, limit, spent, needed } = reached;
  if (unit !== "tokens" && unit !== "nano") return [];
  const others = flights.filter(({ account: { turnId, sessionId } }) => {
    if (period === "turn") return turnId === account.turnId;
    return period === "session" ? sessionId === account.sessionId : true;
  });
  const setAside = others.reduce((sum, { amount }) => sum + amount[unit], 0);
  return spent - setAside + needed <= limit ? others : [];
}

/** The limits that hold once raises are taken into account. */
export function raiseLimits(limits: Limits, raises: readonly Raised[]): Limits {
  let all = limits;
  for (const { period, unit, over, limit } of raises) {
    if (limits[period]?.[unit] !== over) continue;
    all = { ...all, [period]: { ...all[period], [unit]: Math.max(all[period]?.[unit] ?? 0, limit) } };
  }
  return all;
}

/** Tokens of answer that every limit leaves room for, and the limit that leaves the least. */
function roomFor(
  { model, maxOutputTokens, pauses }: ModelRequest,
  promptTokens: number,
  { before }: Held,
  limits: Limits,
): { readonly output: number; readonly narrowest: LimitReached } {
  const least = Math.min(leastOutput, maxOutputTokens);
  const rooms = periods.flatMap((period): readonly { output: number; narrowest: LimitReached }[] => {
    const limit = limits[period] ?? {};
    const spent = before[period];
    const room = (unit: keyof Amount, most: number, needed: number, output: number) => ({
      output,
      narrowest: { period, unit, limit: most, spent: spent[unit], needed },
    });
    const { price } = model;
    return [
      ...(limit.requests === undefined
        ? []
        : [room("requests", limit.requests, 1, spent.requests < limit.requests ? Number.MAX_SAFE_INTEGER : -1)]),
      ...(limit.tokens === undefined
        ? []
        : [room("tokens", limit.tokens, promptTokens + least, limit.tokens - spent.tokens - promptTokens)]),
      ...(limit.nano === undefined || !price
        ? []
        : [
            room(
              "nano",
              limit.nano,
              highestCost(price, promptTokens, least, pauses),
              affordableOutput(price, promptTokens, limit.nano - spent.nano, pauses),
            ),
          ]),
    ];
  });
  const none: LimitReached = { period: "turn", unit: "requests", limit: 0, spent: 0, needed: 0 };
  return rooms.reduce((a, b) => (b.output < a.output ? b : a), { output: Number.MAX_SAFE_INTEGER, narrowest: none });
}

function costOfModel({ model }: ModelRequest, usage: Usage): number | undefined {
  return model.local ? 0 : costOf(model.price, usage);
}

function worstCase(request: ModelRequest, promptTokens: number, outputTokens: number): Used {
  const usage: Usage = {
    inputTokens: promptTokens,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens,
    thinkingTokens: 0,
  };
  const { price, local } = request.model;
  const nano = price ? highestCost(price, promptTokens, outputTokens, request.pauses) : local ? 0 : undefined;
  return { usage, nano, estimated: true };
}

/** True when it is certain that nothing was charged: the vendor said no, or was never reached. */
function wasRefused(error: unknown): boolean {
  if (!(error instanceof ProviderError)) return false;
  return error.status !== undefined ? error.status >= 400 : unreached.has(codeOf(error.cause) ?? "");
}

const unreached: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** The code of a system error, however deep libraries have wrapped it. */
function codeOf(error: unknown, depth = 0): string | undefined {
  if (!(error instanceof Error) || depth > 8) return undefined;
  if ("code" in error && typeof error.code === "string" && unreached.has(error.code)) return error.code;
  return codeOf(error.cause, depth + 1);
}

/** What a request for a shortest useful answer can cost at most, when nothing of its prompt has been counted before. */
export function leastCost({ model, system, tools, messages }: ModelRequest): NanoUsd | undefined {
  if (model.local) return 0;
  const bytes = Buffer.byteLength(JSON.stringify([system, tools, messages]));
  return model.price && highestCost(model.price, bytes, Math.min(leastOutput, model.maxOutputTokens));
}

/** Upper bounds of the tokens of prompts. */
interface PromptBounds {
  of(request: ModelRequest): number;
  learn(request: ModelRequest, usage: Usage): void;
}

/** What the vendor has counted, by the last message of the prompt that it counted. */
interface Counted {
  readonly model: string;
  readonly messages: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

function createPromptBounds(): PromptBounds {
  const bytes = new WeakMap<object, number>();
  const counted = new WeakMap<object, Counted>();
  const size = (part: object): number => {
    const known = bytes.get(part);
    if (known !== undefined) return known;
    const length = Buffer.byteLength(JSON.stringify(part));
    bytes.set(part, length);
    return length;
  };
  return {
    of: ({ model, system, tools, messages }) => {
      let sum = 0;
      for (let at = messages.length - 1; at >= 0; at--) {
        const message = messages[at];
        if (!message) continue;
        const before = counted.get(message);
        if (before?.model === model.id && before.messages === at + 1) {
          // The answer that was counted may have had more tokens than are shown of it.
          const answer = messages[at + 1];
          const hidden = answer ? Math.max(0, before.outputTokens - size(answer)) : 0;
          return before.promptTokens + hidden + sum;
        }
        sum += size(message);
      }
      return sum + Buffer.byteLength(system) + tools.reduce((total, tool) => total + size(tool), 0);
    },
    learn: ({ model, messages }, { inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens }) => {
      const last = messages.at(-1);
      const promptTokens = inputTokens + cacheReadTokens + cacheWriteTokens;
      if (last) counted.set(last, { model: model.id, messages: messages.length, promptTokens, outputTokens });
    },
  };
}
