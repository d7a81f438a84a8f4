/**
 * The format of a journal: one event per line, appends as batches that count whole or not at all, damage passed over.
 *
 * Not here: who writes when (`journal.ts`). Easily got wrong: nothing that was written is ever removed. A batch that was
 * cut, or that lost the race for its position, stays in the file, and no reader counts it.
 *
 * The first line of a batch has one field more than its event, `_batch`: its writer's name and the number of its lines.
 * A line that begins no batch, from another hand, is a batch of one.
 */
import type { FileHandle } from "node:fs/promises";
import type { SessionEvent } from "../protocol/events.ts";

/** How far a journal has been understood. */
export interface JournalPosition {
  /** Sequence number of the last event that counts; 0 before the first. */
  readonly seq: number;
  /** Bytes up to the end of the last line whose fate is known: where to read on. */
  readonly offset: number;
}

/** Before the first byte. */
export const journalStart: JournalPosition = { seq: 0, offset: 0 };

/** Events that were appended together. */
export interface Batch {
  /** Absent for lines from another hand. */
  readonly writer: string | undefined;
  readonly events: readonly SessionEvent[];
}

/** What reading on has found. */
export interface Scan extends JournalPosition {
  /** Bytes that the file had; those after `offset` belong to a batch that is not complete, or not yet. */
  readonly size: number;
  /** Bytes of lines that are not events and of batches that were cut, the one at the end included. */
  readonly damagedBytes: number;
  /** True when the file ends within a line. */
  readonly cut: boolean;
}

/** Ends a half line at the end of a file, so that it can never be taken for an event, nor the next line glued onto it. */
export const cutMark = "!cut\n";

/** A longer line is no event of ours; it is passed over without being held in memory. */
export const maxLineBytes = 128 * 1024 * 1024;

const chunkBytes = 256 * 1024;
const newline = 0x0a;

/** The bytes of a batch, whose events are not empty and follow each other. */
export function encodeBatch(writer: string, events: readonly SessionEvent[]): Buffer {
  const lines = events.map(({ seq, at, ...body }, index) =>
    JSON.stringify({ seq, at, ...(index === 0 ? { _batch: `${writer}:${events.length}` } : {}), ...body }),
  );
  return Buffer.from(`${lines.join("\n")}\n`);
}

/** Reads from `from` to the end in bounded memory, and hands out each batch that counts, in order. */
export async function scanJournal(
  handle: FileHandle,
  from: JournalPosition,
  accept: (batch: Batch) => void,
): Promise<Scan> {
  const batches = new BatchReader(from, accept);
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let size = from.offset;
  let held: Buffer[] = [];
  let heldBytes = 0;
  const hold = (piece: Buffer) => {
    heldBytes += piece.length;
    if (heldBytes > maxLineBytes) held = [];
    else held.push(piece);
  };
  for (;;) {
    const { bytesRead } = await handle.read(chunk, 0, chunkBytes, size);
    if (bytesRead === 0) break;
    size += bytesRead;
    const read = chunk.subarray(0, bytesRead);
    let start = 0;
    for (let end = read.indexOf(newline); end >= 0; end = read.indexOf(newline, start)) {
      hold(read.subarray(start, end));
      const text = heldBytes > maxLineBytes ? "" : Buffer.concat(held).toString("utf8");
      batches.take(text, heldBytes + 1);
      held = [];
      heldBytes = 0;
      start = end + 1;
    }
    // Copied, because the next read fills the same chunk.
    if (start < bytesRead) hold(Buffer.from(read.subarray(start)));
  }
  const position = batches.position;
  return { ...position, size, damagedBytes: batches.damagedBytes + size - position.offset, cut: heldBytes > 0 };
}

/** An event as a line has it. */
export interface JournalLine {
  readonly event: SessionEvent;
  /** Of the first line of a batch: whose it is, and how many lines it has. */
  readonly batch: { readonly writer: string; readonly lines: number } | undefined;
}

/** A batch whose lines have not all been seen. */
interface OpenBatch {
  readonly writer: string;
  readonly firstSeq: number;
  readonly lines: number;
  /** `undefined` for a line that is no event. */
  readonly seen: (SessionEvent | undefined)[];
  bytes: number;
  damagedBytes: number;
}

/** Decides line by line which batches count: complete ones that begin after the last event. */
class BatchReader {
  readonly #accept: (batch: Batch) => void;
  #seq: number;
  #offset: number;
  #open: OpenBatch | undefined;
  damagedBytes = 0;

  constructor(from: JournalPosition, accept: (batch: Batch) => void) {
    this.#seq = from.seq;
    this.#offset = from.offset;
    this.#accept = accept;
  }

  get position(): JournalPosition {
    return { seq: this.#seq, offset: this.#offset };
  }

  /** Takes the next line without its end; `bytes` counts the end. */
  take(text: string, bytes: number): void {
    const line = parseLine(text);
    if (this.#open && this.#belongs(this.#open, line)) {
      this.#extend(this.#open, line?.event, bytes);
      return;
    }
    if (this.#open) {
      this.#offset += this.#open.bytes;
      this.damagedBytes += this.#open.bytes;
      this.#open = undefined;
    }
    if (line?.batch && line.batch.lines > 1) {
      const { writer, lines } = line.batch;
      const open: OpenBatch = { writer, lines, firstSeq: line.event.seq, seen: [], bytes: 0, damagedBytes: 0 };
      this.#open = open;
      this.#extend(open, line.event, bytes);
      return;
    }
    this.#offset += bytes;
    if (line) this.#count({ writer: line.batch?.writer, events: [line.event] });
    else if (text !== "" && text !== cutMark.trimEnd()) this.damagedBytes += bytes;
  }

  #belongs(open: OpenBatch, line: JournalLine | undefined): boolean {
    return line === undefined || (line.batch === undefined && line.event.seq === open.firstSeq + open.seen.length);
  }

  #extend(open: OpenBatch, event: SessionEvent | undefined, bytes: number): void {
    open.seen.push(event);
    open.bytes += bytes;
    if (!event) open.damagedBytes += bytes;
    if (open.seen.length < open.lines) return;
    this.#open = undefined;
    this.#offset += open.bytes;
    // A write is only ever cut at its end. A bad line before a good one is later damage, and costs that line alone.
    if (event === undefined) {
      this.damagedBytes += open.bytes;
      return;
    }
    this.damagedBytes += open.damagedBytes;
    this.#count({ writer: open.writer, events: open.seen.filter((seen) => seen !== undefined) });
  }

  /** A batch at or before the last position lost the race for it, and its writer was told so. */
  #count(batch: Batch): void {
    const first = batch.events[0];
    const last = batch.events.at(-1);
    if (!first || !last || first.seq <= this.#seq) return;
    this.#seq = last.seq;
    this.#accept(batch);
  }
}

/** Reads a line; `undefined` when it is no event. Looks at the position only: a type from a newer version is kept, and passed over by those who do not know it. */
export function parseLine(text: string): JournalLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isEventLine(value)) return undefined;
  const { _batch, ...event } = value;
  const [, writer, lines] = /^([\w-]+):([1-9]\d{0,6})$/.exec(_batch ?? "") ?? [];
  const batch = writer === undefined || lines === undefined ? undefined : { writer, lines: Number(lines) };
  return { event, batch };
}

function isEventLine(value: unknown): value is SessionEvent & { readonly _batch?: string } {
  if (typeof value !== "object" || value === null || !("seq" in value && "at" in value && "type" in value))
    return false;
  if ("_batch" in value && typeof value._batch !== "string") return false;
  const { seq, at, type } = value;
  return Number.isSafeInteger(seq) && Number(seq) > 0 && Number.isFinite(at) && typeof type === "string";
}
