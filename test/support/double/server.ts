/**
 * The double's HTTP server: routes requests, plays steps, and answers the control interface.
 *
 * Not here: wire formats (`*Wire.ts`), what vendors refuse (`refusals.ts`), what we promise (`invariants.ts`).
 * Easily got wrong: a refused request uses up no step, so the client may correct it and try again.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock } from "../../../server/src/base/async.ts";
import { messageOf } from "../../../server/src/base/errors.ts";
import { type Answer, buildAnswer } from "./answer.ts";
import { anthropicWire } from "./anthropicWire.ts";
import { chatWire } from "./chatWire.ts";
import { asCompaction, asksToCompact } from "./compaction.ts";
import { control } from "./control.ts";
import { Conversations, noteAnswer, placeRequest } from "./conversations.ts";
import { diagnose } from "./diagnostics.ts";
import { Gates } from "./gates.ts";
import { checkRequest, type Violation } from "./invariants.ts";
import { type DoubleUsage, lazily, type RecordedRequest, redactHeaders } from "./journal.ts";
import { asList, asText, isObject, type JsonObject, parseJson } from "./json.ts";
import { Memory } from "./memory.ts";
import { answerModels } from "./models.ts";
import { play } from "./player.ts";
import { type CacheShare, PrefixCache } from "./prefixCache.ts";
import { type Api, readRequest } from "./read.ts";
import { type Refusal, refuseKey, refuseRequest } from "./refusals.ts";
import { responsesWire } from "./responsesWire.ts";
import { type FullFault, type FullStep, readStep, type Script } from "./script.ts";
import { cutSilently } from "./silentCut.ts";
import { Pace, type Timing } from "./timing.ts";
import { outputTokens, type Reply, type Wire } from "./wire.ts";

/** How a double is set up. */
export interface DoubleOptions {
  /** One script, or several told apart by `match`. */
  readonly script?: Script | readonly Script[];
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Default: no time at all. */
  readonly timing?: Timing;
  /** Decides every id and every jitter. Default: `double`. */
  readonly seed?: string;
  /** Also report what a vendor accepts but a careful client does not send. */
  readonly strict?: boolean;
  /** Ids that exist; others are 404. Default: `claude-…` for Messages, `gpt-…`, `o…`, `codex…` for Responses, any for Chat. */
  readonly models?: readonly string[];
  /** The one key that is accepted. Default: any, but Messages and Responses need one. */
  readonly key?: string;
  /** Tokens above which a request is refused as too long. Default: no limit. */
  readonly contextWindow?: number;
  /** Tokens to which a Chat prompt is cut without a word, as Ollama does beyond `num_ctx`. Default: never. */
  readonly cutAbove?: number;
  /** Replaces the smallest cacheable prefix of every Anthropic model. */
  readonly minimumPrefix?: number;
  /** Loopback port; 0 (the default) takes a free one. */
  readonly port?: number;
}

/** Where an answer is played. `spoiled`: a fault makes it unreadable, though it is sent to its end. */
interface Stage {
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  readonly spoiled: boolean;
}

const wires: Readonly<Record<Api, Wire>> = { anthropic: anthropicWire, responses: responsesWire, chat: chatWire };
const paths: Readonly<Record<string, Api>> = {
  "/v1/messages": "anthropic",
  "/v1/responses": "responses",
  "/v1/chat/completions": "chat",
};
const maxBodyBytes = 64 * 1024 * 1024;
const maxRequests = 20_000;
/** Times of deltas kept for one request. */
const maxSentTimes = 20_000;
// A parsed body and its view take about four times its bytes.
const maxKeptBytes = 128 * 1024 * 1024;

/** A model double that listens on loopback until it is closed. Make one with `startModelDouble`. */
export class ModelDouble implements AsyncDisposable {
  /** Every request to a model so far, oldest first; at most 20,000 and 128 MiB of bodies are kept. */
  readonly requests: RecordedRequest[] = [];
  /** Every broken rule so far. */
  readonly violations: Violation[] = [];
  readonly #options: DoubleOptions;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #gates = new Gates();
  readonly #cache: PrefixCache;
  readonly #conversations: Conversations;
  readonly #memory = new Memory();
  #ordinal = 0;
  #keptBytes = 0;

  /** Use `startModelDouble`: a double that does not listen yet is of no use. */
  constructor(options: DoubleOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#cache = new PrefixCache(this.#clock.now, options.minimumPrefix);
    this.#conversations = new Conversations([options.script ?? []].flat());
    // An idle connection that the server closes just as a client reuses it would fail a test at random: close none.
    this.#server = createServer({ requestTimeout: 0, keepAliveTimeout: 0 }, (request, response) => {
      response.socket?.setNoDelay(true);
      this.#serve(request, response).catch((error: unknown) => this.#broke(response, error));
    });
  }

  /** Listens on loopback; resolves when requests can come. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#options.port ?? 0, "127.0.0.1", resolve);
    });
  }

  /** The port on 127.0.0.1. */
  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** The root of every path, without a slash at its end. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The base URL for `@anthropic-ai/sdk`. */
  get anthropicBaseUrl(): string {
    return this.url;
  }

  /** The base URL for `openai`, which ends in `/v1`. */
  get openaiBaseUrl(): string {
    return `${this.url}/v1`;
  }

  /** Resolves when an answer has come to the hold of that name. */
  reached(name: string): Promise<void> {
    return this.#gates.reached(name);
  }

  /** Lets answers pass the hold of that name, now and from now on. */
  release(name: string): void {
    this.#gates.release(name);
  }

  /** The next request of each conversation goes back to right before the prompt that holds `prompt`, and no further. */
  announceRewind(prompt: string): void {
    this.#conversations.announceRewind(prompt);
  }

  /** The next request of each conversation takes back its last compaction. */
  announceReturn(): void {
    this.#conversations.announceReturn();
  }

  /** Plays other scripts from now on; conversations begin anew, the cache stays. */
  setScript(script: Script | readonly Script[]): void {
    this.#conversations.reset([script].flat());
  }

  /** Forgets requests, violations, conversations, holds and the cache; the scripts stay. */
  reset(): void {
    this.requests.length = 0;
    this.#keptBytes = 0;
    this.violations.length = 0;
    this.#conversations.reset();
    this.#gates.reset();
    this.#cache.clear();
    this.#memory.clear();
  }

  /** Throws an error that lists every violation, if there is one. */
  assertClean(): void {
    if (this.violations.length === 0) return;
    const lines = this.violations.map((item) => `  ${item.rule} at request ${item.request}: ${item.message}`);
    throw new Error(`The model double found ${lines.length} violations:\n${lines.join("\n")}`);
  }

  /** Stops listening and closes every socket, whatever plays on it. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  /** The same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", this.url).pathname;
    const body = await readBody(request);
    if (path.startsWith("/__")) return this.#control(`${request.method} ${path}`, body, response);
    const api = paths[path];
    if (api && request.method === "POST") return this.#model(api, path, request, body, response);
    if (path === "/v1/messages/count_tokens" && request.method === "POST") {
      const record = this.#record("anthropic", path, request, body);
      record.aside = true;
      const refusal = refuseKey("anthropic", request.headers, this.#options.key) ?? unreadable(record);
      if (refusal) return this.#refuse(record, response, refusal);
      const share = this.#cache.anthropic(record.json ?? {});
      this.#finish(record, 200, "complete");
      return sendJson(response, 200, { input_tokens: share.input + share.read + share.write });
    }
    const answer = answerModels(path, request.headers, parseJson(body.toString("utf8")), this.#options);
    sendJson(response, answer.status, answer.body);
  }

  async #model(
    api: Api,
    path: string,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    const left = new AbortController();
    response.on("close", () => left.abort());
    const record = this.#record(api, path, request, body);
    const refusal = refuseKey(api, request.headers, this.#options.key) ?? unreadable(record);
    if (refusal || !record.json || !record.view) return this.#refuse(record, response, refusal ?? notJson);
    const compacts = asksToCompact(api, record.json);
    const conversation = this.#conversations.find(record.view, record.headers, compacts);
    record.conversation = conversation?.key ?? "";
    // A warm-up adds nothing to its conversation, and one that does not fit it is seen by what is read later.
    const checked = isWarmUp(record.json) ? undefined : conversation;
    const found = checkRequest(record, checked, this.#memory, this.#options);
    for (const { rule, message } of found) this.#violate(record, rule, message);
    const refused = refuseRequest(record, this.#memory, this.#options);
    if (refused) return this.#refuse(record, response, refused);
    const share = this.#share(record);
    if (isWarmUp(record.json)) return this.#warm(record, share, { response, signal: left.signal, spoiled: false });
    if (!conversation) return this.#refuse(record, response, lost("No script fits the first user text."));
    Object.assign(record, placeRequest(conversation, record.view));
    const { steps, repeatLast } = conversation.script;
    const source = steps[record.step] ?? (repeatLast ? steps.at(-1) : undefined);
    if (!source) return this.#refuse(record, response, lost(`The script has ${steps.length} steps and no more.`));
    conversation.last = record;
    let step: FullStep;
    let answer: Answer;
    let faults: readonly FullFault[];
    try {
      step = readStep(source, record);
      faults = [step.fault ?? []].flat().filter((fault) => record.attempt < (fault.times ?? 1));
      answer = buildAnswer(
        step,
        api,
        `${this.#options.seed ?? "double"}/${record.conversation}/${record.step}/${record.attempt}`,
        faults,
      );
      if (compacts) answer = asCompaction(answer, step);
    } catch (error) {
      return this.#refuse(record, response, lost(messageOf(error)));
    }
    const failure = faults.find((fault) => fault.kind === "http");
    if (failure) return this.#fail(record, response, failure);
    noteAnswer(conversation, answer);
    const spoiled = faults.some((fault) => fault.kind === "garbage" || fault.kind === "order");
    await this.#play(record, step, answer, share, { response, signal: left.signal, spoiled });
  }

  #share(record: RecordedRequest): CacheShare {
    const json = record.json ?? {};
    if (record.api === "anthropic") return this.#cache.anthropic(json);
    if (record.api === "chat") {
      const { cutAbove } = this.#options;
      const read = cutAbove === undefined ? json : cutSilently(json, cutAbove);
      return this.#cache.openai(read, asList(read.messages));
    }
    return this.#cache.openai(json, this.#memory.responsesItems(json));
  }

  async #play(
    record: RecordedRequest,
    step: FullStep,
    answer: Answer,
    share: CacheShare,
    { response, signal, spoiled }: Stage,
  ): Promise<void> {
    const wire = wires[record.api];
    const json = record.json ?? {};
    record.usage = usageOf(step, answer, share);
    record.messageId = answer.id;
    const reply: Reply = {
      model: asText(json.model),
      body: json,
      usage: record.usage,
      diagnostics: diagnose(record, this.#memory),
      created: Math.floor(this.#clock.now() / 1000),
    };
    const streamed = json.stream === true;
    const frames = streamed ? wire.frames(answer, reply) : wholeFrame(wire, answer, reply);
    this.#memory.sent({ api: record.api, answer, request: record }, wire.echo(answer));
    const seed = `${this.#options.seed ?? "double"}/${record.conversation}/${record.step}`;
    record.status = 200;
    const ending = await play(
      response,
      {
        frames,
        answer,
        wire,
        headers: {
          ...rateHeaders(record.api),
          "content-type": streamed ? "text/event-stream; charset=utf-8" : "application/json",
        },
        pace: new Pace(this.#options.timing ?? {}, this.#clock, seed),
        gates: this.#gates,
        uncached: share.input + share.write,
        chunkBytes: step.chunkBytes,
        begin: () => {
          record.firstByteAt = this.#clock.now();
          share.commit();
        },
        sending: () => {
          if (this.#options.timing?.tokensPerSecond && record.sentAt.length < maxSentTimes)
            record.sentAt.push(this.#clock.now());
        },
        // What a client cannot read was not answered, though every byte of it was sent.
        completed: () => this.#finish(record, 200, spoiled ? "fault" : "complete"),
      },
      signal,
    );
    if (record.outcome === "pending") this.#finish(record, 200, spoiled && ending === "complete" ? "fault" : ending);
  }

  async #warm(record: RecordedRequest, share: CacheShare, stage: Stage): Promise<void> {
    const step = readStep({ stop: record.api === "anthropic" ? "max_tokens" : "end_turn" }, record);
    record.aside = true;
    await this.#play(record, step, buildAnswer(step, record.api, `warm/${record.ordinal}`, []), share, stage);
  }

  #record(api: Api, path: string, request: IncomingMessage, body: Buffer): RecordedRequest {
    const parsed = lazily(() => {
      const json = parseJson(body.toString("utf8"));
      return isObject(json) ? { json, view: readRequest(api, json, this.#memory.earlierItems(json)) } : undefined;
    });
    const record: RecordedRequest = {
      ordinal: this.#ordinal,
      api,
      method: request.method ?? "",
      path,
      headers: redactHeaders(request.headers),
      body,
      get json() {
        return parsed()?.json;
      },
      get view() {
        return parsed()?.view;
      },
      model: parsed()?.view.model ?? "",
      receivedAt: this.#clock.now(),
      conversation: "",
      step: -1,
      attempt: 0,
      aside: false,
      status: 0,
      outcome: "pending",
      firstByteAt: undefined,
      sentAt: [],
      endedAt: undefined,
      usage: undefined,
      messageId: undefined,
    };
    this.#ordinal += 1;
    this.requests.push(record);
    this.#keptBytes += body.length;
    while (this.requests.length > maxRequests || (this.#keptBytes > maxKeptBytes && this.requests.length > 2)) {
      const oldest = this.requests.shift();
      this.#keptBytes -= oldest?.body.length ?? 0;
      if (oldest?.messageId !== undefined) this.#memory.forget(oldest.messageId);
    }
    return record;
  }

  #finish(record: RecordedRequest, status: number, outcome: RecordedRequest["outcome"]): void {
    record.status = status;
    record.outcome = outcome;
    record.endedAt = this.#clock.now();
  }

  #violate(record: RecordedRequest, rule: string, message: string): void {
    this.violations.push({ request: record.ordinal, rule, message });
  }

  #refuse(record: RecordedRequest, response: ServerResponse, refusal: Refusal): void {
    if (refusal.rule !== undefined) this.#violate(record, refusal.rule, refusal.message);
    const failure = wires[record.api].failure(refusal.kind, refusal.message);
    this.#finish(record, failure.status, "refused");
    response.writeHead(failure.status, failure.headers).end(failure.body);
  }

  #fail(record: RecordedRequest, response: ServerResponse, fault: Extract<FullFault, { kind: "http" }>): void {
    const failure = wires[record.api].failure(fault.error, fault.message);
    this.#finish(record, failure.status, "fault");
    const after = fault.retryAfter === undefined ? {} : { "retry-after": String(fault.retryAfter) };
    const afterMs = fault.retryAfterMs === undefined ? {} : { "retry-after-ms": String(fault.retryAfterMs) };
    response.writeHead(failure.status, { ...failure.headers, ...after, ...afterMs }).end(failure.body);
  }

  async #control(call: string, body: Buffer, response: ServerResponse): Promise<void> {
    try {
      sendJson(response, 200, await control(this, call, parseJson(body.toString("utf8"))));
    } catch (error) {
      sendJson(response, 400, { error: messageOf(error) });
    }
  }

  #broke(response: ServerResponse, error: unknown): void {
    this.violations.push({ request: this.#ordinal - 1, rule: "double", message: messageOf(error) });
    if (response.headersSent) response.destroy();
    else sendJson(response, error instanceof TooLarge ? 413 : 500, { error: { message: messageOf(error) } });
  }
}

/** Starts a double that listens on loopback. The caller closes it. */
export async function startModelDouble(options: DoubleOptions = {}): Promise<ModelDouble> {
  const double = new ModelDouble(options);
  await double.listen();
  return double;
}

const notJson: Refusal = { kind: "badRequest", message: "The request body is not valid JSON.", rule: "body" };

function unreadable(record: RecordedRequest): Refusal | undefined {
  return record.json ? undefined : notJson;
}

function lost(message: string): Refusal {
  return { kind: "badRequest", message: `Model double: ${message}`, rule: "script" };
}

function isWarmUp(json: JsonObject): boolean {
  const options = json.prompt_cache_options;
  return json.max_tokens === 0 || (isObject(options) && options.prewarm === true);
}

function usageOf(step: FullStep, answer: Answer, share: CacheShare): DoubleUsage {
  const { output, thinking } = outputTokens(answer);
  return {
    input: step.usage?.input ?? share.input,
    cacheRead: step.usage?.cacheRead ?? share.read,
    cacheWrite: step.usage?.cacheWrite ?? share.write,
    cacheWriteLong: Math.min(share.writeLong, step.usage?.cacheWrite ?? share.write),
    output: step.usage?.output ?? output,
    thinking: step.usage?.thinking ?? thinking,
  };
}

/** An answer that is not streamed is one frame, after everything that was to happen between its deltas. */
function wholeFrame(wire: Wire, answer: Answer, reply: Reply) {
  const actions = wire.frames(answer, reply).flatMap((frame) => frame.after);
  const whole = JSON.stringify(wire.message(answer, reply));
  return [
    { text: "", tokens: reply.usage.output, after: actions },
    { text: whole, tokens: 0, after: [], closing: true },
  ];
}

function rateHeaders(api: Api): Record<string, string> {
  if (api !== "anthropic")
    return {
      "x-request-id": "req_double",
      "x-ratelimit-limit-tokens": "30000000",
      "x-ratelimit-remaining-tokens": "29999000",
    };
  return {
    "request-id": "req_double",
    "anthropic-ratelimit-input-tokens-limit": "2000000",
    "anthropic-ratelimit-input-tokens-remaining": "1999000",
  };
}

class TooLarge extends Error {}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBodyBytes) throw new TooLarge(`The request body exceeds ${maxBodyBytes} bytes.`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
