/**
 * One step made concrete: ordered blocks with ids, cut into the deltas that will be sent, with what happens after each.
 *
 * Not here: any vendor's event. Easily got wrong: positions count characters over the whole answer, not per block, and a
 * position that the answer never reaches is an error in the script, not a fault that silently never strikes.
 */
import { createHash } from "node:crypto";
import type { Json } from "../../../server/src/protocol/types.ts";
import type { Api } from "./read.ts";
import type { FullFault, FullStep, Position, ScriptCall } from "./script.ts";

/** Something the player does at a position. */
export type Action =
  | { readonly type: "hold"; readonly name: string }
  | { readonly type: "cut" }
  | { readonly type: "end" }
  | { readonly type: "garbage"; readonly bytes: Buffer }
  | { readonly type: "error"; readonly error: "overloaded" | "server" | "rateLimit" }
  | { readonly type: "unknown" }
  | { readonly type: "ping" };

/** One delta, and what happens once it was sent. */
export interface Piece {
  readonly text: string;
  readonly after: readonly Action[];
}

/** One block of an answer. `id` is the item id where the format has one; `opaque` is a signature or ciphertext. */
export type AnswerBlock =
  | { readonly type: "text"; readonly id: string; readonly text: string; readonly pieces: readonly Piece[] }
  | {
      readonly type: "thinking";
      readonly id: string;
      readonly text: string;
      readonly pieces: readonly Piece[];
      readonly opaque: string;
    }
  | { readonly type: "redacted"; readonly id: string; readonly opaque: string }
  /** The vendor's own summary of the conversation, which comes whole; `null` when it could not write one. */
  | { readonly type: "compaction"; readonly id: string; readonly text: string | null; readonly opaque: string }
  | {
      readonly type: "call";
      readonly id: string;
      readonly callId: string;
      readonly name: string;
      readonly arguments: string;
      /** `undefined` for raw arguments that are not JSON. */
      readonly input: Json | undefined;
      /** The script gave the arguments as raw text. */
      readonly raw: boolean;
      readonly pieces: readonly Piece[];
      /** What happens once the call is complete. */
      readonly after: readonly Action[];
    };

/** A whole answer, ready for any wire format. */
export interface Answer {
  readonly id: string;
  readonly blocks: readonly AnswerBlock[];
  readonly stop: NonNullable<FullStep["stop"]> | "compaction";
  readonly explanation: string | undefined;
  readonly atStart: readonly Action[];
  readonly atHeaders: readonly Action[];
  readonly atEnd: readonly Action[];
  readonly atEvents: readonly { readonly count: number; readonly action: Action }[];
  readonly atBytes: readonly { readonly count: number; readonly action: Action }[];
  /** Index of the event that changes places with its successor. */
  readonly swaps: readonly number[];
}

type Placed = { readonly at: Position; readonly action: Action };

/** Makes an answer of a step. `seed` decides every id, so the same seed gives the same bytes. Throws on bad positions. */
export function buildAnswer(step: FullStep, api: Api, seed: string, faults: readonly FullFault[]): Answer {
  const placed = [...holdsOf(step), ...faults.flatMap(placeFault)];
  const cutter = new Cutter(placed, step.deltaChars ?? 16);
  const blocks = blocksOf(step).map((block, index) => makeBlock(block, api, `${seed}/${index}`, cutter));
  cutter.finish();
  const hasCalls = blocks.some((block) => block.type === "call");
  const at = (name: Position) => placed.filter((item) => item.at === name).map((item) => item.action);
  const counted = (unit: "events" | "bytes") =>
    placed
      .flatMap(({ at, action }) => {
        const count = typeof at === "object" && unit in at ? Object.values(at)[0] : undefined;
        return count === undefined ? [] : [{ count, action }];
      })
      .sort((a, b) => a.count - b.count);
  return {
    id: makeId({ anthropic: "msg_", responses: "resp_", chat: "chatcmpl-" }[api], seed),
    blocks,
    stop: step.stop ?? (hasCalls ? "tool_use" : "end_turn"),
    explanation: step.explanation,
    atStart: at("start"),
    atHeaders: at("headers"),
    atEnd: at("end"),
    atEvents: counted("events"),
    atBytes: counted("bytes"),
    swaps: faults.flatMap((fault) => (fault.kind === "order" ? [fault.at.events] : [])),
  };
}

type PlainBlock =
  | { readonly say: string }
  | { readonly think: string }
  | { readonly redactedThinking: true }
  | { readonly call: ScriptCall };

function blocksOf(step: FullStep): readonly PlainBlock[] {
  return [
    ...(step.redactedThinking ? [{ redactedThinking: true } as const] : []),
    ...(step.think === undefined ? [] : [{ think: step.think }]),
    ...(step.say === undefined ? [] : [{ say: step.say }]),
    ...(step.calls ?? []).map((call) => ({ call })),
    ...(step.interleave ?? []),
  ];
}

function makeBlock(block: PlainBlock, api: Api, seed: string, cutter: Cutter): AnswerBlock {
  if ("say" in block)
    return { type: "text", id: makeId("msg_", seed), text: block.say, pieces: cutter.cut("text", block.say) };
  if ("think" in block) {
    const pieces = cutter.cut("thinking", block.think);
    return { type: "thinking", id: makeId("rs_", seed), text: block.think, pieces, opaque: makeOpaque(seed) };
  }
  if ("redactedThinking" in block) return { type: "redacted", id: makeId("rs_", seed), opaque: makeOpaque(seed) };
  const { call } = block;
  const raw = "rawArguments" in call;
  const text = raw ? call.rawArguments : JSON.stringify(call.input);
  return {
    type: "call",
    id: makeId("fc_", seed),
    callId: makeId(api === "anthropic" ? "toolu_" : "call_", seed),
    name: call.name,
    arguments: text,
    input: raw ? undefined : call.input,
    raw,
    ...cutter.cutCall(text),
  };
}

/** Cuts text into deltas so that every position falls between two of them. */
class Cutter {
  readonly #placed: readonly Placed[];
  readonly #used = new Set<Placed>();
  readonly #size: number;
  readonly #sent = { text: 0, thinking: 0 };
  #calls = 0;

  constructor(placed: readonly Placed[], size: number) {
    this.#placed = placed;
    this.#size = size;
  }

  cut(kind: "text" | "thinking", text: string): Piece[] {
    const from = this.#sent[kind];
    const chars = Array.from(text);
    this.#sent[kind] += chars.length;
    const stops = this.#take((at) => {
      const count =
        kind === "text" && "text" in at ? at.text : kind === "thinking" && "thinking" in at ? at.thinking : -1;
      return count < from || count > this.#sent[kind] ? undefined : count - from;
    });
    return this.#pieces(chars, stops);
  }

  cutCall(text: string): { pieces: Piece[]; after: Action[] } {
    const index = this.#calls;
    this.#calls += 1;
    const chars = Array.from(text);
    const inside = this.#take((at) =>
      "call" in at && at.call === index && at.arguments !== undefined && at.arguments <= chars.length
        ? at.arguments
        : undefined,
    );
    const after = this.#take((at) => ("call" in at && at.call === index && at.arguments === undefined ? 0 : undefined));
    return { pieces: this.#pieces(chars, inside), after: after.map((stop) => stop.action) };
  }

  finish(): void {
    const missed = this.#placed.find(
      (item) => typeof item.at === "object" && !("events" in item.at) && !("bytes" in item.at) && !this.#used.has(item),
    );
    if (missed) throw new Error(`The answer never reaches ${JSON.stringify(missed.at)}.`);
  }

  #take(offsetOf: (at: Exclude<Position, string>) => number | undefined): { offset: number; action: Action }[] {
    return this.#placed.flatMap((item) => {
      if (typeof item.at === "string" || this.#used.has(item)) return [];
      const offset = offsetOf(item.at);
      if (offset === undefined) return [];
      this.#used.add(item);
      return [{ offset, action: item.action }];
    });
  }

  #pieces(chars: readonly string[], stops: readonly { offset: number; action: Action }[]): Piece[] {
    const bounds = new Set(stops.map((stop) => stop.offset));
    for (let at = 0; at < chars.length; at += this.#size) bounds.add(at);
    bounds.add(chars.length);
    const ends = [...bounds].sort((a, b) => a - b);
    let from = 0;
    return ends.map((end) => {
      const text = chars.slice(from, end).join("");
      from = end;
      return { text, after: stops.filter((stop) => stop.offset === end).map((stop) => stop.action) };
    });
  }
}

function holdsOf(step: FullStep): Placed[] {
  return [step.hold ?? []]
    .flat()
    .map((hold) =>
      typeof hold === "string"
        ? { at: "start", action: { type: "hold", name: hold } }
        : { at: hold.at, action: { type: "hold", name: hold.name } },
    );
}

// An event that is no JSON, then bytes that can start no UTF-8 character.
const garbage = Buffer.concat([
  Buffer.from('event: message\ndata: {"type":"mess\n\n'),
  Buffer.from([0xff, 0xfe, 0xc0, 0x0a, 0x0a]),
]);

function placeFault(fault: FullFault): Placed[] {
  switch (fault.kind) {
    case "http":
    case "order":
      return [];
    case "stall":
      return [{ at: fault.at, action: { type: "hold", name: fault.name } }];
    case "garbage": {
      const bytes = fault.base64 === undefined ? garbage : Buffer.from(fault.base64, "base64");
      return [{ at: fault.at, action: { type: "garbage", bytes } }];
    }
    case "error":
      return [{ at: fault.at, action: { type: "error", error: fault.error } }];
    case "cut":
    case "end":
    case "unknown":
    case "ping":
      return [{ at: fault.at, action: { type: fault.kind } }];
  }
}

function makeId(prefix: string, seed: string): string {
  return prefix + createHash("sha256").update(prefix).update(seed).digest("hex").slice(0, 24);
}

function makeOpaque(seed: string): string {
  return createHash("sha512").update("opaque").update(seed).digest("base64");
}
