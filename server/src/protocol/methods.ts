/**
 * What a client asks of the host and tells it: one typed descriptor for every request and notification that is not LSP's
 * own; `PROTOCOL.md` documents each.
 *
 * Not here: what the methods do (`host.ts`), what the host asks of a client (`clientMethods.ts`), or the LSP messages we
 * also use (text sync, code actions, execute command, cancellation). Easily got wrong: a cancelled `session/prompt` resolves
 * with `stopReason: "cancelled"`; it does not fail.
 */
import { NotificationType, RequestType } from "vscode-jsonrpc";
import type { PromptOrigin, SessionDelta, SessionEvent } from "./events.ts";
import type { UndoneFile } from "./review.ts";
import type {
  BlobId,
  BudgetPeriod,
  CacheForecast,
  CompactionId,
  CredentialName,
  Failure,
  Json,
  LimitStanding,
  ModelChoice,
  PromptPart,
  RestoreId,
  SessionId,
  SessionSummary,
  SpendingRow,
  StopReason,
  TurnId,
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
  /** Whether the client serves `notebook/read` and `notebook/edit`. */
  readonly notebooks?: boolean;
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
  /** Only so many of the newest turns; all when absent. More may come all the same. */
  readonly turns?: number;
}
/** Result of `session/load`: the state is the fold of `events`, then of `live`. */
export interface LoadSessionResult {
  readonly events: readonly SessionEvent[];
  /** What has been streamed of the step now running, coalesced; empty when no turn runs. */
  readonly live: readonly SessionDelta[];
  readonly running: boolean;
  /** True when `events` leave out turns, which are asked for with a larger `turns`. */
  readonly hasEarlier?: boolean;
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
  /** What the user has open, the file in front first; at most 20 are told to the model, with the prompt. Absent: not known. */
  readonly openFiles?: readonly OpenFile[];
}
/** A file that the user has open. */
export interface OpenFile {
  readonly uri: string;
  /** True for the one in front. */
  readonly isActive: boolean;
  /** How many problems of each kind the editor knows in it. */
  readonly errors: number;
  readonly warnings: number;
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

/** Parameters of `session/warmUp`. */
export interface WarmUpParams {
  /** Absent before the first prompt of a session. */
  readonly sessionId?: SessionId;
  /** `focus`: the user may be about to write. `typing`: they are. */
  readonly intent: "focus" | "typing";
}
/** Result of `session/warmUp`. */
export interface WarmUpResult {
  /** `null` when there is no conversation yet, or nothing is known of the model's cache. */
  readonly forecast: CacheForecast | null;
}
/**
 * Prepares for a prompt: opens the connection to the selected model, and when the user types and the prompt cache has
 * forgotten the conversation, puts it there again. Answers once that is decided; the work goes on.
 */
export const warmUpSession = new RequestType<WarmUpParams, WarmUpResult, void>("session/warmUp");

/** Parameters of `session/undo`. */
export interface UndoParams {
  readonly sessionId: SessionId;
  readonly turnId: TurnId;
}
/** Result of `session/undo`, `session/restore` and `session/undoRestore`. */
export interface RestoreResult {
  readonly restoreId: RestoreId;
  readonly files: readonly UndoneFile[];
  /** The prompt of the turn, when the conversation went back to right before it. */
  readonly prompt?: readonly PromptPart[];
}
/** Gives the files that a turn changed their text from before it; what was changed since is kept by merging. */
export const undoTurn = new RequestType<UndoParams, RestoreResult, void>("session/undo");

/** Parameters of `session/restore`. At least one of the two must be true. */
export interface RestoreParams {
  readonly sessionId: SessionId;
  /** Go back to right before this turn. */
  readonly turnId: TurnId;
  readonly files: boolean;
  readonly conversation: boolean;
}
/** Goes back to right before a turn: the files of it and of all later turns, the conversation, or both. */
export const restoreSession = new RequestType<RestoreParams, RestoreResult, void>("session/restore");

/** Parameters of `session/undoRestore`. */
export interface UndoRestoreParams {
  readonly sessionId: SessionId;
  readonly restoreId: RestoreId;
}
/** Takes back a restore or the undo of a turn: its files by the same merge, and the conversation. */
export const undoRestore = new RequestType<UndoRestoreParams, RestoreResult, void>("session/undoRestore");

/** Parameters of `session/compact`. */
export interface CompactParams {
  readonly sessionId: SessionId;
  /** What the summary should keep in particular. */
  readonly hint?: string;
}
/** Result of `session/compact`. */
export interface CompactResult {
  /** False when it was cancelled. */
  readonly compacted: boolean;
}
/** Replaces the conversation, as models are given it, by a summary. `session/cancel` ends it. */
export const compactSession = new RequestType<CompactParams, CompactResult, void>("session/compact");

/** Parameters of `session/undoCompaction`. */
export interface UndoCompactionParams {
  readonly sessionId: SessionId;
  readonly compactionId: CompactionId;
}
/** Takes back the last compaction, as long as nothing was added to the conversation since. */
export const undoCompaction = new RequestType<UndoCompactionParams, Record<string, never>, void>(
  "session/undoCompaction",
);

/** Parameters of `session/conflict`. */
export interface ConflictParams {
  readonly sessionId: SessionId;
  readonly restoreId: RestoreId;
  readonly uri: string;
}
/** Result of `session/conflict`: both texts are of one moment. */
export interface ConflictResult {
  /** The file's present text, unsaved changes included. */
  readonly present: string;
  /** The same with both sides of each place that overlaps, between markers; equal to `present` when none does any more. */
  readonly text: string;
}
/** Shows a file that a restore left alone with both sides of what overlaps. Changes nothing. */
export const readConflict = new RequestType<ConflictParams, ConflictResult, void>("session/conflict");

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
/** Result of `session/review`. */
export interface UndoResult {
  readonly files: readonly UndoneFile[];
}
/** Keeps pending hunks, or gives them the text from before; undoing one never touches another. Answers per file. */
export const reviewSession = new RequestType<ReviewParams, UndoResult, void>("session/review");

/** Parameters of `blob/read`. */
export interface ReadBlobParams {
  readonly blob: BlobId;
  /** That of the change which the blob is from. */
  readonly encoding?: string;
}
/** Result of `blob/read`. */
export interface ReadBlobResult {
  readonly text: string;
}
/** Reads the text of a file as it was before or after a change, for diffs. */
export const readBlob = new RequestType<ReadBlobParams, ReadBlobResult, void>("blob/read");

/** Parameters of `notebook/text`. */
export interface NotebookTextParams {
  readonly uri: string;
}
/** Result of `notebook/text`. */
export interface NotebookTextResult {
  readonly text: string;
}
/** Reads a notebook as the agent sees it, unsaved changes included: its cells as text, for diffs. */
export const notebookText = new RequestType<NotebookTextParams, NotebookTextResult, void>("notebook/text");

/** Parameters of `notebook/didChange`. */
export interface NotebookChangedParams {
  readonly uri: string;
  /** True when it has just been saved. */
  readonly saved?: boolean;
}
/** Tells the host that an open notebook was changed, saved or closed. */
export const notebookChanged = new NotificationType<NotebookChangedParams>("notebook/didChange");

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

/** Parameters of `cost/summary`. */
export interface CostSummaryParams {
  /** This month and how many before it, from 1. */
  readonly months: number;
  /** The session whose limits are told too. */
  readonly sessionId?: SessionId;
}
/** Result of `cost/summary`. */
export interface CostSummaryResult {
  /** Today, in the user's time zone. */
  readonly today: string;
  /** The oldest first. */
  readonly rows: readonly SpendingRow[];
  /** Titles of the sessions that still are. */
  readonly titles: { readonly [sessionId: string]: string };
  /** The limits that are set: of the session that was named, of today, of this month. */
  readonly limits: readonly LimitStanding[];
}
/** Tells what was spent, from the ledger that all windows and terminals of the user write to. */
export const costSummary = new RequestType<CostSummaryParams, CostSummaryResult, void>("cost/summary");

/** Parameters of `budget/raise`. */
export interface RaiseLimitParams {
  readonly period: Exclude<BudgetPeriod, "turn">;
  readonly unit: LimitStanding["unit"];
  /** The new limit, higher than the one that holds. */
  readonly limit: number;
  /** Where the period is a session: which. */
  readonly sessionId?: SessionId;
}
/** Raises a limit for the rest of its period, in every window and terminal; the user's settings stay as they are. */
export const raiseLimit = new RequestType<RaiseLimitParams, Record<string, never>, void>("budget/raise");

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
