/**
 * Turns whatever a vendor SDK or the network threw into a `ProviderError` that says what happened, why, what to do.
 *
 * Not here: deciding what to do about it (`retry.ts`, `turn.ts`). Easily got wrong: bodies and headers may hold keys and
 * prompts, so only the vendor's own one-line message is quoted, capped and with anything like a key blotted out.
 */
import { errorCode, messageOf, ProviderError, type ProviderErrorKind } from "../base/errors.ts";
import { isRecord, type JsonRecord, textOf } from "./json.ts";
import { readLimits } from "./rateLimits.ts";

/** Who is asked, as far as messages name it. */
export interface Endpoint {
  /** `Anthropic`, `OpenAI`, or the server's address. */
  readonly vendor: string;
  /** Host and port. */
  readonly host: string;
  /** The vendor's id of the model. */
  readonly model: string;
  /** True when it runs on this machine. */
  readonly local: boolean;
  /** The key in use, to be blotted out wherever it is quoted. */
  readonly secret?: string;
}

/** What a response or an in-stream error says of itself. */
interface VendorFault {
  readonly status: number | undefined;
  /** The vendor's words for the error: Anthropic's `type`, OpenAI's `code` and `type`. */
  readonly words: readonly string[];
  readonly message: string | undefined;
  readonly retryAfterMs: number | undefined;
}

const overflowWords =
  /context_length_exceeded|exceed_context_size|prompt is too long|context (?:length|window|size)|maximum context|too many tokens|input is too long/i;
const billingWords = /insufficient_quota|billing|credit balance/i;
const quotedCharacters = 300;

/**
 * Translates a thrown value. `now` in ms since the epoch serves `retry-after` dates. Aborts must be told apart before.
 */
export function toProviderError(error: unknown, endpoint: Endpoint, now: number): ProviderError {
  if (error instanceof ProviderError) return error;
  const fault = readFault(error, now);
  return fault ? fromFault(fault, endpoint) : fromTransport(error, endpoint);
}

/** Translates an error object that arrived inside a stream, after the response had begun well. */
export function fromStreamError(body: unknown, endpoint: Endpoint): ProviderError {
  return fromFault({ ...readBody(body), status: undefined, retryAfterMs: undefined }, endpoint);
}

/** The stream ended, or went silent, before its final event. */
export function cutStream(endpoint: Endpoint): ProviderError {
  return new ProviderError(
    `The answer of ${endpoint.vendor} ended before it was complete: ${endpoint.host} closed the connection. Try again.`,
    { kind: "network" },
  );
}

/** The stream holds something that its format does not allow. */
export function brokenStream(endpoint: Endpoint, what: string, cause?: unknown): ProviderError {
  return new ProviderError(
    `${endpoint.vendor} sent an answer that cannot be read: ${what}. Try again; if it stays, check what answers at ${endpoint.host}.`,
    { kind: "protocol", cause },
  );
}

/** Which wait was too long: for a connection, for the beginning of the answer, or for its next piece. */
export type Silence = "connect" | "firstByte" | "gap";

/** Nothing arrived for longer than is reasonable. */
export function stalledStream({ vendor, host }: Endpoint, silence: Silence, ms: number): ProviderError {
  const seconds = Math.round(ms / 1000);
  const messages: { readonly [name in Silence]: string } = {
    connect: `No connection to ${host} came about within ${seconds} s. Check the network, the proxy and the base URL, and try again.`,
    firstByte: `${vendor} sent nothing for ${seconds} s after it was asked, so the connection to ${host} was closed. Try again.`,
    gap: `${vendor} sent nothing for ${seconds} s in the middle of its answer, so the connection to ${host} was closed. Try again.`,
  };
  return new ProviderError(messages[silence], { kind: "network" });
}

/** What happened and why, for when what to do is being done already. */
export function withoutAdvice(message: string): string {
  return message.replace(
    / (?:Wait a moment and try again|Try again(?: in [^.]*)?|Choose another model, or try again then)\.$/,
    "",
  );
}

/** The endpoint has failed so often in a row that it is left alone for `retryAfterMs`. `reason` is its last failure. */
export function unavailable(reason: string, failures: number, retryAfterMs: number): ProviderError {
  return new ProviderError(
    `${withoutAdvice(reason)} It has failed ${failures} times in a row, so it is not asked again before ${Math.ceil(retryAfterMs / 1000)} s have passed. Choose another model, or try again then.`,
    { kind: "unavailable", retryAfterMs },
  );
}

function fromFault(fault: VendorFault, endpoint: Endpoint): ProviderError {
  const kind = kindOf(fault);
  return new ProviderError(describe(kind, fault, endpoint), {
    kind,
    ...(fault.status === undefined ? {} : { status: fault.status }),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
  });
}

function kindOf({ status, words, message }: VendorFault): ProviderErrorKind {
  const said = [...words, message ?? ""].join(" ");
  const has = (word: string) => words.includes(word);
  if (billingWords.test(words.join(" ")) || status === 402) return "billing";
  if (status === 413 || has("request_too_large")) return "contextOverflow";
  if ((status === undefined || status === 400 || status >= 500) && overflowWords.test(said)) return "contextOverflow";
  if (status === 401 || status === 403 || has("authentication_error") || has("permission_error")) return "auth";
  if (status === 404 || has("not_found_error") || has("model_not_found")) return "notFound";
  if (status === 429 || has("rate_limit_error") || has("rate_limit_exceeded")) return "rateLimit";
  if (status === 529 || status === 503 || words.some((word) => word.includes("overloaded"))) return "overloaded";
  if (status === 408 || has("timeout_error")) return "network";
  if (status === 409 || (status !== undefined && status >= 500)) return "server";
  // What breaks in mid-stream is the vendor's fault unless it says that the request was wrong.
  return status === undefined && !words.some((word) => word.includes("invalid")) ? "server" : "badRequest";
}

function describe(kind: ProviderErrorKind, fault: VendorFault, endpoint: Endpoint): string {
  const { vendor, model } = endpoint;
  const status = fault.status === undefined ? "" : ` (${fault.status})`;
  const reason = quote(fault.message, endpoint);
  switch (kind) {
    case "auth":
      if (fault.status === 403)
        return `${vendor} does not let this key use ${model}${status}${reason}. Choose another model, or set another key with “Hermes: Set API Key”.`;
      return `${vendor} refused the key${status}. Set another with “Hermes: Set API Key”.`;
    case "notFound":
      return describeNotFound(fault, endpoint, status);
    case "contextOverflow":
      return `The conversation is longer than ${model} accepts${status}. Start a new session, or choose a model with a larger context window.`;
    case "rateLimit":
      return `${vendor} limits how fast this key may ask${status}${reason}. ${waitAdvice(fault.retryAfterMs)}`;
    case "overloaded":
      return `${vendor} is overloaded${status}. ${waitAdvice(fault.retryAfterMs)}`;
    case "server":
      return `${vendor} failed while answering${status}${reason}. The fault is on its side: try again.`;
    case "network":
      return `${vendor} gave up waiting for the request${status}. Check the network connection and try again.`;
    case "billing":
      return `${vendor} did not answer because of the account's billing${status}${reason}. Add credit to the account, or choose another model.`;
    case "unavailable":
    case "protocol":
    case "badRequest":
      return `${vendor} refused the request${status}${reason || ", without a reason"}. Choose another model, or start a new session.`;
  }
}

function describeNotFound(fault: VendorFault, endpoint: Endpoint, status: string): string {
  const { vendor, model, host } = endpoint;
  if (fault.message === undefined && fault.words.length === 0)
    return `${host} does not offer the API that Hermes asked for${status}. Check the base URL in the settings.`;
  const choose = "Choose another in the setting “hermes.model.name” or with --model.";
  return endpoint.local
    ? `${vendor} does not have the model “${model}”${status}. Load it there first (Ollama: ollama pull ${model}). ${choose}`
    : `${vendor} does not know the model “${model}”${status}, or this key may not use it. ${choose}`;
}

function waitAdvice(retryAfterMs: number | undefined): string {
  if (retryAfterMs === undefined) return "Wait a moment and try again.";
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return `Try again in ${seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`}.`;
}

function fromTransport(error: unknown, endpoint: Endpoint): ProviderError {
  const code = systemCode(error);
  if (code === undefined && !isTransport(error)) return brokenStream(endpoint, "it is not valid for its format", error);
  return new ProviderError(describeTransport(code, endpoint), { kind: "network", cause: slim(error) });
}

function describeTransport(code: string | undefined, { host, vendor, local }: Endpoint): string {
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return `Cannot find ${host} (${code}): there is no network, or the base URL is wrong. Check both and try again.`;
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT")
    return `No connection to ${host} came about in time (${code}). Check the network, the proxy and the base URL, and try again.`;
  if (code === "ECONNREFUSED")
    return local
      ? `Nothing listens at ${host} (${code}). Start the model server, or choose another model.`
      : `${host} refused the connection (${code}). Check the network, the proxy and the base URL, and try again.`;
  if (code !== undefined && /CERT|SELF_SIGNED|UNABLE_TO|TLS|SSL/.test(code))
    return `The certificate of ${host} was not accepted (${code}). If a proxy stands between, give Node its certificate with NODE_EXTRA_CA_CERTS.`;
  return `The connection to ${host} broke${code === undefined ? "" : ` (${code})`} before ${vendor} had answered in full. Check the network and try again.`;
}

/** The first system or undici error code in the chain of causes. */
function systemCode(error: unknown, depth = 0): string | undefined {
  if (!(error instanceof Error) || depth > 5) return undefined;
  const code = errorCode(error);
  if (code !== undefined) return code;
  if (error instanceof AggregateError) {
    for (const inner of error.errors) {
      const found = systemCode(inner, depth + 1);
      if (found !== undefined) return found;
    }
  }
  return systemCode(error.cause, depth + 1);
}

/** Both SDKs wrap a failed fetch in an error with `status: undefined`; a body that breaks throws undici's TypeError. */
function isTransport(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("status" in error) return true;
  return error instanceof TypeError && /terminated|fetch failed|network/i.test(error.message);
}

/** An error without headers, bodies or stacks of requests hanging from it. */
function slim(error: unknown): Error {
  return new Error(messageOf(error).slice(0, quotedCharacters));
}

function readFault(error: unknown, now: number): VendorFault | undefined {
  if (!(error instanceof Error) || !("status" in error)) return undefined;
  const status = typeof error.status === "number" ? error.status : undefined;
  const body = "error" in error ? error.error : undefined;
  if (status === undefined && !isRecord(body)) return undefined;
  const headers = "headers" in error && error.headers instanceof Headers ? error.headers : undefined;
  return { status, ...readBody(body), retryAfterMs: headers && readWait(headers, status, now) };
}

function readWait(headers: Headers, status: number | undefined, now: number): number | undefined {
  return readRetryAfter(headers, now) ?? (status === 429 ? readLimits(headers, now).refusedMs : undefined);
}

function readBody(body: unknown): Pick<VendorFault, "words" | "message"> {
  const inner: JsonRecord = isRecord(body) ? (isRecord(body.error) ? body.error : body) : {};
  const words = [textOf(inner.type), textOf(inner.code)].filter((word) => word !== undefined);
  return { words, message: textOf(inner.message) ?? (isRecord(body) ? textOf(body.error) : undefined) };
}

/**
 * How long the vendor asks to wait, in ms: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date.
 * `undefined` when it says nothing readable.
 */
export function readRetryAfter(headers: Headers, now: number): number | undefined {
  const ms = readNumber(headers.get("retry-after-ms"));
  if (ms !== undefined) return ms;
  const value = headers.get("retry-after");
  const seconds = readNumber(value);
  if (seconds !== undefined) return seconds * 1000;
  const date = value === null ? Number.NaN : Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function readNumber(text: string | null): number | undefined {
  if (text === null || text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

function quote(message: string | undefined, endpoint: Endpoint): string {
  if (message === undefined || message.trim() === "") return "";
  const scrubbed = (endpoint.secret ? message.replaceAll(endpoint.secret, "…") : message)
    .replace(/\b(?:sk|key|pk|Bearer)[-_ ][\w*.-]{6,}/gi, "…")
    .replace(/\s+/g, " ")
    .trim();
  return `: ${scrubbed.slice(0, quotedCharacters).replace(/\.$/, "")}`;
}
