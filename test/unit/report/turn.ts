/**
 * Events of a turn by the moment at which they happened, for tests of reports.
 *
 * Not here: the panel's messages (`test/support/panelMessages.ts`). Easily got wrong: moments are ms from the prompt.
 */
import type { SessionEvent, SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { CallId, TurnId, Usage } from "../../../server/src/protocol/types.ts";
import { type TurnTimes, turnTimes } from "../../../server/src/report/turnTimes.ts";

/** The turn of the tests. */
export const turnId = "t1" as TurnId;
/** When its prompt arrived. */
export const startAt = 1_000_000;

/** An event and when it happened. */
export type Timed = readonly [number, SessionEventBody];

/** The events of a turn that begins at once and ends at `end`. */
export function turnEvents(end: number, ...timed: readonly Timed[]): readonly SessionEvent[] {
  const all: readonly Timed[] = [
    [0, started()],
    ...timed,
    [end, { type: "turn_finished", turnId, stopReason: "end_turn" }],
  ];
  return all.map(([at, body], index) => ({ ...body, seq: index + 1, at: startAt + at }));
}

/** The times of such a turn. */
export function timesOf(end: number, ...timed: readonly Timed[]): TurnTimes {
  const [times] = turnTimes(turnEvents(end, ...timed));
  if (!times) throw new Error("There is no turn.");
  return times;
}

function started(): SessionEventBody {
  return {
    type: "turn_started",
    turnId,
    prompt: [{ type: "text", text: "Do it" }],
    origin: "panel",
    context: "",
    model: "test/model",
    recorded: false,
    hostPid: 1,
    preparedMs: 0,
  };
}

/** A step that begins. */
export function stepStarted(step: number): SessionEventBody {
  return { type: "step_started", turnId, step };
}

/** A usage with nothing in it but what is given. */
export function usage(given: Partial<Usage> = {}): Usage {
  return { inputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 0, thinkingTokens: 0, ...given };
}

/** A step that ends. */
export function stepFinished(
  step: number,
  given: Partial<Extract<SessionEventBody, { type: "step_finished" }>> = {},
): SessionEventBody {
  return { type: "step_finished", turnId, step, usage: usage(), firstEventMs: 0, totalMs: 0, phases: [], ...given };
}

/** A call that the model makes. */
export function called(step: number, id: string): SessionEventBody {
  const part = { type: "tool_call", callId: id as CallId, name: "shell", input: {} } as const;
  return { type: "assistant_block", turnId, step, index: 0, api: "anthropic-messages", block: { part } };
}

/** A call that begins to run. */
export function ran(id: string, title = `Run ${id}`): SessionEventBody {
  return { type: "tool_started", callId: id as CallId, name: "shell", kind: "execute", title, locations: [] };
}

/** A call that has its result. */
export function result(
  id: string,
  given: Partial<Extract<SessionEventBody, { type: "tool_result" }>> = {},
): SessionEventBody {
  return { type: "tool_result", callId: id as CallId, text: "", isError: false, durationMs: 0, ...given };
}
