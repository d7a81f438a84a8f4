/**
 * The sessions that are in memory: read when first needed, repaired, read again when another process has written to them.
 *
 * Not here: what may be asked of a session (`host.ts`). Easily got wrong: a session in which something runs never leaves
 * memory, and one that does takes nothing with it but what its journal has.
 */
import type { Clock } from "../base/async.ts";
import { RequestError } from "../base/errors.ts";
import type { SessionEvent, SessionUpdate } from "../protocol/events.ts";
import type { PendingFile } from "../protocol/review.ts";
import type { BlobId, SessionId } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import type { Registry } from "../tools/registry.ts";
import type { Queues } from "../workspace/queues.ts";
import type { Workspace } from "../workspace/workspace.ts";
import { recoverRestore } from "./restore.ts";
import { Review } from "./review.ts";
import { createSession, openOwner, openSession, type Session, type SessionDeps } from "./session.ts";
import { heldMessages } from "./thread.ts";
import type { SessionMemory } from "./toolCalls.ts";

/** A session in memory. */
export interface LiveSession {
  readonly session: Session;
  readonly review: Review;
  /** Requests other than a turn that are at work in it. */
  busy: number;
  readonly registry: Registry;
  readonly memory: SessionMemory;
  turn: { readonly controller: AbortController; readonly done: Promise<unknown> } | undefined;
  /** A compaction between turns; a prompt does not wait for one in the background. */
  compaction:
    | {
        readonly controller: AbortController;
        readonly done: Promise<unknown>;
        readonly place: "background" | "foreground";
      }
    | undefined;
  /** True while files or the conversation go back, or the user compacts. */
  restoring: boolean;
}

/** What keeping sessions needs from outside. */
export interface LiveSessionsDeps {
  readonly store: SessionStore;
  readonly workspace: Workspace;
  readonly fileOrder: Queues;
  readonly createRegistry: () => Registry;
  readonly onUpdate: (sessionId: SessionId, update: SessionUpdate) => void;
  readonly onReview?: (sessionId: SessionId, files: readonly PendingFile[]) => void;
  readonly clock: Clock;
  readonly pid: number;
  readonly isAlive: (pid: number) => boolean;
}

/** Sessions kept in memory while nothing runs in them; older ones are read again when needed. */
const idleSessionLimit = 16;
/** Messages of all sessions in memory together; beyond it idle ones go too, but for the newest. 10,000 take about 27 MB. */
const idleMessageLimit = 40_000;
/** A turn of another live process counts as running for this long after its last event, in ms. */
const foreignTurnMs = 10 * 60_000;

/** The live sessions of one host. */
export class LiveSessions {
  readonly #deps: LiveSessionsDeps;
  readonly #live = new Map<SessionId, Promise<LiveSession>>();
  /** Those of `#live` that have been read. */
  readonly #present = new Map<SessionId, LiveSession>();

  constructor(deps: LiveSessionsDeps) {
    this.#deps = deps;
  }

  /** Starts a session and stores its first event. */
  async create(id: SessionId, cwd: string): Promise<void> {
    const live = this.#enliven(id, [], (deps) => createSession(deps, id, cwd));
    this.#keep(id, live);
    await live;
  }

  /** The session, read from the store when it is not in memory. Throws `RequestError` `unknown_session`, `session_busy`. */
  open(id: SessionId): Promise<LiveSession> {
    const known = this.#live.get(id);
    if (known) return known;
    const opened = this.#recovered(id);
    this.#keep(id, opened);
    return opened;
  }

  /** The session if it is in memory. */
  async known(id: SessionId): Promise<LiveSession | undefined> {
    return this.#live.get(id);
  }

  /** The session if it is in memory and has been read. */
  present(id: SessionId): LiveSession | undefined {
    return this.#present.get(id);
  }

  /** Every session that is in memory, once all of them have been read. */
  async all(): Promise<readonly LiveSession[]> {
    const settled = await Promise.allSettled(this.#live.values());
    return settled.flatMap((live) => (live.status === "fulfilled" ? live.value : []));
  }

  /** The stored contents that sessions in memory still need: for pending hunks, and for a turn that runs. */
  neededBlobs(): readonly BlobId[] {
    return [...this.#present.values()].flatMap(({ session, review, turn }) => {
      const changes = turn ? (session.state.turns.at(-1)?.changes ?? []) : [];
      const images = changes.flatMap(({ before, after }) => [before, after]).filter((id) => id !== null);
      return [...images, ...review.neededBlobs()];
    });
  }

  /** Reads a session again that another process has written to, and tells what was missed. */
  async reopen(id: SessionId, stale: LiveSession): Promise<LiveSession> {
    if ((await this.#live.get(id)) === stale) this.forget(id);
    stale.review.close();
    const opened = await this.open(id);
    const { events } = await this.#deps.store.read(id);
    for (const event of events) {
      if (event.seq > stale.session.state.seq && event.seq <= opened.session.state.seq) this.#deps.onUpdate(id, event);
    }
    return opened;
  }

  /** Drops a session from memory, to be read anew. */
  forget(id: SessionId): void {
    this.#live.delete(id);
    this.#present.delete(id);
  }

  async #recovered(id: SessionId): Promise<LiveSession> {
    const record = await this.#deps.store.read(id);
    const owner = openOwner(record.events);
    const { clock, isAlive, pid } = this.#deps;
    if (owner && owner.hostPid !== pid && isAlive(owner.hostPid) && clock.now() - owner.lastAt < foreignTurnMs) {
      throw new RequestError(
        "session_busy",
        "A turn or a restore of this session is running in another window or terminal. Wait for its end.",
      );
    }
    const live = await this.#enliven(id, record.events, (deps) => openSession(deps, id, record));
    await live.session.recover();
    await recoverRestore(live.session, this.#deps, new AbortController().signal);
    return live;
  }

  async #enliven(
    id: SessionId,
    events: readonly SessionEvent[],
    open: (deps: SessionDeps) => Promise<Session>,
  ): Promise<LiveSession> {
    const { store, workspace, fileOrder, onUpdate, onReview, clock } = this.#deps;
    const opening = open({
      store,
      onUpdate: (sessionId, update) => {
        if ("seq" in update) review.take(update);
        onUpdate(sessionId, update);
      },
    });
    const review = new Review(
      {
        store,
        workspace,
        fileOrder,
        append: async (body) => (await opening).append(body),
        clock,
        ...(onReview ? { onChange: (files) => onReview(id, files) } : {}),
      },
      events,
    );
    return {
      session: await opening,
      review,
      busy: 0,
      registry: this.#deps.createRegistry(),
      memory: { lastSeen: new Map(), rules: [] },
      turn: undefined,
      compaction: undefined,
      restoring: false,
    };
  }

  #keep(id: SessionId, live: Promise<LiveSession>): void {
    this.#live.set(id, live);
    live.then(
      (read) => {
        if (this.#live.get(id) === live) this.#present.set(id, read);
        this.evict();
      },
      () => this.#live.delete(id),
    );
  }

  #isTooMuch(): boolean {
    const messages = [...this.#present.values()].reduce((sum, { session }) => sum + heldMessages(session.state), 0);
    return this.#live.size > idleSessionLimit || messages > idleMessageLimit;
  }

  /** Lets idle sessions go while there are too many, or they hold too much. */
  evict(): void {
    void (async () => {
      for (const [id, entry] of this.#live) {
        // Whoever has opened the newest is about to use it.
        if (!this.#isTooMuch() || id === [...this.#live.keys()].at(-1)) return;
        const live = await entry.catch(() => undefined);
        if (live?.turn || live?.compaction || (live?.busy ?? 0) > 0) continue;
        live?.review.close();
        this.forget(id);
      }
    })();
  }
}
