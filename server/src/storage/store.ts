/**
 * Where sessions are kept: the interface that the journal, the in-memory store and later adapters share.
 *
 * Not here: what events mean (`session/reduce.ts`). Easily got wrong: `append` resolves only when the events would
 * survive the end of the process, so callers may show them afterwards and not before.
 */
import type { SessionEvent, SessionEventBody } from "../protocol/events.ts";
import type { BlobId, SessionId, SessionSummary } from "../protocol/types.ts";

/** Another writer has appended to the session since the caller last read it. */
export class StaleSessionError extends Error {
  override readonly name = "StaleSessionError";
}

/** Which sessions to list, newest first. */
export interface SessionQuery {
  /** Only sessions of this folder. */
  readonly cwd?: string;
  /** Words that must all occur in the session's prompts, answers or title. */
  readonly text?: string;
  readonly limit: number;
}

/** The events that could be read, and what was wrong with the rest, if anything. */
export interface SessionRecord {
  readonly events: readonly SessionEvent[];
  /** Bytes of a last line that was cut while being written, or of lines that are not events; kept aside, never lost. */
  readonly damagedBytes: number;
}

/** The newest turns of a session. */
export interface SessionTail {
  /** The events from the first of these turns on, after the ones before the first turn that say whose session it is. */
  readonly events: readonly SessionEvent[];
  /** Whether there are turns before them. */
  readonly hasEarlier: boolean;
}

/** Durable storage of sessions. */
export interface SessionStore {
  /**
   * Appends in order and returns the events with their positions. Throws `StaleSessionError` when the last position is
   * not `expectedSeq` (0 for a new session).
   */
  append(id: SessionId, expectedSeq: number, bodies: readonly SessionEventBody[]): Promise<readonly SessionEvent[]>;
  /** All events of a session. Throws `RequestError` with code `unknown_session` when there is none. */
  read(id: SessionId): Promise<SessionRecord>;
  /**
   * The newest `turns` turns, at a cost that does not grow with the session. `undefined` when only a whole reading can tell
   * them, or finds out what is wrong. Absent where reading costs nothing.
   */
  readTail?(id: SessionId, turns: number): Promise<SessionTail | undefined>;
  list(query: SessionQuery): Promise<readonly SessionSummary[]>;
  /** Stores bytes under the hash of their content; storing them again costs nothing. */
  putBlob(bytes: Uint8Array): Promise<BlobId>;
  /**
   * Asked for the blobs that must stay when room is made for others. Absent where nothing is ever removed: then blobs
   * stay for good.
   */
  keepBlobs?(needed: () => Iterable<BlobId>): void;
  /** Throws `RequestError` with code `unknown_blob` when it is not there, or not any more. */
  getBlob(id: BlobId): Promise<Uint8Array>;
  /** Waits for everything appended and releases files. */
  close(): Promise<void>;
}
