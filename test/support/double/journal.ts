/**
 * What the double remembers of each request: raw bytes, what it was answered with, and when.
 *
 * Not here: the checks. Easily got wrong: `headers` never hold a whole key; `body` is exactly what came over the wire.
 */
import type { IncomingHttpHeaders } from "node:http";
import { type JsonObject, tokensOf } from "./json.ts";
import type { Api, RequestView } from "./read.ts";

/** Token counts in the double's own words: `input` is what was neither read from nor written to the cache. */
export interface DoubleUsage {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** The part of `cacheWrite` with the long lifetime (1 h, 12 h). */
  readonly cacheWriteLong: number;
  readonly output: number;
  readonly thinking: number;
}

/** How a request ended. `refused`: the double found it wrong. `fault`: a scripted fault ended it. */
export type Outcome = "pending" | "complete" | "refused" | "fault" | "aborted";

/** One request to a model, and how it was answered. Times are of the double's clock, in ms. */
export interface RecordedRequest {
  readonly ordinal: number;
  readonly api: Api;
  readonly method: string;
  readonly path: string;
  /** Lower-case names; keys are reduced to their last four characters. */
  readonly headers: Readonly<Record<string, string>>;
  /** The raw bytes. */
  readonly body: Buffer;
  /** The parsed body, where it is a JSON object. Read anew from the bytes when memory was short. */
  readonly json: JsonObject | undefined;
  readonly view: RequestView | undefined;
  /** The model asked for. */
  readonly model: string;
  readonly receivedAt: number;
  conversation: string;
  /** Index of the step that answers, and how many times it was tried before. */
  step: number;
  attempt: number;
  /** True when this is a free count, a model list or another request that no step answers. */
  aside: boolean;
  status: number;
  outcome: Outcome;
  firstByteAt: number | undefined;
  /** When each delta was handed to the socket, in a double that takes time to write; the first 20,000. */
  readonly sentAt: number[];
  endedAt: number | undefined;
  usage: DoubleUsage | undefined;
  messageId: string | undefined;
}

/** Makes `json` and `view` of a record: parsed on demand and held weakly, since bodies repeat all that came before. */
export function lazily(parse: () => { json: JsonObject; view: RequestView } | undefined) {
  let held: WeakRef<{ json: JsonObject; view: RequestView }> | undefined;
  return () => {
    const known = held?.deref();
    if (known) return known;
    const parsed = parse();
    held = parsed && new WeakRef(parsed);
    return parsed;
  };
}

const secretHeaders = new Set(["authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"]);

/** Copies headers, reducing every key to its last four characters (none of a short one). */
export function redactHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const safe: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const text = Array.isArray(value) ? value.join(", ") : (value ?? "");
    safe[name] = secretHeaders.has(name) ? redact(text) : text;
  }
  return safe;
}

function redact(text: string): string {
  const scheme = /^(bearer|basic)\s+/i.exec(text)?.[0] ?? "";
  const key = text.slice(scheme.length);
  return `${scheme}…${key.length >= 12 ? key.slice(-4) : ""}`;
}

/** The record as JSON for the control interface: the body as text, or base64 where it is no UTF-8. */
export function journalEntry(request: RecordedRequest): object {
  const text = request.body.toString("utf8");
  const clean = Buffer.from(text, "utf8").equals(request.body);
  const { body, json, view, ...rest } = request;
  return {
    ...rest,
    bytes: body.length,
    ...(clean ? { body: text } : { bodyBase64: body.toString("base64") }),
    ...(json === undefined ? { malformed: true } : {}),
    ...(view === undefined ? {} : { estimatedTokens: tokensOf(text) }),
  };
}
