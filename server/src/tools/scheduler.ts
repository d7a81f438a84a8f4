/**
 * Runs the calls of a turn: each as early as its hazards allow, never earlier, and exactly one result for each.
 *
 * Not here: what conflicts (`access.ts`), who may (`permission.ts`) and what is stored (`emit`, given by the turn).
 * Easily got wrong: a call waits for earlier conflicting calls, then for permission, and only then takes a slot of the
 * queue. So neither a wait nor an unanswered approval ever holds a slot, and the queue cannot deadlock.
 */
import PQueue from "p-queue";
import { abortable, type Clock } from "../base/async.ts";
import { isAbort, messageOf, ToolError } from "../base/errors.ts";
import { PhaseRecorder } from "../base/trace.ts";
import type { SessionEventBody } from "../protocol/events.ts";
import type { CallId, ToolCallPart, ToolResult } from "../protocol/types.ts";
import type { Workspace } from "../workspace/workspace.ts";
import { conflicts, noAccess } from "./access.ts";
import type { Registry } from "./registry.ts";
import type { Access, ParsedCall, Tool, ToolContext, ToolOutput } from "./tool.ts";

/** A valid call that is about to run, as the permission decision sees it. */
export interface PendingCall {
  readonly callId: CallId;
  readonly tool: Tool;
  readonly call: ParsedCall;
}

/** Whether a call may run; `denied` is the text that the model is given instead of a result. */
export type Verdict = "run" | { readonly denied: string };

/** What the scheduler tells while calls run. `tool_started` comes before any effect, and only if the call does run. */
export type SchedulerEvent = Extract<SessionEventBody, { readonly type: "tool_started" | "tool_result" }>;

/** The parts of a `ToolContext` that belong to the session. */
export type CallPorts = Pick<
  ToolContext,
  "turnId" | "resultBytes" | "report" | "lastSeen" | "saw" | "change" | "remove" | "move" | "settle" | "observe"
>;

/** What a scheduler is given. */
export interface SchedulerDeps {
  readonly registry: Registry;
  readonly workspace: Workspace;
  readonly clock: Clock;
  /** May take as long as a person does; the signal ends it. It is asked once for each call, after its hazards. */
  readonly decide: (call: PendingCall, signal: AbortSignal) => Promise<Verdict>;
  /** Awaited: a call has no effect before `tool_started` is stored. */
  readonly emit: (event: SchedulerEvent) => Promise<void>;
  readonly portsFor: (callId: CallId) => CallPorts;
  /** Is told of failures that are our fault. */
  readonly onBug: (error: unknown, callId: CallId) => void;
  /** Calls that run at once at most; 8 when absent. */
  readonly concurrency?: number;
  /** Milliseconds that a cancelled call may take to stop before its result is given without it; 5,000 when absent. */
  readonly stopWaitMs?: number;
}

/** Runs the calls of one turn. */
export interface Scheduler {
  /** Takes a call, in the model's order, and resolves with its result. Never rejects. */
  submit(part: ToolCallPart): Promise<ToolResult>;
  /** Results of everything submitted, in call order, once all have settled. Never rejects. */
  drain(): Promise<readonly ToolResult[]>;
}

/** What came of preparing a call: something to run, or the error result that says why not. */
type Prepared =
  | { readonly ok: true; readonly tool: Tool; readonly call: ParsedCall }
  | { readonly ok: false; readonly message: string };

/** When a call began to run, and what it did then. */
interface Timer {
  startedAt: number;
  phases: PhaseRecorder | undefined;
}

interface Entry {
  readonly access: Promise<Access>;
  readonly result: Promise<ToolResult>;
}

/** Makes a scheduler for one turn. Aborting `signal` ends calls in every state with an error result. */
export function createScheduler(deps: SchedulerDeps, signal: AbortSignal): Scheduler {
  const queue = new PQueue({ concurrency: deps.concurrency ?? 8 });
  const entries: Entry[] = [];

  const submit = (part: ToolCallPart): Promise<ToolResult> => {
    const prepared = tryPrepare(part);
    const access = prepared.ok ? prepared.call.access(deps.workspace) : Promise.resolve(noAccess);
    const earlier = entries.slice();
    const result = settle(part, prepared, access, earlier);
    // A call whose access cannot be told does not run, so it is in nobody's way.
    entries.push({ access: access.catch(() => noAccess), result });
    return result;
  };

  const settle = async (
    part: ToolCallPart,
    prepared: Prepared,
    access: Promise<Access>,
    earlier: readonly Entry[],
  ): Promise<ToolResult> => {
    const timer: Timer = { startedAt: deps.clock.now(), phases: undefined };
    const output = await attempt(part, prepared, access, earlier, timer).catch((error: unknown) =>
      toFailure(error, part.callId),
    );
    const isError = output.isError ?? false;
    const durationMs = Math.max(0, deps.clock.now() - timer.startedAt);
    const result: ToolResult = { callId: part.callId, text: output.text, isError };
    try {
      const phases = timer.phases?.phases ?? [];
      await deps.emit({ type: "tool_result", ...result, durationMs, ...(phases.length > 0 ? { phases } : {}) });
    } catch (error) {
      deps.onBug(error, part.callId);
    }
    return result;
  };

  const attempt = async (
    part: ToolCallPart,
    prepared: Prepared,
    access: Promise<Access>,
    earlier: readonly Entry[],
    timer: Timer,
  ): Promise<ToolOutput> => {
    if (!prepared.ok) return { text: prepared.message, isError: true };
    const { tool, call } = prepared;
    await abortable(hazardsOver(access, earlier), signal);
    const verdict = await abortable(deps.decide({ callId: part.callId, tool, call }, signal), signal);
    if (verdict !== "run") return { text: verdict.denied, isError: true };
    signal.throwIfAborted();
    return inSlot(() => {
      timer.startedAt = deps.clock.now();
      return run(part.callId, tool, call, timer);
    });
  };

  /** Settles as `start` does once a slot is free; an abort ends the wait for the slot, but not what has started. */
  const inSlot = (start: () => Promise<ToolOutput>): Promise<ToolOutput> =>
    new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      const started = queue.add(async () => {
        signal.removeEventListener("abort", onAbort);
        signal.throwIfAborted();
        return start();
      });
      started.then(resolve, reject);
    });

  const run = async (callId: CallId, tool: Tool, call: ParsedCall, timer: Timer): Promise<ToolOutput> => {
    const locations = await call.locations(deps.workspace);
    signal.throwIfAborted();
    const phases = new PhaseRecorder(deps.clock.now);
    timer.phases = phases;
    await deps.emit({ type: "tool_started", callId, name: tool.name, kind: tool.kind, title: call.title, locations });
    signal.throwIfAborted();
    const context: ToolContext = { ...deps.portsFor(callId), callId, workspace: deps.workspace, signal };
    return stopping(phases.run(() => call.run(context)));
  };

  /** Settles as the running call does; when that ignores the abort for too long, rejects without it. */
  const stopping = async (running: Promise<ToolOutput>): Promise<ToolOutput> => {
    const over = new AbortController();
    const overdue = new Promise<never>((_, reject) => {
      const onAbort = () => {
        deps.clock.sleep(deps.stopWaitMs ?? 5_000, over.signal).then(
          () => reject(new ToolError("Cancelled by the user. It did not stop in time and may still have effects.")),
          () => undefined,
        );
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true, signal: over.signal });
    });
    try {
      return await Promise.race([running, overdue]);
    } finally {
      over.abort();
    }
  };

  const tryPrepare = (part: ToolCallPart): Prepared => {
    try {
      return prepare(deps.registry, part);
    } catch (error) {
      return { ok: false, message: toFailure(error, part.callId).text };
    }
  };

  const toFailure = (error: unknown, callId: CallId): ToolOutput => {
    const cancelled = signal.aborted && (isAbort(error) || error === signal.reason);
    if (cancelled) return { text: "Cancelled by the user before it finished.", isError: true };
    if (error instanceof ToolError) return { text: error.message, isError: true };
    if (isAbort(error))
      return { text: "Interrupted before it finished. Call it again if it is needed.", isError: true };
    deps.onBug(error, callId);
    return {
      text: `The tool failed because of a fault in Hermes, not of your call: ${messageOf(error)}. Try another way.`,
      isError: true,
    };
  };

  const drain = async (): Promise<readonly ToolResult[]> => {
    const results: ToolResult[] = [];
    // By index, because calls may still be submitted while earlier ones are awaited.
    for (let entry = entries[0]; entry; entry = entries[results.length]) results.push(await entry.result);
    return results;
  };

  return { submit, drain };
}

/** Resolves when every earlier call that conflicts has its result. Waits point backwards only, so there is no cycle. */
async function hazardsOver(access: Promise<Access>, earlier: readonly Entry[]): Promise<void> {
  const own = await access;
  await Promise.all(
    earlier.map(async (entry) => {
      if (conflicts(await entry.access, own)) await entry.result;
    }),
  );
}

function prepare(registry: Registry, part: ToolCallPart): Prepared {
  const tool = registry.get(part.name);
  if (!tool) {
    return { ok: false, message: `There is no tool "${part.name}". The tools are: ${registry.names.join(", ")}.` };
  }
  if (part.malformed !== undefined) return { ok: false, message: describeMalformed(part.name, part.malformed) };
  const parsed = tool.parse(part.input);
  return parsed.ok ? { ok: true, tool, call: parsed.call } : parsed;
}

function describeMalformed(name: string, json: string): string {
  let problem = "they are not an object";
  try {
    JSON.parse(json);
  } catch (error) {
    problem = messageOf(error);
  }
  const tail = json.length > 80 ? `…${json.slice(-80)}` : json;
  return (
    `The arguments of ${name} were not valid JSON (${problem}); they ended with: ${tail}\n` +
    "Nothing was run. Send the call again with complete, valid JSON; if it was cut for length, do less in one call."
  );
}
