/**
 * Lists and searches sessions by a SQLite file that is derived from the journals, and from nothing else.
 *
 * Not here: writing journals. Easily got wrong: the index may be stale, deleted or broken at any moment; every list first
 * reads what the journals have more, and whatever SQLite cannot make sense of is thrown away and built again.
 *
 * SQLite is loaded by the first list, never at start. Its build has no trigram search, and word search misses Chinese and
 * parts of identifiers, so text is searched as text.
 */
import { existsSync } from "node:fs";
import { type FileHandle, open, readdir, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Database, SqlValue } from "sql.js";
import { Serial } from "../base/async.ts";
import { errorCode, messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { SessionId, SessionSummary } from "../protocol/types.ts";
import { writeFileDurably } from "./durableFile.ts";
import { type JournalPosition, journalStart, scanJournal } from "./journalFile.ts";
import type { SessionQuery } from "./store.ts";
import { emptySummary, findTerms, type Summarized, searchTerms, summarize } from "./summary.ts";

/** What the index needs from outside. */
export interface SessionIndexDeps {
  /** The folder of the journals; nothing but `<id>.jsonl` in it is looked at. */
  readonly sessionsFolder: string;
  /** The file of the index. */
  readonly path: string;
  /** Where SQLite's WebAssembly file is. */
  readonly locateWasm?: () => string;
}

/** The derived lookup of sessions. */
export interface SessionIndex {
  /** Newest first, up to date with the journals. */
  list(query: SessionQuery): Promise<readonly SessionSummary[]>;
  /** Stores what was learnt, so that the next process need not read it again, and frees memory. */
  close(): Promise<void>;
}

/** Raised whenever the tables or the fold change: an index of another version is built again. */
const indexVersion = 1;
/** Journal bytes read since the index was last stored after which it is stored again at once. */
const saveAfterBytes = 4 * 1024 * 1024;
/** Characters of text in the whole index; of the oldest sessions beyond it only the beginning is kept. */
const maxIndexedLength = 24_000_000;
const shortenedLength = 2_000;
/** Files looked at side by side. */
const statConcurrency = 64;

const schema = `
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, mtime REAL, size INTEGER, offset INTEGER, seq INTEGER, mark TEXT,
    title TEXT, cwd TEXT, created INTEGER, updated INTEGER, turns INTEGER
  );
  CREATE INDEX byTime ON sessions (updated DESC, id DESC);
  CREATE TABLE texts (id TEXT PRIMARY KEY, text TEXT);
  PRAGMA user_version = ${indexVersion};
`;

/** Makes the index. Nothing is loaded or read before the first list. */
export function createSessionIndex(deps: SessionIndexDeps): SessionIndex {
  const serial = new Serial();
  let opened: OpenIndex | undefined;
  const answer = async (query: SessionQuery): Promise<readonly SessionSummary[]> => {
    opened ??= await openIndex(deps);
    await refresh(opened, deps);
    return select(opened.database, query);
  };
  const rebuilt = (query: SessionQuery, error: unknown) => {
    log("warn", `The session index was built again from the journals: ${messageOf(error)}`);
    opened?.database.close();
    opened = undefined;
    return (async () => {
      opened = await emptyIndex(deps);
      return answer(query);
    })();
  };
  return {
    list: (query) =>
      serial.run(async () => {
        try {
          return await answer(query);
        } catch (error) {
          // System errors are about the journals, or SQLite's own file: building again would not help.
          if (error instanceof IndexUnavailable || errorCode(error) !== undefined) throw error;
          return rebuilt(query, error);
        }
      }),
    close: () =>
      serial.run(async () => {
        if (!opened) return;
        await save(opened, deps.path);
        opened.database.close();
        opened = undefined;
      }),
  };
}

interface OpenIndex {
  readonly database: Database;
  /** Whether the stored file lacks something. */
  changed: boolean;
  /** Journal bytes read since it was stored. */
  unsavedBytes: number;
}

class IndexUnavailable extends Error {
  override readonly name = "IndexUnavailable";
}

async function openIndex(deps: SessionIndexDeps): Promise<OpenIndex> {
  const sqlite = await loadSqlite(deps.locateWasm ?? findWasm);
  const bytes = await readFile(deps.path).catch(() => undefined);
  if (bytes) {
    const database = new sqlite.Database(bytes);
    try {
      const version = database.exec("PRAGMA user_version")[0]?.values[0]?.[0];
      // Damage further in shows when it is read, and then the index is built again as well.
      if (version === indexVersion) return { database, changed: false, unsavedBytes: 0 };
    } catch {
      // Not a database, or one cut in the middle: told below with the rest.
    }
    database.close();
    log("info", "The session index is damaged or of another version; it is built again from the journals.");
  }
  return emptyIndex(deps);
}

async function emptyIndex(deps: SessionIndexDeps): Promise<OpenIndex> {
  const sqlite = await loadSqlite(deps.locateWasm ?? findWasm);
  const database = new sqlite.Database();
  database.run(schema);
  return { database, changed: true, unsavedBytes: 0 };
}

async function loadSqlite(locateWasm: () => string) {
  try {
    const [{ default: initSqlJs }, wasm] = await Promise.all([import("sql.js"), readFile(locateWasm())]);
    return await initSqlJs({ wasmBinary: new Uint8Array(wasm).buffer });
  } catch (error) {
    throw new IndexUnavailable(
      `Sessions cannot be listed, because SQLite could not be loaded: ${messageOf(error)}. The sessions themselves are unharmed. Reinstall Hermes.`,
      { cause: error },
    );
  }
}

/** Beside the bundle, or above it when this is a chunk of one; otherwise in the package. */
function findWasm(): string {
  const bundled = [".", ".."]
    .map((up) => join(import.meta.dirname, up, "sql-wasm.wasm"))
    .find((path) => existsSync(path));
  return bundled ?? createRequire(import.meta.url).resolve("sql.js/dist/sql-wasm.wasm");
}

/** A journal as the index last saw it. */
interface IndexedJournal extends JournalPosition {
  /** Milliseconds since the epoch. */
  readonly mtime: number;
  readonly size: number;
  /** The last bytes before `offset`, by which a file that was put in the journal's place is told from one that grew. */
  readonly mark: string;
}

/** A journal as it is on disk. */
type FileState = Pick<IndexedJournal, "mtime" | "size">;

async function refresh(index: OpenIndex, { sessionsFolder, path }: SessionIndexDeps): Promise<void> {
  const { database } = index;
  const present = await statJournals(sessionsFolder);
  const known = new Map(
    rowsOf(database, "SELECT id, mtime, size, offset, seq, mark FROM sessions").map(
      ([id, mtime, size, offset, seq, mark]): [string, IndexedJournal] => [
        String(id),
        { mtime: Number(mtime), size: Number(size), offset: Number(offset), seq: Number(seq), mark: String(mark) },
      ],
    ),
  );
  const gone = [...known.keys()].filter((id) => !present.has(id));
  for (const id of gone) remove(database, id);
  const changed = [...present].filter(([id, { size, mtime }]) => {
    const seen = known.get(id);
    return seen?.size !== size || seen.mtime !== mtime;
  });
  if (gone.length + changed.length === 0) return;
  index.changed = true;
  for (const [id, file] of changed) {
    index.unsavedBytes += await readOn(database, join(sessionsFolder, `${id}.jsonl`), id, file, known.get(id));
  }
  shortenOldest(database);
  if (index.unsavedBytes >= saveAfterBytes) await save(index, path);
}

async function statJournals(folder: string): Promise<ReadonlyMap<string, FileState>> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  });
  const ids = names.flatMap((name) => /^([a-z0-9-]{1,100})\.jsonl$/.exec(name)?.[1] ?? []);
  const present = new Map<string, FileState>();
  for (let at = 0; at < ids.length; at += statConcurrency) {
    const some = ids.slice(at, at + statConcurrency);
    const states = await Promise.all(some.map((id) => stat(join(folder, `${id}.jsonl`)).catch(() => undefined)));
    states.forEach((state, i) => {
      const id = some[i];
      if (state?.isFile() && id !== undefined) present.set(id, { mtime: state.mtimeMs, size: state.size });
    });
  }
  return present;
}

/** Folds what a journal has more, or all of it when it is not the file it was. Resolves to the bytes read. */
async function readOn(
  database: Database,
  path: string,
  id: string,
  file: FileState,
  seen: IndexedJournal | undefined,
): Promise<number> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    const grown = seen && file.size > seen.size && (await markAt(handle, seen.offset)) === seen.mark ? seen : undefined;
    const from = grown ?? journalStart;
    let summarized = grown ? summarizedOf(database, id) : emptySummary(id as SessionId);
    const { seq, offset, size } = await scanJournal(handle, from, ({ events }) => {
      summarized = events.reduce(summarizeLeniently, summarized);
    });
    const mark = await markAt(handle, offset);
    const { mtimeMs } = await handle.stat();
    store(database, summarized, { seq, offset, size, mark, mtime: mtimeMs });
    return size - from.offset;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    log("warn", `The session ${id} could not be read for the list: ${messageOf(error)}`);
    return 0;
  } finally {
    await handle?.close();
  }
}

const markBytes = 64;

async function markAt(handle: FileHandle, offset: number): Promise<string> {
  const length = Math.min(markBytes, offset);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset - length);
  return buffer.toString("hex", 0, bytesRead);
}

/** An event of a known type in an unknown shape, from a newer version, must not hide every session from the list. */
function summarizeLeniently(before: Summarized, event: Parameters<typeof summarize>[1]): Summarized {
  try {
    return summarize(before, event);
  } catch {
    return before;
  }
}

function store(database: Database, { summary, text }: Summarized, journal: IndexedJournal): void {
  const { sessionId, title, cwd, createdAt, updatedAt, turns } = summary;
  const { mtime, size, offset, seq, mark } = journal;
  database.run("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [
    ...[sessionId, mtime, size, offset, seq, mark],
    ...[title, cwd, createdAt, updatedAt, turns],
  ]);
  database.run("INSERT OR REPLACE INTO texts VALUES (?, ?)", [sessionId, text]);
}

function remove(database: Database, id: string): void {
  database.run("DELETE FROM sessions WHERE id = ?", [id]);
  database.run("DELETE FROM texts WHERE id = ?", [id]);
}

function shortenOldest(database: Database): void {
  const [[total] = []] = rowsOf(database, "SELECT sum(length(text)) FROM texts");
  if (Number(total) <= maxIndexedLength) return;
  let sum = 0;
  const lengths =
    "SELECT s.id, length(t.text) FROM sessions s JOIN texts t USING (id) ORDER BY s.updated DESC, s.id DESC";
  for (const [id, length] of rowsOf(database, lengths)) {
    sum += Number(length);
    if (sum <= maxIndexedLength || id === undefined) continue;
    database.run(`UPDATE texts SET text = substr(text, 1, ${shortenedLength}) WHERE id = ?`, [id]);
  }
}

const summaryColumns = "s.id, s.title, s.cwd, s.created, s.updated, s.turns";

function summarizedOf(database: Database, id: string): Summarized {
  const select = `SELECT ${summaryColumns}, t.text FROM sessions s JOIN texts t USING (id) WHERE s.id = ?`;
  const row = rowsOf(database, select, [id])[0];
  return row ? toSummarized(row) : emptySummary(id as SessionId);
}

function toSummarized([id, title, cwd, created, updated, turns, text = ""]: readonly SqlValue[]): Summarized {
  return {
    summary: {
      sessionId: String(id) as SessionId,
      title: String(title),
      cwd: String(cwd),
      createdAt: Number(created),
      updatedAt: Number(updated),
      turns: Number(turns),
    },
    text: String(text),
  };
}

function select(database: Database, query: SessionQuery): readonly SessionSummary[] {
  const terms = searchTerms(query);
  const conditions = ["s.seq > 0"];
  const values: SqlValue[] = [];
  if (query.cwd !== undefined) {
    conditions.push("s.cwd = ?");
    values.push(query.cwd);
  }
  // SQLite finds candidates fast; it ignores the case of ASCII only, so other words are left to `findTerms`.
  for (const term of terms.filter((word) => isAsciiOrCaseless(word))) {
    conditions.push("(s.title LIKE ? ESCAPE '\\' OR t.text LIKE ? ESCAPE '\\')");
    const pattern = `%${term.replace(/[\\%_]/g, "\\$&")}%`;
    values.push(pattern, pattern);
  }
  const searched = terms.length > 0;
  const statement = database.prepare(
    `SELECT ${summaryColumns}${searched ? ", t.text" : ""} FROM sessions s ${searched ? "JOIN texts t USING (id)" : ""}
     WHERE ${conditions.join(" AND ")} ORDER BY s.updated DESC, s.id DESC`,
  );
  const found: SessionSummary[] = [];
  try {
    statement.bind(values);
    while (found.length < query.limit && statement.step()) {
      const session = toSummarized(statement.get());
      const snippet = searched ? findTerms(session, terms) : undefined;
      if (snippet !== undefined) found.push({ ...session.summary, snippet });
      else if (!searched) found.push(session.summary);
    }
  } finally {
    statement.free();
  }
  return found;
}

function isAsciiOrCaseless(word: string): boolean {
  return [...word].every((char) => char < "\u0080" || char.toLowerCase() === char.toUpperCase());
}

function rowsOf(database: Database, sql: string, values: SqlValue[] = []): readonly (readonly SqlValue[])[] {
  return database.exec(sql, values)[0]?.values ?? [];
}

/** Stores the index if it has changed; a failure costs time at the next start, nothing else. */
async function save(index: OpenIndex, path: string): Promise<void> {
  if (!index.changed) return;
  try {
    await writeFileDurably(path, index.database.export());
    index.changed = false;
    index.unsavedBytes = 0;
  } catch (error) {
    log("warn", `The session index could not be stored; it is built again next time: ${messageOf(error)}`);
  }
}
