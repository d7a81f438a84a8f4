/**
 * What the extension tells the page in the situations that tests look at: a set-up workspace, and a turn piece by piece.
 *
 * Not here: the page. Easily got wrong: events carry positions without gaps, so they are numbered here, in order.
 */
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import type {
  AssistantPart,
  BlobId,
  CallId,
  Json,
  ModelChoice,
  PermissionRequest,
  SessionEvent,
  SessionEventBody,
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
