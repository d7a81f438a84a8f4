/**
 * The request ledger: what the requests of a conversation held, block by block, what of it the vendor's prompt cache must
 * therefore have, and why a request read less.
 *
 * Not here: blocks and their names (`requestBlocks.ts`), lifetimes (`model/promptCache.ts`). It is a fold of events, so a new
 * host knows what the old one sent. Easily got wrong: it keeps one chain of digests, that of the last request, and of the
 * requests before only how far each reached; an entry counts only while the chain begins as it did then.
 */
import { cachedAfter, lifeOf, longLifeMs, shortLifeMs } from "../model/promptCache.ts";
import type { ModelRequest } from "../model/provider.ts";
import type { SessionEvent } from "../protocol/events.ts";
import type { CacheBreakCause, CacheOutcome, PromptPart, SentRequest, Usage } from "../protocol/types.ts";
import { digestsOf, nameOfBlock } from "./requestBlocks.ts";

/** A prefix of the conversation that a vendor's cache has. */
interface CacheEntry {
  /** How many blocks it covers, and tokens. */
  readonly blocks: number;
  readonly tokens: number;
  readonly lifeMs: number;
  /** When it goes unless it is read, in ms since the epoch. */
  readonly until: number;
}

/** What one model was sent. */
interface SentTo {
  /** Oldest first. */
  readonly entries: readonly CacheEntry[];
  readonly responseId?: string;
}

/** What is known of a conversation's requests. */
export interface RequestLedger {
  /** Digests of the blocks of the last request. */
  readonly chain: readonly string[];
  /** By whose cache a request went to. */
  readonly models: ReadonlyMap<string, SentTo>;
  /** The last request: whose cache, when it was sent, and the tokens of its prompt and answer. */
  readonly last: { readonly to: string; readonly at: number; readonly tokens: number } | undefined;
  /** What was done since then that changes what had been sent. */
  readonly planned: "conversation_restored" | "compacted" | undefined;
  /** The user came back to this conversation after a pause that an hour's entry outlives and a shorter one does not. */
  readonly pauses: boolean;
  /** When the open step began. */
  readonly stepAt: number;
  /** How often the cache was warmed since the last prompt. */
  readonly unusedWarmUps: number;
}

/** The ledger before any request. */
export const emptyLedger: RequestLedger = {
  chain: [],
  models: new Map(),
  last: undefined,
  planned: undefined,
  pauses: false,
  stepAt: 0,
  unusedWarmUps: 0,
};

/** Entries kept for one model: enough to go back some turns. */
const maxEntries = 64;
/** Tokens that may be missing without a break, and as a share: vendors round, and count a prefix a little differently. */
const slackTokens = 256;
const slackShare = 0.02;

/** The ledger after one more event. */
export function foldLedger(ledger: RequestLedger, event: SessionEvent): RequestLedger {
  switch (event.type) {
    case "turn_started":
      // Decided when everything has expired and must be written anew in any case, and then never taken back.
      return { ...ledger, pauses: ledger.pauses || isPause(ledger, event.at), unusedWarmUps: 0 };
    case "step_started":
      return { ...ledger, stepAt: event.at };
    case "restore_started":
      return event.conversationTurns.length === 0 ? ledger : { ...ledger, planned: "conversation_restored" };
    case "compacted":
    case "compaction_undone":
      return { ...ledger, planned: "compacted" };
    case "step_finished":
      return event.sent ? noteSent(ledger, { ...event, sent: event.sent, at: ledger.stepAt }) : ledger;
    case "cache_warmed":
      return { ...noteSent(ledger, { ...event, at: event.startedAt }), unusedWarmUps: ledger.unusedWarmUps + 1 };
    default:
      return ledger;
  }
}

function isPause({ last }: RequestLedger, at: number): boolean {
  return last !== undefined && at - last.at > shortLifeMs && at - last.at < longLifeMs;
}

interface Noted {
  readonly sent: SentRequest;
  readonly usage: Usage;
  readonly responseId?: string;
  readonly at: number;
}

function noteSent(ledger: RequestLedger, { sent, usage, responseId, at }: Noted): RequestLedger {
  const { to, same, blocks, cachedTokens, lifeMs } = sent;
  const chain = [...ledger.chain.slice(0, same), ...blocks];
  // What no longer is how the conversation begins will not be read again.
  const models = new Map(
    [...ledger.models].map(([name, one]) => [name, { ...one, entries: one.entries.filter((e) => e.blocks <= same) }]),
  );
  const before = models.get(to)?.entries ?? [];
  const read = before.findLast(({ tokens }) => tokens > 0 && Math.abs(tokens - usage.cacheReadTokens) <= slackTokens);
  const entries = before.map((entry) => (entry === read ? { ...entry, until: at + entry.lifeMs } : entry));
  const written = { blocks: chain.length, tokens: cachedTokens, lifeMs, until: at + lifeMs };
  models.set(to, {
    entries: [...entries, ...(cachedTokens > 0 ? [written] : [])].slice(-maxEntries),
    ...(responseId === undefined ? {} : { responseId }),
  });
  const tokens = promptTokens(usage) + usage.outputTokens;
  return { ...ledger, chain, models, last: { to, at, tokens }, planned: undefined };
}

/** A request that was answered. */
export interface Answered {
  readonly request: ModelRequest;
  /** When the answer began, in ms since the epoch: what had expired by then is not counted on. */
  readonly at: number;
  readonly usage: Usage;
  /** The vendor's word for why it could not read from its cache. */
  readonly cacheMiss?: string | undefined;
}

/** What of a request is stored for those after it, and what the cache did for it. */
export interface Judged {
  readonly sent: SentRequest;
  readonly cache: CacheOutcome;
}

/** Compares an answered request with what was sent before, as the ledger had it when the request was sent. */
export function judgeRequest(ledger: RequestLedger, { request, at, usage, cacheMiss }: Answered): Judged {
  const { model, messages, pauses = false } = request;
  const plan = compare(ledger, request, at);
  // Only the end of a prompt is marked for an hour.
  const lifeMs = lifeOf(model, pauses && messages.at(-1)?.role === "user") ?? 0;
  const cachedTokens = lifeMs === 0 ? 0 : cachedAfter(model, usage);
  const { to, same, blocks } = plan;
  return { sent: { to, same, blocks, cachedTokens, lifeMs }, cache: outcomeOf(plan, usage, cacheMiss) };
}

interface Comparison {
  readonly to: string;
  readonly same: number;
  readonly blocks: readonly string[];
  readonly expectedReadTokens: number;
  /** What had been read if nothing had come between. */
  readonly unbrokenTokens: number;
  readonly cause?: CacheBreakCause;
  readonly block?: string;
}

function compare(ledger: RequestLedger, request: ModelRequest, now: number): Comparison {
  const to = cacheOf(request);
  const digests = digestsOf(request);
  const { chain, last, models, planned } = ledger;
  const at = chain.findIndex((digest, index) => digests[index] !== digest);
  const same = at < 0 ? chain.length : at;
  const kept = (models.get(to)?.entries ?? []).filter(({ blocks }) => blocks <= same);
  const found = most(kept.filter(({ until }) => until > now));
  const result = { to, same, blocks: digests.slice(same), expectedReadTokens: found };
  const before = most((last && models.get(last.to)?.entries) ?? []);
  const isOther = last !== undefined && last.to !== to;
  // A model that cannot read another vendor's compaction is sent its words.
  if (at >= 0 && (planned || !isOther)) {
    const block = nameOfBlock(request, at);
    return planned
      ? { ...result, unbrokenTokens: most(kept), cause: planned, block }
      : { ...result, unbrokenTokens: before, cause: "request_changed", block };
  }
  if (isOther && found === 0) {
    const cause = isSameModel(last.to, to) ? "pictures_changed" : "model_changed";
    return { ...result, unbrokenTokens: before, cause };
  }
  if (found < most(kept)) return { ...result, unbrokenTokens: most(kept), cause: "expired" };
  return { ...result, unbrokenTokens: found };
}

function outcomeOf(plan: Comparison, usage: Usage, vendorReason: string | undefined): CacheOutcome {
  const { expectedReadTokens, unbrokenTokens, cause, block } = plan;
  const readTokens = usage.cacheReadTokens;
  const unbroken = Math.min(unbrokenTokens, promptTokens(usage));
  const isMissed = (of: number) => of - readTokens > slackTokens + slackShare * of;
  const found = cause && (block !== undefined || isMissed(unbroken)) ? cause : undefined;
  const named = found ?? (isMissed(expectedReadTokens) ? "not_read" : undefined);
  if (!named) return { expectedReadTokens, readTokens };
  return {
    expectedReadTokens,
    readTokens,
    break: {
      cause: named,
      planned: named !== "request_changed" && named !== "not_read",
      missedTokens: Math.max(0, unbroken - readTokens),
      ...(block === undefined ? {} : { block }),
      ...(vendorReason === undefined ? {} : { vendorReason }),
    },
  };
}

/** A line of the log for a break that nothing explains; `undefined` for any other. */
export function warningOf({ break: found, expectedReadTokens, readTokens }: CacheOutcome): string | undefined {
  if (!found || found.planned) return undefined;
  const vendor = found.vendorReason === undefined ? "" : ` The vendor says: ${found.vendorReason}.`;
  return found.block === undefined
    ? `The prompt cache gave ${readTokens} tokens where ${expectedReadTokens} should be in it, and nothing that was sent before has changed.${vendor}`
    : `A request differs from the one before it in what was already sent, first in ${found.block}: ${found.missedTokens} tokens are paid anew.${vendor}`;
}

/** The response that a request is compared with; `null` when there is none. */
export function previousResponse({ models }: RequestLedger, request: PromptOf): string | null {
  return models.get(cacheOf(request))?.responseId ?? null;
}

/** When the cache of a request's model has forgotten the conversation, in ms since the epoch; 0 when it has nothing of it. */
export function warmUntil({ models, chain }: RequestLedger, request: PromptOf): number {
  const last = models.get(cacheOf(request))?.entries.at(-1);
  return last && last.blocks === chain.length ? last.until : 0;
}

/** Tokens of a conversation as its next request begins, the last answer included; an older figure where it went back. */
export function conversationTokens(ledger: RequestLedger, request: ModelRequest): number {
  const { same } = compare(ledger, request, 0);
  if (same === ledger.chain.length) return ledger.last?.tokens ?? 0;
  return most([...ledger.models.values()].flatMap(({ entries }) => entries.filter(({ blocks }) => blocks <= same)));
}

/** Tokens of a prompt, however they were charged. */
export function promptTokens({ inputTokens, cacheReadTokens, cacheWriteTokens }: Usage): number {
  return inputTokens + cacheReadTokens + cacheWriteTokens;
}

type PromptOf = Pick<ModelRequest, "model" | "messages">;

/** Whose cache a request goes to: each vendor keeps one for each model, and these settings divide it. */
function cacheOf({ model, messages }: PromptOf): string {
  const { api, wireId, baseUrl = "", thinking, images } = model;
  // Anthropic reads nothing of the messages when the first picture is among them (2026-11).
  const isPicture = ({ type }: PromptPart) => type === "image";
  const hasPictures =
    images &&
    api === "anthropic-messages" &&
    messages.some((message) => message.role === "user" && message.parts.some(isPicture));
  return [api, wireId, baseUrl, thinking].join(" ") + (hasPictures ? pictured : "");
}

const pictured = " pictures";

function isSameModel(a: string, b: string): boolean {
  return a.replace(pictured, "") === b.replace(pictured, "");
}

function most(entries: readonly CacheEntry[]): number {
  return entries.reduce((tokens, entry) => Math.max(tokens, entry.tokens), 0);
}
