/**
 * Plays random turns of one conversation through the real host and judges, turn by turn, what the prompt cache did and what
 * the request ledger says of it.
 *
 * Not here: making the turns (`turns.ts`). Easily got wrong: what should have been read is worked out here from the bytes of
 * the requests alone, so that the ledger is not judged by itself.
 */
import type { Clock } from "../../../server/src/base/async.ts";
import { RequestError } from "../../../server/src/base/errors.ts";
import { AgentHost } from "../../../server/src/host.ts";
import { findModel } from "../../../server/src/model/catalog.ts";
import type { ModelRequest } from "../../../server/src/model/provider.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import type { CacheBreakCause, ModelSpec, PromptPart, SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import type { SessionStore } from "../../../server/src/storage/store.ts";
import { createBuiltinTools } from "../../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry, type Registry } from "../../../server/src/tools/registry.ts";
import { tokensOf } from "../double/json.ts";
import { anthropicBlocks } from "../double/prefixCache.ts";
import { createMemoryWorkspace } from "../memoryWorkspace.ts";
import type { Turn } from "./turns.ts";
import { type Asked, Vendor } from "./vendor.ts";

/** The models that take turns: two of one vendor, two of another, in all three wire formats. */
export const models: readonly [ModelSpec, ...ModelSpec[]] = [
  findModel("anthropic/claude-sonnet-5-5"),
  findModel("openai/gpt-6.1-sol"),
  { ...findModel("openai/gpt-6.1-sol"), api: "openai-chat" },
  findModel("anthropic/claude-opus-5-5"),
];

const files = Object.fromEntries(
  Array.from({ length: 40 }, (_, at) => [
    `src/file${at}.ts`,
    `export const value${at} = "${`${at} `.repeat(40 + at * 9)}";\n`,
  ]),
);
const instructions = `Tabs, never spaces.\n${"Keep it small. ".repeat(150)}`;
/** A picture of one point. */
const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/** Unread tokens that an honest ledger may pass over: half a step of OpenAI's cache, and its own slack. */
const slackOf = (tokens: number) => 400 + 0.03 * tokens;

/** What may be put between a host and its store, and what tools it has. */
export interface StageOptions {
  readonly store?: (store: SessionStore) => SessionStore;
  readonly registry?: () => Registry;
}

/** One conversation under test. */
export class Stage {
  readonly vendor: Vendor;
  readonly #workspace = createMemoryWorkspace({ ...files, "AGENTS.md": instructions });
  readonly events: SessionEvent[] = [];
  readonly clock: Clock;
  sessionId = "" as SessionId;
  #now = 1_000_000_000;
  #ids = 0;
  /** What changed what had been sent since the last request that was answered. */
  readonly #rewritten = new Set<"conversation_restored" | "compacted">();
  #model: ModelSpec = models[0];
  #host: AgentHost;
  readonly #store: SessionStore;
  #options: StageOptions = {};
  readonly #turns: { readonly id: TurnId; readonly prompt: string }[] = [];

  constructor() {
    this.clock = {
      now: () => this.#now,
      sleep: async (ms) => {
        this.#now += ms;
      },
    };
    this.#store = createMemoryStore({ clock: this.clock });
    this.vendor = new Vendor(this.clock);
    this.#host = this.#start();
  }

  /** Plays one turn; returns what is wrong with it. */
  async play(turn: Turn): Promise<readonly string[]> {
    this.#now += turn.pauseMs;
    if (turn.instructions !== undefined) this.#workspace.set("AGENTS.md", `${turn.instructions}\n${instructions}`);
    if (turn.restart) await this.restart();
    const before = this.#model;
    const model = models[turn.model] ?? before;
    this.#model = model;
    const target = turn.restoreTo === undefined ? undefined : this.#turns[this.#turns.length - 1 - turn.restoreTo];
    if (target) {
      await this.#host.restore({ sessionId: this.sessionId, turnId: target.id, files: false, conversation: true });
      this.#turns.splice(this.#turns.indexOf(target));
      this.vendor.rewindTo(target.prompt);
      this.#rewritten.add("conversation_restored");
    }
    // One of the two at a time, as the double's rules can tell them apart.
    if (turn.compact && !target) await this.#compact();
    if (model !== before) this.vendor.changed = "model,thinking,reasoning,reasoning_effort";
    if (turn.warmUp) await this.#warmUp();
    this.vendor.steps.push(...turn.steps);
    const asked = this.vendor.asked.length;
    const seen = this.events.length;
    const prompt = `Prompt ${this.#ids} of ${turn.words}`;
    const parts: PromptPart[] = [{ type: "text", text: prompt }];
    if (turn.picture) parts.push({ type: "image", mimeType: "image/png", base64: picture });
    const { turnId } = await this.prompt(parts);
    this.#turns.push({ id: turnId, prompt });
    this.vendor.steps.length = 0;
    return [...this.vendor.wrong.splice(0), ...this.#judge(asked, seen)];
  }

  /** Runs a prompt; the session is made with the first. */
  async prompt(parts: readonly PromptPart[]) {
    if (this.sessionId === "") this.sessionId = (await this.#host.newSession({})).sessionId;
    this.#now += 1_000;
    return this.#host.prompt(
      { sessionId: this.sessionId, prompt: parts, origin: "panel" },
      new AbortController().signal,
    );
  }

  /** Another process goes on with the session. */
  async restart(options: StageOptions = {}): Promise<void> {
    await this.#host.close();
    this.#options = options;
    this.#host = this.#start();
  }

  async close(): Promise<void> {
    await this.#host.close();
  }

  /** The model of further prompts. */
  use(model: ModelSpec | undefined): void {
    this.#model = model ?? this.#model;
  }

  async #warmUp(): Promise<void> {
    if (this.sessionId === "") return;
    await this.#host.warmUp({ sessionId: this.sessionId, intent: "typing" });
  }

  async #compact(): Promise<void> {
    if (this.sessionId === "") return;
    try {
      await this.#host.compact({ sessionId: this.sessionId }, new AbortController().signal);
      this.#rewritten.add("compacted");
      // Going back beyond a compaction is tested where compaction is.
      this.#turns.length = 0;
    } catch (error) {
      if (!(error instanceof RequestError) || error.code !== "nothing_to_compact") throw error;
    }
  }

  #judge(asked: number, seen: number): string[] {
    const steps = this.events.slice(seen).filter((event) => event.type === "step_finished");
    const requests = this.vendor.asked.slice(asked).filter(({ request }) => isStep(request));
    const answered = requests.filter(({ record }) => record.outcome === "complete");
    const told = steps.filter(({ cache }) => cache !== undefined);
    const out: string[] = [];
    if (told.length !== answered.length) out.push(`${answered.length} answers, ${told.length} told of the cache`);
    for (const [at, one] of answered.entries()) {
      const cache = told[at]?.cache;
      if (!cache) continue;
      const where = `request ${one.record.ordinal}`;
      if (cache.readTokens !== one.share.read) out.push(`${where}: read ${one.share.read}, told ${cache.readTokens}`);
      const found = cache.break;
      if (found && !found.planned)
        out.push(`${where}: unplanned ${JSON.stringify(found)} expected ${cache.expectedReadTokens}`);
      const allowed = this.#explain(one);
      this.#rewritten.clear();
      if (!allowed.includes(found?.cause))
        out.push(
          `${where}: told ${found?.cause}, and it is one of ${allowed}: read ${one.share.read} ${JSON.stringify(cache)}`,
        );
    }
    return out;
  }

  /** By which causes a request may be explained, from the bytes and times of those before it. */
  #explain(one: Asked): readonly (CacheBreakCause | undefined)[] {
    // Of a request that was not answered to its end nobody knows what the cache has.
    const before = this.vendor.asked
      .slice(0, this.vendor.asked.indexOf(one))
      .filter(({ record, request }) => record.outcome === "complete" && request.account.purpose !== "summary");
    const answered = before.at(-1);
    if (!answered) return [undefined];
    // What went may never have been answered, and then it was never counted on.
    if (this.#rewritten.size > 0) {
      const isOther = answered.record.api !== one.record.api;
      if (isOther) return [undefined, ...this.#rewritten, "model_changed"];
      if (!isPrefix(answered, one)) return [...this.#rewritten];
    }
    const same = before.filter(({ request }) => request.model === one.request.model);
    const best = same.reduce((most, other) => Math.max(most, commonTokens(other, one)), 0);
    if (answered.request.model !== one.request.model)
      return same.length === 0 && !this.#isTried(one) ? ["model_changed"] : [undefined, "model_changed", "expired"];
    const others = isPictured(answered) !== isPictured(one) ? (["pictures_changed"] as const) : [];
    return [...(best - one.share.read > slackOf(best) ? [] : [undefined]), "expired", ...others];
  }

  /** Whether a request to the same model before it was cut: its prompt may be in the cache all the same. */
  #isTried(one: Asked): boolean {
    const at = this.vendor.asked.indexOf(one);
    return this.vendor.asked.slice(0, at).some(({ request }) => request.model === one.request.model);
  }

  #start(): AgentHost {
    const { store = (one) => one, registry } = this.#options;
    return new AgentHost({
      store: store(this.#store),
      workspace: this.#workspace,
      createRegistry: registry ?? (() => createRegistry(createBuiltinTools({ clock: this.clock }))),
      models: {
        list: async () => ({ models: [], selected: this.#model.id }),
        resolve: async () => ({ spec: this.#model, provider: this.vendor, costOf: () => undefined }),
        ready: async () => [],
        known: async () => models,
        select: async () => undefined,
        setCredential: () => undefined,
      },
      tokens: new TokenCounts(),
      permissions: { rules: () => [], add: async () => undefined },
      ask: async () => "allow_once",
      onUpdate: (_, update) => {
        if ("seq" in update) this.events.push(update);
      },
      trusted: () => true,
      compaction: () => ({ strategy: "none", maxSteps: 0, pruneSimilar: false }),
      maxSteps: () => 100,
      warmUp: () => "conversation",
      concurrency: () => 8,
      clock: this.clock,
      createId: () => `id-${String(this.#ids++).padStart(6, "0")}`,
      platform: "linux",
      pid: 1,
      isAlive: () => false,
    });
  }
}

function isStep({ account, maxOutputTokens }: ModelRequest): boolean {
  return account.purpose === "turn" && maxOutputTokens > 0;
}

const renderings = new WeakMap<Asked, readonly string[]>();

/** The blocks of a request as the vendor renders them, without cache markers. */
function blocksOf(one: Asked): readonly string[] {
  const known = renderings.get(one);
  if (known) return known;
  const { api, json = {}, view } = one.record;
  const blocks =
    api === "anthropic"
      ? anthropicBlocks(json).map(({ kind, text }) => kind + text)
      : [JSON.stringify([json.tools ?? null]), ...(view?.system ?? []), ...(view?.units ?? [])];
  renderings.set(one, blocks);
  return blocks;
}

/** Whether one request of the same wire format goes on with another. */
function isPrefix(earlier: Asked, later: Asked): boolean {
  return (earlier.record.view?.units ?? []).every((unit, index) => later.record.view?.units[index] === unit);
}

function isPictured({ record }: Asked): boolean {
  return record.api === "anthropic" && (record.view?.images.length ?? 0) > 0;
}

function commonTokens(earlier: Asked, later: Asked): number {
  const [a, b] = [blocksOf(earlier), blocksOf(later)];
  const at = a.findIndex((block, index) => b[index] !== block);
  return a.slice(0, at < 0 ? a.length : at).reduce((sum, block) => sum + tokensOf(block), 0);
}
