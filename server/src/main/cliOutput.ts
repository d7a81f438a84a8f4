/**
 * Draws a turn in a terminal: the answer on standard output, everything else dimmed on standard error; or JSON lines.
 *
 * Not here: deciding anything. Easily got wrong: with `--json`, every line of standard output is one JSON object, and the
 * last one has type `result`.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { stripVTControlCharacters, styleText } from "node:util";
import type { SessionEvent, SessionUpdate } from "../protocol/events.ts";
import type { PromptResult } from "../protocol/methods.ts";
import type { RestoreTarget } from "../protocol/review.ts";
import type { Failure, FileChange, PriceClass, SessionId, SessionSummary } from "../protocol/types.ts";

/** Where a turn is drawn. */
export interface Output {
  update(sessionId: SessionId, update: SessionUpdate): void;
  /** A line about the run itself. */
  note(text: string): void;
  failure(failure: Failure): void;
  result(sessionId: SessionId, result: PromptResult): void;
}

type Sink = Pick<NodeJS.WriteStream, "write">;

/** Makes an output of the asked kind. */
export function createOutput(options: { readonly json: boolean; readonly out: Sink; readonly err: Sink }): Output {
  return options.json ? jsonOutput(options.out) : textOutput(options.out, options.err);
}

function jsonOutput(out: Sink): Output {
  const line = (value: object) => out.write(`${JSON.stringify(value)}\n`);
  let firstRequestMs: number | undefined;
  // Undici, which is Node's own fetch, announces here that the head of a request goes out.
  const onRequest = () => {
    firstRequestMs ??= Math.round(performance.now() * 10) / 10;
    unsubscribe("undici:client:sendHeaders", onRequest);
  };
  subscribe("undici:client:sendHeaders", onRequest);
  return {
    update: (sessionId, update) => line({ sessionId, ...update }),
    note: (message) => line({ type: "note", message }),
    failure: (failure) => line({ type: "result", stopReason: "error", failure }),
    result: (sessionId, result) => {
      unsubscribe("undici:client:sendHeaders", onRequest);
      const { maxRSS } = process.resourceUsage();
      line({
        type: "result",
        sessionId,
        ...result,
        // Milliseconds from the start of the process to the first byte of the first model request.
        ...(firstRequestMs === undefined ? {} : { firstRequestMs }),
        peakMemoryBytes: maxRSS * 1024,
      });
    },
  };
}

function textOutput(out: Sink, err: Sink): Output {
  let midLine = false;
  const dim = (text: string) => {
    if (midLine) out.write("\n");
    midLine = false;
    err.write(`${styleText("dim", safe(text), { stream: process.stderr })}\n`);
  };
  return {
    update: (_, update) => {
      if (update.type === "text_delta") {
        out.write(safe(update.text));
        midLine = !update.text.endsWith("\n");
        return;
      }
      if (update.type === "assistant_block" && midLine) {
        out.write("\n");
        midLine = false;
      }
      const text = describe(update);
      if (text) dim(text);
    },
    note: dim,
    failure: ({ message }) => dim(message),
    result: (sessionId, { stopReason, failure }) => {
      if (midLine) out.write("\n");
      if (failure) dim(failure.message);
      dim(`${stopReason === "end_turn" ? "Done" : `Stopped: ${stopReason}`}. Session ${sessionId}`);
    },
  };
}

const priceWords: { readonly [price in PriceClass]: string } = {
  free: " (local, no price)",
  cheaper: " (cheaper)",
  similar: " (about the same price)",
  dearer: " (dearer)",
  unknown: " (price not known)",
};

/** One line about an update, or nothing where there is nothing to say. */
function describe(update: SessionUpdate): string | undefined {
  switch (update.type) {
    case "turn_started":
      return update.recorded
        ? "Recording: no key and no local model were found, so a recorded conversation plays. Set ANTHROPIC_API_KEY or OPENAI_API_KEY to ask for anything."
        : undefined;
    case "model_routed":
      return `${safe(update.label)}: ${safe(update.reason)} (${update.strategy})`;
    case "budget_resolved":
      return describeBudgetChoice(update.choice);
    case "answer_reused": {
      const asked = update.match === "similar" ? `, to “${safe(update.question.trim().split("\n", 1)[0] ?? "")}”` : "";
      const when = new Date(update.answeredAt).toISOString().slice(0, 16).replace("T", " ");
      return `Answered before, at ${when} UTC${asked}; nothing that the answer rests on has changed. Ask again with --fresh.`;
    }
    case "tool_started":
      return `● ${safe(update.title)}`;
    case "tool_result":
      return update.isError ? `  ✗ ${safe(update.text.split("\n", 1)[0] ?? "")}` : undefined;
    case "file_changed":
      return describeChange(update.change);
    case "retry_delta":
      return `${update.reason} Trying again.`;
    case "model_changed":
      return `Went on with ${safe(update.label)}${priceWords[update.price]}, because: ${safe(update.reason)}`;
    case "compacted": {
      const { means, tokensBefore, tokensAfter } = update;
      return `Conversation compacted (${means}): about ${tokensBefore} → ${tokensAfter} tokens`;
    }
    case "compaction_undone":
      return "[the last compaction was undone]";
    case "notice":
      return update.message;
    default:
      return undefined;
  }
}

function describeBudgetChoice(
  choice: Extract<SessionEvent, { type: "budget_resolved" }>["choice"],
): string | undefined {
  if (choice.type === "raise") return "The limit was raised; going on.";
  return choice.type === "again" ? "The limit was changed; going on." : undefined;
}

function describeChange({ uri, movedFrom, addedLines, removedLines }: FileChange): string {
  if (movedFrom !== undefined) return `  →  ${safe(movedFrom)} → ${safe(uri)}`;
  return `  ±  ${safe(uri)} +${addedLines} -${removedLines}`;
}

/** Lists sessions, one a line. */
export function printSessions(sessions: readonly SessionSummary[]): string {
  if (sessions.length === 0) return 'No sessions here yet. Start one with: hermes run "what to do"\n';
  return sessions
    .map(({ sessionId, title, updatedAt, turns, snippet }) => {
      const when = new Date(updatedAt).toISOString().slice(0, 16).replace("T", " ");
      const hit = snippet ? `\n    ${safe(snippet)}` : "";
      return `${sessionId}  ${when}  ${String(turns).padStart(3)} turns  ${safe(title)}${hit}\n`;
    })
    .join("");
}

/** Prints a session as text that reads like a conversation. */
export function printSession(events: readonly SessionEvent[]): string {
  return events
    .map((event) => {
      switch (event.type) {
        case "turn_started":
          return `\n> ${event.prompt.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("\n> ")}\n\n`;
        case "assistant_block":
          return event.block.part.type === "text" ? `${safe(event.block.part.text)}\n` : "";
        case "turn_finished":
          return event.stopReason === "end_turn" ? "" : `[${event.stopReason}] ${event.failure?.message ?? ""}\n`;
        case "restore_started":
          return `[${describeRestore(event.target)}]\n`;
        default: {
          const line = describe(event);
          return line ? `${line}\n` : "";
        }
      }
    })
    .join("");
}

function describeRestore(target: RestoreTarget): string {
  if (target.type === "restore") return "the last restore was undone";
  if (target.type === "turn") return "undone";
  const { files, conversation } = target;
  const what = files && conversation ? "files and conversation" : files ? "files" : "conversation";
  return `${what} restored to before an earlier turn`;
}

/** Model and file text must not steer the terminal. */
function safe(text: string): string {
  return stripVTControlCharacters(text);
}
