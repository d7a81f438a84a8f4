/**
 * One typed descriptor for every request and notification that is not LSP's own; `PROTOCOL.md` documents each.
 *
 * Not here: what the methods do (`host.ts`) or the LSP messages we also use (text sync, code actions, execute command,
 * apply edit, work-done progress, cancellation). Easily got wrong: a cancelled `session/prompt` resolves with
 * `stopReason: "cancelled"`; it does not fail.
 */
import { NotificationType, RequestType } from "vscode-jsonrpc";
import type {
  ApprovalChoice,
  BlobId,
  CredentialName,
  Failure,
  Json,
  ModelChoice,
  PendingFile,
  PermissionRequest,
  PromptOrigin,
  PromptPart,
  SessionDelta,
  SessionEvent,
  SessionId,
  SessionSummary,
  SessionUpdate,
  StopReason,
  TurnId,
  UndoneFile,
} from "./types.ts";

// ------------------------------------------------------------------------------------------ initialise (LSP's own)

/** What the client adds to LSP's `initialize` as `initializationOptions`. */
export interface InitializationOptions {
  /** Keys from the editor's secret storage. They are kept in memory only. */
  readonly credentials: { readonly [name in CredentialName]?: string };
  /** The `hermes` section of the editor's settings, as `config.ts` defines it. */
  readonly settings: Json;
  /** False in a workspace the user has not trusted: then no tool runs that edits or executes. */
  readonly trusted: boolean;
  /** Globs of the editor's `files.exclude` and `search.exclude` that are on: hidden from the agent too. */
  readonly exclude?: readonly string[];
  /** The editor's own ripgrep, for when the package's is not there. */
  readonly ripgrepPath?: string;
}

// ------------------------------------------------------------------------------------------ client to host

/** Parameters of `session/new`. */
export interface NewSessionParams {
  /** Absolute path; the workspace folder when absent. */
  readonly cwd?: string;
}
/** Result of `session/new`. */
export interface NewSessionResult {
  readonly sessionId: SessionId;
}
/** Starts a session. */
export const newSession = new RequestType<NewSessionParams, NewSessionResult, void>("session/new");

/** Parameters of `session/load`. */
export interface LoadSessionParams {
  readonly sessionId: SessionId;
}
/** Result of `session/load`: the state is the fold of `events`, then of `live`. */
export interface LoadSessionResult {
  readonly events: readonly SessionEvent[];
  /** What has been streamed of the step now running, coalesced; empty when no turn runs. */
  readonly live: readonly SessionDelta[];
  readonly running: boolean;
}
/** Reads a session, repairs what a killed host left open, and subscribes the caller to its updates. */
export const loadSession = new RequestType<LoadSessionParams, LoadSessionResult, void>("session/load");

/** Parameters of `session/list`. */
export interface ListSessionsParams {
  /** Words to search for in prompts, answers and titles. */
  readonly query?: string;
  /** At most this many; 50 when absent. */
  readonly limit?: number;
}
/** Result of `session/list`, newest first. */
export interface ListSessionsResult {
  readonly sessions: readonly SessionSummary[];
}
/** Lists or searches the sessions of this workspace. */
export const listSessions = new RequestType<ListSessionsParams, ListSessionsResult, void>("session/list");

/** Parameters of `session/prompt`. */
export interface PromptParams {
  readonly sessionId: SessionId;
  readonly prompt: readonly PromptPart[];
  readonly origin: PromptOrigin;
  /** A model id; the configured one when absent. */
  readonly model?: string;
  /** Ask the model although the answer may be kept from before, and keep the new one in its place. */
  readonly fresh?: boolean;
}
/** Result of `session/prompt`. */
export interface PromptResult {
  readonly turnId: TurnId;
  readonly stopReason: StopReason;
  readonly failure?: Failure;
}
/** Runs one turn and answers when it has ended. Cancelling the request cancels the turn. */
export const promptSession = new RequestType<PromptParams, PromptResult, void>("session/prompt");

/** Parameters of `session/cancel`. */
export interface CancelParams {
  readonly sessionId: SessionId;
}
/** Ends the running turn of a session; its `session/prompt` resolves with `cancelled`. */
export const cancelSession = new NotificationType<CancelParams>("session/cancel");

/** Parameters of `session/undo`. */
export interface UndoParams {
  readonly sessionId: SessionId;
  readonly turnId: TurnId;
}
/** Result of `session/undo`. */
export interface UndoResult {
  readonly files: readonly UndoneFile[];
}
/** Gives the files that a turn changed their text from before it; what was changed since is kept by merging. */
export const undoTurn = new RequestType<UndoParams, UndoResult, void>("session/undo");

/** Parameters of `session/review`. */
export interface ReviewParams {
  readonly sessionId: SessionId;
  readonly action: "keep" | "undo";
  /** One file; every pending file of the session when absent. */
  readonly uri?: string;
  /** One hunk of that file. Error `stale_hunk` when it is no longer there as it was. */
  readonly hunkId?: string;
  /** Only hunks that this turn made. */
  readonly turnId?: TurnId;
}
/** Keeps pending hunks, or gives them the text from before; undoing one never touches another. Answers per file. */
export const reviewSession = new RequestType<ReviewParams, UndoResult, void>("session/review");

/** Parameters of `blob/read`. */
export interface ReadBlobParams {
  readonly blob: BlobId;
}
/** Result of `blob/read`. */
export interface ReadBlobResult {
  readonly text: string;
}
/** Reads the text of a file as it was before or after a change, for diffs. */
export const readBlob = new RequestType<ReadBlobParams, ReadBlobResult, void>("blob/read");

/** Result of `model/list`, usable models first. */
export interface ListModelsResult {
  readonly models: readonly ModelChoice[];
  /** The id that a prompt without a model uses. */
  readonly selected: string;
}
/** Lists the models that could be used, local servers found on their usual ports included. */
export const listModels = new RequestType<Record<string, never>, ListModelsResult, void>("model/list");

/** Parameters of `model/select`. */
export interface SelectModelParams {
  readonly model: string;
}
/** Chooses the model for prompts that name none, until the host ends. */
export const selectModel = new RequestType<SelectModelParams, ListModelsResult, void>("model/select");

/** Parameters of `credential/set`. */
export interface SetCredentialParams {
  readonly name: CredentialName;
  /** Absent to forget it. */
  readonly value?: string;
}
/** Gives the host a key that the user has just entered, or takes it back. */
export const setCredential = new RequestType<SetCredentialParams, ListModelsResult, void>("credential/set");

/** Parameters of `config/open`. */
export interface OpenConfigParams {
  /** Whose file: the workspace folder's, or the user's own. */
  readonly owner: "workspace" | "user";
}
/** Result of `config/open`. */
export interface OpenConfigResult {
  readonly uri: string;
}
/** Names the owner's configuration file, made from a template if there is none. */
export const openConfig = new RequestType<OpenConfigParams, OpenConfigResult, void>("config/open");

/** Tells the host that the user has trusted the workspace. */
export const didGrantTrust = new NotificationType<Record<string, never>>("workspace/didGrantTrust");

// ------------------------------------------------------------------------------------------ host to client

/** Parameters of `session/update`. */
export interface UpdateParams {
  readonly sessionId: SessionId;
  readonly updates: readonly SessionUpdate[];
}
/** Tells what happened in a session. Deltas of one display frame are joined. */
export const sessionUpdate = new NotificationType<UpdateParams>("session/update");

/** Result of `session/request_permission`. */
export interface PermissionResult {
  readonly choice: ApprovalChoice;
}
/** Asks the user; the host cancels the request when the turn ends first. */
export const requestPermission = new RequestType<PermissionRequest, PermissionResult, void>(
  "session/request_permission",
);

/** Parameters of `session/reveal`. */
export interface RevealParams {
  readonly sessionId: SessionId;
}
/** Asks the client to show a session that a code action or a command has started. */
export const revealSession = new NotificationType<RevealParams>("session/reveal");

/** Parameters of `review/didChange`. */
export interface ReviewChangedParams {
  readonly sessionId: SessionId;
  /** All files with pending hunks, in the order in which they were first changed; empty when nothing is pending. */
  readonly files: readonly PendingFile[];
}
/** Tells what is pending in a session: after each change by the agent or the user, a review, and a load. */
export const reviewChanged = new NotificationType<ReviewChangedParams>("review/didChange");

/** Parameters of `document/save`. */
export interface SaveDocumentParams {
  readonly uri: string;
  /** Save only if the document is still at this LSP version. */
  readonly version: number;
}
/** Result of `document/save`. */
export interface SaveDocumentResult {
  readonly saved: boolean;
}
/** Saves a document that was not dirty before our edit. A buffer that the user has changed is never saved. */
export const saveDocument = new RequestType<SaveDocumentParams, SaveDocumentResult, void>("document/save");

/** Tells that the list of models or the selection changed. */
export const modelsChanged = new NotificationType<ListModelsResult>("model/didChange");

// ------------------------------------------------------------------------------------------ execute command

/** The LSP command that runs a task: code actions carry it, and palette commands send it. */
export const runTaskCommand = "hermes.runTask";

/** The client's command that asks how to refactor and then runs the task it was given; its argument is `TaskArguments`. */
export const refactorCommand = "hermes.refactorSelection";

/** A task that code actions and palette commands start. */
export type TaskName = "fix" | "fix_file" | "explain" | "refactor" | "write_tests" | "review_changes" | "ask";

/** The single argument of `hermes.runTask`. Positions are LSP's, from 0. */
export interface TaskArguments {
  readonly task: TaskName;
  readonly uri?: string;
  readonly range?: TaskRange;
  readonly diagnostics?: readonly TaskDiagnostic[];
  /** What the user typed, for `ask` and `refactor`. */
  readonly instruction?: string;
  /** The session to continue; a new one when absent. */
  readonly sessionId?: SessionId;
  /** Where it was started; `command` when absent. */
  readonly origin?: PromptOrigin;
}
/** An LSP range. */
export interface TaskRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}
/** An LSP diagnostic, as far as a task needs it. */
export interface TaskDiagnostic {
  readonly range: TaskRange;
  readonly message: string;
  readonly severity?: number;
  readonly source?: string;
}
/** What executing `hermes.runTask` returns, as soon as the turn is under way. */
export interface RunTaskResult {
  readonly sessionId: SessionId;
}
