/**
 * The pure fold of one turn: its blocks in order, its tool calls by id, what it changed and what it cost.
 *
 * Not here: the session around it (`state.ts`) or drawing. Easily got wrong: a block keeps its key from its first delta
 * to its stored form, so that the page turns one into the other in place.
 */
import type { Compacted, PromptOrigin, SessionDelta, SessionEvent } from "../server/src/protocol/events.ts";
import type { UndoneFile } from "../server/src/protocol/review.ts";
import type {
  AssistantBlock,
  BudgetQuestion,
  CallId,
  Failure,
  FileChange,
  Json,
  Location,
  PermissionRequest,
  PriceClass,
  PromptPart,
  RestoreId,
  RouteStrategy,
  StopReason,
  ToolKind,
  TurnId,
  Usage,
} from "../server/src/protocol/types.ts";
import { beginTimes, foldTimes, type TurnTimes } from "../server/src/report/turnTimes.ts";

/** A block that is complete, or a remark between blocks. */
export type Block =
  | { readonly kind: "text" | "thinking"; readonly key: string; readonly text: string }
  | { readonly kind: "call"; readonly key: string; readonly callId: CallId }
  | { readonly kind: "compaction"; readonly key: string; readonly event: Compacted; readonly isUndone: boolean }
  | { readonly kind: "notice"; readonly key: string; readonly level: "info" | "warning"; readonly message: string };

/** A block that is being streamed. */
export type OpenBlock =
  | { readonly kind: "text" | "thinking"; readonly key: string; readonly text: string }
  | { readonly kind: "draft"; readonly key: string; readonly name: string; readonly json: string };

/** How a tool call is. */
export type CallState = "queued" | "running" | "waiting" | "done" | "failed" | "denied" | "stopped";

/** A tool call, as its card shows it. */
export interface CallView {
  readonly callId: CallId;
  readonly name: string;
  readonly input: Json;
  readonly kind: ToolKind;
  readonly title: string;
  readonly locations: readonly Location[];
  readonly state: CallState;
  /** The question that waits for an answer. */
  readonly request?: PermissionRequest;
  /** Milliseconds since the epoch at which it began to run. */
  readonly startedAt?: number;
  readonly durationMs?: number;
  readonly output?: string;
}

/** A wait before a request is tried again. */
export type Retry = Extract<SessionDelta, { type: "retry_delta" }>;

/** An answer that was given before. */
export type ReusedAnswer = Pick<Extract<SessionEvent, { type: "answer_reused" }>, "match" | "question" | "answeredAt">;

/** One turn on screen. */
export interface TurnView {
  readonly turnId: TurnId;
  readonly prompt: readonly PromptPart[];
  readonly origin: PromptOrigin;
  readonly model: string;
  readonly recorded: boolean;
  readonly startedAt: number;
  /** Where the answer was given before, when and to what. */
  readonly reused?: ReusedAnswer;
  readonly step: number;
  readonly blocks: readonly Block[];
  readonly open: readonly OpenBlock[];
  readonly calls: ReadonlyMap<CallId, CallView>;
  /** What running calls have printed so far. */
  readonly outputs: { readonly [callId: string]: string };
  readonly changes: readonly FileChange[];
  readonly usage: Usage;
  /** Tokens of its first request: those before it, and its prompt. */
  readonly firstPromptTokens?: number;
  /** US dollars; absent where no step had a price. */
  readonly cost?: number;
  readonly times: TurnTimes;
  /** How long the page took to draw it. Absent where the page was made later. */
  readonly paint?: PaintTimes;
  readonly retry?: Retry;
  /** How its model was chosen, while it is that one. */
  readonly routed?: { readonly label: string; readonly reason: string; readonly strategy: RouteStrategy };
  /** The question at a limit that waits for an answer. */
  readonly limit?: BudgetQuestion;
  readonly end?: TurnEndView;
  /** How its files went back, and by what. */
  readonly undone?: { readonly restoreId: RestoreId; readonly files: readonly UndoneFile[] };
}

/** Milliseconds from the arrival of an update to the frame that showed it. */
export interface PaintTimes {
  /** Of the update that ended the turn. */
  readonly endMs: number;
  /** Of the slowest update of the turn. */
  readonly longestMs: number;
}

/** How a turn ended. */
export interface TurnEndView {
  readonly at: number;
  readonly stopReason: StopReason;
  readonly failure?: Failure;
  readonly unfinished?: string;
}

/** Characters of a running call's output that are kept. */
const outputLimit = 64 * 1024;

const noUsage: Usage = { inputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 0, thinkingTokens: 0 };

/** A turn that has just started. */
export function emptyTurn(event: Extract<SessionEvent, { type: "turn_started" }>): TurnView {
  const { turnId, prompt, origin, model, recorded, at } = event;
  return {
    turnId,
    prompt,
    origin,
    model,
    recorded,
    startedAt: at,
    step: 0,
    blocks: [],
    open: [],
    calls: new Map(),
    outputs: {},
    changes: [],
    usage: noUsage,
    times: beginTimes(event),
  };
}

/** The turn after one more stored event. */
export function foldTurn(turn: TurnView, event: SessionEvent): TurnView {
  return foldEvent(turn.end ? turn : { ...turn, times: foldTimes(turn.times, event) }, event);
}

function foldEvent(turn: TurnView, event: SessionEvent): TurnView {
  switch (event.type) {
    case "answer_reused": {
      const { match, question, answeredAt } = event;
      return { ...turn, reused: { match, question, answeredAt } };
    }
    case "step_started":
      return { ...withoutRetry(turn), step: event.step, open: [] };
    case "step_restarted":
      return { ...withoutRetry(turn), ...dropped(turn, event, "info", "The connection broke. Asking again.") };
    case "model_changed": {
      const remark = `Went on with ${event.label}${priceWords[event.price]}, because: ${event.reason}`;
      const { routed: _, ...rest } = withoutRetry(turn);
      return { ...rest, model: event.to, ...dropped(turn, event, "warning", remark) };
    }
    case "model_routed": {
      const { label, reason, strategy } = event;
      return { ...turn, routed: { label, reason, strategy } };
    }
    case "budget_reached":
      return { ...withoutRetry(turn), limit: event.question };
    case "budget_resolved":
      return withBudgetChoice(turn, event);
    case "assistant_block":
      return withBlock(withoutRetry(turn), event.step, event.index, event.block);
    case "tool_started":
      return withCall(turn, event.callId, (call) => ({
        ...call,
        kind: event.kind,
        title: event.title,
        locations: event.locations,
        state: "running",
        startedAt: event.at,
      }));
    case "permission_requested":
      return withCall(turn, event.callId, (call) => ({
        ...call,
        kind: event.request.kind,
        title: event.request.title,
        state: "waiting",
        request: event.request,
      }));
    case "permission_resolved":
      return withCall(turn, event.callId, ({ request: _, ...call }) => ({
        ...call,
        state: event.choice === "deny" ? "denied" : event.choice === "cancelled" ? "stopped" : "running",
      }));
    case "tool_result": {
      const { [event.callId]: _, ...outputs } = turn.outputs;
      return withCall({ ...turn, outputs }, event.callId, ({ request: _asked, ...call }) => ({
        ...call,
        state: !event.isError ? "done" : call.state === "denied" || call.state === "stopped" ? call.state : "failed",
        durationMs: event.durationMs,
        output: event.text,
      }));
    }
    case "file_changed":
      return { ...turn, changes: [...turn.changes, event.change] };
    case "file_change_failed": {
      const last = turn.changes.findLastIndex(({ uri }) => uri === event.uri);
      return { ...turn, changes: turn.changes.filter((_, index) => index !== last) };
    }
    case "step_finished":
      return withCosts(turn, event);
    case "compacted": {
      const block: Block = { kind: "compaction", key: `n${event.seq}`, event, isUndone: false };
      return withCosts({ ...withoutRetry(turn), blocks: [...turn.blocks, block] }, event);
    }
    case "compaction_undone": {
      const at = turn.blocks.findIndex(
        (block) => block.kind === "compaction" && block.event.compactionId === event.compactionId,
      );
      const block = turn.blocks[at];
      if (block?.kind !== "compaction") return turn;
      return { ...turn, blocks: turn.blocks.with(at, { ...block, isUndone: true }) };
    }
    case "turn_finished":
      return finished(withoutRetry(turn), event);
    case "notice":
      return {
        ...turn,
        blocks: [...turn.blocks, { kind: "notice", key: `n${event.seq}`, level: event.level, message: event.message }],
      };
    default:
      return turn;
  }
}

/** The turn after one more delta. Touches nothing but the block or the call that the delta is about. */
export function streamTurn(turn: TurnView, delta: SessionDelta): TurnView {
  switch (delta.type) {
    case "text_delta":
    case "thinking_delta": {
      const kind = delta.type === "text_delta" ? "text" : "thinking";
      return withOpen(turn, delta, (key, block) => ({
        kind,
        key,
        text: block?.kind === kind ? block.text + delta.text : delta.text,
      }));
    }
    case "tool_call_delta":
      return withOpen(turn, delta, (key, block) => ({
        kind: "draft",
        key,
        name: delta.name || (block?.kind === "draft" ? block.name : ""),
        json: block?.kind === "draft" ? block.json + delta.json : delta.json,
      }));
    case "tool_output_delta": {
      if (turn.calls.get(delta.callId)?.output !== undefined) return turn;
      const text = (turn.outputs[delta.callId] ?? "") + delta.text;
      const kept = text.length > 2 * outputLimit ? text.slice(-outputLimit) : text;
      return { ...turn, outputs: { ...turn.outputs, [delta.callId]: kept } };
    }
    case "retry_delta":
      return delta.turnId === turn.turnId ? { ...turn, retry: delta } : turn;
    default:
      return turn;
  }
}

/**
 * The changes of a turn by file: first before-image, last after-image, and where it was moved from; a file that ended as
 * it began is left out.
 */
export function changedFiles(changes: readonly FileChange[]): readonly FileChange[] {
  const files = new Map<string, FileChange>();
  for (const change of changes) {
    const place = change.movedFrom ?? change.uri;
    const first = files.get(place);
    if (change.movedFrom !== undefined) files.delete(place);
    const { movedFrom: _, ...rest } = change;
    const from = first?.movedFrom ?? change.movedFrom;
    files.set(
      change.uri,
      first
        ? {
            ...rest,
            ...(from === undefined || from === change.uri || first.before === null ? {} : { movedFrom: from }),
            before: first.before,
            addedLines: first.addedLines + change.addedLines,
            removedLines: first.removedLines + change.removedLines,
          }
        : change,
    );
  }
  return [...files.values()].filter(({ before, after, movedFrom }) => before !== after || movedFrom !== undefined);
}

function keyOf(step: number, index: number): string {
  return `${step}.${index}`;
}

function withOpen(
  turn: TurnView,
  delta: { readonly turnId: TurnId; readonly index: number },
  next: (key: string, block: OpenBlock | undefined) => OpenBlock,
): TurnView {
  if (delta.turnId !== turn.turnId || turn.end) return turn;
  const key = keyOf(turn.step, delta.index);
  // The newest blocks are at the end, so both looks are short.
  const at = turn.open.findLastIndex((block) => block.key === key);
  if (at < 0 && turn.blocks.findLast((block) => block.key === key)) return turn;
  const block = next(key, turn.open[at]);
  const open = at < 0 ? [...turn.open, block] : turn.open.with(at, block);
  return turn.retry ? { ...withoutRetry(turn), open } : { ...turn, open };
}

function withBlock(turn: TurnView, step: number, index: number, { part }: AssistantBlock): TurnView {
  const key = keyOf(step, index);
  const open = turn.open.filter((block) => block.key !== key);
  switch (part.type) {
    case "text":
    case "thinking":
      return part.text.trim() === ""
        ? { ...turn, open }
        : { ...turn, open, blocks: [...turn.blocks, { kind: part.type, key, text: part.text }] };
    case "tool_call": {
      const { callId, name, input } = part;
      const call: CallView = {
        callId,
        name,
        input,
        kind: "other",
        title: name,
        locations: [],
        state: "queued",
      };
      const calls = new Map(turn.calls).set(callId, call);
      return { ...turn, open, calls, blocks: [...turn.blocks, { kind: "call", key, callId }] };
    }
    case "opaque":
      return { ...turn, open };
  }
}

/** The question is gone, and a raise leaves a remark. */
function withBudgetChoice(turn: TurnView, event: Extract<SessionEvent, { type: "budget_resolved" }>): TurnView {
  const { limit, ...rest } = turn;
  const { choice, seq } = event;
  const remarks = {
    raise: `${limit?.message ?? "A limit was reached."} You raised it.`,
    again: "The limit was changed elsewhere. Going on.",
    cheaper: undefined,
    stop: undefined,
    cancelled: undefined,
  };
  const message = remarks[choice.type];
  if (message === undefined) return rest;
  return { ...rest, blocks: [...turn.blocks, { kind: "notice", key: `n${seq}`, level: "info", message }] };
}

function withCall(turn: TurnView, callId: CallId, change: (call: CallView) => CallView): TurnView {
  const call = turn.calls.get(callId);
  return call ? { ...turn, calls: new Map(turn.calls).set(callId, change(call)) } : turn;
}

const priceWords: { readonly [price in PriceClass]: string } = {
  free: " (local, no price)",
  cheaper: " (cheaper)",
  similar: " (about the same price)",
  dearer: " (dearer)",
  unknown: " (price not known)",
};

/** Without what a failed step had said, which no model is shown again; a step with a call stays. */
function dropped(
  turn: TurnView,
  { seq, step }: { readonly seq: number; readonly step: number },
  level: "info" | "warning",
  message: string,
): Pick<TurnView, "open" | "blocks"> {
  const isOfStep = ({ key }: Block) => key.startsWith(`${step}.`);
  const hasCall = turn.blocks.some((block) => block.kind === "call" && isOfStep(block));
  const kept = hasCall ? turn.blocks : turn.blocks.filter((block) => !isOfStep(block));
  return { open: [], blocks: [...kept, { kind: "notice", key: `n${seq}`, level, message }] };
}

function withCosts(turn: TurnView, event: Pick<Compacted, "usage" | "cost">): TurnView {
  const { usage, cost } = event;
  const sum = (name: Exclude<keyof Usage, "longCacheWriteTokens">) => turn.usage[name] + usage[name];
  const promptTokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  return {
    ...turn,
    ...(turn.firstPromptTokens === undefined && promptTokens > 0 ? { firstPromptTokens: promptTokens } : {}),
    usage: {
      inputTokens: sum("inputTokens"),
      cacheReadTokens: sum("cacheReadTokens"),
      cacheWriteTokens: sum("cacheWriteTokens"),
      outputTokens: sum("outputTokens"),
      thinkingTokens: sum("thinkingTokens"),
    },
    ...(cost === undefined ? {} : { cost: (turn.cost ?? 0) + cost }),
  };
}

function finished(turn: TurnView, event: Extract<SessionEvent, { type: "turn_finished" }>): TurnView {
  const { at, stopReason, failure, unfinished } = event;
  const { limit: _asked, ...rest } = turn;
  const isOpen = ({ state }: CallView) => state === "queued" || state === "running" || state === "waiting";
  const calls = new Map(
    [...turn.calls].map(([callId, call]): [CallId, CallView] => {
      if (!isOpen(call)) return [callId, call];
      const { request: _, ...rest } = call;
      return [callId, { ...rest, state: "stopped" }];
    }),
  );
  return {
    ...rest,
    open: [],
    outputs: {},
    calls,
    end: { at, stopReason, ...(failure ? { failure } : {}), ...(unfinished ? { unfinished } : {}) },
  };
}

function withoutRetry(turn: TurnView): TurnView {
  const { retry: _, ...rest } = turn;
  return rest;
}
