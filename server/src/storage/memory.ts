/**
 * `SessionStore` in memory: for tests, and the model of what every other store must do.
 *
 * Not here: anything durable. Easily got wrong: what is given out and taken in is copied, as a disk would do, so that a
 * caller that changes an object changes no stored event.
 */
import type { Clock } from "../base/async.ts";
import type { SessionEvent } from "../protocol/events.ts";
import type { BlobId, SessionId, SessionSummary } from "../protocol/types.ts";
import type { SessionQuery, SessionStore } from "./store.ts";
import { blobIdOf, numbered, staleSession, unknownBlob, unknownSession } from "./stored.ts";
import { emptySummary, findTerms, searchTerms, summarize } from "./summary.ts";

/** What the store needs from outside. */
export interface MemoryStoreDeps {
  readonly clock: Pick<Clock, "now">;
}

/** Makes an empty store. It holds everything until it is dropped. */
export function createMemoryStore({ clock }: MemoryStoreDeps): SessionStore {
  const sessions = new Map<SessionId, readonly SessionEvent[]>();
  const blobs = new Map<BlobId, Uint8Array>();
  return {
    append: async (id, expectedSeq, bodies) => {
      const known = sessions.get(id) ?? [];
      if (known.length !== expectedSeq) throw staleSession(id, expectedSeq, known.length);
      const added = numbered(expectedSeq, clock.now(), structuredClone(bodies));
      if (added.length > 0) sessions.set(id, [...known, ...added]);
      return structuredClone(added);
    },
    read: async (id) => {
      const events = sessions.get(id);
      if (!events) throw unknownSession(id);
      return { events: structuredClone(events), damagedBytes: 0 };
    },
    list: async (query) => listOf(sessions, query),
    putBlob: async (bytes) => {
      const id = blobIdOf(bytes);
      if (!blobs.has(id)) blobs.set(id, bytes.slice());
      return id;
    },
    getBlob: async (id) => {
      const bytes = blobs.get(id);
      if (!bytes) throw unknownBlob(id);
      return bytes.slice();
    },
    close: async () => undefined,
  };
}

function listOf(sessions: ReadonlyMap<SessionId, readonly SessionEvent[]>, query: SessionQuery): SessionSummary[] {
  const terms = searchTerms(query);
  return [...sessions]
    .map(([id, events]) => events.reduce(summarize, emptySummary(id)))
    .filter(({ summary }) => query.cwd === undefined || summary.cwd === query.cwd)
    .sort((a, b) => b.summary.updatedAt - a.summary.updatedAt || (a.summary.sessionId < b.summary.sessionId ? 1 : -1))
    .flatMap((session): SessionSummary[] => {
      if (terms.length === 0) return [session.summary];
      const snippet = findTerms(session, terms);
      return snippet === undefined ? [] : [{ ...session.summary, snippet }];
    })
    .slice(0, query.limit);
}
