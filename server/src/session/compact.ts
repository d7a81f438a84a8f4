/**
 * Compacts a conversation: by the vendor's own means, else by a summary that the model writes, else by rule, which
 * always works. The conversation goes on whatever a provider does.
 *
 * Not here: when (`compactPlan.ts`), what is carried word for word (`carried.ts`), what follows for later requests
 * (`thread.ts`). Easily got wrong: a request for a summary is the next request of the conversation with one instruction
 * after it, so that it reads the vendor's cache; and no earlier answer is sent again after it, because thinking is bound to
 * what stood before it.
 */
import type { Clock } from "../base/async.ts";
import { messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { ModelRequest, ModelStop } from "../model/provider.ts";
import type { TokenCounts } from "../model/tokens.ts";
import { addUsage, noUsage } from "../model/usage.ts";
import type { Compacted, CompactionMeans, CompactionReason } from "../protocol/events.ts";
import type { AssistantBlock, CompactionId, ToolSpec, TurnId, Usage } from "../protocol/types.ts";
import { type CarriedRoom, carriedText, extractOf } from "./carried.ts";
import { type CompactionPolicy, fitsWindow, hasGrown, summaryTokens } from "./compactPlan.ts";
import { buildRequest, withSeenWindow } from "./context.ts";
import type { TurnModel } from "./fallback.ts";
import { reduceAll, type SessionState } from "./reduce.ts";
import type { Session } from "./session.ts";

/** What compacting needs. */
export interface CompactDeps {
  readonly session: Session;
  /** Those of the session's other requests. */
  readonly tools: readonly ToolSpec[];
  readonly clock: Clock;
  readonly createId: () => string;
  readonly policy: CompactionPolicy;
  readonly tokens: TokenCounts;
}

/** What is asked for. */
export interface CompactOrder {
  readonly reason: CompactionReason;
  /** The turn in whose midst it is done. */
  readonly turnId?: TurnId;
  /** What the user wants the summary to keep. */
  readonly hint?: string;
  /** The vendor has said that the conversation is too long: it counts other tokens than we do. */
  readonly isRefused?: boolean;
}

/** Milliseconds that one request for a summary may take, its retries included. */
const maxSummaryMs = 180_000;
/** A summary that is longer than its tokens can be is of a server that does not keep to limits. */
const mostBytesPerToken = 8;
/** Bytes of a token, for the rooms below; what comes of them is measured again. */
const bytesPerToken = 3;
/** Parts of the window that the user's words and an extract may take, and bytes that they never exceed. */
const wordsShare = 0.25;
const maxWords = 256 * 1024;
const extractShare = 0.1;
const maxExtract = 48 * 1024;
/** Where the vendor's block cannot be read, this much of the conversation's end is carried too, for other vendors' models. */
const extractBesideBlock = 8 * 1024;

/** A conversation is worth shortening if at most this part of it has to be left. */
const worthShare = 0.9;

/** Of what a vendor refused as too long, this much is certainly not: its count is below twice our estimate. */
const refusedShare = 0.5;

const instruction = `Stop here: do not go on with the task and call no tool. This conversation is about to be replaced by a summary that you write now, and you will go on from that summary alone. The user's messages and the list of changed files are carried over word for word; do not repeat them.

Write down, in plain text and as briefly as completeness allows:
- what the user wants in the end, and what is being worked on at this moment;
- every open point and todo, with its state, in the order in which it is to be done;
- decisions and their reasons, and what was tried and did not work;
- what you know about the code that you would otherwise have to find out again: places as path:line, names, signatures, commands and what they showed;
- errors that are still there, word for word, and the next step.`;

/**
 * Compacts the conversation now. False when nothing was done: there is nothing to shorten, or `signal` was aborted. Rejects
 * only when the event cannot be stored.
 */
export async function compact(
  deps: CompactDeps,
  model: TurnModel,
  order: CompactOrder,
  signal: AbortSignal,
): Promise<boolean> {
  const { session, clock } = deps;
  if (!hasGrown(session.state)) return false;
  const startedAt = clock.now();
  const attempts = new Attempts(deps, model, order, signal);
  if (!attempts.canHelp) return false;
  session.stream({ type: "compaction_delta", isRunning: true, reason: order.reason });
  try {
    const found = (await attempts.byVendor()) ?? (await attempts.bySummary()) ?? attempts.byRule();
    if (signal.aborted) return false;
    await session.append({ ...found, ...attempts.spent, durationMs: clock.now() - startedAt });
    return true;
  } finally {
    session.stream({ type: "compaction_delta", isRunning: false, reason: order.reason });
  }
}

/** A compaction before it is known what it cost. */
type Draft = Omit<Compacted, "usage" | "cost" | "durationMs">;

/** What came of a request for a summary. */
interface Written {
  readonly blocks: readonly AssistantBlock[];
  readonly stop: ModelStop | undefined;
}

/** The ways to compact one conversation, in the order in which they are tried. */
class Attempts {
  readonly #deps: CompactDeps;
  readonly #model: TurnModel;
  readonly #order: CompactOrder;
  readonly #signal: AbortSignal;
  readonly #state: SessionState;
  /** The next request of the conversation, as it would be without a compaction. */
  readonly #parent: ModelRequest;
  readonly #tokensBefore: number;
  #usage = noUsage;
  #cost: number | undefined;

  constructor(deps: CompactDeps, model: TurnModel, order: CompactOrder, signal: AbortSignal) {
    this.#deps = deps;
    // Its server may take less than its makers say.
    this.#model = { ...model, spec: withSeenWindow(deps.session.state, model.spec) };
    this.#order = order;
    this.#signal = signal;
    this.#state = deps.session.state;
    this.#parent = this.#requestOf(this.#state);
    this.#tokensBefore = deps.tokens.ofPrompt(this.#parent).tokens;
  }

  /** What the requests so far have used. */
  get spent(): Pick<Compacted, "usage" | "cost"> {
    return { usage: this.#usage, ...(this.#cost === undefined ? {} : { cost: this.#cost }) };
  }

  /** Whether the conversation gets shorter by anything at all. */
  get canHelp(): boolean {
    const { reason } = this.#order;
    return reason === "manual" || this.#least.tokensAfter < this.#tokensBefore * worthShare;
  }

  /** By the vendor, where it can. */
  async byVendor(): Promise<Draft | undefined> {
    const { spec } = this.#model;
    const { hint } = this.#order;
    // OpenAI's compaction takes no wishes.
    const takesHint = spec.api === "anthropic-messages";
    const can = spec.compacts && (takesHint || (spec.api === "openai-responses" && hint === undefined));
    if (!can || !this.#mayAsk()) return undefined;
    const instructions = hint === undefined ? {} : { instructions: instructionWith(hint) };
    const written = await this.#ask({ ...this.#parent, compaction: instructions });
    const [block, ...others] = written?.blocks ?? [];
    if (written?.stop !== "compacted" || !block || others.length > 0) return undefined;
    const summary = block.part.type === "text" ? block.part.text : "";
    // Read by the vendor alone: then others' models, and people, have at least this.
    const beside = summary === "" ? this.#extract(extractBesideBlock) : "";
    return this.#fitting("vendor", () => beside, { block: { api: spec.api, block }, summary: summary || beside });
  }

  /** By a summary that the model writes. */
  async bySummary(): Promise<Draft | undefined> {
    if (!this.#mayAsk()) return undefined;
    const text = instructionWith(this.#order.hint);
    const messages = [...this.#parent.messages, { role: "user", parts: [{ type: "text", text }] } as const];
    const written = await this.#ask({ ...this.#parent, messages });
    if (written?.stop !== "end_turn") return undefined;
    const summary = written.blocks
      .flatMap(({ part }) => (part.type === "text" ? [part.text.trim()] : []))
      .filter((part) => part !== "")
      .join("\n\n");
    const isTooLong = summary.length > summaryTokens(this.#model.spec) * mostBytesPerToken;
    return summary === "" || isTooLong ? undefined : this.#fitting("summary", () => summary, {});
  }

  /** By rule. Where even that does not fit, what cannot be shortened is too long by itself. */
  byRule(): Draft {
    const extract = (room: CarriedRoom) => this.#extract(room.extract);
    return this.#fitting("extract", extract, {}) ?? this.#least;
  }

  get #least(): Draft {
    return this.#draft("extract", () => "", {}, { words: 0, extract: 0 });
  }

  #mayAsk(): boolean {
    const { policy } = this.#deps;
    const { spec } = this.#model;
    if (policy.strategy === "extractive" || spec.api === "recorded" || this.#signal.aborted) return false;
    return this.#tokensBefore + summaryTokens(spec) <= spec.contextTokens;
  }

  /** The first draft that leaves enough of the window, the user's words cut shorter each time. */
  #fitting(
    means: CompactionMeans,
    summaryIn: (room: CarriedRoom) => string,
    parts: Partial<Pick<Compacted, "block" | "summary">>,
  ): Draft | undefined {
    for (const room of roomsFor(this.#model.spec.contextTokens)) {
      const draft = this.#draft(means, summaryIn, parts, room);
      if (this.#isWorthIt(draft)) return draft;
    }
    return undefined;
  }

  #isWorthIt({ tokensAfter }: Draft): boolean {
    const { reason, isRefused } = this.#order;
    const most = isRefused ? this.#tokensBefore * refusedShare : this.#tokensBefore;
    return (tokensAfter < most || reason === "manual") && fitsWindow(this.#model.spec, tokensAfter);
  }

  #draft(
    means: CompactionMeans,
    summaryIn: (room: CarriedRoom) => string,
    parts: Partial<Pick<Compacted, "block" | "summary">>,
    room: CarriedRoom,
  ): Draft {
    const { turnId, reason } = this.#order;
    const summary = summaryIn(room);
    const draft: Draft = {
      type: "compacted",
      compactionId: this.#deps.createId() as CompactionId,
      ...(turnId === undefined ? {} : { turnId }),
      reason,
      means,
      messages: this.#parent.messages.length,
      summary,
      ...parts,
      carried: carriedText(this.#state, { turnId, summary, followsBlock: parts.block !== undefined }, room),
      model: this.#model.spec.id,
      tokensBefore: this.#tokensBefore,
      tokensAfter: 0,
    };
    const event = { ...draft, usage: noUsage, durationMs: 0, seq: this.#state.seq + 1, at: 0 };
    const after = reduceAll(this.#state, [event]);
    return { ...draft, tokensAfter: this.#deps.tokens.ofPrompt(this.#requestOf(after)).tokens };
  }

  #extract(room: number): string {
    return extractOf(this.#state, room, this.#deps.policy);
  }

  #requestOf(state: SessionState): ModelRequest {
    const turnId = this.#order.turnId ?? state.turns.at(-1)?.turnId ?? ("none" as TurnId);
    const account = { sessionId: this.#deps.session.id, turnId, purpose: "summary" } as const;
    return buildRequest(state, this.#model.spec, this.#deps.tools, account);
  }

  /** The whole answer, or nothing: whatever goes wrong, another means is tried. */
  async #ask(asked: ModelRequest): Promise<Written | undefined> {
    const { clock } = this.#deps;
    const { provider, costOf, spec } = this.#model;
    const request = { ...asked, maxOutputTokens: summaryTokens(spec) };
    const waiting = new AbortController();
    const late = new AbortController();
    clock.sleep(maxSummaryMs, waiting.signal).then(
      () => late.abort(),
      () => undefined,
    );
    const blocks: AssistantBlock[] = [];
    let stop: ModelStop | undefined;
    try {
      for await (const event of provider.stream(request, AbortSignal.any([this.#signal, late.signal]))) {
        if (event.type === "block_done") blocks.push(event.block);
        if (event.type !== "done") continue;
        stop = event.stop;
        this.#count(event.usage, costOf(event.usage));
      }
      return { blocks, stop };
    } catch (error) {
      if (!this.#signal.aborted) log("warn", `A summary of the conversation could not be had: ${messageOf(error)}`);
      return undefined;
    } finally {
      waiting.abort();
    }
  }

  #count(usage: Usage, cost: number | undefined): void {
    this.#usage = addUsage(this.#usage, usage);
    if (cost !== undefined) this.#cost = (this.#cost ?? 0) + cost;
  }
}

function instructionWith(hint: string | undefined): string {
  return hint === undefined ? instruction : `${instruction}\n\nThe user asks you to mind this in particular:\n${hint}`;
}

/** Rooms to try, in bytes: the user's words are the last to be cut. */
function roomsFor(contextTokens: number): readonly CarriedRoom[] {
  const bytes = contextTokens * bytesPerToken;
  const words = Math.min(maxWords, Math.floor(bytes * wordsShare));
  const extract = Math.min(maxExtract, Math.floor(bytes * extractShare));
  return [
    { words, extract },
    { words, extract: Math.floor(extract / 4) },
    ...[1, 2, 4, 16].map((part) => ({ words: Math.floor(words / part), extract: 0 })),
  ];
}
