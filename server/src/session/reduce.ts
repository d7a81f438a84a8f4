/**
 * The pure fold from events to session state: what the next request holds, what is open, what can be undone.
 *
 * Not here: how events come about (`turn.ts`) or are stored. Easily got wrong: results may arrive before the last block
 * of the message that asked for them; the message list always shows them after it, in call order.
 */
import { createOwnLists, type Lists } from "../base/lists.ts";
import type { ModelMessage } from "../model/provider.ts";
import type { SessionEvent } from "../protocol/events.ts";
import type { RestoreTarget } from "../protocol/review.ts";
import type {
  AssistantBlock,
  CallId,
  FileChange,
  ModelApi,
  PromptPart,
  RestoreId,
  SessionId,
  ToolResult,
  TurnId,
} from "../protocol/types.ts";
import { emptyLedger, foldLedger, type RequestLedger } from "./requestLedger.ts";
import { backTo, compacted, endOf, type Mark, type Thread, withoutCompaction } from "./thread.ts";

type EventOf<Type extends SessionEvent["type"]> = Extract<SessionEvent, { readonly type: Type }>;

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
  readonly prompt: readonly PromptPart[];
  /** The facts of the moment that follow it. */
  readonly context: string;
  /** Where the conversation was before the turn's prompt. */
  readonly before: Mark;
  readonly changes: readonly FileChange[];
  /** The files in which it is undone, by URI. */
  readonly undone: ReadonlySet<string>;
  /** True while a restore has taken it out of the conversation. */
  readonly gone: boolean;
  readonly finished: boolean;
}

/** A restore as the session remembers it. */
export interface RestoreRecord {
  readonly restoreId: RestoreId;
  readonly target: RestoreTarget;
  readonly fileTurns: readonly TurnId[];
  readonly conversationTurns: readonly TurnId[];
  /** What it wrote: undoing it takes these back. */
  readonly changes: readonly FileChange[];
  /** The files in which it took its turns back, by URI. */
  readonly restored: ReadonlySet<string>;
  /** The conversation that it took turns out of, while it is not undone. */
  readonly former: Thread | undefined;
  /** The last turn of the session at that time. */
  readonly lastTurn: TurnId | undefined;
  readonly finished: boolean;
  readonly undone: boolean;
}

/** Everything a session knows, derived from its events alone. */
export interface SessionState extends Thread {
  /** Position of the last event; 0 before the first. */
  readonly seq: number;
  readonly sessionId: SessionId | undefined;
  readonly cwd: string;
  readonly title: string | undefined;
  readonly system: string | undefined;
  /** The tools that models are told of; all of them when `undefined`. */
  readonly tools: readonly string[] | undefined;
  readonly open: OpenStep | undefined;
  readonly turns: readonly TurnRecord[];
  readonly restores: readonly RestoreRecord[];
  /** What was sent, for the prompt cache. */
  readonly ledger: RequestLedger;
  /** Windows in tokens of models whose servers were seen to cut prompts, by the model's id. */
  readonly windows: ReadonlyMap<string, number>;
}

/** The state before any event. */
export const initialState: SessionState = {
  seq: 0,
  sessionId: undefined,
  cwd: "",
  title: undefined,
  system: undefined,
  tools: undefined,
  settled: [],
  compactions: [],
  open: undefined,
  turns: [],
  restores: [],
  ledger: emptyLedger,
  windows: new Map(),
};

/** The state after one more event. Events of a kind it does not know (from a newer version) only move the position. */
function reduce(state: SessionState, event: SessionEvent, lists: Lists): SessionState {
  const next = { ...state, seq: event.seq, ledger: foldLedger(state.ledger, event) };
  switch (event.type) {
    case "session_created":
      return { ...next, sessionId: event.sessionId, cwd: event.cwd };
    case "title_set":
      return { ...next, title: event.title };
    case "system_set":
      return { ...next, system: event.text, tools: event.tools };
    case "turn_started":
      return startTurn(settle(next, lists), event, lists);
    case "step_started":
      return { ...settle(next, lists), open: emptyStep(event.step) };
    case "step_restarted":
      return { ...next, open: emptyStep(event.step) };
    case "model_changed":
      // The step may be asked again of the other model.
      return withOpen(next, (open) => (callsOf(open).length === 0 ? emptyStep(open.step) : open));
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
      return withTurn(next, event.turnId, lists, (turn) => ({ ...turn, changes: [...turn.changes, event.change] }));
    case "file_change_failed":
      return withTurn(next, event.turnId, lists, (turn) => ({
        ...turn,
        changes: withoutLast(turn.changes, event.uri),
      }));
    case "prompt_cut":
      return { ...next, windows: new Map(state.windows).set(event.model, event.contextTokens) };
    case "turn_finished":
      return withTurn(settle(next, lists), event.turnId, lists, (turn) => ({ ...turn, finished: true }));
    case "restore_started":
      return { ...next, restores: [...state.restores, newRestore(event, state.turns.at(-1)?.turnId)] };
    case "file_restored":
      return withRestore(next, event.restoreId, (one) => ({ ...one, changes: [...one.changes, event.change] }));
    case "file_restore_failed":
      return withRestore(next, event.restoreId, (one) => ({ ...one, changes: withoutLast(one.changes, event.uri) }));
    case "restore_finished":
      return finishRestore(settle(next, lists), event);
    case "compacted":
      return compact(settle(next, lists), event);
    case "compaction_undone":
      return { ...next, ...withoutCompaction(settle(next, lists), event.compactionId) };
    default:
      return next;
  }
}

/** True when the conversation, as the model is to see it, has not begun. */
export function isUnbegun({ turns }: SessionState): boolean {
  return turns.every(({ gone }) => gone);
}

/** Folds events onto a state, which stays as it is; the cost grows with the events, and once with the state. */
export function reduceAll(state: SessionState, events: readonly SessionEvent[]): SessionState {
  const lists = createOwnLists();
  return events.reduce((next, event) => reduce(next, event, lists), state);
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

function emptyStep(step: number): OpenStep {
  return { step, api: undefined, blocks: [], results: new Map() };
}

function settle(state: SessionState, lists: Lists): SessionState {
  const { open } = state;
  return open ? { ...state, settled: lists.append(state.settled, ...messagesOfStep(open)), open: undefined } : state;
}

function startTurn(state: SessionState, event: EventOf<"turn_started">, lists: Lists): SessionState {
  const { turnId, model, recorded, prompt, context } = event;
  const record: TurnRecord = {
    turnId,
    model,
    recorded,
    prompt,
    context,
    before: endOf(state),
    changes: [],
    undone: new Set(),
    gone: false,
    finished: false,
  };
  return {
    ...state,
    settled: lists.append(state.settled, { role: "user", parts: partsOf(event) }),
    turns: lists.append(state.turns, record),
  };
}

function withOpen(state: SessionState, change: (open: OpenStep) => OpenStep): SessionState {
  return state.open ? { ...state, open: change(state.open) } : state;
}

function withTurn(
  state: SessionState,
  turnId: TurnId,
  lists: Lists,
  change: (turn: TurnRecord) => TurnRecord,
): SessionState {
  // Nearly always the last one.
  const at = state.turns.findLastIndex((turn) => turn.turnId === turnId);
  const turn = state.turns[at];
  return turn ? { ...state, turns: lists.replace(state.turns, at, change(turn)) } : state;
}

function withoutLast(changes: readonly FileChange[], uri: string): readonly FileChange[] {
  const last = changes.findLastIndex((change) => change.uri === uri);
  return changes.filter((_, index) => index !== last);
}

function newRestore(
  { restoreId, target, fileTurns, conversationTurns }: EventOf<"restore_started">,
  lastTurn: TurnId | undefined,
): RestoreRecord {
  const scope = { target, fileTurns, conversationTurns };
  const nothing = { changes: [], restored: new Set<string>(), former: undefined };
  return { restoreId, ...scope, ...nothing, lastTurn, finished: false, undone: false };
}

function withRestore(
  state: SessionState,
  restoreId: RestoreId,
  change: (restore: RestoreRecord) => RestoreRecord,
): SessionState {
  const restores = state.restores.map((one) => (one.restoreId === restoreId ? change(one) : one));
  return { ...state, restores };
}

function finishRestore(state: SessionState, { restoreId, files }: EventOf<"restore_finished">): SessionState {
  const record = state.restores.find((one) => one.restoreId === restoreId);
  if (!record) return state;
  // A file that was moved is known by both of its places.
  const done = files.flatMap(({ uri, outcome, movedFrom = uri }) => (outcome === "conflict" ? [] : [uri, movedFrom]));
  const finished = { ...record, finished: true };
  const { target } = record;
  if (target.type !== "restore") return takeBack(state, { ...finished, restored: new Set(done) });
  const undone = state.restores.find((one) => one.restoreId === target.restoreId);
  const next = withRestore(state, restoreId, () => finished);
  return undone ? bringBack(next, undone, new Set(done)) : next;
}

/** The turns of a restore are undone in its files, and gone from the conversation. */
function takeBack(state: SessionState, record: RestoreRecord): SessionState {
  const { fileTurns, conversationTurns, restored } = record;
  const first = state.turns.find(({ turnId }) => conversationTurns.includes(turnId));
  const turns = state.turns.map((turn) => ({
    ...turn,
    undone: fileTurns.includes(turn.turnId) ? turn.undone.union(restored) : turn.undone,
    gone: turn.gone || conversationTurns.includes(turn.turnId),
  }));
  const { settled, compactions } = state;
  const next = { ...state, turns, ...(first ? backTo(state, first.before) : {}) };
  const former = first ? { settled, compactions } : undefined;
  return withRestore(next, record.restoreId, () => ({ ...record, former }));
}

/** The reverse, in the files that could be brought back. */
function bringBack(state: SessionState, record: RestoreRecord, files: ReadonlySet<string>): SessionState {
  const { fileTurns, conversationTurns, restored, former } = record;
  const back = restored.intersection(files);
  const turns = state.turns.map((turn) => ({
    ...turn,
    undone: fileTurns.includes(turn.turnId) ? turn.undone.difference(back) : turn.undone,
    gone: turn.gone && !conversationTurns.includes(turn.turnId),
  }));
  const next = { ...state, turns, ...former };
  return withRestore(next, record.restoreId, (one) => ({ ...one, undone: true, former: undefined }));
}

function compact(state: SessionState, event: EventOf<"compacted">): SessionState {
  const turn = event.turnId === undefined ? undefined : state.turns.find(({ turnId }) => turnId === event.turnId);
  return { ...state, ...compacted(state, event, turn ? partsOf(turn) : [], state.turns.at(-1)?.turnId) };
}

function partsOf({ prompt, context }: { readonly prompt: readonly PromptPart[]; readonly context: string }) {
  return context ? [...prompt, { type: "text", text: context } as const] : prompt;
}
