/**
 * Chooses a model for a turn where the user has left the choice to rules: an ordered list, the last of which always answers.
 *
 * Not here: which models are ready and what the user has chosen (`main/models.ts`), reading a task's difficulty
 * (`difficulty.ts`). Easily got wrong: another model costs the whole prompt cache, so a conversation keeps its model until
 * that cannot go on; and the same facts give the same choice, so nothing here reads a clock or chance.
 */
import type { ModelSpec, RouteStrategy, SessionId } from "../protocol/types.ts";
import { type Difficulty, difficultyOf, type TaskFacts } from "./difficulty.ts";
import { costOf } from "./price.ts";
import type { ModelMessage } from "./provider.ts";

/** What is known of a turn before it begins. */
export interface RouteFacts extends TaskFacts {
  readonly sessionId: SessionId;
  /** Whether the conversation or the prompt holds images. */
  readonly images: boolean;
  /** Tokens of the conversation with the prompt, estimated. */
  readonly promptTokens: number;
  /** The model that answered the turn before. */
  readonly previous?: string;
}

/** The facts, and what the user's settings say. */
export interface RouteRequest extends RouteFacts {
  readonly strategy: RouteStrategy;
  /** The models that the user has named for hard and for easy tasks, by id. */
  readonly named: { readonly complex?: string; readonly simple?: string };
  /** Nano-dollars that the next request may cost; absent for no limit. */
  readonly maxNano?: number;
  /** Milliseconds that an answer may be expected to take; absent for no limit. */
  readonly maxMs?: number;
  /** Milliseconds since the epoch: measurements grow old. */
  readonly now: number;
}

/** How fast and how well a model has answered lately, as weighted means. */
export interface ModelSpeed {
  readonly firstTokenMs: number;
  readonly tokensPerSecond: number;
  /** Part of the requests that failed: 0 to 1. */
  readonly failureRate: number;
  /** When it was measured last, in milliseconds since the epoch. */
  readonly at: number;
}

/** A model that can be used now. */
export interface Candidate {
  readonly spec: ModelSpec;
  readonly speed?: ModelSpeed;
}

/** A decision. */
export interface Route {
  readonly model: string;
  /** The name of the rule that decided. */
  readonly rule: string;
  /** Why, as a phrase for people. */
  readonly reason: string;
}

/** A candidate with what is expected of it. */
interface Rated {
  readonly spec: ModelSpec;
  readonly quality: number;
  /** What a step costs; `undefined` where the price is not known. */
  readonly nano: number | undefined;
  /** Milliseconds to the end of an answer, failures and what they cost in time included. */
  readonly ms: number;
}

/** What rules decide by. */
interface Weighed {
  readonly request: RouteRequest;
  readonly difficulty: Difficulty;
  /** Every candidate, in the order of the catalogue. */
  readonly all: readonly Rated[];
  /** Those that can take the conversation and are within the user's limits. */
  readonly eligible: readonly Rated[];
}

/** One rule: the model that it wants and why, or nothing. */
interface RouteRule {
  readonly name: string;
  readonly choose: (weighed: Weighed) => { readonly rated: Rated; readonly reason: string } | undefined;
}

/** Tokens of an ordinary answer, for what is expected of a model. */
const ordinaryAnswer = 500;
/** Tokens that must be left for the answer. */
const leastAnswer = 4_096;
/** The best model is taken only up to this many times the price of the first; a dearer one must be named. */
const dearestTimes = 4;
/** Milliseconds after which half of a measured failure rate is forgotten. */
const failureHalfLifeMs = 30 * 60_000;
/** The quality of a model of which we know nothing. */
const unknownQuality = 1;
/** The least quality for tasks that may be easy, and for those that are not. */
const ableEnough = { easy: 2, ordinary: 3 } as const;

/** The rules, in order. The first that answers decides. */
const rules: readonly RouteRule[] = [
  {
    name: "stay",
    choose: ({ request, all }) => {
      const rated = all.find(({ spec }) => spec.id === request.previous);
      return rated && !obstacle(rated.spec, request) ? { rated, reason: "the conversation is with it" } : undefined;
    },
  },
  {
    name: "named",
    choose: ({ request, difficulty, eligible }) => {
      if (request.strategy !== "adaptive") return undefined;
      const { complex, simple } = request.named;
      const wanted = difficulty.level === "low" ? simple : complex;
      const rated = eligible.find(({ spec }) => spec.id === wanted);
      return rated && { rated, reason: difficulty.reason };
    },
  },
  {
    name: "cost",
    choose: ({ request, eligible }) =>
      request.strategy === "cost"
        ? least(able(eligible, ableEnough.easy), costKey, "the cheapest that is able enough")
        : undefined,
  },
  {
    name: "latency",
    choose: ({ request, eligible }) =>
      request.strategy === "latency"
        ? least(able(eligible, ableEnough.easy), ({ ms }) => ms, "the fastest that is able enough")
        : undefined,
  },
  {
    name: "quality",
    choose: ({ difficulty, eligible, all }) => {
      if (difficulty.level !== "high") return undefined;
      const most = dearestTimes * (all[0]?.nano ?? Number.POSITIVE_INFINITY);
      const affordable = eligible.filter(({ nano = 0 }) => nano <= most);
      return least(affordable.length > 0 ? affordable : eligible, ({ quality }) => -quality, difficulty.reason);
    },
  },
  {
    name: "balance",
    choose: ({ difficulty, eligible }) =>
      difficulty.level === "medium"
        ? least(able(eligible, ableEnough.ordinary), ({ quality, ms }) => -quality / ms, difficulty.reason)
        : undefined,
  },
  {
    name: "speed",
    choose: ({ difficulty, eligible }) => least(able(eligible, ableEnough.easy), ({ ms }) => ms, difficulty.reason),
  },
  {
    name: "last",
    choose: ({ request, all }) => {
      const fitting = all.filter(({ spec }) => !obstacle(spec, request));
      return fitting.length > 0
        ? least(fitting, costKey, "no model is within your limits, and this one is the cheapest")
        : least(all, ({ spec }) => -spec.contextTokens, "no model fits, and this one has the largest window");
    },
  },
];

/**
 * Chooses among models that can be used now. The same arguments give the same decision. Throws when there is no
 * candidate.
 */
export function route(request: RouteRequest, candidates: readonly Candidate[]): Route {
  const all = candidates.map((candidate) => rate(candidate, request));
  const eligible = all.filter((rated) => isWithin(rated, request) && !obstacle(rated.spec, request));
  const weighed = { request, difficulty: difficultyOf(request), all, eligible };
  for (const { name, choose } of rules) {
    const chosen = choose(weighed);
    if (chosen) return { model: chosen.rated.spec.id, rule: name, reason: leaving(request, all) + chosen.reason };
  }
  throw new Error("There is no model to choose from.");
}

/** A model whose request costs at most `left`: the ablest that goes on for ten such requests, else the cheapest. */
export function cheaperModel<T extends { readonly spec: ModelSpec; readonly nano: number | undefined }>(
  models: readonly T[],
  current: ModelSpec,
  messages: readonly ModelMessage[],
  left: number,
): T | undefined {
  const facts = { images: holdsImages(messages), promptTokens: estimateTokens(messages) };
  const fitting = models.filter(
    ({ spec, nano }) => spec.id !== current.id && nano !== undefined && nano <= left && !obstacle(spec, facts),
  );
  const lasting = fitting.filter(({ nano = 0 }) => 10 * nano <= left);
  return lasting.length > 0
    ? lowest(lasting, ({ spec }) => -(spec.quality ?? unknownQuality))
    : lowest(fitting, ({ nano = 0 }) => nano);
}

/** Tokens of messages, by their length: a fourth of it, as English and code have in most tokenisers. */
export function estimateTokens(messages: readonly object[]): number {
  return Math.ceil(messages.reduce((sum, message) => sum + JSON.stringify(message).length, 0) / 4);
}

/** Whether any prompt among them holds an image. */
export function holdsImages(messages: readonly ModelMessage[]): boolean {
  return messages.some((message) => message.role === "user" && message.parts.some(({ type }) => type === "image"));
}

/** Why a model cannot take a conversation; `undefined` when it can. */
function obstacle(
  { images, contextTokens, maxOutputTokens }: ModelSpec,
  facts: Pick<RouteFacts, "images" | "promptTokens">,
): string | undefined {
  if (facts.images && !images) return "takes no images";
  const needed = facts.promptTokens + Math.min(leastAnswer, maxOutputTokens);
  return needed > contextTokens ? "has too small a window" : undefined;
}

/** Says why a conversation leaves the model that it was with. */
function leaving(request: RouteRequest, all: readonly Rated[]): string {
  if (request.previous === undefined) return "";
  const before = all.find(({ spec }) => spec.id === request.previous);
  if (!before) return `${request.previous} is not ready; `;
  const why = obstacle(before.spec, request);
  return why ? `${before.spec.label} ${why}; ` : "";
}

function rate({ spec, speed }: Candidate, { promptTokens, now }: RouteRequest): Rated {
  const quality = spec.quality ?? unknownQuality;
  const usage = { inputTokens: promptTokens, cacheReadTokens: 0, cacheWriteTokens: 0, thinkingTokens: 0 };
  const nano = spec.local ? 0 : costOf(spec.price, { ...usage, outputTokens: ordinaryAnswer });
  const { firstTokenMs, tokensPerSecond, failureRate, at } = speed ?? guessedSpeed(quality, now);
  const failures = failureRate * 0.5 ** (Math.max(0, now - at) / failureHalfLifeMs);
  const ms = (firstTokenMs + (1000 * ordinaryAnswer) / Math.max(1, tokensPerSecond)) / (1 - Math.min(0.95, failures));
  return { spec, quality, nano, ms };
}

/** Until a model has been measured: abler ones are larger and slower. Only the order means anything. */
function guessedSpeed(quality: number, now: number): ModelSpeed {
  return { firstTokenMs: 400 + 300 * quality, tokensPerSecond: 200 - 36 * quality, failureRate: 0, at: now };
}

function isWithin({ nano, ms }: Rated, { maxNano, maxMs }: RouteRequest): boolean {
  if (maxNano !== undefined && (nano === undefined || nano > maxNano)) return false;
  return maxMs === undefined || ms <= maxMs;
}

/** Those of at least that quality, or all when none is. */
function able(rated: readonly Rated[], quality: number): readonly Rated[] {
  const enough = rated.filter((one) => one.quality >= quality);
  return enough.length > 0 ? enough : rated;
}

function costKey({ nano }: Rated): number {
  return nano ?? Number.POSITIVE_INFINITY;
}

function least(
  rated: readonly Rated[],
  key: (rated: Rated) => number,
  reason: string,
): { readonly rated: Rated; readonly reason: string } | undefined {
  const found = lowest(rated, key);
  return found && { rated: found, reason };
}

/** The first of those with the lowest key. */
function lowest<T>(items: readonly T[], key: (item: T) => number): T | undefined {
  return items.reduce(
    (best: T | undefined, item) => (best === undefined || key(item) < key(best) ? item : best),
    undefined,
  );
}
