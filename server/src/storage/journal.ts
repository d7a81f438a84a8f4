/**
 * `SessionStore` on append-only files: `sessions/<id>.jsonl`, blobs beside them, and an index derived from them.
 *
 * Not here: the format of a line (`journalFile.ts`), searching (`sessionIndex.ts`). Easily got wrong: no lock is held.
 * Two processes may write at once; the file's order decides, and after its write each looks whether it came first.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type Deferred, deferred, Serial } from "../base/async.ts";
import { errorCode, RequestError } from "../base/errors.ts";
import { flushFolder } from "../base/flushFolder.ts";
import type { SessionEvent, SessionEventBody } from "../protocol/events.ts";
import type { BlobId, SessionId } from "../protocol/types.ts";
import { type BlobStore, createBlobStore } from "./blobs.ts";
import { makePrivateFolder, storageError } from "./durableFile.ts";
import { cutMark, encodeBatch, journalStart, maxLineBytes, type Scan, scanJournal } from "./journalFile.ts";
import { readJournalTail } from "./journalTail.ts";
import { createSessionIndex, type SessionIndex } from "./sessionIndex.ts";
import { type SessionRecord, type SessionStore, type SessionTail, StaleSessionError } from "./store.ts";
import { numbered, staleSession, unknownSession } from "./stored.ts";

/** What the store needs from outside. */
export interface JournalStoreDeps {
  /** Absolute path of the folder that holds everything; made, for its owner only, when something is first stored. */
  readonly dir: string;
  readonly clock: Pick<Clock, "now">;
  /** Bytes on disk that blobs may take; without end when absent. */
  readonly blobQuota?: () => number;
  /** Where SQLite's WebAssembly file is; found beside the bundle or in the package when absent. */
  readonly locateWasm?: () => string;
  /** Writes bytes at the end of a file and returns how many; a test gives one that fails. */
  readonly write?: (handle: FileHandle, bytes: Uint8Array) => Promise<number>;
}

interface PendingAppend {
  readonly expectedSeq: number;
  readonly bodies: readonly SessionEventBody[];
  readonly result: Deferred<readonly SessionEvent[]>;
}

/** An append that has its place in the batch about to be written. */
interface PlacedAppend {
  readonly result: Deferred<readonly SessionEvent[]>;
  readonly events: readonly SessionEvent[];
}

/** One journal as this store knows it. */
interface Journal {
  readonly id: SessionId;
  readonly path: string;
  readonly serial: Serial;
  readonly pending: PendingAppend[];
  /** How far the file was understood when last looked at; absent before the first look. */
  known: Scan | undefined;
  /** Operations under way. */
  users: number;
}

/** Journals whose end is remembered between appends. */
const rememberedJournals = 256;

/** Makes the store in `dir`. Nothing is touched until it is used. */
export function createJournalStore(deps: JournalStoreDeps): SessionStore {
  return new JournalStore(deps);
}

class JournalStore implements SessionStore {
  readonly #deps: JournalStoreDeps;
  readonly #folder: string;
  readonly #journals = new Map<SessionId, Journal>();
  readonly #blobs: BlobStore;
  /** Names this store in the batches it writes; never the same twice. */
  readonly #writer = randomBytes(6).toString("hex");
  #index: SessionIndex | undefined;
  #closed = false;

  constructor(deps: JournalStoreDeps) {
    this.#deps = deps;
    this.#folder = join(deps.dir, "sessions");
    const { dir, clock, blobQuota } = deps;
    this.#blobs = createBlobStore({ dir, now: clock.now, ...(blobQuota ? { quota: blobQuota } : {}) });
  }

  append(id: SessionId, expectedSeq: number, bodies: readonly SessionEventBody[]): Promise<readonly SessionEvent[]> {
    return this.#use(id, (journal) => {
      const result = deferred<readonly SessionEvent[]>();
      journal.pending.push({ expectedSeq, bodies, result });
      // The first to run takes everything that is waiting by then; the others find nothing left.
      void journal.serial.run(() => this.#flush(journal));
      return result.promise;
    });
  }

  read(id: SessionId): Promise<SessionRecord> {
    return this.#use(id, (journal) =>
      journal.serial.run(async () => {
        const events: SessionEvent[] = [];
        const scan = await this.#scanWhole(journal, events);
        if (events.length === 0) throw scan?.damagedBytes ? unreadableSession(journal, scan) : unknownSession(id);
        return { events, damagedBytes: scan?.damagedBytes ?? 0 };
      }),
    );
  }

  readTail(id: SessionId, turns: number): Promise<SessionTail | undefined> {
    return this.#use(id, (journal) =>
      journal.serial.run(() => this.#reading(journal, (handle) => readJournalTail(handle, turns))),
    );
  }

  async list(query: Parameters<SessionStore["list"]>[0]): ReturnType<SessionStore["list"]> {
    this.#assertOpen();
    const { dir, locateWasm } = this.#deps;
    this.#index ??= createSessionIndex({
      sessionsFolder: this.#folder,
      path: join(dir, "index.sqlite"),
      ...(locateWasm ? { locateWasm } : {}),
    });
    return this.#index.list(query);
  }

  async putBlob(bytes: Uint8Array): ReturnType<SessionStore["putBlob"]> {
    this.#assertOpen();
    return this.#blobs.put(bytes);
  }

  getBlob(id: Parameters<SessionStore["getBlob"]>[0]): Promise<Uint8Array> {
    return this.#blobs.get(id);
  }

  keepBlobs(needed: () => Iterable<BlobId>): void {
    this.#blobs.keep(needed);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#journals.values()].map(({ serial }) => serial.idle()));
    await this.#blobs.close();
    await this.#index?.close();
    this.#index = undefined;
    this.#journals.clear();
  }

  async #use<T>(id: SessionId, run: (journal: Journal) => Promise<T>): Promise<T> {
    this.#assertOpen();
    // The id becomes a file name.
    if (!/^[a-z0-9-]{1,100}$/.test(id)) throw unknownSession(id);
    const path = join(this.#folder, `${id}.jsonl`);
    const journal: Journal = this.#journals.get(id) ?? {
      id,
      path,
      serial: new Serial(),
      pending: [],
      known: undefined,
      users: 0,
    };
    this.#journals.delete(id);
    this.#journals.set(id, journal);
    journal.users += 1;
    try {
      return await run(journal);
    } finally {
      journal.users -= 1;
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    for (const [id, { users }] of this.#journals) {
      if (this.#journals.size <= rememberedJournals) return;
      if (users === 0) this.#journals.delete(id);
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error("The session store is closed.");
  }

  #scanWhole(journal: Journal, events: SessionEvent[]): Promise<Scan | undefined> {
    return this.#reading(journal, async (handle) => {
      journal.known = await scanJournal(handle, journalStart, (batch) => {
        for (const event of batch.events) events.push(event);
      });
      return journal.known;
    });
  }

  /** Reads from the file; `undefined` when there is none. */
  async #reading<T>(journal: Journal, read: (handle: FileHandle) => Promise<T>): Promise<T | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(journal.path, "r");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw storageError("Could not read the conversation", journal.path, error);
    }
    try {
      return await read(handle);
    } finally {
      await handle.close();
    }
  }

  /** Writes what is pending, as one batch with one flush to disk, and settles every append; never rejects. */
  async #flush(journal: Journal): Promise<void> {
    const pending = journal.pending.splice(0);
    if (pending.length === 0) return;
    try {
      const handle = await openForAppend(journal.path, pending);
      if (!handle) return settleWithoutFile(journal, pending);
      try {
        await this.#writePending(journal, handle, pending);
      } finally {
        await handle.close();
      }
    } catch (error) {
      const told =
        error instanceof StaleSessionError
          ? error
          : storageError("Could not save the conversation", journal.path, error);
      for (const { result } of pending) result.reject(told);
    }
  }

  async #writePending(journal: Journal, handle: FileHandle, pending: readonly PendingAppend[]): Promise<void> {
    const known = await lookAgain(journal, handle);
    const placed = place(journal, pending, known.seq, this.#deps.clock.now());
    const events = placed.flatMap((append) => append.events);
    const last = events.at(-1);
    if (last) {
      const batch = encodeBatch(this.#writer, events);
      if (batch.length > maxLineBytes) {
        throw new Error(`${batch.length} bytes at once are more than the ${maxLineBytes} that one step may add`);
      }
      const bytes = known.cut ? Buffer.concat([Buffer.from(cutMark), batch]) : batch;
      await writeAll(handle, bytes, this.#deps.write ?? writeSome);
      const end = known.size + bytes.length;
      if ((await handle.stat()).size === end) {
        journal.known = { seq: last.seq, offset: end, size: end, damagedBytes: 0, cut: false };
      } else await this.#assertFirst(journal, handle, known, events);
      await handle.datasync();
      if (known.size === 0) await flushFolder(this.#folder);
    }
    for (const append of placed) append.result.resolve(append.events);
  }

  /** Another process wrote at the same time: throws `StaleSessionError` unless our batch is the one that counts. */
  async #assertFirst(
    journal: Journal,
    handle: FileHandle,
    known: Scan,
    events: readonly SessionEvent[],
  ): Promise<void> {
    let counts = false;
    const scan = await scanJournal(handle, known, (batch) => {
      counts ||= batch.writer === this.#writer && batch.events[0]?.seq === events[0]?.seq;
    });
    journal.known = scan;
    if (!counts) throw staleSession(journal.id, known.seq, scan.seq);
  }
}

/** Opens the journal, making it when a session begins; `undefined` when there is none and none begins. */
async function openForAppend(path: string, pending: readonly PendingAppend[]): Promise<FileHandle | undefined> {
  const begins = pending.some(({ expectedSeq, bodies }) => expectedSeq === 0 && bodies.length > 0);
  const flags = constants.O_RDWR | constants.O_APPEND | (begins ? constants.O_CREAT : 0);
  try {
    return await open(path, flags, 0o600);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    if (!begins) return undefined;
  }
  await makePrivateFolder(join(path, ".."));
  return open(path, flags, 0o600);
}

/** What the file holds now: as remembered, or read on when it has changed. */
async function lookAgain(journal: Journal, handle: FileHandle): Promise<Scan> {
  const { size } = await handle.stat();
  const { known } = journal;
  if (known && known.size === size) return known;
  const from = known && known.offset <= size ? known : journalStart;
  const scan = await scanJournal(handle, from, () => undefined);
  journal.known = scan;
  return scan;
}

/** Gives each append its positions, and refuses those that do not follow. */
function place(journal: Journal, pending: readonly PendingAppend[], seq: number, at: number): readonly PlacedAppend[] {
  const placed: PlacedAppend[] = [];
  let next = seq;
  for (const { expectedSeq, bodies, result } of pending) {
    if (expectedSeq !== next) {
      result.reject(staleSession(journal.id, expectedSeq, next));
      continue;
    }
    placed.push({ result, events: numbered(next, at, bodies) });
    next += bodies.length;
  }
  return placed;
}

function settleWithoutFile(journal: Journal, pending: readonly PendingAppend[]): void {
  for (const append of place(journal, pending, 0, 0)) append.result.resolve(append.events);
}

/** One write as a rule, so that the batch is in one piece; a disk that takes less is asked again for the rest. */
async function writeAll(
  handle: FileHandle,
  bytes: Uint8Array,
  write: NonNullable<JournalStoreDeps["write"]>,
): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += await write(handle, bytes.subarray(at));
}

async function writeSome(handle: FileHandle, bytes: Uint8Array): Promise<number> {
  const { bytesWritten } = await handle.write(bytes);
  return bytesWritten;
}

function unreadableSession({ id, path }: Journal, { damagedBytes }: Scan): RequestError {
  return new RequestError(
    "unknown_session",
    `Session ${id} has no readable event. Its ${damagedBytes} damaged bytes are kept in ${path}; restore that file from a backup if there is one.`,
  );
}
