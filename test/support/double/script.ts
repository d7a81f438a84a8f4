/**
 * What a model double says, as data: steps of text, thinking and tool calls, the faults that strike them, and the
 * points at which they wait. The same script plays through every wire format.
 *
 * Not here: turning a step into wire events. Easily got wrong: a fault strikes the first attempt of its step only,
 * unless `times` says more; after that the step plays normally.
 */
import { z } from "zod";
import type { Json } from "../../../server/src/protocol/types.ts";
import type { RecordedRequest } from "./journal.ts";
import type { RequestView } from "./read.ts";

const count = z.int().min(0);

const positionSchema = z.union([
  z.literal("start"),
  z.literal("headers"),
  z.literal("end"),
  z.strictObject({ text: count }),
  z.strictObject({ thinking: count }),
  z.strictObject({ call: count, arguments: count.optional() }),
  z.strictObject({ events: count }),
  z.strictObject({ bytes: count }),
]);

/**
 * A point in an answer. `start`: before the status line. `headers`: after it, before the first event. `end`: before
 * the events that close the answer. `text`, `thinking`: after that many characters of the whole answer. `call`: after
 * the complete call of that index, or after `arguments` characters of its arguments. `events`, `bytes`: after that
 * many events or bytes of the body.
 */
export type Position = z.infer<typeof positionSchema>;

const times = z.int().min(1).optional();
const at = positionSchema.default("start");

const faultSchema = z.discriminatedUnion("kind", [
  /** An HTTP error in the vendor's own body; `retryAfter` in seconds, `retryAfterMs` in ms. */
  z.strictObject({
    kind: z.literal("http"),
    error: z.enum([
      "rateLimit",
      "overloaded",
      "server",
      "auth",
      "permission",
      "notFound",
      "contextOverflow",
      "badRequest",
      "tooLarge",
      "timeout",
      "badGateway",
    ]),
    retryAfter: z.union([z.number().min(0), z.string()]).optional(),
    retryAfterMs: z.number().min(0).optional(),
    message: z.string().optional(),
    times,
  }),
  /** The socket is destroyed. */
  z.strictObject({ kind: z.literal("cut"), at, times }),
  /** The body ends early, without an error. */
  z.strictObject({ kind: z.literal("end"), at, times }),
  /** Nothing more is sent until `release(name)`. */
  z.strictObject({ kind: z.literal("stall"), at, name: z.string().default("stall"), times }),
  /** Bytes that are no event are put into the body; by default an unparsable event and bytes that are no UTF-8. */
  z.strictObject({ kind: z.literal("garbage"), at, base64: z.base64().optional(), times }),
  /** The vendor's error event, in the stream; then the body ends. */
  z.strictObject({
    kind: z.literal("error"),
    at,
    error: z.enum(["overloaded", "server", "rateLimit"]).default("overloaded"),
    times,
  }),
  /** The event after `at.events` events changes places with the one behind it. */
  z.strictObject({ kind: z.literal("order"), at: z.strictObject({ events: count }), times }),
  /** An event of a type that no client knows. */
  z.strictObject({ kind: z.literal("unknown"), at, times }),
  /** The vendor's keep-alive. */
  z.strictObject({ kind: z.literal("ping"), at, times }),
]);

/** Something that goes wrong with a step. `at` defaults to `start`, `times` (attempts it strikes) to 1. */
export type Fault = z.input<typeof faultSchema>;
/** A `Fault` with its defaults filled in. */
export type FullFault = z.output<typeof faultSchema>;

const jsonSchema: z.ZodType<Json> = z.json();

const callSchema = z.union([
  z.strictObject({ name: z.string().min(1), input: jsonSchema }),
  z.strictObject({ name: z.string().min(1), rawArguments: z.string() }),
]);

/** A tool call: `input` is sent as JSON, `rawArguments` as they stand, so they may be malformed. */
export type ScriptCall = z.infer<typeof callSchema>;

const blockSchema = z.union([
  z.strictObject({ say: z.string() }),
  z.strictObject({ think: z.string() }),
  z.strictObject({ redactedThinking: z.literal(true) }),
  z.strictObject({ call: callSchema }),
]);

const holdSchema = z.union([z.string().min(1), z.strictObject({ name: z.string().min(1), at: positionSchema })]);

const stepSchema = z.strictObject({
  redactedThinking: z.literal(true).optional(),
  think: z.string().optional(),
  say: z.string().optional(),
  calls: z.array(callSchema).max(256).optional(),
  /** Blocks in this very order, after those of the four fields above. */
  interleave: z.array(blockSchema).max(1024).optional(),
  /** Default: `tool_use` where there are calls, else `end_turn`. */
  stop: z
    .enum(["end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause_turn", "context_window"])
    .optional(),
  /** What a refusal gives as its reason. */
  explanation: z.string().optional(),
  /** Token counts that replace the simulated ones. */
  usage: z
    .strictObject({
      input: count.optional(),
      output: count.optional(),
      thinking: count.optional(),
      cacheRead: count.optional(),
      cacheWrite: count.optional(),
    })
    .optional(),
  fault: z.union([faultSchema, z.array(faultSchema).max(16)]).optional(),
  /** A bare name holds at `start`. */
  hold: z.union([holdSchema, z.array(holdSchema).max(16)]).optional(),
  /** Characters of one delta. */
  deltaChars: z.int().min(1).optional(),
  /** Bytes of one socket write: small ones split events, and characters within them. */
  chunkBytes: z.int().min(1).optional(),
});

/** One answer of the model, as data. */
export type Step = z.input<typeof stepSchema>;
/** A `Step` with its defaults filled in. */
export type FullStep = z.output<typeof stepSchema>;

/** A step, or (in process only) a function that makes one of the request it answers. */
export type StepSource = Step | ((request: RecordedRequest) => Step);

/** The answers of one conversation: its n-th request gets the n-th step. */
export interface Script {
  /** Names the script in violations and conversation keys. */
  readonly name?: string | undefined;
  /** Part of the first user text, or a pattern between slashes with flags; a script without it takes all others. */
  readonly match?: string | undefined;
  /** The same for the last user text: for requests that append an instruction to a parent conversation. */
  readonly matchLast?: string | undefined;
  /** Answers the requests that ask the vendor for a compaction, and no others. */
  readonly compacts?: boolean | undefined;
  readonly steps: readonly StepSource[];
  /** Go on with the last step for ever instead of refusing further requests. */
  readonly repeatLast?: boolean | undefined;
}

const scriptSchema = z.strictObject({
  name: z.string().optional(),
  match: z.string().optional(),
  matchLast: z.string().optional(),
  compacts: z.boolean().optional(),
  steps: z.array(stepSchema).max(100_000),
  repeatLast: z.boolean().optional(),
});
const scriptFileSchema = z.union([scriptSchema, z.array(scriptSchema).max(1000)]);

/** Checks scripts that came as JSON: one, or a list. Throws an error that names the wrong field. */
export function readScripts(value: unknown): readonly Script[] {
  const file = Array.isArray(value) ? value : [value];
  const read = scriptFileSchema.safeParse(file);
  if (!read.success) throw new Error(`The script is not valid:\n${z.prettifyError(read.error)}`);
  return Array.isArray(read.data) ? read.data : [read.data];
}

/** Checks a step, fills in its defaults and its templates. Throws an error that names the wrong field. */
export function readStep(source: StepSource, request: RecordedRequest): FullStep {
  const raw = typeof source === "function" ? source(request) : source;
  const read = stepSchema.safeParse(raw);
  if (!read.success) throw new Error(`The step is not valid:\n${z.prettifyError(read.error)}`);
  return fillTemplates(read.data, request.view?.results ?? []);
}

/**
 * Replaces `{{result:N}}` by the text of the N-th tool result in the newest message, and `{{result:N:/pattern/}}` by
 * the first group (or the whole match) of a pattern in it.
 */
function fillTemplates(step: FullStep, results: readonly { readonly text: string }[]): FullStep {
  const fill = (text: string): string =>
    text.replace(/\{\{result:(\d+)(?::\/(.+?)\/)?\}\}/g, (_whole, index: string, pattern: string | undefined) => {
      const result = results[Number(index)]?.text;
      if (result === undefined) throw new Error(`{{result:${index}}}: the request holds ${results.length} results.`);
      if (pattern === undefined) return result;
      const match = new RegExp(pattern).exec(result);
      if (!match)
        throw new Error(`{{result:${index}:/${pattern}/}}: no match in ${JSON.stringify(result.slice(0, 200))}`);
      return match[1] ?? match[0];
    });
  const walk = (value: Json): Json => {
    if (typeof value === "string") return fill(value);
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]));
  };
  const call = (from: ScriptCall): ScriptCall =>
    "input" in from ? { ...from, input: walk(from.input) } : { ...from, rawArguments: fill(from.rawArguments) };
  return {
    ...step,
    ...(step.say === undefined ? {} : { say: fill(step.say) }),
    ...(step.calls === undefined ? {} : { calls: step.calls.map(call) }),
    ...(step.interleave === undefined
      ? {}
      : {
          interleave: step.interleave.map((block) =>
            "say" in block ? { say: fill(block.say) } : "call" in block ? { call: call(block.call) } : block,
          ),
        }),
  };
}

/** The first script whose patterns fit: those with `matchLast` are asked first, those without a pattern last. */
export function chooseScript(
  scripts: readonly Script[],
  { firstUser: first, lastUser: last }: Pick<RequestView, "firstUser" | "lastUser">,
  compacts: boolean,
): Script | undefined {
  const fits = (pattern: string | undefined, text: string) => pattern === undefined || matches(pattern, text);
  const rank = (script: Script) => (script.matchLast !== undefined ? 0 : script.match !== undefined ? 1 : 2);
  return scripts
    .filter((script) => (script.compacts === true) === compacts)
    .filter((script) => fits(script.match, first) && fits(script.matchLast, last))
    .sort((a, b) => rank(a) - rank(b))[0];
}

function matches(pattern: string, text: string): boolean {
  const regex = /^\/(.+)\/([a-z]*)$/s.exec(pattern);
  return regex ? new RegExp(regex[1] ?? "", regex[2]).test(text) : text.includes(pattern);
}
