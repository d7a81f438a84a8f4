/**
 * Where the time of a turn went: a row of bars for each step and tool call, and the parts that add up to the whole turn.
 *
 * Not here: drawing. Easily got wrong: bars overlap, parts do not. At any moment the turn is put down to one cause: the
 * first one of `causes` that is at work then; where none is, to `other`. So the parts always add up to the total.
 */
import type { Phase, PhaseName } from "../protocol/types.ts";
import type { CallTimes, CompactionTimes, StepTimes, TurnTimes } from "./turnTimes.ts";

/**
 * What a moment of a turn may be put down to, the one that counts first at the top: a question waits for the user, a
 * change is written, the editor formats and checks it, a tool runs, then what a request does, then what is done before it.
 * `unknown` is time of a step that was cut off, `paint` is drawing the end of the turn.
 */
export const causes = [
  "approval",
  "apply",
  "settle",
  "tool",
  "generation",
  "first_token",
  "connect",
  "queue",
  "wait",
  "compaction",
  "build",
  "tool_queue",
  "prepare",
  "unknown",
  "paint",
  "other",
] as const;
/** One of them. */
export type Cause = (typeof causes)[number];

/** What people are told of each. */
export const causeNames: { readonly [cause in Cause]: string } = {
  approval: "Waiting for you",
  apply: "Writing changes",
  settle: "Formatter and problems",
  tool: "Running tools",
  generation: "Model writing",
  first_token: "Waiting for the model",
  connect: "Connecting",
  queue: "Waiting for a free request",
  wait: "Waiting to ask again",
  compaction: "Compacting the conversation",
  build: "Preparing requests",
  tool_queue: "Tools waiting",
  prepare: "Preparing the turn",
  unknown: "Not recorded",
  paint: "Drawing",
  other: "Other",
};

/** A stretch of time, in milliseconds from the arrival of the prompt. */
export interface Span {
  readonly cause: Cause;
  readonly fromMs: number;
  readonly toMs: number;
  /** Why it waits. */
  readonly reason?: string;
}

/** A row: what it is, and its bars. */
export interface Row {
  /** Stable within a turn: `prepare`, `step 2`, `call ID`, `compaction 1`, `limit 1`, `paint`. */
  readonly id: string;
  /** OpenTelemetry's name of the operation, where it has one. */
  readonly operation?: "chat" | "execute_tool";
  readonly label: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly spans: readonly Span[];
}

/** How long a turn was put down to one cause. */
export interface Part {
  readonly cause: Cause;
  readonly ms: number;
}

/** Where the time went. */
export interface Waterfall {
  readonly totalMs: number;
  /** In the order in which they began. */
  readonly rows: readonly Row[];
  /** The longest first. They add up to `totalMs`; none is empty. */
  readonly parts: readonly Part[];
  /** Steps whose building, queueing and connecting was not recorded; they are part of `first_token` then. */
  readonly unrecordedSteps: number;
}

/** Makes it of a turn that has ended. `paintMs`: how long the page took to draw the end, where it has measured that. */
export function waterfallOf(times: TurnTimes, paintMs?: number): Waterfall {
  const end = Math.max(0, (times.endedAt ?? times.lastAt) - times.startedAt);
  const totalMs = end + (paintMs ?? 0);
  const clip = (span: Span): Span => {
    const fromMs = Math.min(Math.max(0, span.fromMs), totalMs);
    return { ...span, fromMs, toMs: Math.min(Math.max(fromMs, span.toMs), totalMs) };
  };
  const rows = [
    row("prepare", "Before the first step", [prepareSpan(times, end)]),
    ...times.steps.map((step, index) => stepRow(times, step, index)),
    ...times.compactions.map((compaction, index) => compactionRow(times, compaction, index)),
    ...times.waits.map((wait, index) => limitRow(times, wait, index, end)),
    ...times.calls.map((call) => callRow(times, call, end)),
    ...(paintMs ? [row("paint", "Drawing the end", [{ cause: "paint", fromMs: end, toMs: totalMs }])] : []),
  ]
    .map((open) => bounded({ ...open, spans: open.spans.map(clip) }))
    // A step or a call that took no time is told all the same.
    .filter(({ operation, spans }) => operation !== undefined || spans.length > 0)
    .toSorted((a, b) => a.fromMs - b.fromMs || a.toMs - b.toMs);
  const spans = rows.flatMap((one) => one.spans);
  return {
    totalMs,
    rows,
    parts: partsOf(spans, totalMs),
    unrecordedSteps: times.steps.filter(({ phases, endedAt }) => endedAt !== undefined && !phases).length,
  };
}

/** How long a span counts: the time in it that is put down to its own cause and to no earlier one of `causes`. */
export function countedMs(rows: readonly Row[], span: Span): number {
  const others = rows
    .flatMap(({ spans }) => spans)
    .filter(({ cause }) => causes.indexOf(cause) < causes.indexOf(span.cause))
    .map((other) => ({
      ...other,
      fromMs: Math.max(other.fromMs, span.fromMs) - span.fromMs,
      toMs: Math.min(other.toMs, span.toMs) - span.fromMs,
    }))
    .filter(isLong);
  return partsOf(others, span.toMs - span.fromMs).find(({ cause }) => cause === "other")?.ms ?? 0;
}

type OpenRow = Omit<Row, "fromMs" | "toMs">;

function row(id: string, label: string, spans: readonly Span[], operation?: Row["operation"]): OpenRow {
  return { id, label, spans, ...(operation ? { operation } : {}) };
}

function bounded(open: OpenRow): Row {
  const { spans } = open;
  const fromMs = Math.min(...spans.map((span) => span.fromMs));
  return { ...open, spans: spans.filter(isLong), fromMs, toMs: Math.max(...spans.map((span) => span.toMs)) };
}

function isLong({ fromMs, toMs }: Span): boolean {
  return toMs > fromMs;
}

/** Until the first step: the model and the instructions are looked for, and an answer from before. */
function prepareSpan({ steps, startedAt }: TurnTimes, end: number): Span {
  return { cause: "prepare", fromMs: 0, toMs: steps[0] ? steps[0].startedAt - startedAt : end };
}

/** A step's request. What lies between the end of the step before and its start belongs to its building. */
function stepRow(times: TurnTimes, step: StepTimes, index: number): OpenRow {
  const from = step.startedAt - times.startedAt;
  const spans: Span[] = phasesOf(step).map((phase) => toSpan(phase.name, from, phase));
  const before = times.steps[index - 1]?.endedAt;
  if (before !== undefined) spans.unshift({ cause: "build", fromMs: before - times.startedAt, toMs: from });
  if (step.endedAt === undefined) {
    spans.push({ cause: "unknown", fromMs: from, toMs: (times.endedAt ?? times.lastAt) - times.startedAt });
  }
  if (spans.length === 0) spans.push({ cause: "build", fromMs: from, toMs: from });
  return row(`step ${step.step}`, `Step ${step.step}`, spans, "chat");
}

function compactionRow({ startedAt }: TurnTimes, { at, ms }: CompactionTimes, index: number): OpenRow {
  const toMs = at - startedAt;
  return row(`compaction ${index + 1}`, "Compaction", [{ cause: "compaction", fromMs: toMs - ms, toMs }], "chat");
}

function limitRow({ startedAt }: TurnTimes, wait: TurnTimes["waits"][number], index: number, end: number): OpenRow {
  const toMs = wait.toAt === undefined ? end : wait.toAt - startedAt;
  return row(`limit ${index + 1}`, "A limit", [{ cause: "approval", fromMs: wait.fromAt - startedAt, toMs }]);
}

function phasesOf({ phases, endedAt, firstEventMs, totalMs }: StepTimes): readonly Phase[] {
  if (phases || endedAt === undefined) return phases ?? [];
  // Without an event the request has failed, after all of its time.
  const first = firstEventMs > 0 ? Math.min(firstEventMs, totalMs) : totalMs;
  return [
    { name: "first_token", fromMs: 0, ms: first },
    { name: "generation", fromMs: first, ms: totalMs - first },
  ];
}

function callRow(times: TurnTimes, call: CallTimes, end: number): OpenRow {
  const since = (at: number | undefined) => (at === undefined ? undefined : at - times.startedAt);
  const made = call.madeAt - times.startedAt;
  const asked = since(call.askedAt);
  const answered = since(call.answeredAt);
  const started = since(call.startedAt);
  const ended = since(call.endedAt) ?? end;
  const spans: Span[] = [{ cause: "tool_queue", fromMs: made, toMs: asked ?? started ?? ended }];
  if (asked !== undefined) spans.push({ cause: "approval", fromMs: asked, toMs: answered ?? ended });
  if (asked !== undefined && answered !== undefined)
    spans.push({ cause: "tool_queue", fromMs: answered, toMs: started ?? ended });
  if (started !== undefined) spans.push(...runSpans(started, ended, call.phases));
  return row(`call ${call.callId}`, call.title, spans, "execute_tool");
}

/** A call's own work, and the phases in it. */
function runSpans(from: number, to: number, phases: readonly Phase[]): readonly Span[] {
  const spans: Span[] = [];
  let at = from;
  for (const phase of phases) {
    const span = toSpan(phase.name, from, phase);
    spans.push({ cause: "tool", fromMs: at, toMs: span.fromMs }, span);
    at = span.toMs;
  }
  spans.push({ cause: "tool", fromMs: at, toMs: to });
  return spans.filter(isLong);
}

function toSpan(cause: PhaseName, from: number, { fromMs, ms, reason }: Phase): Span {
  return { cause, fromMs: from + fromMs, toMs: from + fromMs + ms, ...(reason === undefined ? {} : { reason }) };
}

/** Goes through the moments at which something begins or ends, and puts each stretch between two down to one cause. */
function partsOf(spans: readonly Span[], totalMs: number): readonly Part[] {
  const edges = spans
    .flatMap(({ cause, fromMs, toMs }) => [
      { at: fromMs, cause, by: 1 },
      { at: toMs, cause, by: -1 },
    ])
    .toSorted((a, b) => a.at - b.at);
  const active = new Map<Cause, number>();
  const sums = new Map<Cause, number>();
  let at = 0;
  const goTo = (next: number) => {
    const cause = causes.find((one) => (active.get(one) ?? 0) > 0) ?? "other";
    if (next > at) sums.set(cause, (sums.get(cause) ?? 0) + next - at);
    at = Math.max(at, next);
  };
  for (const edge of edges) {
    goTo(edge.at);
    active.set(edge.cause, (active.get(edge.cause) ?? 0) + edge.by);
  }
  goTo(totalMs);
  return [...sums].map(([cause, ms]) => ({ cause, ms })).toSorted((a, b) => b.ms - a.ms);
}
