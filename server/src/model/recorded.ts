/**
 * Records what a provider answers, and plays such a recording as a provider: the tour without a key, and tests.
 *
 * Not here: the file format (`recording.ts`) or files at all. Easily got wrong: a recording must never look like a model
 * that thinks. It plays only its own prompt, only while the tools end as they did, and says so in every other case.
 */
import type { Clock } from "../base/async.ts";
import { assertNever, isAbort } from "../base/errors.ts";
import { phaseRecorder } from "../base/trace.ts";
import type { AssistantBlock, CallId, PromptPart, Usage } from "../protocol/types.ts";
import { abortError } from "./connection.ts";
import type { ModelMessage, ModelRequest, Provider, ProviderDecorator } from "./provider.ts";
import type {
  RecordedEvent,
  RecordedOutcome,
  RecordedStep,
  Recording,
  RecordingHeader,
  RecordingLine,
} from "./recording.ts";

/** What recording needs. */
export interface RecorderDeps {
  /** Takes the lines of the file in order, each without its end. */
  readonly sink: (line: string) => void;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Records the first conversation that passes through, up to its last whole answer. Vendors' own forms of blocks are left
 * out, because they may hold encrypted text and no API is sent a recording's blocks in that form; so are their call ids.
 */
export function withRecording(deps: RecorderDeps): ProviderDecorator {
  let recorded: string | undefined;
  const write = (line: RecordingHeader | RecordingLine) => deps.sink(JSON.stringify(line));
  return (next) => ({
    async *stream(request, signal) {
      const prompt = promptOf(request.messages);
      recorded ??= prompt;
      const startedAt = deps.clock.now();
      const lines: RecordingLine[] = [];
      for await (const event of next.stream(request, signal)) {
        if (event.type !== "retry" && !isOpaque(event))
          lines.push({
            type: "event",
            atMs: deps.clock.now() - startedAt,
            event: withCallId(withoutWire(event), "call"),
          });
        if (event.type === "done" && recorded === prompt) {
          const step = answersSoFar(request.messages);
          if (step === 0) write({ type: "recording", version: 1, model: request.model.id, prompt });
          write({ type: "step", outcomes: outcomesOf(request.messages) });
          lines.forEach(write);
        }
        yield event;
      }
    },
  });
}

/** How a recording is played. */
export interface PlayDeps {
  readonly clock: Pick<Clock, "sleep">;
  /** How many times faster than a person likes to read along; `Infinity` waits for nothing. */
  readonly speed: number;
}

const pace = { firstMs: 600, wordMs: 22, argumentMs: 8, argumentCharacters: 12 };
const noUsage: Usage = { inputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 0, thinkingTokens: 0 };

/**
 * Plays the step of the recording that the request has come to, in small pieces at an even pace. Answers everything else
 * with a short text that says what it is and what it can play. Costs nothing and reaches no network.
 */
export function createRecordedProvider(recording: Recording, deps: PlayDeps): Provider {
  return {
    async *stream(request, signal) {
      const wait = (ms: number) => pause(deps, ms, signal);
      phaseRecorder()?.enter("first_token");
      await wait(pace.firstMs);
      for (const event of joined(answerTo(recording, request))) {
        for (const piece of toPieces(event)) {
          await wait(piece.ms);
          yield piece.event;
        }
      }
    },
  };
}

function answerTo(recording: Recording, request: ModelRequest): readonly RecordedEvent[] {
  const { messages } = request;
  if (normalise(promptOf(messages)) !== normalise(recording.prompt)) return say(onlyThis(recording));
  const step = recording.steps[answersSoFar(messages)];
  if (!step) return say(`The recording has ended. ${onlyThis(recording)}`);
  const difference = differenceOf(step, outcomesOf(messages));
  if (difference) return say(`This is a recording, and it cannot go on: ${difference} ${addKey}`);
  return withFreshIds(step.events, messages);
}

const addKey =
  "To ask a real model, add a key with “Hermes: Set API Key”, or start a local model server (Ollama, LM Studio, llama.cpp, vLLM).";

function onlyThis(recording: Recording): string {
  return `This is a recording, not a model: it can only play “${recording.prompt}” on the sample project. ${addKey}`;
}

function differenceOf(step: RecordedStep, outcomes: readonly RecordedOutcome[]): string | undefined {
  if (step.outcomes.length !== outcomes.length) return "the calls before this point are not the recorded ones.";
  for (const [at, recorded] of step.outcomes.entries()) {
    const now = outcomes[at];
    if (now === undefined || now.tool !== recorded.tool)
      return "the calls before this point are not the recorded ones.";
    if (now.isError !== recorded.isError)
      return now.isError
        ? `“${now.tool}” succeeded when it was recorded, and here it failed or was not allowed.`
        : `“${now.tool}” failed when it was recorded, and here it succeeded, as if the work were already done.`;
  }
  return undefined;
}

function say(text: string): readonly RecordedEvent[] {
  return [
    { type: "text_delta", index: 0, text },
    { type: "block_done", index: 0, block: { part: { type: "text", text } } },
    { type: "done", stop: "end_turn", usage: noUsage },
  ];
}

/** The same step may be played twice in a session, and the ids of its calls must differ then. */
function withFreshIds(events: readonly RecordedEvent[], messages: readonly ModelMessage[]): readonly RecordedEvent[] {
  return events.map((event) => withCallId(event, `recorded_${messages.length}`));
}

/** The event with the id of its call made of a prefix and its block's index. */
function withCallId(event: RecordedEvent, prefix: string): RecordedEvent {
  if (event.type === "tool_call_delta") return { ...event, callId: `${prefix}_${event.index}` as CallId };
  if (event.type !== "block_done" || event.block.part.type !== "tool_call") return event;
  return { ...event, block: { part: { ...event.block.part, callId: `${prefix}_${event.index}` as CallId } } };
}

/** Events with the deltas of one block put together: a recorded delta may end inside a word. */
function joined(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
  const all: RecordedEvent[] = [];
  for (const event of events) {
    const last = all.at(-1);
    if (
      (event.type === "text_delta" || event.type === "thinking_delta") &&
      last?.type === event.type &&
      last.index === event.index
    )
      all[all.length - 1] = { ...last, text: last.text + event.text };
    else all.push(event);
  }
  return all;
}

/** One event, and how long to wait before it. */
interface Piece {
  readonly ms: number;
  readonly event: RecordedEvent;
}

function toPieces(event: RecordedEvent): readonly Piece[] {
  switch (event.type) {
    case "text_delta":
    case "thinking_delta":
      // Word by word, each with the space after it; joined they are the recorded text again.
      return (event.text.match(/\S+\s*|\s+/g) ?? []).map((text) => ({ ms: pace.wordMs, event: { ...event, text } }));
    case "tool_call_delta": {
      const parts = event.json.match(new RegExp(`[^]{1,${pace.argumentCharacters}}`, "g")) ?? [""];
      return parts.map((json) => ({ ms: pace.argumentMs, event: { ...event, json } }));
    }
    case "block_done":
      return [{ ms: 0, event }];
    case "done":
      // The recorded tokens were paid for once; playing uses none.
      return [{ ms: 0, event: { ...event, usage: noUsage } }];
    default:
      return assertNever(event);
  }
}

async function pause({ clock, speed }: PlayDeps, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw abortError(signal);
  const waitMs = ms / speed;
  if (waitMs <= 0) return;
  try {
    await clock.sleep(waitMs, signal);
  } catch (error) {
    throw signal.aborted && !isAbort(error) ? abortError(signal) : error;
  }
}

/** What the user wrote last: the first text of the last prompt; what follows it there is context. */
function promptOf(messages: readonly ModelMessage[]): string {
  const prompt = messages.findLast((message) => message.role === "user");
  return prompt?.parts.find((part: PromptPart) => part.type === "text")?.text ?? "";
}

function sincePrompt(messages: readonly ModelMessage[]): readonly ModelMessage[] {
  return messages.slice(messages.findLastIndex((message) => message.role === "user") + 1);
}

function answersSoFar(messages: readonly ModelMessage[]): number {
  return sincePrompt(messages).filter((message) => message.role === "assistant").length;
}

/** How the calls of the last answer to the prompt ended, in call order. */
function outcomesOf(messages: readonly ModelMessage[]): RecordedOutcome[] {
  const answered = sincePrompt(messages);
  const blocks = answered.findLast((message) => message.role === "assistant")?.blocks ?? [];
  const last = answered.at(-1);
  const results = new Map(last?.role === "tool" ? last.results.map((result) => [result.callId, result]) : []);
  return blocks.flatMap(({ part }: AssistantBlock) => {
    const result = part.type === "tool_call" ? results.get(part.callId) : undefined;
    return part.type === "tool_call" && result ? [{ tool: part.name, isError: result.isError }] : [];
  });
}

/** Blocks that only their vendor understands mean nothing without its own form of them. */
function isOpaque(event: RecordedEvent): boolean {
  return event.type === "block_done" && event.block.part.type === "opaque";
}

function withoutWire(event: RecordedEvent): RecordedEvent {
  if (event.type === "block_done") return { ...event, block: { part: event.block.part } };
  if (event.type !== "done") return event;
  const { responseId: _id, cacheMiss: _miss, ...rest } = event;
  return rest;
}

function normalise(prompt: string): string {
  return prompt
    .trim()
    .replace(/\s+/g, " ")
    .replace(/[.!?]+$/, "")
    .toLowerCase();
}
