/**
 * The pure fold from events to session state: what the next request holds, what is open, what can be undone.
 *
 * Not here: how events come about (`turn.ts`) or are stored. Easily got wrong: results may arrive before the last block
 * of the message that asked for them; the message list always shows them after it, in call order.
 */
import type { ModelMessage } from "../model/provider.ts";
import type {
  AssistantBlock,
  CallId,
  FileChange,
  ModelApi,
  PromptPart,
  SessionEvent,
  SessionId,
  ToolResult,
  TurnId,
} from "../protocol/types.ts";

/** The answer that is being received, and the results of its calls so far. */
export interface OpenStep {
  readonly step: number;
  readonly api: ModelApi | undefined;
  readonly blocks: readonly AssistantBlock[];
  readonly results: ReadonlyMap<CallId, ToolResult>;
}

/** A turn as the session remembers it. */
export interface TurnRecord {
  readonly turnId: TurnId;
  readonly model: string;
  readonly recorded: boolean;
  readonly changes: readonly FileChange[];
  readonly undone: boolean;
  readonly finished: boolean;
}

/** Everything a session knows, derived from its events alone. */
export interface SessionState {
  /** Position of the last event; 0 before the first. */
  readonly seq: number;
  readonly sessionId: SessionId | undefined;
  readonly cwd: string;
  readonly title: string | undefined;
  readonly system: string | undefined;
  /** Messages of finished steps. */
  readonly settled: readonly ModelMessage[];
  readonly open: OpenStep | undefined;
  readonly turns: readonly TurnRecord[];
}

/** The state before any event. */
export const initialState: SessionState = {
  seq: 0,
  sessionId: undefined,
  cwd: "",
  title: undefined,
  system: undefined,
  settled: [],
  open: undefined,
  turns: [],
};

/** The state after one more event. Events of a kind it does not know (from a newer version) only move the position. */
export function reduce(state: SessionState, event: SessionEvent): SessionState {
  const next = { ...state, seq: event.seq };
  switch (event.type) {
    case "session_created":
      return { ...next, sessionId: event.sessionId, cwd: event.cwd };
    case "title_set":
      return { ...next, title: event.title };
    case "system_set":
      return { ...next, system: event.text };
    case "turn_started":
      return {
        ...settle(next),
        settled: [...messagesOf(state), { role: "user", parts: [...event.prompt, ...contextParts(event.context)] }],
        turns: [
          ...state.turns,
          {
            turnId: event.turnId,
            model: event.model,
            recorded: event.recorded,
            changes: [],
            undone: false,
            finished: false,
          },
        ],
      };
    case "step_started":
      return { ...settle(next), open: { step: event.step, api: undefined, blocks: [], results: new Map() } };
    case "step_restarted":
      return { ...next, open: { step: event.step, api: undefined, blocks: [], results: new Map() } };
    case "model_changed":
      return state.open && callsOf(state.open).length === 0 ? { ...next, open: undefined } : next;
    case "assistant_block":
      return withOpen(next, (open) => ({ ...open, api: event.api, blocks: [...open.blocks, event.block] }));
    case "tool_result":
      return withOpen(next, (open) => ({
        ...open,
        results: new Map(open.results).set(event.callId, {
          callId: event.callId,
          text: event.text,
          isError: event.isError,
        }),
      }));
    case "file_changed":
      return withTurn(next, event.turnId, (turn) => ({ ...turn, changes: [...turn.changes, event.change] }));
    case "file_change_failed":
      return withTurn(next, event.turnId, (turn) => {
        const last = turn.changes.findLastIndex(({ uri }) => uri === event.uri);
        return { ...turn, changes: turn.changes.filter((_, index) => index !== last) };
      });
    case "turn_finished":
      return withTurn(settle(next), event.turnId, (turn) => ({ ...turn, finished: true }));
    case "turn_undone":
      return withTurn(next, event.turnId, (turn) => ({ ...turn, undone: true }));
    default:
      return next;
  }
}

/** Folds events onto a state. */
export function reduceAll(state: SessionState, events: readonly SessionEvent[]): SessionState {
  return events.reduce(reduce, state);
}

/** The conversation as a model is given it: every call is followed by its results in call order. */
export function messagesOf(state: SessionState): readonly ModelMessage[] {
  return state.open ? [...state.settled, ...messagesOfStep(state.open)] : state.settled;
}

/** Calls of the open step that have no result yet, in call order. */
export function openCalls(state: SessionState): readonly CallId[] {
  const { open } = state;
  return open ? callsOf(open).filter((callId) => !open.results.has(callId)) : [];
}

/** The turn that has started and not finished, if any. */
export function runningTurn(state: SessionState): TurnRecord | undefined {
  const last = state.turns.at(-1);
  return last && !last.finished ? last : undefined;
}

function callsOf(open: OpenStep): readonly CallId[] {
  return open.blocks.flatMap(({ part }) => (part.type === "tool_call" ? [part.callId] : []));
}

function messagesOfStep(open: OpenStep): readonly ModelMessage[] {
  if (open.blocks.length === 0 || open.api === undefined) return [];
  const results = callsOf(open).flatMap((callId) => open.results.get(callId) ?? []);
  const answer: ModelMessage = { role: "assistant", api: open.api, blocks: open.blocks };
  return results.length > 0 ? [answer, { role: "tool", results }] : [answer];
}

function settle(state: SessionState): SessionState {
  return { ...state, settled: messagesOf(state), open: undefined };
}

function withOpen(state: SessionState, change: (open: OpenStep) => OpenStep): SessionState {
  return state.open ? { ...state, open: change(state.open) } : state;
}

function withTurn(state: SessionState, turnId: TurnId, change: (turn: TurnRecord) => TurnRecord): SessionState {
  return { ...state, turns: state.turns.map((turn) => (turn.turnId === turnId ? change(turn) : turn)) };
}

function contextParts(context: string): readonly PromptPart[] {
  return context ? [{ type: "text", text: context }] : [];
}
