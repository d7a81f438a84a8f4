/**
 * Builds hits with their context from ripgrep's JSON lines, chunk by chunk, in bounded memory.
 *
 * Not here: the process. Easily got wrong: ripgrep prints whole lines, and a line of a generated file can have megabytes;
 * such a message is cut before it is parsed, and its text is shown around the hit only.
 */
import type { SearchHit, SearchOutcome, SearchQuery } from "./workspace.ts";

/** Characters of a line that are shown. */
const maxLineCharacters = 400;
/** Bytes of one JSON message that are parsed. */
const maxMessageBytes = 1024 * 1024;

/** Takes ripgrep's output. */
export interface HitCollector {
  /** Resolves to `false` when there are more hits than wanted: stop ripgrep. */
  readonly push: (chunk: Buffer) => Promise<boolean>;
  /** The hits so far; `stopped` when ripgrep was ended before it was done. */
  readonly finish: (stopped: boolean) => SearchOutcome;
}

interface Line {
  readonly line: number;
  /** The last line's number, for a hit over several. */
  readonly lastLine: number;
  readonly text: string;
  readonly isHit: boolean;
}

/** Makes a collector. `hides` is asked once per file that has a hit. */
export function createHitCollector(
  query: Pick<SearchQuery, "context" | "limit">,
  hides: (path: string) => Promise<boolean>,
): HitCollector {
  const hits: SearchHit[] = [];
  let parts: Buffer[] = [];
  let bytes = 0;
  let path = "";
  let hidden = false;
  let lines: Line[] = [];
  let count = 0;
  let truncated = false;

  const closeFile = () => {
    hits.push(...toHits(path, lines, query.context));
    lines = [];
  };

  const take = async (message: Message | undefined): Promise<boolean> => {
    if (message?.type === "begin") {
      closeFile();
      path = message.path;
      hidden = await hides(path);
    } else if (message && !hidden) {
      if (message.isHit && count === query.limit) {
        truncated = true;
        return false;
      }
      if (message.isHit) count += 1;
      lines.push(message);
    }
    return true;
  };

  return {
    push: async (chunk) => {
      let from = 0;
      for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
        parts.push(chunk.subarray(from, at));
        from = at + 1;
        const message = bytes > maxMessageBytes ? parseCut(Buffer.concat(parts)) : parseMessage(Buffer.concat(parts));
        parts = [];
        bytes = 0;
        if (!(await take(message))) return false;
      }
      if (from === chunk.length) return true;
      // Of a message that is too long only its start is kept, and its latest chunks, where the line's number is.
      bytes += chunk.length - from;
      parts.push(chunk.subarray(from));
      if (bytes > maxMessageBytes && parts.length > 3) parts.splice(1, parts.length - 3);
      return true;
    },
    finish: (stopped) => {
      closeFile();
      return { hits, truncated: truncated || stopped };
    },
  };
}

type Message = { readonly type: "begin"; readonly path: string } | ({ readonly type: "line" } & Line);

function parseMessage(bytes: Buffer): Message | undefined {
  let message: RipgrepMessage;
  try {
    message = JSON.parse(bytes.toString("utf8"));
  } catch {
    return parseCut(bytes);
  }
  const { type, data } = message;
  if (type === "begin") return { type, path: textOf(data.path) };
  if ((type !== "match" && type !== "context") || typeof data.line_number !== "number") return undefined;
  const text = textOf(data.lines).replace(/\r?\n$/, "");
  const start = data.submatches?.[0]?.start ?? 0;
  return {
    type: "line",
    line: data.line_number,
    lastLine: data.line_number + text.split("\n").length - 1,
    text: text
      .split("\n")
      .map((line, i) => cutLine(line.replace(/\r$/, ""), i === 0 ? start : 0))
      .join("\n"),
    isHit: type === "match",
  };
}

/** A message too long to parse: its kind is at its start, its line number near its end. */
function parseCut(bytes: Buffer): Message | undefined {
  const number = /"line_number":(\d+)/.exec(bytes.subarray(-256 * 1024).toString("utf8"))?.[1];
  const isHit = bytes.subarray(0, 20).toString("utf8").startsWith('{"type":"match"');
  if (number === undefined) return undefined;
  const text = `[a line of more than ${maxMessageBytes / (1024 * 1024)} MB]`;
  return { type: "line", line: Number(number), lastLine: Number(number), text, isHit };
}

/** The part of ripgrep's JSON that is read (as of version 15). Text that is not UTF-8 comes as base64. */
interface RipgrepMessage {
  readonly type: string;
  readonly data: {
    readonly path?: RipgrepText;
    readonly lines?: RipgrepText;
    readonly line_number?: number | null;
    readonly submatches?: readonly { readonly start: number }[];
  };
}

interface RipgrepText {
  readonly text?: string;
  readonly bytes?: string;
}

function textOf(value: RipgrepText | undefined): string {
  return value?.text ?? Buffer.from(value?.bytes ?? "", "base64").toString("utf8");
}

/** The line, or the part of a long line around the byte `at`, with `…` where it was cut. */
function cutLine(line: string, at: number): string {
  if (line.length <= maxLineCharacters) return line;
  const hit = Buffer.from(line).subarray(0, at).toString("utf8").length;
  const from = Math.max(0, Math.min(hit - maxLineCharacters / 4, line.length - maxLineCharacters));
  const end = from + maxLineCharacters;
  return `${from > 0 ? "…" : ""}${line.slice(from, end).toWellFormed()}${end < line.length ? "…" : ""}`;
}

function toHits(path: string, lines: readonly Line[], context: number): SearchHit[] {
  return lines.flatMap((line, index): SearchHit[] => {
    if (!line.isHit) return [];
    const near = lines.slice(Math.max(0, index - context), index + context + 1);
    const before = near.filter((other) => other.line < line.line && other.lastLine >= line.line - context);
    const after = near.filter((other) => other.line > line.lastLine && other.line <= line.lastLine + context);
    return [
      {
        path: path.replace(/^\.[/\\]/, ""),
        line: line.line,
        text: line.text,
        before: before.map(({ text }) => text),
        after: after.map(({ text }) => text),
      },
    ];
  });
}
