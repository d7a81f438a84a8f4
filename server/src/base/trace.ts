/**
 * What the host tells about its own working: log lines with a level, published for whoever subscribes in `main/`, and the
 * phases of the work at hand, for whoever records them.
 *
 * Not here: where they go. Easily got wrong: nobody listening costs nothing, and a line never holds a key, a prompt or
 * file content. What runs outside of the work's own async context (a socket's listener) says its phase to a recorder
 * that was taken within it.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { channel } from "node:diagnostics_channel";

/** One line of the log. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  /** The stack of a bug. */
  readonly error?: unknown;
}

const lines = channel("hermes.log");

/** Publishes a log line. */
export function log(level: LogLine["level"], message: string, error?: unknown): void {
  if (lines.hasSubscribers) lines.publish({ level, message, ...(error === undefined ? {} : { error }) });
}

/** Subscribes to the log until the result is called. */
export function onLog(listener: (line: LogLine) => void): () => void {
  const forward = (message: unknown) => listener(message as LogLine);
  lines.subscribe(forward);
  return () => lines.unsubscribe(forward);
}

/** The names of phases; `Phase` in `protocol/types.ts` says what each is. */
export type PhaseName = "build" | "queue" | "wait" | "connect" | "first_token" | "generation" | "apply" | "settle";

/** A stretch of time, in milliseconds from the making of its recorder. */
export interface RecordedPhase {
  readonly name: PhaseName;
  readonly fromMs: number;
  readonly ms: number;
  readonly reason?: string;
}

/** Phases that one recorder keeps; what comes after counts to the last one, so that no time is lost. */
const maxPhases = 100;
/** Characters of a reason that are kept. */
const maxReason = 200;

interface OpenPhase {
  readonly name: PhaseName;
  readonly fromMs: number;
  readonly reason: string | undefined;
}

const recording = new AsyncLocalStorage<PhaseRecorder>();

/** The recorder of the work that calls this, where somebody records it. */
export function phaseRecorder(): PhaseRecorder | undefined {
  return recording.getStore();
}

/** Runs `work` as a phase of what is recorded; afterwards the phase from before goes on. */
export async function inPhase<T>(name: PhaseName, work: () => Promise<T>): Promise<T> {
  const leave = recording.getStore()?.within(name);
  try {
    return await work();
  } finally {
    leave?.();
  }
}

/** Keeps the phases of one piece of work: at any moment it is in one, or in none. */
export class PhaseRecorder {
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #done: RecordedPhase[] = [];
  #open: OpenPhase | undefined;
  /** Phases that `within` has begun, the innermost last. */
  #inner: { readonly name: PhaseName }[] = [];

  /** `now` in milliseconds; the recording begins at once. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = now();
  }

  /** Those that are over, in order; none is empty. */
  get phases(): readonly RecordedPhase[] {
    return this.#done;
  }

  /** Runs `work`, whose phases are then kept here. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return recording.run(this, work);
  }

  /** Ends the phase that is open and begins another. */
  enter(name: PhaseName, reason?: string): void {
    this.end();
    this.#open = { name, fromMs: this.#now() - this.#startedAt, reason: reason?.slice(0, maxReason) };
  }

  /** Ends the phase that is open, if one is. */
  end(): void {
    const open = this.#open;
    this.#open = undefined;
    const ms = open ? this.#now() - this.#startedAt - open.fromMs : 0;
    if (!open || ms <= 0) return;
    const { name, fromMs, reason } = open;
    const last = this.#done.at(-1);
    const isSame = last?.name === name && last.reason === reason && last.fromMs + last.ms === fromMs;
    if (last && (isSame || this.#done.length >= maxPhases)) {
      this.#done[this.#done.length - 1] = { ...last, ms: fromMs + ms - last.fromMs };
    } else this.#done.push({ name, fromMs, ms, ...(reason === undefined ? {} : { reason }) });
  }

  /** Begins a phase within the one that is open; the result ends it. Several may overlap: the newest counts. */
  within(name: PhaseName): () => void {
    const inner = { name };
    this.#inner.push(inner);
    this.enter(name);
    return () => {
      this.#inner = this.#inner.filter((other) => other !== inner);
      const before = this.#inner.at(-1);
      if (before) this.enter(before.name);
      else this.end();
    };
  }
}
