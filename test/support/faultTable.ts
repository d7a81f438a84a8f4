/**
 * What can happen to one answer of a model between its server and us, as data: a name, and what arrives instead.
 *
 * Not here: running turns (`faultTurn.ts`). Easily got wrong: a fault with a position strikes at every one that it is given,
 * so `strike` must make sense at the first and at the last.
 */

import { buildAnswer } from "./double/answer.ts";
import { anthropicWire } from "./double/anthropicWire.ts";
import { chatWire } from "./double/chatWire.ts";
import { responsesWire } from "./double/responsesWire.ts";
import type { FullStep } from "./double/script.ts";
import type { FailureKind, Wire } from "./double/wire.ts";
import type { WireFormat } from "./play.ts";

/** What one request is answered with, in process. */
export interface Attempt {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** How the body ends. `refused`: there is no answer at all. */
  readonly end: "close" | "cut" | "stall" | "refused";
}

/** A fault that takes the place of the whole answer. */
export interface RequestFault {
  readonly name: string;
  readonly attempt: (format: WireFormat) => Attempt;
  /** The failure's code when it strikes every time. */
  readonly code: string;
}

/** A fault at a place within the answer: after so many bytes, or events. */
export interface PlacedFault {
  readonly name: string;
  readonly unit: "bytes" | "events";
  /** True when it can change what a call says and leave it well formed, which nobody can tell. */
  readonly corrupts?: boolean;
  readonly strike: (events: readonly string[], at: number, wire: Wire) => Attempt;
}

/** The wire formats as the double writes them. */
export const wires: { readonly [name in WireFormat]: Wire } = {
  "anthropic-messages": anthropicWire,
  "openai-responses": responsesWire,
  "openai-chat": chatWire,
};

const names = { "anthropic-messages": "anthropic", "openai-responses": "responses", "openai-chat": "chat" } as const;

/** The events of an answer as the vendor sends them. `seed` decides all ids in it. */
export function eventsOf(format: WireFormat, step: Partial<FullStep>, seed: string): readonly string[] {
  const answer = buildAnswer({ deltaChars: 48, ...step } as FullStep, names[format], seed, []);
  const usage = { input: 100, cacheRead: 0, cacheWrite: 0, cacheWriteLong: 0, output: 20, thinking: 5 };
  return wires[format]
    .frames(answer, { model: "model", body: {}, usage, diagnostics: null, created: 1 })
    .map(({ text }) => text);
}

/** An answer without a fault. */
export function whole(events: readonly string[]): Attempt {
  return { body: bytes(events.join("")), end: "close" };
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function refusal(kind: FailureKind, headers: Readonly<Record<string, string>> = {}) {
  return (format: WireFormat): Attempt => {
    const failure = wires[format].failure(kind);
    return { ...failure, headers: { ...failure.headers, ...headers }, body: bytes(failure.body), end: "close" };
  };
}

const limitHeaders = {
  "anthropic-ratelimit-requests-remaining": "0",
  "anthropic-ratelimit-requests-limit": "50",
  "anthropic-ratelimit-requests-reset": new Date(1_020_000).toISOString(),
  "x-ratelimit-remaining-requests": "0",
  "x-ratelimit-reset-requests": "20s",
};

/** Faults of a whole request. */
export const requestFaults: readonly RequestFault[] = [
  { name: "429 with retry-after", attempt: refusal("rateLimit", { "retry-after": "7" }), code: "rateLimit" },
  {
    name: "429 with retry-after beyond a minute",
    attempt: refusal("rateLimit", { "retry-after": "600" }),
    code: "rateLimit",
  },
  { name: "429 with limits in headers", attempt: refusal("rateLimit", limitHeaders), code: "rateLimit" },
  { name: "429 without a word", attempt: refusal("rateLimit"), code: "rateLimit" },
  { name: "529 or 503 overloaded", attempt: refusal("overloaded"), code: "overloaded" },
  { name: "500", attempt: refusal("server"), code: "server" },
  { name: "502 of a proxy, as HTML", attempt: refusal("badGateway"), code: "server" },
  { name: "401", attempt: refusal("auth"), code: "auth" },
  { name: "404", attempt: refusal("notFound"), code: "notFound" },
  { name: "400", attempt: refusal("badRequest"), code: "badRequest" },
  { name: "413", attempt: refusal("tooLarge"), code: "contextOverflow" },
  { name: "connection refused", attempt: () => ({ end: "refused" }), code: "network" },
  { name: "no byte ever", attempt: () => ({ end: "stall" }), code: "network" },
  { name: "an empty body", attempt: () => ({ end: "close" }), code: "network" },
  {
    name: "a web page with status 200",
    attempt: () => ({ headers: { "content-type": "text/html" }, body: bytes("<html>Log in</html>"), end: "close" }),
    code: "protocol",
  },
  {
    name: "JSON instead of a stream",
    attempt: () => ({ headers: { "content-type": "application/json" }, body: bytes('{"ok":true}'), end: "close" }),
    code: "network",
  },
];

function atByte(name: string, strike: (body: Uint8Array, at: number) => Attempt): PlacedFault {
  return { name, unit: "bytes", strike: (events, at) => strike(bytes(events.join("")), at) };
}

/** A byte that is lost in the middle of a text leaves another text. */
const byteIsLost: PlacedFault = {
  ...atByte("a byte is lost", (body, at) => ({
    body: inserted(body.subarray(0, at), at, body.subarray(at + 1)),
    end: "close",
  })),
  corrupts: true,
};

function atEvent(
  name: string,
  strike: (events: readonly string[], at: number, wire: Wire) => readonly string[],
): PlacedFault {
  return { name, unit: "events", strike: (events, at, wire) => whole(strike(events, at, wire)) };
}

function inserted(body: Uint8Array, at: number, extra: Uint8Array): Uint8Array {
  return Buffer.concat([body.subarray(0, at), extra, body.subarray(at)]);
}

const garbage = bytes('\n\ndata: {"type":"mess\n\n');

/** Faults at a place in the stream. */
export const placedFaults: readonly PlacedFault[] = [
  atByte("the socket is cut", (body, at) => ({ body: body.subarray(0, at), end: "cut" })),
  atByte("the body ends early", (body, at) => ({ body: body.subarray(0, at), end: "close" })),
  atByte("nothing more comes", (body, at) => ({ body: body.subarray(0, at), end: "stall" })),
  atByte("an event that is no JSON", (body, at) => ({ body: inserted(body, at, garbage), end: "close" })),
  atByte("bytes that are no UTF-8", (body, at) => ({
    body: inserted(body, at, Uint8Array.of(0xff, 0xc0)),
    end: "close",
  })),
  byteIsLost,
  atByte("the rest of the line is lost", (body, at) => {
    const end = body.indexOf(0x0a, at);
    return { body: inserted(body.subarray(0, at), at, body.subarray(end < 0 ? body.length : end)), end: "close" };
  }),
  atEvent("an event is missing", (events, at) => events.toSpliced(at, 1)),
  atEvent("an event comes twice", (events, at) => events.toSpliced(at, 0, ...events.slice(at, at + 1))),
  atEvent("two events change places", (events, at) => events.toSpliced(at, 2, ...events.slice(at, at + 2).reverse())),
  atEvent("all that came comes again", (events, at) => [...events.slice(0, at), ...events]),
  atEvent("an error event", (events, at, wire) => [...events.slice(0, at), wire.errorEvent("overloaded")]),
  atEvent("a keep-alive", (events, at, wire) => events.toSpliced(at, 0, wire.ping)),
  atEvent("an event of an unknown kind", (events, at, wire) => events.toSpliced(at, 0, wire.unknown)),
];
