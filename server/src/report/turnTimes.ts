/**
 * When things happened in a turn and what they used: the pure fold of its events that waterfall and findings are made of.
 *
 * Not here: what the time went to (`waterfall.ts`) and what is worth saying of it (`findings.ts`). Easily got wrong:
 * journals from before phases were recorded have none, and a turn whose host was gone was closed by a later one, long
 * after it had ended.
 */
import type { SessionEvent } from "../protocol/events.ts";
import type { CacheOutcome, CallId, Phase, Usage } from "../protocol/types.ts";

/** A step: when, and what its request used. Times in milliseconds since the epoch. */
export interface StepTimes {
  readonly step: number;
  readonly model: string;
  readonly startedAt: number;
  /** Absent for a step that was cut off by the end of its host. */
  readonly endedAt?: number;
  /** Absent where they were not recorded. */
  readonly phases?: readonly Phase[];
  /** Milliseconds from the request to its first event and to its last, of the last attempt. */
  readonly firstEventMs: number;
  readonly totalMs: number;
  readonly usage?: Usage;
  /** US dollars. */
  readonly cost?: number;
  readonly cache?: CacheOutcome;
  readonly priceStepTokens?: number;
  /** Why it was asked a second time. */
  readonly restarted?: string;
}

/** A tool call: when it was made, asked about, run and answered. Times in milliseconds since the epoch. */
export interface CallTimes {
  readonly callId: CallId;
  readonly name: string;
  /** One line that says what it does. */
  readonly title: string;
  readonly step: number;
  readonly madeAt: number;
  readonly askedAt?: number;
  readonly answeredAt?: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly phases: readonly Phase[];
}

/** Another model took over. */
export interface ModelChangeTimes {
  readonly at: number;
  readonly step: number;
  readonly label: string;
  readonly reason: string;
}

/** The conversation was compacted, in the midst of the turn. */
export interface CompactionTimes {
  /** When it was done. */
  readonly at: number;
  readonly ms: number;
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  /** US dollars. */
  readonly cost?: number;
}

/** The times of one turn, in milliseconds since the epoch. */
export interface TurnTimes {
  /** When its prompt arrived. */
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly model: string;
  /** The answer was given before. */
  readonly reused: boolean;
  readonly steps: readonly StepTimes[];
  readonly calls: readonly CallTimes[];
  readonly changes: readonly ModelChangeTimes[];
  readonly compactions: readonly CompactionTimes[];
  /** When it waited for the user at a limit; `toAt` is absent while it does, or where its host was gone. */
  readonly waits: readonly { readonly fromAt: number; readonly toAt?: number }[];
  /** Of the last event, and of the last one before that moment. */
  readonly lastAt: number;
  readonly beforeAt: number;
}

/** The times of a turn that begins. */
export function beginTimes({ at, preparedMs = 0, model }: Extract<SessionEvent, { type: "turn_started" }>): TurnTimes {
  const startedAt = at - preparedMs;
  const nothing = { steps: [], calls: [], changes: [], compactions: [], waits: [] };
  return { startedAt, model, reused: false, ...nothing, lastAt: at, beforeAt: at };
}

/** The times after one more event of the turn. */
export function foldTimes(times: TurnTimes, event: SessionEvent): TurnTimes {
  const next = { ...times, lastAt: event.at, beforeAt: event.at > times.lastAt ? times.lastAt : times.beforeAt };
  switch (event.type) {
    case "answer_reused":
      return { ...next, reused: true };
    case "step_started": {
      const { step, at } = event;
      const started: StepTimes = { step, model: times.model, startedAt: at, firstEventMs: 0, totalMs: 0 };
      return { ...next, steps: [...times.steps, started] };
    }
    case "step_restarted":
      return withLastStep(next, (step) => ({ ...step, restarted: event.reason }));
    case "step_finished": {
      const { at, firstEventMs, totalMs, usage, cost, phases, cache, priceStepTokens } = event;
      return withLastStep(next, (step) => ({
        ...step,
        endedAt: at,
        firstEventMs,
        totalMs,
        usage,
        ...(cost === undefined ? {} : { cost }),
        ...(phases ? { phases } : {}),
        ...(cache ? { cache } : {}),
        ...(priceStepTokens === undefined ? {} : { priceStepTokens }),
      }));
    }
    case "model_changed": {
      const { at, step, label, reason, to } = event;
      const changed = { ...next, model: to, changes: [...times.changes, { at, step, label, reason }] };
      // At a limit the step goes on with the other model.
      return withLastStep(changed, (last) => (last.endedAt === undefined ? { ...last, model: to } : last));
    }
    case "compacted": {
      const { at, durationMs: ms, tokensBefore, tokensAfter, cost } = event;
      const compaction = { at, ms, tokensBefore, tokensAfter, ...(cost === undefined ? {} : { cost }) };
      return { ...next, compactions: [...times.compactions, compaction] };
    }
    case "budget_reached":
      return { ...next, waits: [...times.waits, { fromAt: event.at }] };
    case "budget_resolved": {
      const wait = times.waits.at(-1);
      return wait ? { ...next, waits: times.waits.with(-1, { ...wait, toAt: event.at }) } : next;
    }
    case "assistant_block": {
      const { part } = event.block;
      if (part.type !== "tool_call") return next;
      const { callId, name } = part;
      const call: CallTimes = { callId, name, title: name, step: event.step, madeAt: event.at, phases: [] };
      return { ...next, calls: [...times.calls, call] };
    }
    case "permission_requested":
      return withCall(next, event.callId, { askedAt: event.at, title: event.request.title });
    case "permission_resolved":
      return withCall(next, event.callId, { answeredAt: event.at });
    case "tool_started":
      return withCall(next, event.callId, { startedAt: event.at, title: event.title });
    case "tool_result":
      return withCall(next, event.callId, { endedAt: event.at, phases: event.phases ?? [] });
    case "turn_finished": {
      const isOrphan = event.failure?.code === "host_stopped";
      return { ...next, endedAt: isOrphan ? next.beforeAt : event.at };
    }
    default:
      return next;
  }
}

/** The times of every turn of a session, oldest first. */
export function turnTimes(events: readonly SessionEvent[]): readonly TurnTimes[] {
  const turns: TurnTimes[] = [];
  for (const event of events) {
    const last = turns.at(-1);
    if (event.type === "turn_started") turns.push(beginTimes(event));
    else if (last && last.endedAt === undefined) turns[turns.length - 1] = foldTimes(last, event);
  }
  return turns;
}

function withLastStep(times: TurnTimes, change: (step: StepTimes) => StepTimes): TurnTimes {
  const last = times.steps.at(-1);
  return last ? { ...times, steps: times.steps.with(-1, change(last)) } : times;
}

function withCall(times: TurnTimes, callId: CallId, change: Partial<CallTimes>): TurnTimes {
  const at = times.calls.findLastIndex((call) => call.callId === callId);
  const call = times.calls[at];
  return call ? { ...times, calls: times.calls.with(at, { ...call, ...change }) } : times;
}
