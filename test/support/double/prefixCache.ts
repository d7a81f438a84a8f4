/**
 * The vendors' prompt caches, simulated: how much of a request was read from the cache, and how much written to it.
 *
 * Not here: money. Easily got wrong: what a request writes can be read only once its answer has begun to stream (call
 * `commit` then), and lifetimes count from the start of the request.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import { asList, asObjects, asText, digest, isObject, type JsonObject, strip, tokensOf } from "./json.ts";
import { asBlocks } from "./read.ts";

/** The cache's share of one request, in tokens. `input` is neither read nor written. */
export interface CacheShare {
  readonly read: number;
  readonly write: number;
  readonly writeLong: number;
  readonly input: number;
  /** Makes what was written readable to later requests. */
  readonly commit: () => void;
}

interface Entry {
  readonly ttl: number;
  expires: number;
}

const maxEntries = 500_000;
const lookback = 20;
const minute = 60_000;

/** Both vendors' caches of one account. */
export class PrefixCache {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  readonly #minimum: number | undefined;

  /** `now` in ms. `minimum` replaces the smallest cacheable prefix (tokens) of every Anthropic model. */
  constructor(now: () => number, minimum?: number) {
    this.#now = now;
    this.#minimum = minimum;
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
  }

  /** Looks a Messages request up. Its markers must be legal (`anthropicMarkers`). */
  anthropic(body: JsonObject): CacheShare {
    const blocks = anthropicBlocks(body);
    const minimum = this.#minimum ?? minimumPrefix(asText(body.model));
    const started = this.#now();
    let key = asText(body.model) + asText(body.speed);
    let tokens = 0;
    const chain = blocks.map((block) => {
      key = digest(key, block.kind, block.text);
      tokens += block.tokens;
      return { key, tokens, marker: block.marker };
    });
    const marked = chain.flatMap((link, at) => (link.marker ? [at] : []));
    let read = 0;
    for (const at of marked) {
      const earlier = chain.slice(Math.max(0, at - lookback + 1), at + 1).reverse();
      const hit = earlier.find((link) => link.tokens >= minimum && this.#refresh(link.key, started));
      read = Math.max(read, hit?.tokens ?? 0);
    }
    const writes = marked.flatMap((at) => {
      const link = chain[at];
      return link?.marker && link.tokens >= minimum ? [{ ...link, long: link.marker.ttl === "1h" }] : [];
    });
    const end = writes.reduce((most, link) => Math.max(most, link.tokens), read);
    const long = writes.reduce((most, link) => (link.long ? Math.max(most, link.tokens) : most), read);
    const commit = () => {
      for (const link of writes) this.#store(link.key, link.long ? 60 * minute : 5 * minute, started);
    };
    return { read, write: end - read, writeLong: long - read, input: tokens - end, commit };
  }

  /** Looks a Responses or Chat request up. `items` are the input items or messages, whole. */
  openai(body: JsonObject, items: readonly Json[]): CacheShare {
    const options = isObject(body.prompt_cache_options) ? body.prompt_cache_options : {};
    const explicitOnly = options.mode === "explicit";
    const ttl = options.ttl === "12h" ? 720 * minute : 30 * minute;
    const started = this.#now();
    const scope = digest(asText(body.model), asText(body.prompt_cache_key), asText(body.service_tier));
    const { steps, marks, total } = openaiPrefixes(scope, body, items);
    const written = [...(explicitOnly ? [] : steps), ...marks.slice(explicitOnly ? -4 : -3)];
    const read = [...(explicitOnly ? [] : steps), ...marks.slice(-80)]
      .filter((prefix) => prefix.tokens >= 1024)
      .sort((a, b) => b.tokens - a.tokens)
      .find((prefix) => this.#refresh(prefix.key, started));
    const hit = read?.tokens ?? 0;
    const end = written.reduce((most, prefix) => (prefix.tokens >= 1024 ? Math.max(most, prefix.tokens) : most), hit);
    // Writes are counted (and charged) from gpt-5.6 on; older models cache without saying so.
    const write = /^gpt-(5\.[6-9]|[6-9])/.test(asText(body.model)) ? end - hit : 0;
    const commit = () => {
      for (const prefix of written) if (prefix.tokens >= 1024) this.#store(prefix.key, ttl, started);
    };
    return { read: hit, write, writeLong: options.ttl === "12h" ? write : 0, input: total - hit - write, commit };
  }

  #refresh(key: string, started: number): boolean {
    const entry = this.#entries.get(key);
    if (!entry || entry.expires <= started) return false;
    entry.expires = started + entry.ttl;
    return true;
  }

  #store(key: string, ttl: number, started: number): void {
    const known = this.#entries.get(key);
    this.#entries.delete(key);
    const longest = Math.max(ttl, known && known.expires > started ? known.ttl : 0);
    this.#entries.set(key, { ttl: longest, expires: started + longest });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxEntries) break;
      this.#entries.delete(oldest);
    }
  }
}

/** A block of a Messages request in render order. That of the settings is part of the key but holds no tokens. */
export interface PromptBlock {
  /** `tool`, `system`, `settings` or the role of its message. */
  readonly kind: string;
  readonly text: string;
  readonly tokens: number;
  readonly marker: JsonObject | undefined;
}

const blocksOf = new WeakMap<JsonObject, readonly PromptBlock[]>();

/** The blocks of a Messages request in render order, each with the cache marker it carries. */
export function anthropicBlocks(body: JsonObject): readonly PromptBlock[] {
  const known = blocksOf.get(body);
  if (known) return known;
  const blocks = renderBlocks(body);
  blocksOf.set(body, blocks);
  return blocks;
}

function renderBlocks(body: JsonObject): PromptBlock[] {
  const block = (kind: string, value: Json): PromptBlock => {
    const marker = isObject(value) && isObject(value.cache_control) ? value.cache_control : undefined;
    const text = strip(value);
    return { kind, text, tokens: tokensOf(text), marker };
  };
  const messages = asObjects(body.messages);
  const effort = isObject(body.output_config) ? (body.output_config.effort ?? null) : null;
  const hasImages = messages.some((message) => asObjects(message.content).some((part) => part.type === "image"));
  const settings = JSON.stringify([body.tool_choice ?? null, body.thinking ?? null, effort, hasImages]);
  const blocks = [
    ...asList(body.tools).map((tool) => block("tool", tool)),
    ...asBlocks(body.system).map((part) => block("system", part)),
    { kind: "settings", text: settings, tokens: 0, marker: undefined },
    ...messages.flatMap((message) => asBlocks(message.content).map((part) => block(asText(message.role), part))),
  ];
  const tail = blocks.at(-1);
  const automatic = body.cache_control;
  if (isObject(automatic) && tail) blocks[blocks.length - 1] = { ...tail, marker: tail.marker ?? automatic };
  return blocks;
}

/** What Anthropic would refuse about the cache markers of a request, in its words; `undefined` when they are legal. */
export function anthropicMarkers(body: JsonObject): string | undefined {
  const automatic = isObject(body.cache_control) ? body.cache_control : undefined;
  const marked = anthropicBlocks(body).flatMap((block) => (block.marker ? [block.marker] : []));
  const used = marked.filter((marker) => marker !== automatic).length + (automatic ? 1 : 0);
  if (used > 4) return `A maximum of 4 blocks with cache_control may be provided. Found ${used}.`;
  const ttls = marked.map((marker) => asText(marker.ttl) || "5m");
  const wrong = ttls.find((ttl) => ttl !== "5m" && ttl !== "1h");
  if (wrong !== undefined) return `cache_control.ttl: Input should be '5m' or '1h', got '${wrong}'`;
  const tail = anthropicBlocks(body).at(-1)?.marker;
  if (automatic && tail && tail !== automatic && asText(tail.ttl) !== asText(automatic.ttl))
    return "cache_control: the last block carries a cache_control with another ttl";
  const short = ttls.indexOf("5m");
  if (short >= 0 && ttls.includes("1h", short))
    return "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.";
  return undefined;
}

const minimums: readonly (readonly [RegExp, number])[] = [
  [/^claude-(opus-5|fable-5|fable-5-1|mythos-5|mythos-5-1)(-\d{8})?$/, 512],
  [/^claude-opus-4-7(-\d{8})?$/, 2048],
  [/^claude-(opus-4-6|opus-4-5|haiku-4-5)(-\d{8})?$/, 4096],
];

/** Tokens below which an Anthropic model caches nothing; for models whose value is not published, 1024. */
export function minimumPrefix(model: string): number {
  return minimums.find(([pattern]) => pattern.test(model))?.[1] ?? 1024;
}

interface Prefix {
  readonly key: string;
  readonly tokens: number;
}

/** Prefixes at every 128 tokens, and at every explicit breakpoint (which is not rounded). */
function openaiPrefixes(scope: string, body: JsonObject, items: readonly Json[]) {
  const steps: Prefix[] = [];
  const marks: Prefix[] = [];
  const stepBytes = 128 * 4;
  let key = scope;
  let pending = Buffer.alloc(0);
  let done = 0;
  for (const segment of openaiSegments(body, items)) {
    pending = Buffer.concat([pending, Buffer.from(segment.text)]);
    let from = 0;
    for (; pending.length - from >= stepBytes; from += stepBytes) {
      key = digest(key, pending.toString("latin1", from, from + stepBytes));
      done += 128;
      steps.push({ key, tokens: done });
    }
    pending = pending.subarray(from);
    if (segment.marked)
      marks.push({
        key: digest(key, "mark", pending.toString("latin1")),
        tokens: done + Math.ceil(pending.length / 4),
      });
  }
  return { steps, marks, total: done + Math.ceil(pending.length / 4) };
}

function openaiSegments(body: JsonObject, items: readonly Json[]): { text: string; marked: boolean }[] {
  const marked = (value: Json) => isObject(value) && isObject(value.prompt_cache_breakpoint);
  const segment = (value: Json) => ({ text: strip(value), marked: marked(value) });
  const head = [body.tools, body.text ?? body.response_format, body.instructions];
  return [
    ...head.map((value) => segment(value ?? null)),
    ...items.flatMap((item) => {
      const part = isObject(item) ? ["content", "output"].find((name) => Array.isArray(item[name])) : undefined;
      if (!isObject(item) || part === undefined) return [segment(item)];
      return [segment({ ...item, [part]: null }), ...asList(item[part]).map(segment)];
    }),
  ];
}
