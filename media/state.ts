/**
 * The pure fold from what the extension tells the page to what is on the page.
 *
 * Not here: drawing. Easily got wrong: a delta may only touch the block it belongs to, so that everything else keeps its
 * identity and is not drawn again; and a delta of a block that is already complete is old news and changes nothing.
 */
import type { CompactionReason, SessionDelta, SessionEvent, SessionUpdate } from "../server/src/protocol/events.ts";
import type { HostState, PanelAction, PendingSummary, ReferenceChip, ToPanel } from "../server/src/protocol/panel.ts";
import type {
  CacheForecast,
  ContextSize,
  Failure,
  ModelChoice,
  SessionId,
  SessionSummary,
  TurnId,
} from "../server/src/protocol/types.ts";
import { foldRestores, type RestoreView, undoneBy } from "./restoreState.ts";
import { emptyTurn, foldTurn, type PaintTimes, streamTurn, type TurnView } from "./turnState.ts";

/** The conversation on screen. */
export interface SessionView {
  readonly sessionId: SessionId | undefined;
  readonly title: string | undefined;
  /** Whether there are turns before those that are here. */
  readonly hasEarlier: boolean;
  /** Position of the last event that was folded. */
  readonly seq: number;
  /** All turns but the last one. */
  readonly earlier: readonly TurnView[];
  /** The last turn: the only one that still changes, but for undo. */
  readonly current: TurnView | undefined;
  readonly restores: readonly RestoreView[];
  /** Why the conversation is being compacted, while it is. */
  readonly compacting: CompactionReason | undefined;
  /** What the conversation takes of the model's window, as of the last request. Not known before the first. */
  readonly context: ContextSize | undefined;
}

/** Everything on the page but the user's drafts. */
export interface PanelState {
  readonly workspace: Extract<ToPanel, { type: "workspace" }> | undefined;
  readonly host: { readonly state: HostState; readonly message?: string };
  readonly models: readonly ModelChoice[];
  readonly selected: string;
  readonly chips: readonly ReferenceChip[];
  readonly session: SessionView;
  /** Files with pending hunks, of all sessions. */
  readonly pending: readonly PendingSummary[];
  /** Whether files are shown in the editor as they are edited. */
  readonly follow: boolean;
  /** The list of sessions, while it is shown. */
  readonly list: { readonly query: string; readonly sessions: readonly SessionSummary[] | undefined } | undefined;
  /** What was spent, while it is shown. */
  readonly cost: Omit<Extract<ToPanel, { type: "cost" }>, "type"> | undefined;
  /** The turn that is to be explained, none while there is no such turn yet, and how often that was asked. */
  readonly why: { readonly turnId: TurnId | undefined; readonly count: number };
  /** What the next request of the session on screen finds in the prompt cache, as last told. */
  readonly forecast: CacheForecast | undefined;
  readonly notice: string | undefined;
  readonly failed: { readonly failure: Failure; readonly action?: PanelAction } | undefined;
  /** What has been sent and has not yet begun to run. */
  readonly sending: string | undefined;
  /** The prompt that was put back last, and how many were before it. */
  readonly given: { readonly text: string; readonly count: number } | undefined;
  /** Counts the requests to put the cursor into the prompt box. */
  readonly focus: number;
}

/** What happens on the page itself. */
export type PageAction =
  | { readonly type: "sent"; readonly text: string }
  | { readonly type: "list_opened" }
  | { readonly type: "list_closed" }
  | { readonly type: "cost_closed" }
  /** A turn's end is on the screen. */
  | { readonly type: "painted"; readonly turnId: TurnId; readonly paint: PaintTimes }
  | { readonly type: "list_query"; readonly query: string }
  | { readonly type: "dismissed" };

const noSession: SessionView = {
  sessionId: undefined,
  title: undefined,
  hasEarlier: false,
  seq: 0,
  earlier: [],
  current: undefined,
  restores: [],
  compacting: undefined,
  context: undefined,
};

/** The page before it has been told anything. */
export const initialState: PanelState = {
  workspace: undefined,
  host: { state: "starting" },
  models: [],
  selected: "",
  chips: [],
  session: noSession,
  pending: [],
  follow: false,
  list: undefined,
  cost: undefined,
  why: { turnId: undefined, count: 0 },
  forecast: undefined,
  notice: undefined,
  failed: undefined,
  sending: undefined,
  given: undefined,
  focus: 0,
};

/** The page after one more message or action. */
export function reduce(state: PanelState, message: ToPanel | PageAction): PanelState {
  switch (message.type) {
    case "workspace":
      return { ...state, workspace: message };
    case "host":
      return {
        ...state,
        host: { state: message.state, ...(message.message === undefined ? {} : { message: message.message }) },
        sending: message.state === "running" ? state.sending : undefined,
      };
    case "models":
      return { ...state, models: message.models, selected: message.selected };
    case "session":
      return showSession(state, message);
    case "updates":
      return message.sessionId === state.session.sessionId ? withUpdates(state, message.updates) : state;
    case "sessions":
      return state.list?.query === message.query
        ? { ...state, list: { query: message.query, sessions: message.sessions } }
        : state;
    case "cost": {
      const { type: _, ...cost } = message;
      return { ...state, cost, list: undefined };
    }
    case "cost_closed":
      return { ...state, cost: undefined };
    case "painted":
      return withPaint(state, message);
    case "why":
      return {
        ...state,
        why: { turnId: message.turnId ?? lastEnded(state.session), count: state.why.count + 1 },
        list: undefined,
        cost: undefined,
      };
    case "forecast":
      return message.sessionId === state.session.sessionId
        ? { ...state, forecast: message.forecast ?? undefined }
        : state;
    case "references":
      return { ...state, chips: message.chips };
    case "pending":
      return { ...state, pending: message.files };
    case "follow":
      return { ...state, follow: message.on };
    case "failed":
      return {
        ...state,
        failed: { failure: message.failure, ...(message.action ? { action: message.action } : {}) },
        sending: undefined,
      };
    case "prompt_settled":
      return state.sending === undefined ? state : { ...state, sending: undefined };
    case "notice":
      return { ...state, notice: message.message };
    case "draft":
      return { ...state, given: { text: message.text, count: (state.given?.count ?? 0) + 1 }, focus: state.focus + 1 };
    case "focus":
      return { ...state, focus: state.focus + 1, list: undefined, cost: undefined };
    case "sent":
      return { ...state, sending: message.text, failed: undefined, notice: undefined };
    case "list_opened":
      return { ...state, list: { query: "", sessions: undefined }, cost: undefined };
    case "list_closed":
      return { ...state, list: undefined };
    case "dismissed":
      return { ...state, failed: undefined, notice: undefined };
    case "list_query":
      return state.list ? { ...state, list: { ...state.list, query: message.query } } : state;
    default:
      return state;
  }
}

/** Whether a turn runs in the session on screen, or is about to, or the user compacts: then nothing can be sent. */
export function isRunning({ session, sending }: PanelState): boolean {
  if (sending !== undefined || session.compacting === "manual") return true;
  return session.current !== undefined && session.current.end === undefined;
}

/** The files with pending hunks of the session on screen. */
export function pendingFiles({ session, pending }: PanelState): readonly PendingSummary[] {
  return pending.filter(({ sessionId }) => sessionId === session.sessionId);
}

/** The model that the next prompt uses. */
export function selectedModel({ models, selected }: PanelState): ModelChoice | undefined {
  return models.find(({ id }) => id === selected);
}

/** US dollars for a token that the selected model's prompt cache does not have; `undefined` where that is not known. */
export function usdPerToken({ forecast, selected }: PanelState): number | undefined {
  const usd = forecast?.anewUsd[selected];
  // Rounded, so that another forecast of the same model gives the same number.
  return forecast && usd !== undefined ? Number((usd / forecast.tokens).toPrecision(3)) : undefined;
}

/** All turns, oldest first. */
export function turnsOf({ earlier, current }: SessionView): readonly TurnView[] {
  return current ? [...earlier, current] : earlier;
}

function lastEnded(session: SessionView): TurnId | undefined {
  return turnsOf(session).findLast(({ end }) => end)?.turnId;
}

function withPaint(state: PanelState, { turnId, paint }: Extract<PageAction, { type: "painted" }>): PanelState {
  const { current } = state.session;
  return current?.turnId === turnId
    ? { ...state, session: { ...state.session, current: { ...current, paint } } }
    : state;
}

function showSession(state: PanelState, message: Extract<ToPanel, { type: "session" }>): PanelState {
  // A prompt in the empty state makes its session; that one is not another.
  const other = message.sessionId !== state.session.sessionId && state.session.sessionId !== undefined;
  const blank = { ...noSession, sessionId: message.sessionId, hasEarlier: message.hasEarlier ?? false };
  const session = [...message.events, ...message.live].reduce(foldSession, blank);
  return {
    ...state,
    session,
    // It may have been asked before the page knew the session.
    why: state.why.count > 0 ? { ...state.why, turnId: state.why.turnId ?? lastEnded(session) } : state.why,
    list: undefined,
    cost: undefined,
    ...(other ? { forecast: undefined, failed: undefined, notice: undefined, sending: undefined } : {}),
  };
}

function withUpdates(state: PanelState, updates: readonly SessionUpdate[]): PanelState {
  const session = updates.reduce(foldSession, state.session);
  const started = updates.some(({ type }) => type === "turn_started");
  return started
    ? { ...state, session, sending: undefined, failed: undefined, notice: undefined }
    : { ...state, session };
}

function foldSession(session: SessionView, update: SessionUpdate): SessionView {
  return "seq" in update ? foldEvent(session, update) : foldDelta(session, update);
}

function foldEvent(session: SessionView, event: SessionEvent): SessionView {
  if (event.seq <= session.seq) return session;
  const next = { ...session, seq: event.seq, context: foldContext(session.context, event) };
  const { earlier, current } = session;
  switch (event.type) {
    case "session_created":
    case "system_set":
      return next;
    case "title_set":
      return { ...next, title: event.title };
    case "turn_started":
      return { ...withinBounds(next, current ? [...earlier, current] : earlier), current: emptyTurn(event) };
    case "compaction_undone":
      return {
        ...next,
        earlier: earlier.map((turn) => foldTurn(turn, event)),
        current: current && foldTurn(current, event),
      };
    case "compacted":
    case "turn_finished":
      return { ...next, compacting: undefined, current: current && foldTurn(current, event) };
    case "restore_started":
    case "restore_finished":
      return withRestores(next, foldRestores(session.restores, event, current?.turnId));
    default:
      return { ...next, current: current && foldTurn(current, event) };
  }
}

/** A conversation that has gone back, or has come back, is measured by its next request. */
function foldContext(context: ContextSize | undefined, event: SessionEvent): ContextSize | undefined {
  switch (event.type) {
    case "step_finished":
      return event.context ?? context;
    case "compacted": {
      if (!context) return undefined;
      const { tools, system, instructions } = context.parts;
      const summary = Math.max(0, event.tokensAfter - tools - system - instructions);
      return { ...context, parts: { tools, system, instructions, summary, history: 0, attached: 0 } };
    }
    case "compaction_undone":
      return undefined;
    case "restore_started":
      return event.conversationTurns.length > 0 ? undefined : context;
    default:
      return context;
  }
}

/** Turns that a page keeps; the oldest go, and are asked for again when the user wants to see them. */
const mostTurns = 1_000;

function withinBounds(session: SessionView, earlier: readonly TurnView[]): SessionView {
  return earlier.length < mostTurns
    ? { ...session, earlier }
    : { ...session, earlier: earlier.slice(mostTurns / 2), hasEarlier: true };
}

/** Only turns for which something has changed become others. */
function withRestores(session: SessionView, restores: readonly RestoreView[]): SessionView {
  const update = (turn: TurnView): TurnView => {
    const undone = undoneBy(restores, turn.turnId);
    if (undone?.restoreId === turn.undone?.restoreId) return turn;
    const { undone: _, ...rest } = turn;
    return undone ? { ...rest, undone } : rest;
  };
  const { earlier, current } = session;
  return { ...session, restores, earlier: earlier.map(update), current: current && update(current) };
}

function foldDelta(session: SessionView, delta: SessionDelta): SessionView {
  if (delta.type === "compaction_delta") return { ...session, compacting: delta.isRunning ? delta.reason : undefined };
  if (!session.current) return session;
  const current = streamTurn(session.current, delta);
  return current === session.current ? session : { ...session, current };
}
