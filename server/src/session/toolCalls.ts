/**
 * Joins the scheduler to a session: asks for permission, stores what calls do, and keeps before-images of what they write.
 *
 * Not here: the order of calls (`tools/scheduler.ts`) or what rules mean (`tools/permission.ts`). Easily got wrong: a
 * change is stored, with both of its images, before the file is written; if the write then does not happen, that is stored too.
 */

import { abortable, type Clock, Serial } from "../base/async.ts";
import { messageOf, ToolError } from "../base/errors.ts";
import { inPhase, log } from "../base/trace.ts";
import type { SessionEventBody } from "../protocol/events.ts";
import type {
  ApprovalChoice,
  BlobId,
  CallId,
  FileChange,
  PermissionRequest,
  SessionId,
  TurnId,
} from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { countLines, furtherCounts, type LineCounts } from "../text/diff.ts";
import { encodeText, isAscii, utf8, withMarkOf } from "../text/encoding.ts";
import { isFormatted, sameWords } from "../text/userEdits.ts";
import {
  decidePermission,
  type PermissionDecision,
  type PermissionQuestion,
  type PermissionRule,
  parseRule,
  ruleFor,
} from "../tools/permission.ts";
import type { Registry } from "../tools/registry.ts";
import { createScheduler, type PendingCall, type SchedulerDeps, type Verdict } from "../tools/scheduler.ts";
import type { ToolContext } from "../tools/tool.ts";
import type { Queues } from "../workspace/queues.ts";
import type { FileText, Workspace } from "../workspace/workspace.ts";
import { settleEdit } from "./afterEdit.ts";
import { observeCommand } from "./commandChanges.ts";
import { countNewFolders, type FileCallDeps, moveFile, removeFile } from "./fileCalls.ts";
import type { SessionState } from "./reduce.ts";
import type { StepScheduler } from "./turn.ts";

/** What a session remembers between turns while it is in memory. */
export interface SessionMemory {
  /** Files as the model last saw them, most recent last. */
  readonly lastSeen: Map<string, FileText>;
  /** Rules that the user allowed for this session. */
  rules: readonly PermissionRule[];
}

/** The part of a session that calls write to. */
export interface CallJournal {
  readonly id: SessionId;
  readonly state: Pick<SessionState, "turns">;
  append(...bodies: readonly SessionEventBody[]): Promise<void>;
  stream(delta: { readonly type: "tool_output_delta"; readonly callId: CallId; readonly text: string }): void;
}

/** What running calls needs. */
export interface ToolCallDeps {
  readonly session: CallJournal;
  readonly turnId: TurnId;
  readonly memory: SessionMemory;
  readonly registry: Registry;
  readonly workspace: Workspace;
  readonly store: Pick<SessionStore, "putBlob">;
  readonly permissions: {
    /** Rules from settings and from earlier answers; read for each call, so that changes apply at once. */
    readonly rules: () => readonly PermissionRule[];
    /** Keeps a rule for this workspace. Resolves once it would survive the end of the process. */
    readonly add: (rule: string) => Promise<void>;
  };
  /** By URI: changes of a file happen one after another, each whole with its record; reviews wait here too. */
  readonly fileOrder: Queues;
  readonly trusted: () => boolean;
  readonly ask: (request: PermissionRequest, signal: AbortSignal) => Promise<ApprovalChoice>;
  readonly concurrency: () => number;
  readonly clock: Clock;
  /** Bytes that a result should have at most; absent where only the tools' own caps count. */
  readonly resultBytes?: () => number;
  /** Milliseconds that the edits of a step may wait for the editor's problems; 0 or absent: they are not asked for. */
  readonly diagnosticsWaitMs?: () => number;
}

/** Files remembered per session; the oldest are forgotten and simply read again. */
const lastSeenFiles = 200;
/** Characters of remembered text per session. */
const lastSeenCharacters = 16_000_000;

/** Milliseconds that an edit asks for problems when the step's wait is over. */
const minWaitMs = 20;

/** Files changed in the session that a command's before-images cover even where git ignores them; the latest ones. */
const maxChangedPaths = 500;

/** Makes the schedulers of a turn's steps. */
export function createToolCalls(deps: ToolCallDeps): (signal: AbortSignal) => StepScheduler {
  const asking = new Serial();
  return (signal) => {
    const waitMs = sharedWait(deps);
    const questions = new Map<CallId, Promise<unknown>>();
    let notStored: { readonly error: unknown } | undefined;
    const emit: SchedulerDeps["emit"] = async (event) => {
      // A cancelled question is closed in the journal before its call gets its result.
      if (event.type === "tool_result") await questions.get(event.callId);
      await deps.session.append(event).catch((error: unknown) => {
        notStored ??= { error };
        throw error;
      });
    };
    const scheduler = createScheduler(
      {
        registry: deps.registry,
        workspace: deps.workspace,
        clock: deps.clock,
        concurrency: deps.concurrency(),
        decide: (pending, callSignal) => {
          const verdict = decide(deps, asking, pending, callSignal);
          questions.set(
            pending.callId,
            verdict.catch(() => undefined),
          );
          return verdict;
        },
        emit,
        portsFor: (callId) => portsFor(deps, callId, waitMs, signal),
        onBug: (error, callId) => log("error", `Tool call ${callId} failed on a fault in Hermes`, error),
      } satisfies SchedulerDeps,
      signal,
    );
    return {
      submit: (call) => void scheduler.submit(call),
      drain: async () => {
        await scheduler.drain();
        // A call whose result is not in the journal would make every later request of the session invalid.
        if (notStored) throw notStored.error;
      },
    };
  };
}

/** The wait for problems, one for all edits of a step: it begins with the first that asks. */
function sharedWait({ clock, diagnosticsWaitMs }: ToolCallDeps): () => number {
  let until: number | undefined;
  return () => {
    const limit = diagnosticsWaitMs?.() ?? 0;
    if (limit === 0) return 0;
    until ??= clock.now() + limit;
    // At least a moment: what is known already is told.
    return Math.max(minWaitMs, Math.min(limit, until - clock.now()));
  };
}

async function decide(
  deps: ToolCallDeps,
  asking: Serial,
  { callId, tool, call }: PendingCall,
  signal: AbortSignal,
): Promise<Verdict> {
  const question: PermissionQuestion = {
    tool: tool.name,
    kind: tool.kind,
    subjects: await call.subjects(deps.workspace),
  };
  const decideNow = () =>
    decidePermission(question, {
      rules: [...deps.permissions.rules(), ...deps.memory.rules],
      trusted: deps.trusted(),
    });
  const decision = decideNow();
  if (decision.decision !== "ask") return toVerdict(decision);
  // One question at a time, decided anew when its turn comes: "for this session" may have answered the ones that wait.
  return asking.run(async () => {
    signal.throwIfAborted();
    const decisionNow = decideNow();
    if (decisionNow.decision !== "ask") return toVerdict(decisionNow);
    const caution = await call.caution?.(deps.workspace, await changedPaths(deps), signal);
    const reason = decisionNow.by === "default" ? "" : decisionNow.reason;
    const detail = [call.detail, caution, reason].filter(Boolean).join("\n\n");
    const { title } = call;
    const rule = ruleFor(question);
    return ask(
      deps,
      { sessionId: deps.session.id, callId, tool: tool.name, kind: tool.kind, title, detail, rule },
      signal,
    );
  });
}

/** Files that the session has changed, as the workspace names them. */
async function changedPaths({ session, workspace }: ToolCallDeps): Promise<readonly string[]> {
  const uris = new Set(session.state.turns.flatMap(({ changes }) => changes.map(({ uri }) => uri)));
  const recent = [...uris].slice(-maxChangedPaths);
  return Promise.all(recent.map(async (uri) => (await workspace.resolve(uri)).path));
}

function toVerdict({ decision, reason }: PermissionDecision): Verdict {
  return decision === "allow" ? "run" : { denied: reason };
}

async function ask(deps: ToolCallDeps, request: PermissionRequest, signal: AbortSignal): Promise<Verdict> {
  const { callId } = request;
  await deps.session.append({ type: "permission_requested", callId, request });
  const choice = await abortable(deps.ask(request, signal), signal).catch(async (error: unknown) => {
    await deps.session.append({ type: "permission_resolved", callId, choice: "cancelled", by: "host" });
    throw error;
  });
  if (choice === "allow_session") deps.memory.rules = [...deps.memory.rules, parseRule(request.rule, "allow")];
  if (choice === "allow_always") await keepRule(deps, request.rule);
  await deps.session.append({ type: "permission_resolved", callId, choice, by: "user" });
  if (choice !== "deny") return "run";
  return {
    denied: `The user denied this: ${request.title}. Do not try another way to do the same thing; go on without it, or ask what they want instead.`,
  };
}

/** A rule that cannot be stored holds for the session all the same: the user has said yes. */
async function keepRule(deps: ToolCallDeps, rule: string): Promise<void> {
  try {
    await deps.permissions.add(rule);
  } catch (error) {
    deps.memory.rules = [...deps.memory.rules, parseRule(rule, "allow")];
    const message = `“Always” holds for this session only: ${messageOf(error)}`;
    await deps.session.append({ type: "notice", level: "warning", message });
  }
}

type Ports = Pick<
  ToolContext,
  "turnId" | "report" | "lastSeen" | "saw" | "change" | "remove" | "move" | "settle" | "observe"
>;

function portsFor(deps: ToolCallDeps, callId: CallId, waitMs: () => number, signal: AbortSignal): Ports {
  /** Files as this call left them. */
  const written = new Map<string, FileText>();
  const counted: ChangeDeps["counted"] = new Map();
  const change: ToolContext["change"] = (wanted) =>
    inPhase("apply", () =>
      deps.fileOrder.run(wanted.uri, () => applyChange({ ...deps, written, counted }, callId, wanted, signal)),
    );
  return {
    turnId: deps.turnId,
    ...(deps.resultBytes === undefined ? {} : { resultBytes: deps.resultBytes() }),
    report: (text) => deps.session.stream({ type: "tool_output_delta", callId, text }),
    lastSeen: (uri) => deps.memory.lastSeen.get(uri),
    saw: (file) => remember(deps.memory.lastSeen, file),
    change,
    remove: (uri) => inPhase("apply", () => removeFile(filesOf(deps, callId), uri, signal)),
    move: (from, to) => inPhase("apply", () => moveFile(filesOf(deps, callId), from, to, signal)),
    settle: (wanted) => {
      const settling = { workspace: deps.workspace, written: (uri: string) => written.get(uri), change, waitMs };
      return inPhase("settle", () => settleEdit(settling, wanted, signal));
    },
    observe: async (scope, run) => {
      const { session, store, workspace, turnId } = deps;
      const append = (...bodies: readonly SessionEventBody[]) => session.append(...bodies);
      const paths = [...new Set([...scope.paths, ...(await changedPaths(deps))])];
      return observeCommand({ append, store, workspace, turnId, callId }, { ...scope, paths }, run, signal);
    },
  };
}

function filesOf(deps: ToolCallDeps, callId: CallId): FileCallDeps {
  const { session, store, workspace, turnId, fileOrder, memory } = deps;
  const append = (...bodies: readonly SessionEventBody[]) => session.append(...bodies);
  return {
    append,
    store,
    workspace,
    turnId,
    callId,
    fileOrder,
    lastSeen: memory.lastSeen,
    changes: () => session.state.turns.flatMap(({ changes }) => changes),
  };
}

interface ChangeDeps extends ToolCallDeps {
  readonly written: Map<string, FileText>;
  /** What this call has counted of a file, and the text that it began with. */
  readonly counted: Map<string, LineCounts & { readonly start: string | null }>;
}

async function applyChange(
  deps: ChangeDeps,
  callId: CallId,
  { uri, before, text: given }: Parameters<ToolContext["change"]>[0],
  signal: AbortSignal,
): ReturnType<ToolContext["change"]> {
  const { session, turnId, workspace, store, memory, counted } = deps;
  const encoding = await encodingFor(workspace, uri, before, given);
  const normal = given === null ? null : ((await workspace.normalText?.(uri, given, signal)) ?? given);
  const text = before || normal === null || !encoding ? normal : withMarkOf(encoding, normal);
  const [beforeBlob, afterBlob] = await Promise.all([
    putText(store, before?.text ?? null, encoding),
    putText(store, text, encoding),
  ]);
  const known = counted.get(uri);
  const start = known ? known.start : (before?.text ?? null);
  const counts = countLines(start, text);
  const change: FileChange = {
    uri,
    before: beforeBlob,
    after: afterBlob,
    ...(known ? furtherCounts(known, counts) : counts),
    ...(encoding === undefined ? {} : { encoding }),
    ...(before?.mode === undefined ? {} : { mode: before.mode }),
    ...(before === null ? await countNewFolders(workspace, uri, signal) : {}),
  };
  signal.throwIfAborted();
  await session.append({ type: "file_changed", turnId, callId, change });
  const failed = () => session.append({ type: "file_change_failed", turnId, callId, uri });
  const options = encoding === undefined ? undefined : { encoding };
  const outcome = await workspace
    .swap(uri, before?.version ?? null, text, signal, options)
    .catch(async (error: unknown) => {
      await failed();
      throw error;
    });
  if (!outcome.applied) {
    await failed();
    return { applied: false, current: outcome.current };
  }
  counted.set(uri, { ...counts, start });
  if (outcome.file?.source === "disk" && text !== null && isFormatted(text, outcome.file.text)) {
    await recordSaved(deps, callId, { uri, before: text, after: outcome.file.text, encoding });
  }
  if (outcome.file) deps.written.set(uri, outcome.file);
  const knewBefore = before === null || memory.lastSeen.get(uri)?.version === before.version;
  if (!outcome.file) memory.lastSeen.delete(uri);
  // What the user typed meanwhile the model has not seen: it must read that before it replaces the whole.
  else if (knewBefore && sameWords(outcome.file.text, text ?? "")) remember(memory.lastSeen, outcome.file);
  return { applied: true, version: outcome.file?.version ?? null };
}

interface SavedText {
  readonly uri: string;
  readonly before: string;
  readonly after: string;
  readonly encoding: string | undefined;
}

/** What the editor's saving made of a change, its formatter's work, belongs to the change. */
async function recordSaved(
  { session, turnId, store, counted }: ChangeDeps,
  callId: CallId,
  { uri, before, after, encoding }: SavedText,
): Promise<void> {
  const blobs = await Promise.all([putText(store, before, encoding), putText(store, after, encoding)]).catch(
    (error: unknown) => log("warn", "What saving made of a file is not recorded", error),
  );
  if (!blobs) return;
  const known = counted.get(uri);
  const counts = known ? furtherCounts(known, countLines(known.start, after)) : countLines(before, after);
  const change: FileChange = { uri, before: blobs[0], after: blobs[1], ...counts, ...(encoding ? { encoding } : {}) };
  await session.append({ type: "file_changed", turnId, callId, change });
}

/**
 * The encoding that a file will have, `undefined` for UTF-8. One of ASCII alone could be in any: the first other
 * character makes it what the user has for it.
 */
async function encodingFor(
  workspace: Workspace,
  uri: string,
  before: FileText | null,
  text: string | null,
): Promise<string | undefined> {
  if (before?.encoding !== undefined || text === null) return before?.encoding;
  if (before && (!isAscii(before.text) || isAscii(text))) return undefined;
  const encoding = await workspace.encodingOf?.(uri);
  return encoding === utf8 ? undefined : encoding;
}

/** Stores the bytes that the text has on disk. */
async function putText(
  store: Pick<SessionStore, "putBlob">,
  text: string | null,
  encoding: string | undefined,
): Promise<BlobId | null> {
  if (text === null) return null;
  const encoded = await encodeText(text, encoding);
  // The write will refuse it and say why; until then it only needs an image.
  const bytes = encoded.ok ? encoded.bytes : new TextEncoder().encode(text);
  try {
    return await store.putBlob(bytes);
  } catch (error) {
    throw new ToolError(
      `Nothing was changed, because the file's text could not be stored for undo: ${messageOf(error)} Tell the user.`,
      { cause: error },
    );
  }
}

function remember(lastSeen: Map<string, FileText>, file: FileText): void {
  lastSeen.delete(file.uri);
  lastSeen.set(file.uri, file);
  let characters = 0;
  for (const seen of lastSeen.values()) characters += seen.text.length;
  for (const [uri, seen] of lastSeen) {
    if (lastSeen.size <= lastSeenFiles && characters <= lastSeenCharacters) return;
    lastSeen.delete(uri);
    characters -= seen.text.length;
  }
}
