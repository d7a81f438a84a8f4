/**
 * The file format of a recorded conversation: JSON lines, versioned, checked line by line.
 *
 * Not here: recording and playing (`recorded.ts`). Easily got wrong: a step holds what the model said and also what it
 * had been told (how each tool call had ended), so that playing can notice when the world differs.
 */
import { z } from "zod";
import type { AssistantBlock, AssistantPart, CallId, Json } from "../protocol/types.ts";
import type { ModelEvent, ModelStop } from "./provider.ts";

/** An event of a recorded answer: retries are not part of one, and vendors' own forms are left out. */
export type RecordedEvent = Exclude<ModelEvent, { readonly type: "retry" }>;

/** How a tool call had ended when the next answer was asked for. */
export interface RecordedOutcome {
  readonly tool: string;
  readonly isError: boolean;
}

/** One answer, and what it answered. */
export interface RecordedStep {
  /** The results of the step before, in call order. */
  readonly outcomes: readonly RecordedOutcome[];
  readonly events: readonly RecordedEvent[];
  /** Milliseconds from the request to each event. */
  readonly atMs: readonly number[];
}

/** A recorded conversation: one prompt and the answers to it. */
export interface Recording {
  /** The model that was recorded. */
  readonly model: string;
  /** The prompt as the user wrote it. */
  readonly prompt: string;
  readonly steps: readonly RecordedStep[];
}

/** A recording cannot be read; the message names the line. */
export class RecordingError extends Error {
  override readonly name = "RecordingError";
}

const json: z.ZodType<Json> = z.json();
const index = z.int().nonnegative();
const callId = z
  .string()
  .min(1)
  .transform((id) => id as CallId);
const count = z.int().nonnegative();

const part: z.ZodType<AssistantPart> = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  z.strictObject({ type: z.literal("thinking"), text: z.string() }),
  z.strictObject({
    type: z.literal("tool_call"),
    callId,
    name: z.string().min(1),
    input: json,
    malformed: z.string().exactOptional(),
  }),
]);
const block: z.ZodType<AssistantBlock> = z.strictObject({ part });
const stop: z.ZodType<ModelStop> = z.enum([
  "end_turn",
  "tool_calls",
  "max_tokens",
  "refusal",
  "context_overflow",
  "pause",
]);

const event: z.ZodType<RecordedEvent> = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text_delta"), index, text: z.string() }),
  z.strictObject({ type: z.literal("thinking_delta"), index, text: z.string() }),
  z.strictObject({ type: z.literal("tool_call_delta"), index, callId, name: z.string(), json: z.string() }),
  z.strictObject({ type: z.literal("block_done"), index, block }),
  z.strictObject({
    type: z.literal("done"),
    stop,
    usage: z.strictObject({
      inputTokens: count,
      cacheReadTokens: count,
      cacheWriteTokens: count,
      longCacheWriteTokens: count.exactOptional(),
      outputTokens: count,
      thinkingTokens: count,
    }),
    detail: z.string().exactOptional(),
  }),
]);

const headerLine = z.strictObject({
  type: z.literal("recording"),
  version: z.literal(1),
  model: z.string(),
  prompt: z.string().min(1),
});
const bodyLine = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("step"),
    outcomes: z.array(z.strictObject({ tool: z.string(), isError: z.boolean() })),
  }),
  z.strictObject({ type: z.literal("event"), atMs: z.number().nonnegative(), event }),
]);

/** The first line of a recording. */
export type RecordingHeader = z.input<typeof headerLine>;
/** A line after the first. */
export type RecordingLine =
  | { readonly type: "step"; readonly outcomes: readonly RecordedOutcome[] }
  | { readonly type: "event"; readonly atMs: number; readonly event: RecordedEvent };

/** Reads a whole recording. Throws `RecordingError` for a line that is not of this format, or a step that never ends. */
export function parseRecording(text: string): Recording {
  const [first = "", ...rest] = text.split("\n").filter((line) => line.trim() !== "");
  const header = parseLine(headerLine, first, 1);
  const steps: { outcomes: RecordedOutcome[]; events: RecordedEvent[]; atMs: number[] }[] = [];
  rest.forEach((line, at) => {
    const value = parseLine(bodyLine, line, at + 2);
    if (value.type === "step") {
      steps.push({ outcomes: value.outcomes, events: [], atMs: [] });
      return;
    }
    const step = steps.at(-1);
    if (!step) throw new RecordingError(`Line ${at + 2} of the recording is an event before the first step.`);
    step.events.push(value.event);
    step.atMs.push(value.atMs);
  });
  const unfinished = steps.findIndex((step) => step.events.at(-1)?.type !== "done");
  if (steps.length === 0 || unfinished >= 0)
    throw new RecordingError(`Step ${unfinished + 1} of the recording does not end: record it again.`);
  return { model: header.model, prompt: header.prompt, steps };
}

function parseLine<T>(schema: z.ZodType<T>, line: string, number: number): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new RecordingError(`Line ${number} of the recording is not JSON.`, { cause: error });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const reason = z.prettifyError(result.error).replace(/\s+/g, " ");
  throw new RecordingError(`Line ${number} of the recording is not of version 1 of its format: ${reason}`);
}
