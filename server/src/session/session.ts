/**
 * One conversation: appends events and folds them, in that order, and keeps what is being streamed for late joiners.
 *
 * Not here: what a turn does (`turn.ts`) and who may start one (`host.ts`). Easily got wrong: nothing is shown before
 * the store has it (append before emit), deltas excepted; `recover` closes what a killed host left open.
 */
import { Serial } from "../base/async.ts";
import { assertNever } from "../base/errors.ts";
import type { SessionDelta, SessionEvent, SessionEventBody, SessionUpdate } from "../protocol/events.ts";
import type { SessionId } from "../protocol/types.ts";
import type { SessionRecord, SessionStore } from "../storage/store.ts";
import { wellFormed } from "../text/wellFormed.ts";
import { initialState, openCalls, reduceAll, runningTurn, type SessionState } from "./reduce.ts";

/** What a session needs from outside. */
export interface SessionDeps {
  readonly store: SessionStore;
  /** Told of every event after it is stored, and of every delta, in order. */
  readonly onUpdate: (sessionId: SessionId, update: SessionUpdate) => void;
}

/** Characters of a running call's output that a late joiner is given. */
const liveOutputLimit = 64 * 1024;

/** A live session. Made by `createSession` or `openSession`. */
export class Session {
  readonly id: SessionId;
  readonly #deps: SessionDeps;
  readonly #appends = new Serial();
  #state: SessionState;
  #live: SessionDelta[] = [];

  constructor(id: SessionId, deps: SessionDeps, events: readonly SessionEvent[]) {
    this.id = id;
    this.#deps = deps;
    this.#state = reduceAll(initialState, events);
  }

  /** The fold of everything stored so far. */
  get state(): SessionState {
    return this.#state;
  }

  /** What has been streamed and is not yet part of a stored event, joined. */
  get live(): readonly SessionDelta[] {
    return this.#live;
  }

  /** Stores events, folds them, then announces them. Throws what the store throws, and then nothing has changed. */
  append(...bodies: readonly SessionEventBody[]): Promise<void> {
    return this.#appends.run(async () => {
      const events = await this.#deps.store.append(this.id, this.#state.seq, wellFormed(bodies));
      this.#state = reduceAll(this.#state, events);
      for (const event of events) {
        this.#live = this.#live.filter((delta) => !isReplacedBy(delta, event));
        this.#deps.onUpdate(this.id, event);
      }
    });
  }

  /** Announces a delta. */
  stream(delta: SessionDelta): void {
    this.#live = joinDelta(this.#live, delta);
    this.#deps.onUpdate(this.id, delta);
  }

  /** Resolves when every append so far has settled. */
  idle(): Promise<void> {
    return this.#appends.idle();
  }

  /**
   * Gives every call without a result one, and ends the turn, after the process that ran it has gone.
   * Does nothing when nothing is open.
   */
  async recover(): Promise<void> {
    const turn = runningTurn(this.#state);
    if (!turn) return;
    const results = openCalls(this.#state).map(
      (callId): SessionEventBody => ({
        type: "tool_result",
        callId,
        isError: true,
        durationMs: 0,
        text: "Error: the agent host stopped before this call finished. It may have had some effect: check before you do it again.",
      }),
    );
    await this.append(...results, {
      type: "turn_finished",
      turnId: turn.turnId,
      stopReason: "error",
      failure: {
        code: "host_stopped",
        message:
          "The agent host stopped while this turn was running. Everything up to that point is kept. Send a message to go on from here.",
      },
    });
  }
}

/** Starts a session and stores its first event. */
export async function createSession(deps: SessionDeps, id: SessionId, cwd: string): Promise<Session> {
  const session = new Session(id, deps, []);
  await session.append({ type: "session_created", sessionId: id, cwd, version: 1 });
  return session;
}

/** A session from what the store has of it. Says so in the session when some of that could not be read. */
export async function openSession(deps: SessionDeps, id: SessionId, record: SessionRecord): Promise<Session> {
  const session = new Session(id, deps, record.events);
  const message = `${record.damagedBytes} bytes of this session could not be read: the process or the machine stopped while they were written. They are kept in its journal.`;
  const isTold = record.events.some((event) => event.type === "notice" && event.message === message);
  if (record.damagedBytes > 0 && !isTold) await session.append({ type: "notice", level: "warning", message });
  return session;
}

/** The process whose turn or restore is open in a list of events, if one is, and when it last did something. */
export function openOwner(events: readonly SessionEvent[]): { hostPid: number; lastAt: number } | undefined {
  const started = events.findLast(({ type }) => type === "turn_started" || type === "restore_started");
  if (started?.type !== "turn_started" && started?.type !== "restore_started") return undefined;
  const finished = events.some((event) =>
    started.type === "turn_started"
      ? event.type === "turn_finished" && event.turnId === started.turnId
      : event.type === "restore_finished" && event.restoreId === started.restoreId,
  );
  return finished ? undefined : { hostPid: started.hostPid, lastAt: events.at(-1)?.at ?? started.at };
}

function isReplacedBy(delta: SessionDelta, event: SessionEvent): boolean {
  switch (event.type) {
    case "assistant_block":
      return "index" in delta && delta.index === event.index;
    case "tool_result":
      return "callId" in delta && delta.type === "tool_output_delta" && delta.callId === event.callId;
    case "step_started":
    case "step_restarted":
    case "turn_finished":
      return true;
    case "compacted":
      return delta.type === "compaction_delta";
    default:
      return delta.type === "retry_delta";
  }
}

function joinDelta(live: SessionDelta[], delta: SessionDelta): SessionDelta[] {
  const at = live.findIndex((other) => keyOf(other) === keyOf(delta));
  if (delta.type === "compaction_delta" && !delta.isRunning) return at < 0 ? live : live.toSpliced(at, 1);
  const previous = live[at];
  if (!previous) return [...live, delta];
  return live.with(at, joined(previous, delta));
}

function keyOf(delta: SessionDelta): string {
  switch (delta.type) {
    case "tool_output_delta":
      return `output:${delta.callId}`;
    case "retry_delta":
      return "retry";
    case "compaction_delta":
      return "compaction";
    default:
      return `block:${delta.index}`;
  }
}

function joined(previous: SessionDelta, delta: SessionDelta): SessionDelta {
  switch (delta.type) {
    case "text_delta":
    case "thinking_delta":
      return previous.type === delta.type ? { ...delta, text: previous.text + delta.text } : delta;
    case "tool_call_delta":
      return previous.type === delta.type ? { ...delta, json: previous.json + delta.json } : delta;
    case "tool_output_delta":
      return previous.type === delta.type
        ? { ...delta, text: (previous.text + delta.text).slice(-liveOutputLimit) }
        : delta;
    case "retry_delta":
    case "compaction_delta":
      return delta;
    default:
      return assertNever(delta);
  }
}
