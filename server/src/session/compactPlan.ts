/**
 * When a conversation is compacted: a pure function of the session, the model and an estimate of the next request.
 *
 * Not here: how (`compact.ts`). Easily got wrong: cached tokens are so cheap that compacting rarely saves money, so it is
 * done for the window, for steps in the price and for quality, and while the cache is warm.
 */
import type { CompactionReason } from "../protocol/events.ts";
import type { ModelSpec } from "../protocol/types.ts";
import { messagesOf, type SessionState } from "./reduce.ts";

/** What the settings say. */
export interface CompactionPolicy {
  /** `none`: only on request. `always`: after each turn. `extractive`: never by a model. */
  readonly strategy: "auto" | "none" | "always" | "extractive";
  /** Steps that the conversation may have; 0 for any number. */
  readonly maxSteps: number;
  /** Leave results out of an extract that a later one says again. */
  readonly pruneSimilar: boolean;
}

/** Part of the window, or of what comes before a price step, that a request may fill: 15 % must be left. */
const fullShare = 0.85;
/** Part of it above which the end of a turn is a good moment. */
const boundaryShare = 0.7;
/** Tokens above which it is one whatever the window: further turns then pay for it within five (2026-11, warm, read at 0.05). */
const boundaryTokens = 400_000;
/** Part of the window that one more step may need at least. */
const stepShare = 0.06;
/** Turns between two compactions, unless a request would not fit. */
const turnsBetween = 3;
/** Tokens that a summary may have, thinking included. */
const mostSummaryTokens = 16_384;
/** Part of the window that a summary may have at most. */
const summaryShare = 1 / 8;

/** Tokens that an answer with a summary may have. */
export function summaryTokens({ contextTokens, maxOutputTokens }: ModelSpec): number {
  return Math.min(mostSummaryTokens, maxOutputTokens, Math.floor(contextTokens * summaryShare));
}

/** Whether a request of `tokens` leaves room for an answer with its results, and to ask for a summary after that. */
export function fitsWindow(model: ModelSpec, tokens: number): boolean {
  const step = Math.max(summaryTokens(model), stepShare * model.contextTokens);
  return tokens + step + summaryTokens(model) <= model.contextTokens;
}

/** Why to compact before the next request, if one should. */
export function dueBeforeStep(
  state: SessionState,
  model: ModelSpec,
  tokens: number,
  policy: CompactionPolicy,
): CompactionReason | undefined {
  if (policy.strategy === "none" || model.api === "recorded" || !hasGrown(state)) return undefined;
  if (!fitsWindow(model, tokens)) return "overflow";
  if (policy.maxSteps > 0 && stepsOf(state) >= policy.maxSteps) return "steps";
  if (turnsSince(state) < turnsBetween) return undefined;
  if (tokens > fullShare * model.contextTokens) return "window";
  return tokens > fullShare * priceStep(model) ? "price" : undefined;
}

/** Why to compact now that a turn has ended, while the vendor's cache is warm, if one should. */
export function dueAfterTurn(
  state: SessionState,
  model: ModelSpec,
  tokens: number,
  policy: CompactionPolicy,
): CompactionReason | undefined {
  if (policy.strategy === "none" || model.api === "recorded" || !hasGrown(state)) return undefined;
  if (policy.strategy === "always") return "boundary";
  if (turnsSince(state) < turnsBetween) return undefined;
  const limit = Math.min(boundaryShare * Math.min(model.contextTokens, priceStep(model)), boundaryTokens);
  return tokens > limit ? "boundary" : undefined;
}

/** Whether there is anything that a compaction could shorten: since the last one, or since the first prompt. */
export function hasGrown(state: SessionState): boolean {
  return messagesOf(state).length > (state.compactions.at(-1)?.length ?? 1);
}

function priceStep({ price }: ModelSpec): number {
  return price?.cliff?.aboveTokens ?? Number.POSITIVE_INFINITY;
}

function stepsOf(state: SessionState): number {
  const from = state.compactions.at(-1)?.length ?? 0;
  return messagesOf(state)
    .slice(from)
    .filter(({ role }) => role === "assistant").length;
}

/** Turns begun since the last compaction. */
function turnsSince({ turns, compactions }: SessionState): number {
  const last = compactions.at(-1);
  if (!last) return Number.POSITIVE_INFINITY;
  return turns.length - 1 - turns.findLastIndex(({ turnId }) => turnId === last.lastTurn);
}
