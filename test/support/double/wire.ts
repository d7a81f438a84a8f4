/**
 * What the three wire formats have in common: frames of a stream, and the vendor's own words for each failure.
 *
 * Not here: sending anything. Easily got wrong: `echo` is what a client must send back unchanged in its next request,
 * which is not always what it was sent (Chat streams deltas and wants a message).
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import type { Action, Answer } from "./answer.ts";
import type { DoubleUsage } from "./journal.ts";
import { type JsonObject, tokensOf } from "./json.ts";

/** One event of a stream. */
export interface Frame {
  readonly text: string;
  /** Output tokens that this event carries, for the pace. */
  readonly tokens: number;
  readonly after: readonly Action[];
  /** The first of the events that close the answer. */
  readonly closing?: boolean;
}

/** What an answer says besides its blocks. */
export interface Reply {
  readonly model: string;
  readonly body: JsonObject;
  readonly usage: DoubleUsage;
  /** The vendor's explanation of a cache miss, where the request asked for one. */
  readonly diagnostics: Json;
  /** Seconds since the epoch. */
  readonly created: number;
}

/** The failures that vendors report in their own words. */
export type FailureKind =
  | "rateLimit"
  | "overloaded"
  | "server"
  | "auth"
  | "permission"
  | "notFound"
  | "contextOverflow"
  | "badRequest"
  | "tooLarge"
  | "timeout"
  | "badGateway";

/** An HTTP error answer. */
export interface Failure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One vendor's wire format. */
export interface Wire {
  /** The events of a streamed answer. */
  frames(answer: Answer, reply: Reply): Frame[];
  /** The body of an answer that is not streamed. */
  message(answer: Answer, reply: Reply): Json;
  /** The blocks, items or message that the client must send back. */
  echo(answer: Answer): readonly Json[];
  failure(kind: FailureKind, message?: string): Failure;
  /** The event of a failure in mid-stream. */
  errorEvent(kind: "overloaded" | "server" | "rateLimit"): string;
  readonly ping: string;
  readonly unknown: string;
}

/** A server-sent event. */
export function sse(event: string | undefined, payload: Json): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(payload)}\n\n`;
}

/** Estimated output tokens of an answer, and those among them that were thinking. */
export function outputTokens(answer: Answer): { output: number; thinking: number } {
  let output = 0;
  let thinking = 0;
  for (const block of answer.blocks) {
    if (block.type === "redacted") thinking += tokensOf(block.opaque);
    else if (block.type === "compaction") output += tokensOf(block.text ?? "");
    else if (block.type === "thinking") thinking += tokensOf(block.text);
    else output += tokensOf(block.type === "call" ? block.name + block.arguments : block.text);
  }
  return { output: output + thinking, thinking };
}

/** The failure that a proxy in front of any vendor gives: HTML, with no vendor's shape. */
export const badGateway: Failure = {
  status: 502,
  headers: { "content-type": "text/html" },
  body: "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
};
