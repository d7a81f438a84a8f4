/**
 * The fold from events to a line of the session list and the text that a search looks in; and the search of one such text.
 *
 * Not here: where summaries are kept (`sessionIndex.ts`, `memory.ts`). Easily got wrong: the fold is incremental, so it
 * must give the same for events that come in one go and for events that come in pieces.
 */
import type { SessionEvent } from "../protocol/events.ts";
import type { SessionId, SessionSummary } from "../protocol/types.ts";
import type { SessionQuery } from "./store.ts";

/** A session as lists and searches see it. */
export interface Summarized {
  readonly summary: SessionSummary;
  /** Prompts and answers, oldest first, up to `maxTextLength`. */
  readonly text: string;
}

/** Characters of one session that can be found; what is said after them is not searched. */
export const maxTextLength = 100_000;

const maxTitleLength = 80;
const maxTerms = 20;
const maxTermLength = 200;

/** The summary of a session without events. */
export function emptySummary(sessionId: SessionId): Summarized {
  const summary: SessionSummary = { sessionId, title: "", cwd: "", createdAt: 0, updatedAt: 0, turns: 0 };
  return { summary, text: "" };
}

/** The summary after one more event; events of a kind it does not know only move the time. */
export function summarize(before: Summarized, event: SessionEvent): Summarized {
  const { summary } = before;
  const createdAt = event.seq === 1 || summary.createdAt === 0 ? event.at : summary.createdAt;
  const next = { ...before, summary: { ...summary, createdAt, updatedAt: event.at } };
  switch (event.type) {
    case "session_created":
      return { ...next, summary: { ...next.summary, cwd: event.cwd } };
    case "title_set":
      return { ...next, summary: { ...next.summary, title: oneLine(event.title) } };
    case "turn_started": {
      const texts = event.prompt.flatMap((part) => {
        if (part.type === "text") return [part.text];
        return part.type === "reference" ? [part.label] : [];
      });
      const typed = event.prompt.find((part) => part.type === "text");
      const title = next.summary.title || oneLine(typed?.type === "text" ? typed.text : (texts[0] ?? ""));
      return withText({ ...next, summary: { ...next.summary, title, turns: summary.turns + 1 } }, texts.join("\n"));
    }
    case "assistant_block":
      return event.block.part.type === "text" ? withText(next, event.block.part.text) : next;
    default:
      return next;
  }
}

/** The words of a query, each of which must occur; none when the query asks for no text. */
export function searchTerms(query: SessionQuery): readonly string[] {
  const words = (query.text ?? "").normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);
  return words.slice(0, maxTerms).map((word) => word.slice(0, maxTermLength));
}

/** The text around the first hit when every term occurs in the title or the text; otherwise `undefined`. */
export function findTerms({ summary, text }: Summarized, terms: readonly string[]): string | undefined {
  const title = summary.title.toLowerCase();
  const lower = text.toLowerCase();
  if (!terms.every((term) => title.includes(term) || lower.includes(term))) return undefined;
  const first = terms.find((term) => lower.includes(term));
  return first === undefined ? summary.title : around(text, lower.indexOf(first), first.length);
}

/** Characters shown before and after a hit. */
const contextLength = 60;

function around(text: string, at: number, length: number): string {
  const from = Math.max(0, at - contextLength);
  const to = Math.min(text.length, at + length + contextLength);
  // A cut surrogate pair would show as a replacement character.
  const piece = text.slice(from, to).replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, "");
  return `${from > 0 ? "…" : ""}${piece.replace(/\s+/g, " ").trim()}${to < text.length ? "…" : ""}`;
}

function withText(summarized: Summarized, text: string): Summarized {
  const room = maxTextLength - summarized.text.length - 1;
  if (room <= 0 || text === "") return summarized;
  const added = text.normalize("NFC").slice(0, room);
  return { ...summarized, text: summarized.text === "" ? added : `${summarized.text}\n${added}` };
}

function oneLine(text: string): string {
  const line = text.trim().split(/[\r\n]/, 1)[0] ?? "";
  return line.length > maxTitleLength ? `${line.slice(0, maxTitleLength - 1)}…` : line;
}
