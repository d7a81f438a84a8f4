/**
 * Answers that may be given again: finds one for a request while it still holds, keeps new ones, and lets equal requests
 * wait for one answer.
 *
 * Not here: which turns may be answered so (`session/answers.ts`), and looking again at files (`evidence.ts`). Easily got
 * wrong: nearness of vectors never suffices for an answer, only for a hint; the words must ask the same (`meaning.ts`).
 */
import { LRUCache } from "lru-cache";
import { abortable, deferred } from "../base/async.ts";
import { messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { cosine, type Embedder } from "../model/embedder.ts";
import type { CacheFiles } from "../storage/cacheFiles.ts";
import { type CachedAnswer, type CallEvidence, decodeVector, encodeVector, parseEntry } from "./entry.ts";
import type { RequestIdentity } from "./identity.ts";
import { isQuestion, meaningOf } from "./meaning.ts";

/** What the settings say; read for each request. */
export interface CachePolicy {
  readonly type: "exact" | "semantic" | "off";
  /** Milliseconds for which an answer may be given again. */
  readonly ttlMs: number;
  /** Answers that are kept. */
  readonly maxEntries: number;
  /** Cosine from which two questions count as near. */
  readonly threshold: number;
  /** Whether questions in a conversation take part, and not only tasks that explain. */
  readonly chat: boolean;
}

/** What the cache needs. */
export interface AnswerCacheDeps {
  readonly files: CacheFiles;
  readonly policy: () => CachePolicy;
  /** Asked for only when `type` is `semantic`; `undefined` where none is configured. */
  readonly embedder: () => Embedder | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A request that may be answered from the cache. */
export interface AnswerRequest {
  readonly identity: RequestIdentity;
  readonly root: string;
  readonly model: string;
  /** Forget what is kept for it, and ask. */
  readonly fresh: boolean;
  /** Whether what an answer rests on is still so. */
  readonly holds: (evidence: readonly CallEvidence[], signal: AbortSignal) => Promise<boolean>;
}

/** An earlier question that is like the new one. */
export interface NearQuestion {
  readonly question: string;
  /** Milliseconds since the epoch. */
  readonly answeredAt: number;
  /** Whether something that its answer rests on has changed since. */
  readonly hasChanged: boolean;
}

/** An answer that still holds. */
export interface Hit {
  readonly type: "hit";
  readonly match: "exact" | "similar";
  readonly answer: CachedAnswer;
}

/** No answer: the request is to be asked. It must be released, with or without having kept an answer. */
export interface Miss {
  readonly type: "miss";
  readonly near: NearQuestion | undefined;
  readonly keep: (answer: string, evidence: readonly CallEvidence[]) => Promise<void>;
  /** Lets equal requests that wait go on. May be called more than once. */
  readonly release: () => void;
}

/** A vector, and which embedder made it. */
interface Embedded {
  readonly by: string;
  readonly vector: Float32Array;
}

/** Characters of an answer or a question that is kept. */
const maxCharacters = 64 * 1024;
/** Bytes of the memory tier, about; the settings bound its entries. */
const maxMemoryBytes = 16 * 1024 * 1024;

/** Keeps answers in memory over `files`. */
export class AnswerCache {
  readonly #deps: AnswerCacheDeps;
  readonly #memory = new LRUCache<string, CachedAnswer>({
    maxSize: maxMemoryBytes,
    sizeCalculation: (entry) => 2 * JSON.stringify(entry).length,
  });
  readonly #meanings = new WeakMap<CachedAnswer, string>();
  readonly #running = new Map<string, Promise<void>>();
  #loaded: Promise<void> | undefined;

  constructor(deps: AnswerCacheDeps) {
    this.#deps = deps;
  }

  /** What the settings say now. */
  get policy(): CachePolicy {
    return this.#deps.policy();
  }

  /** Finds an answer, or waits for the one that an equal request gets. Rejects when `signal` aborts, or as `holds` does. */
  async claim(request: AnswerRequest, signal: AbortSignal): Promise<Hit | Miss> {
    const { key } = request.identity;
    for (;;) {
      await this.#others(key, signal);
      const before = this.#memory.peek(key);
      const found = await this.#find(request, signal);
      if (found.type === "hit") return found;
      // Looking takes time: another may have begun, or have kept its answer, meanwhile.
      if (this.#running.has(key) || (!request.fresh && this.#memory.peek(key) !== before)) continue;
      const { promise, resolve } = deferred<void>();
      this.#running.set(key, promise);
      const release = () => {
        if (this.#running.get(key) === promise) this.#running.delete(key);
        resolve();
      };
      return { ...found, release };
    }
  }

  /** Whether an answer is kept for exactly this request, however old. */
  async has({ key }: RequestIdentity): Promise<boolean> {
    return (await this.#read(key)) !== undefined;
  }

  async #others(key: string, signal: AbortSignal): Promise<void> {
    for (let other = this.#running.get(key); other; other = this.#running.get(key)) await abortable(other, signal);
  }

  async #find(request: AnswerRequest, signal: AbortSignal): Promise<Hit | Omit<Miss, "release">> {
    const { identity, fresh } = request;
    if (fresh) await this.#forget(identity.key);
    const exact = fresh ? undefined : await this.#read(identity.key);
    if (exact && (await this.#isValid(exact, request, signal))) return this.#hit(exact, "exact");
    const embedded = await this.#embed(identity, signal);
    const near = embedded && !fresh ? await this.#near(request, embedded) : [];
    const meaning = near.length > 0 ? meaningOf(identity.question) : "";
    for (const other of near) {
      if (this.#meaningOf(other) !== meaning) continue;
      if (await this.#isValid(other, request, signal)) return this.#hit(other, "similar");
    }
    const keep = (answer: string, evidence: readonly CallEvidence[]) => this.#keep(request, answer, evidence, embedded);
    return { type: "miss", near: await this.#hint(near[0], request, signal), keep };
  }

  /** Earlier questions of the same scope within the threshold, the nearest first. */
  async #near({ identity, root }: AnswerRequest, { by, vector }: Embedded): Promise<readonly CachedAnswer[]> {
    this.#loaded ??= this.#load();
    await this.#loaded;
    const { threshold } = this.policy;
    return [...this.#memory.values()]
      .filter((entry) => entry.scope === identity.scope && entry.root === root && entry.key !== identity.key)
      .filter((entry) => entry.embedding?.by === by && isQuestion(entry.question) && !this.#isExpired(entry))
      .map((entry) => ({ entry, likeness: cosine(vector, decodeVector(entry.embedding?.base64 ?? "")) }))
      .filter(({ likeness }) => likeness >= threshold)
      .toSorted((a, b) => b.likeness - a.likeness)
      .map(({ entry }) => entry);
  }

  async #hint(
    entry: CachedAnswer | undefined,
    { holds }: AnswerRequest,
    signal: AbortSignal,
  ): Promise<NearQuestion | undefined> {
    if (!entry) return undefined;
    const { question, answeredAt, evidence } = entry;
    return { question, answeredAt, hasChanged: !(await holds(evidence, signal)) };
  }

  /** The vector of the question, where near ones are looked for; without one where it cannot be had. */
  async #embed(identity: RequestIdentity, signal: AbortSignal): Promise<Embedded | undefined> {
    const { question, hasPictures } = identity;
    if (this.policy.type !== "semantic" || hasPictures || !isQuestion(question)) return undefined;
    const embedder = this.#deps.embedder();
    if (!embedder) return undefined;
    try {
      return { by: embedder.id, vector: await embedder.embed(question, signal) };
    } catch (error) {
      signal.throwIfAborted();
      log("warn", `Earlier questions are not looked through: ${messageOf(error)}`);
      return undefined;
    }
  }

  #meaningOf(entry: CachedAnswer): string {
    const known = this.#meanings.get(entry) ?? meaningOf(entry.question);
    this.#meanings.set(entry, known);
    return known;
  }

  async #isValid(entry: CachedAnswer, { root, holds }: AnswerRequest, signal: AbortSignal): Promise<boolean> {
    if (entry.root !== root || this.#isExpired(entry)) return false;
    return holds(entry.evidence, signal);
  }

  #isExpired({ answeredAt }: CachedAnswer): boolean {
    const age = this.#deps.now() - answeredAt;
    return age < 0 || age > this.policy.ttlMs;
  }

  async #hit(entry: CachedAnswer, match: Hit["match"]): Promise<Hit> {
    const answer = { ...entry, hits: entry.hits + 1 };
    await this.#write(answer);
    return { type: "hit", match, answer };
  }

  async #keep(
    { identity, root, model }: AnswerRequest,
    answer: string,
    evidence: readonly CallEvidence[],
    embedded: Embedded | undefined,
  ): Promise<void> {
    const { key, scope, question } = identity;
    if (answer.trim() === "" || answer.length > maxCharacters || question.length > maxCharacters) return;
    const embedding = embedded ? { embedding: { by: embedded.by, base64: encodeVector(embedded.vector) } } : {};
    const answeredAt = this.#deps.now();
    await this.#write({
      version: 1,
      key,
      scope,
      root,
      model,
      question,
      answer,
      answeredAt,
      hits: 0,
      evidence,
      ...embedding,
    });
  }

  async #read(key: string): Promise<CachedAnswer | undefined> {
    const known = this.#memory.get(key);
    if (known) return known;
    const entry = parseEntry(await this.#deps.files.read(key));
    // A file under another name than its own is no answer to this request.
    if (entry?.key !== key) return undefined;
    this.#remember(entry);
    return entry;
  }

  async #write(entry: CachedAnswer): Promise<void> {
    this.#remember(entry);
    await this.#deps.files.write(entry.key, entry);
  }

  #remember(entry: CachedAnswer): void {
    this.#memory.set(entry.key, entry);
    while (this.#memory.size > this.policy.maxEntries) this.#memory.pop();
  }

  async #forget(key: string): Promise<void> {
    this.#memory.delete(key);
    await this.#deps.files.remove(key);
  }

  /** Brings what is on disk into memory, the most recently used last, so that it stays. */
  async #load(): Promise<void> {
    const entries = (await this.#deps.files.readAll()).flatMap((value) => parseEntry(value) ?? []);
    for (const entry of entries.toReversed()) if (!this.#memory.has(entry.key)) this.#remember(entry);
  }
}
