/**
 * What the extension tells the page in the situations that tests look at: a set-up workspace, and a turn piece by piece.
 *
 * Not here: the page. Easily got wrong: events carry positions without gaps, so they are numbered here, in order.
 */
import type { SessionEvent, SessionEventBody } from "../../server/src/protocol/events.ts";
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import type {
  AssistantPart,
  BlobId,
  BudgetQuestion,
  CallId,
  ContextSize,
  Json,
  ModelChoice,
  PermissionRequest,
  SessionId,
  ToolKind,
  TurnId,
} from "../../server/src/protocol/types.ts";

/** The session of the tests. */
export const sessionId = "s1" as SessionId;
/** Its first turn. */
export const turnId = "t1" as TurnId;
/** The folder of the tests. */
export const root = "file:///home/ada/durations";
/** When it all happens. */
export const startAt = 1_790_000_000_000;

/** Models: two ready, the recording, and one without its key. */
export const models: readonly ModelChoice[] = [
  {
    id: "anthropic/claude-sonnet-5-5",
    label: "Claude Sonnet 5.5",
    state: "ready",
    credential: "anthropic",
    bytesPerToken: 4,
  },
  { id: "ollama/qwen3", label: "qwen3 (Ollama)", state: "ready" },
  { id: "recorded/tour", label: "Recorded tour", state: "recording" },
  { id: "openai/gpt-6.1-sol", label: "GPT-6.1 Sol", state: "needs_key", credential: "openai" },
];

/** The first messages to a page. */
export function setUp(selected = "anthropic/claude-sonnet-5-5"): readonly ToPanel[] {
  return [
    { type: "workspace", name: "durations", root, folders: 1, trusted: true },
    { type: "host", state: "running" },
    { type: "models", models, selected },
    { type: "references", chips: [{ id: "a", label: "src/parse.ts", kind: "file", included: false, bytes: 4_800 }] },
    { type: "session", sessionId: undefined, events: [], live: [] },
  ];
}

/** A call's id. */
export function call(id: string): CallId {
  return id as CallId;
}

/** A blob's id. */
export function blob(id: string): BlobId {
  return id as BlobId;
}

/** Numbers events, one second apart. */
export function numbered(bodies: readonly SessionEventBody[], from = 1): readonly SessionEvent[] {
  return bodies.map((body, index) => ({ ...body, seq: from + index, at: startAt + 1000 * (from + index) }));
}

/** The start of a turn. */
export function started(text: string, recorded = false, id = turnId): SessionEventBody {
  return {
    type: "turn_started",
    turnId: id,
    prompt: [{ type: "text", text }],
    origin: "panel",
    context: "",
    model: recorded ? "recorded/tour" : "anthropic/claude-sonnet-5-5",
    recorded,
    hostPid: 1,
  };
}

/** A complete block. */
export function block(step: number, index: number, part: AssistantPart, id = turnId): SessionEventBody {
  return { type: "assistant_block", turnId: id, step, index, api: "anthropic-messages", block: { part } };
}

/** A call that was made. */
export function called(step: number, index: number, id: string, name: string, input: Json): SessionEventBody {
  return block(step, index, { type: "tool_call", callId: call(id), name, input });
}

/** A call that began to run. */
export function ran(id: string, kind: ToolKind, title: string, path?: string): SessionEventBody {
  const locations = path === undefined ? [] : [{ uri: `${root}/${path}`, fromLine: 10 }];
  return { type: "tool_started", callId: call(id), name: title.split(" ", 1)[0] ?? "", kind, title, locations };
}

/** How a call ended. */
export function result(id: string, text: string, durationMs = 120, isError = false): SessionEventBody {
  return { type: "tool_result", callId: call(id), text, isError, durationMs };
}

/** A question before a call. */
export function asks(id: string, request: Partial<PermissionRequest>): SessionEventBody {
  const whole: PermissionRequest = {
    sessionId,
    callId: call(id),
    tool: "shell",
    kind: "execute",
    title: "Run npm test",
    detail: "npm test",
    rule: "shell(npm test)",
    ...request,
  };
  return { type: "permission_requested", callId: call(id), request: whole };
}

/** A turn that waits at the limit of a day. */
export function atLimit(question: Partial<BudgetQuestion> = {}): SessionEventBody {
  const whole: BudgetQuestion = {
    sessionId,
    turnId,
    reached: { period: "day", unit: "nano", limit: 1e9, spent: 9e8, needed: 2e8 },
    message: "The limit of $1.00 for today would be passed.",
    proposed: 2e9,
    proposedLabel: "$2.00",
    cheaper: { model: "anthropic/claude-haiku-5-5", label: "Claude Haiku 5.5" },
    ...question,
  };
  return { type: "budget_reached", turnId, step: 1, question: whole };
}

/** A file that was changed. */
export function changed(id: string, path: string, added: number, removed: number): SessionEventBody {
  return {
    type: "file_changed",
    turnId,
    callId: call(id),
    change: {
      uri: `${root}/${path}`,
      before: blob(`${path}-before`),
      after: blob(`${path}-after`),
      addedLines: added,
      removedLines: removed,
    },
  };
}

/** The end of a step, with its usage. */
export function stepEnded(step: number): SessionEventBody {
  return {
    type: "step_finished",
    turnId,
    step,
    usage: { inputTokens: 420, cacheReadTokens: 5200, cacheWriteTokens: 800, outputTokens: 310, thinkingTokens: 40 },
    cost: 0.0123,
    firstEventMs: 800,
    totalMs: 4000,
  };
}

/** What a request took of a window of 200,000 tokens, whose conversation has `history` tokens. */
export function contextOf(history: number): ContextSize {
  const parts = { tools: 5_900, system: 1_800, instructions: 1_300, summary: 0, history, attached: 400 };
  return { window: 200_000, reserve: 32_000, parts };
}

/** A turn of three steps that took 42 s, most of them for an approval, and which missed the prompt cache: events by moment. */
export function slowTurn(): readonly SessionEvent[] {
  const at = (ms: number, body: SessionEventBody) => ({ ms, body });
  const timed = [
    at(0, { type: "title_set", title: "Fix the failing test" }),
    at(0, { ...started("Run the tests and fix what fails."), preparedMs: 20 } as SessionEventBody),
    at(30, { type: "step_started", turnId, step: 1 }),
    at(3_900, block(1, 0, { type: "text", text: "I run the tests first." })),
    at(4_100, called(1, 1, "c1", "read", { path: "src/parse.ts" })),
    at(4_110, ran("c1", "read", "Read src/parse.ts", "src/parse.ts")),
    at(4_190, result("c1", "text", 80)),
    at(4_900, called(1, 2, "c2", "shell", { command: "npm test" })),
    at(4_905, asks("c2", {})),
    at(27_400, { type: "permission_resolved", callId: call("c2"), choice: "allow_once", by: "user" }),
    at(27_410, ran("c2", "execute", "Run npm test")),
    at(33_300, result("c2", "1 failing", 5_890, true)),
    at(33_320, {
      ...stepEnded(1),
      usage: {
        inputTokens: 1_200,
        cacheReadTokens: 2_100,
        cacheWriteTokens: 82_000,
        outputTokens: 610,
        thinkingTokens: 220,
      },
      cost: 0.2214,
      cache: {
        expectedReadTokens: 84_100,
        readTokens: 2_100,
        break: { cause: "expired", planned: true, missedTokens: 82_000 },
      },
      phases: [
        { name: "build", fromMs: 0, ms: 14 },
        { name: "connect", fromMs: 14, ms: 96 },
        { name: "first_token", fromMs: 110, ms: 1_840 },
        { name: "generation", fromMs: 1_950, ms: 2_960 },
      ],
    } as SessionEventBody),
    at(33_330, { type: "step_started", turnId, step: 2 }),
    at(39_100, called(2, 0, "c3", "edit", { path: "src/parse.ts", old: "60", new: "3600" })),
    at(39_120, ran("c3", "edit", "Edit src/parse.ts", "src/parse.ts")),
    at(39_180, changed("c3", "src/parse.ts", 3, 1)),
    at(39_700, {
      ...result("c3", "Edited.", 580),
      phases: [
        { name: "apply", fromMs: 60, ms: 90 },
        { name: "settle", fromMs: 150, ms: 430 },
      ],
    } as SessionEventBody),
    at(39_720, {
      ...stepEnded(2),
      usage: {
        inputTokens: 310,
        cacheReadTokens: 86_000,
        cacheWriteTokens: 900,
        outputTokens: 420,
        thinkingTokens: 60,
      },
      cost: 0.0342,
      phases: [
        { name: "build", fromMs: 0, ms: 9 },
        { name: "wait", fromMs: 210, ms: 2_000, reason: "The model is overloaded." },
        { name: "first_token", fromMs: 2_215, ms: 900 },
        { name: "generation", fromMs: 3_115, ms: 2_660 },
      ],
    } as SessionEventBody),
    at(39_730, { type: "step_started", turnId, step: 3 }),
    at(41_900, block(3, 0, { type: "text", text: "Hours are now counted in seconds, and the tests pass." })),
    at(41_910, {
      ...stepEnded(3),
      usage: { inputTokens: 220, cacheReadTokens: 87_200, cacheWriteTokens: 700, outputTokens: 60, thinkingTokens: 0 },
      cost: 0.0291,
      context: contextOf(78_720),
      phases: [
        { name: "build", fromMs: 0, ms: 8 },
        { name: "first_token", fromMs: 8, ms: 1_100 },
        { name: "generation", fromMs: 1_108, ms: 1_060 },
      ],
    } as SessionEventBody),
    at(41_920, { type: "turn_finished", turnId, stopReason: "end_turn" }),
  ];
  return timed.map(({ ms, body }, index) => ({ ...body, seq: index + 1, at: startAt + ms }));
}
