/**
 * Puts a conversation that the vendor's prompt cache has forgotten back there while the user still writes, so that the
 * prompt waits for its own words only.
 *
 * Not here: what is known of the cache (`requestLedger.ts`), the wire (`maxOutputTokens: 0` of a request). Easily got wrong:
 * what a warm-up writes can be read only once it was answered, so a prompt that is sent meanwhile waits for it: what is left
 * of it is always less than reading everything anew. It saves time and no money, so it is done only for who is typing, and
 * not again and again for prompts that never come.
 */
import type { Clock } from "../base/async.ts";
import { isAbort, messageOf, ProviderError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { BudgetError } from "../model/budget.ts";
import { highestCost, toUsd } from "../model/price.ts";
import { shortLifeMs } from "../model/promptCache.ts";
import type { ModelRequest } from "../model/provider.ts";
import type { CacheForecast, ModelSpec, SessionId, ToolSpec, TurnId, Usage } from "../protocol/types.ts";
import { StaleSessionError } from "../storage/store.ts";
import { buildRequest } from "./context.ts";
import type { TurnModel } from "./fallback.ts";
import type { SessionState } from "./reduce.ts";
import { conversationTokens, judgeRequest, warmUntil } from "./requestLedger.ts";
import type { Session } from "./session.ts";

/** What warming needs. */
export interface WarmUpDeps {
  readonly clock: Clock;
  readonly createId: () => string;
  /** Ends every warm-up. */
  readonly closing: AbortSignal;
}

/** What is warmed, for whom. */
export interface WarmUpTarget {
  readonly session: Session;
  readonly model: TurnModel;
  readonly tools: readonly ToolSpec[];
}

/** Tokens below which reading anew takes half a second: a vendor measured 20.9 s for 152,000 tokens (2026). */
const leastTokens = 4_096;
/** A cache that forgets within this time, in ms, may have forgotten when the prompt comes. */
const marginMs = 15_000;
/** How long a prompt waits for a warm-up, in ms: one that hangs must not hold it up. */
const maxWaitMs = 20_000;
/** Warm-ups without a prompt in between. */
const maxUnused = 2;

/** The warm-ups of one host. */
export class WarmUps {
  readonly #deps: WarmUpDeps;
  readonly #running = new Map<SessionId, { readonly done: Promise<void>; readonly abort: () => void }>();
  /** When each session was warmed last, also in vain, in ms since the epoch. */
  readonly #triedAt = new WeakMap<Session, number>();

  constructor(deps: WarmUpDeps) {
    this.#deps = deps;
  }

  /** Begins to warm where that is worth it. Never throws; what goes wrong is logged. Resolves when it is done. */
  async begin(target: WarmUpTarget): Promise<void> {
    const { session, model } = target;
    const now = this.#deps.clock.now();
    if (this.#running.has(session.id) || !canWarm(model.spec)) return;
    const request = warmUpRequest(session.state, target, this.#deps.createId() as TurnId);
    if (!request || !this.#isDue(session, request, now)) return;
    this.#triedAt.set(session, now);
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, this.#deps.closing]);
    const done = this.#warm(target, request, now, signal).finally(() => this.#running.delete(session.id));
    this.#running.set(session.id, { done, abort: () => controller.abort() });
    await done;
  }

  /** Resolves when no warm-up of the session is under way; ends one that takes too long. Rejects when `signal` aborts. */
  async settled(id: SessionId, signal: AbortSignal): Promise<void> {
    const running = this.#running.get(id);
    if (!running) return;
    const waiting = new AbortController();
    const expired = this.#deps.clock.sleep(maxWaitMs, AbortSignal.any([signal, waiting.signal])).then(running.abort);
    try {
      await Promise.race([running.done, expired]);
      await running.done;
    } finally {
      waiting.abort();
      expired.catch(() => undefined);
    }
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #isDue(session: Session, request: ModelRequest, now: number): boolean {
    const { ledger } = session.state;
    const isTried = now - (this.#triedAt.get(session) ?? Number.NEGATIVE_INFINITY) < shortLifeMs;
    if (isTried || ledger.unusedWarmUps >= maxUnused || warmUntil(ledger, request) > now + marginMs) return false;
    return conversationTokens(ledger, request) >= leastTokens;
  }

  async #warm({ session, model }: WarmUpTarget, request: ModelRequest, startedAt: number, signal: AbortSignal) {
    try {
      const { ledger } = session.state;
      let done: { readonly usage: Usage; readonly responseId?: string } | undefined;
      for await (const event of model.provider.stream(request, signal)) if (event.type === "done") done = event;
      if (!done) return;
      const { usage, responseId } = done;
      const { sent } = judgeRequest(ledger, { request, at: startedAt, usage });
      const cost = model.costOf(usage);
      await session.append({
        type: "cache_warmed",
        sent,
        usage,
        startedAt,
        ...(cost === undefined ? {} : { cost }),
        ...(responseId === undefined ? {} : { responseId }),
      });
    } catch (error) {
      if (isAbort(error)) return;
      const isExpected = [BudgetError, ProviderError, StaleSessionError].some((kind) => error instanceof kind);
      log(
        isExpected ? "info" : "error",
        `The prompt cache was not warmed: ${messageOf(error)}`,
        isExpected ? undefined : error,
      );
    }
  }
}

/** Whether the vendor of a model warms its cache on request. */
function canWarm({ api, local, cacheOptions }: ModelSpec): boolean {
  if (local) return false;
  return api === "anthropic-messages" || (api === "openai-responses" && cacheOptions === true);
}

/**
 * The conversation as the next request begins, up to the last message that is not the model's: there the request before it
 * ended, and so will a marker of the next one find it. `undefined` before the first prompt.
 */
function warmUpRequest(
  state: SessionState,
  { session, model, tools }: WarmUpTarget,
  turnId: TurnId,
): ModelRequest | undefined {
  const request = buildRequest(state, model.spec, tools, { sessionId: session.id, turnId, purpose: "warm_up" });
  const end = request.messages.findLastIndex(({ role }) => role !== "assistant") + 1;
  return end === 0 ? undefined : { ...request, messages: request.messages.slice(0, end), maxOutputTokens: 0 };
}

/** What the next request finds in the cache, and what it and other models cost without; `null` when nothing was sent yet. */
export function forecastOf(target: WarmUpTarget, models: readonly ModelSpec[], turnId: TurnId): CacheForecast | null {
  const { state } = target.session;
  const request = warmUpRequest(state, target, turnId);
  const tokens = request ? conversationTokens(state.ledger, request) : 0;
  if (!request || tokens === 0) return null;
  const prices = models.flatMap(({ id, price }) =>
    price ? [[id, toUsd(highestCost(price, tokens, 0))] as const] : [],
  );
  return { tokens, warmUntilAt: warmUntil(state.ledger, request), anewUsd: Object.fromEntries(prices) };
}
