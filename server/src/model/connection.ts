/**
 * One request to a model over HTTP: links the caller's signal, notices silence, bounds the answer, names failures.
 *
 * Not here: wire formats, what an answer's bytes may be (`answerBytes.ts`). Easily got wrong: the silence timer runs only while a read is pending, so a slow consumer is
 * never mistaken for a dead server; and after the final event the rest of the body is read off, so that the socket is
 * kept for the next step instead of paying for another TLS handshake.
 */
import { isAbort, ProviderError } from "../base/errors.ts";
import { phaseRecorder } from "../base/trace.ts";
import { AnswerBytes } from "./answerBytes.ts";
import { tellConnecting } from "./connecting.ts";
import { brokenStream, cutStream, type Endpoint, type Silence, stalledStream, toProviderError } from "./failure.ts";
import type { ModelEvent } from "./provider.ts";

/** Runs a function after some milliseconds unless the result is called before. */
export type After = (ms: number, run: () => void) => () => void;

/** What every provider takes besides its key and address; all have defaults. */
export interface ConnectionOptions {
  readonly fetch?: typeof globalThis.fetch;
  /** How long a connection may take to come about, in ms. Node's own `fetch` gives up after 10 s in any case. */
  readonly connectMs?: number;
  /** Silence before the first byte of the answer that is taken for a dead connection, in ms. */
  readonly firstByteMs?: number;
  /** Silence between two pieces of an answer, in ms; a keep-alive is a piece. */
  readonly gapMs?: number;
  /** Bytes that one answer may have at most. */
  readonly maxAnswerBytes?: number;
  readonly after?: After;
  /** Milliseconds since the epoch, for `retry-after` dates. */
  readonly now?: () => number;
  /** Is given the headers of every answer that begins well, for what they say of limits. */
  readonly onHeaders?: (headers: Headers) => void;
}

/** What a wire format is given to send its request with. */
export interface Connection {
  readonly fetch: typeof globalThis.fetch;
  readonly signal: AbortSignal;
  /** To be called at the final event: what follows may only be the end of the body. */
  readonly finishing: () => void;
}

const defaultConnectMs = 10_000;
const defaultFirstByteMs = 120_000;
// Local servers read the whole prompt before their first byte; Node's own fetch gives up at 300 s.
const localFirstByteMs = 290_000;
// Models that think send no text for a minute and longer, and not every vendor sends keep-alives meanwhile.
const defaultGapMs = 120_000;
const defaultMaxAnswerBytes = 64 * 1024 * 1024;
const drainMs = 3_000;

/** `After` on the machine's own timers. */
export const afterTimeout: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/**
 * Opens a connection that the next request to a server finds open, by a request for nothing. Never throws, and sends no key:
 * whatever is wrong, the request itself will tell.
 */
export async function openConnection(baseUrl: string, signal: AbortSignal): Promise<void> {
  if (!URL.canParse(baseUrl)) return;
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(defaultConnectMs)]);
    const { origin } = new URL(baseUrl);
    const response = await globalThis.fetch(origin, { method: "HEAD", redirect: "manual", signal: patience });
    await response.body?.cancel();
  } catch {
    // The prompt may never come.
  }
}

/** Host and port of a base URL, for messages; the text itself when it is no URL. */
export function hostOf(baseUrl: string): string {
  return (URL.canParse(baseUrl) && new URL(baseUrl).host) || baseUrl;
}

/** Throws `ProviderError` of kind `badRequest` for a base URL that nothing can be sent to, like `localhost:8080/v1`. */
export function assertBaseUrl(baseUrl: string): void {
  if (URL.canParse(baseUrl) && /^https?:$/.test(new URL(baseUrl).protocol)) return;
  throw new ProviderError(
    `The base URL “${baseUrl}” is not one that can be asked. Write it in the settings or the environment in full, beginning with https:// or http://.`,
    { kind: "badRequest" },
  );
}

/**
 * Streams what `run` makes of one request. Ends after its `done`; throws `ProviderError`, or an abort error once
 * `signal` is aborted. The socket is closed when the caller leaves the loop early.
 */
export async function* stream(
  endpoint: Endpoint,
  options: ConnectionOptions,
  signal: AbortSignal,
  run: (connection: Connection) => AsyncIterable<ModelEvent>,
): AsyncGenerator<ModelEvent> {
  if (signal.aborted) throw abortError(signal);
  const watch = new Watch(endpoint, options);
  const seen = new Seen(endpoint);
  const onAbort = () => watch.stop();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const event of run(watch)) {
      if (signal.aborted) throw abortError(signal);
      seen.check(event);
      yield event;
      if (event.type === "done") return;
    }
    // Both SDKs end a stream silently when it is aborted or closed too soon.
    throw cutStream(endpoint);
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw watch.failure ?? toProviderError(error, endpoint, (options.now ?? Date.now)());
  } finally {
    signal.removeEventListener("abort", onAbort);
    watch.dispose();
  }
}

/** The error to end an iteration with when its signal is aborted; `isAbort` is true of it. */
export function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error && isAbort(signal.reason)
    ? signal.reason
    : new DOMException("The request was cancelled.", "AbortError");
}

/** A stream that says a thing twice must not have it done twice. */
class Seen {
  readonly #endpoint: Endpoint;
  readonly #blocks = new Set<number>();
  readonly #calls = new Set<string>();

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** Throws for a block or a call that was already complete. */
  check(event: ModelEvent): void {
    if (event.type !== "block_done") return;
    const { part } = event.block;
    const repeated = this.#blocks.has(event.index) || (part.type === "tool_call" && this.#calls.has(part.callId));
    if (repeated) throw brokenStream(this.#endpoint, "a block comes twice");
    this.#blocks.add(event.index);
    if (part.type === "tool_call") this.#calls.add(part.callId);
  }
}

class Watch implements Connection {
  /** Set when the watch itself ended the request; it then explains whatever the SDK threw. */
  failure: Error | undefined;
  readonly #endpoint: Endpoint;
  readonly #options: ConnectionOptions;
  readonly #controller = new AbortController();
  // Taken here, because a socket tells of itself outside of the request's own context.
  readonly #phases = phaseRecorder();
  readonly #answer: AnswerBytes;
  #finishing = false;
  #connecting = false;
  #disarm: () => void = () => {};

  constructor(endpoint: Endpoint, options: ConnectionOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#answer = new AnswerBytes(endpoint, options.maxAnswerBytes ?? defaultMaxAnswerBytes);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly finishing = (): void => {
    this.#finishing = true;
  };

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    this.#arm();
    this.#phases?.enter("first_token");
    try {
      const response = await tellConnecting(this.#listener, () =>
        (this.#options.fetch ?? globalThis.fetch)(input, init),
      );
      if (response.ok) {
        this.#options.onHeaders?.(response.headers);
        if (response.headers.get("content-type")?.includes("text/html")) {
          await response.body?.cancel();
          throw this.#fail(brokenStream(this.#endpoint, "it is a web page"));
        }
      }
      if (response.body === null) return response;
      const { status, statusText, headers } = response;
      return new Response(this.#watchBody(response.body), { status, statusText, headers });
    } finally {
      this.#disarm();
    }
  };

  readonly #listener = {
    connecting: () => this.#connect(true),
    connected: () => this.#connect(false),
  };

  stop(): void {
    this.#controller.abort();
  }

  dispose(): void {
    if (this.#finishing) return;
    this.#disarm();
    this.stop();
  }

  #watchBody(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          this.#arm();
          try {
            const { done, value } = await reader.read();
            if (done) controller.close();
            else controller.enqueue(this.#check(value));
          } catch (error) {
            if (!this.#finishing) {
              reader.cancel(error).catch(() => undefined);
              throw error;
            }
            // The answer is complete; what breaks now is only its last bytes.
            controller.close();
          } finally {
            this.#disarm();
          }
        },
        cancel: async (reason) => {
          if (this.#finishing) void this.#drain(reader);
          else await reader.cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
  }

  #check(chunk: Uint8Array): Uint8Array {
    try {
      this.#answer.take(chunk);
      return chunk;
    } catch (error) {
      throw this.#fail(error as Error);
    }
  }

  #fail(failure: Error): Error {
    this.failure = failure;
    this.stop();
    return failure;
  }

  #connect(connecting: boolean): void {
    if (this.signal.aborted) return;
    this.#connecting = connecting;
    this.#phases?.enter(connecting ? "connect" : "first_token");
    this.#arm();
  }

  async #drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    this.#arm();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) this.#check(next.value);
    } catch {
      // The answer is already complete; a socket that breaks now only fails to be reused.
    } finally {
      this.#disarm();
    }
  }

  #arm(): void {
    this.#disarm();
    const { ms, silence } = this.#patience();
    const cancel = (this.#options.after ?? afterTimeout)(ms, () => {
      if (!this.#finishing) this.failure = stalledStream(this.#endpoint, silence, ms);
      this.stop();
    });
    this.#disarm = () => {
      this.#disarm = () => {};
      cancel();
    };
  }

  #patience(): { readonly ms: number; readonly silence: Silence } {
    const { connectMs, firstByteMs, gapMs } = this.#options;
    if (this.#finishing) return { ms: drainMs, silence: "gap" };
    if (this.#connecting) return { ms: connectMs ?? defaultConnectMs, silence: "connect" };
    if (this.#answer.bytes > 0) return { ms: gapMs ?? defaultGapMs, silence: "gap" };
    const ms = firstByteMs ?? (this.#endpoint.local ? localFirstByteMs : defaultFirstByteMs);
    return { ms, silence: "firstByte" };
  }
}
