/**
 * The end of a journal, read backwards, so that the newest turns of a long session are there at once.
 *
 * Not here: which batches count when writers raced or died (`journalFile.ts`). Easily got wrong: read backwards, only a file
 * without a trace of either can be trusted: every line an event, each one following the one before. Anything else is left
 * to a reading from the start.
 */
import type { FileHandle } from "node:fs/promises";
import type { SessionEvent } from "../protocol/events.ts";
import { type JournalLine, parseLine } from "./journalFile.ts";
import type { SessionTail } from "./store.ts";

/** Bytes that are read at first; four times as many each time they are not enough. Only lines that are needed are parsed. */
const firstWindow = 256 * 1024;
/** Bytes of the beginning, in which the title is. */
const headBytes = 128 * 1024;
const newline = 0x0a;

/** The newest `turns` turns; `undefined` when the file has to be read from its start to be sure of them. */
export async function readJournalTail(handle: FileHandle, turns: number): Promise<SessionTail | undefined> {
  const { size } = await handle.stat();
  if (size === 0) return undefined;
  for (let window = firstWindow; ; window *= 4) {
    const from = Math.max(0, size - window);
    const lines = linesBefore(await readBytes(handle, from, size), from === 0, turns);
    if (lines === "more") continue;
    const first = lines?.[0]?.event.seq;
    if (!lines || first === undefined || !endsWhole(lines)) return undefined;
    const events = lines.map(({ event }) => event);
    if (first === 1) return { events, hasEarlier: false };
    const head = headOf(await readBytes(handle, 0, Math.min(size, headBytes)));
    return head && { events: [...head, ...events], hasEarlier: true };
  }
}

async function readBytes(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(to - from);
  let read = 0;
  while (read < bytes.length) {
    const { bytesRead } = await handle.read(bytes, read, bytes.length - read, from + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}

/**
 * The lines from the n-th last start of a turn on; `more` when the bytes do not reach back to the line before it, which
 * vouches for it, and `undefined` when one of them is not what it should be.
 */
function linesBefore(bytes: Buffer, isWhole: boolean, turns: number): readonly JournalLine[] | "more" | undefined {
  if (bytes.at(-1) !== newline) return undefined;
  const lines: JournalLine[] = [];
  let starts = 0;
  for (let end = bytes.length - 1; end >= 0; ) {
    const begin = end === 0 ? 0 : bytes.lastIndexOf(newline, end - 1) + 1;
    if (begin === 0 && !isWhole) return "more";
    const line = parseLine(bytes.toString("utf8", begin, end));
    const next = lines.at(-1);
    if (!line || (next && line.event.seq !== next.event.seq - 1)) return undefined;
    if (starts === turns) return lines.toReversed();
    lines.push(line);
    if (line.event.type === "turn_started") starts += 1;
    end = begin - 1;
  }
  return isWhole && lines.at(-1)?.event.seq === 1 ? lines.toReversed() : undefined;
}

/** Whether all lines of the last batch are there. */
function endsWhole(lines: readonly JournalLine[]): boolean {
  const at = lines.findLastIndex(({ batch }) => batch !== undefined);
  return at < 0 || lines.length - at >= (lines[at]?.batch?.lines ?? 1);
}

/** What a client shows of the events before the first turn. */
function headOf(bytes: Buffer): readonly SessionEvent[] | undefined {
  const head: SessionEvent[] = [];
  let seq = 0;
  for (let begin = 0, end = bytes.indexOf(newline); end >= 0; begin = end + 1, end = bytes.indexOf(newline, begin)) {
    const line = parseLine(bytes.toString("utf8", begin, end));
    seq += 1;
    if (line?.event.seq !== seq) return undefined;
    if (line.event.type === "turn_started") return head;
    if (line.event.type === "session_created" || line.event.type === "title_set") head.push(line.event);
  }
  return undefined;
}
