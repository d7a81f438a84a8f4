/**
 * What the host asks of a client and tells it: one typed descriptor for every request and notification that is not LSP's
 * own; `PROTOCOL.md` documents each.
 *
 * Not here: what a client asks of the host (`methods.ts`), or the LSP messages we also use (apply edit, work-done progress).
 * Easily got wrong: the host cancels a question to the user when its turn ends first.
 */
import { NotificationType, RequestType } from "vscode-jsonrpc";
import type { SessionUpdate } from "./events.ts";
import type { ListModelsResult } from "./methods.ts";
import type { PendingFile } from "./review.ts";
import type { ApprovalChoice, BudgetChoice, BudgetQuestion, PermissionRequest, SessionId } from "./types.ts";

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

/** Result of `session/request_budget`. */
export interface BudgetResult {
  readonly choice: BudgetChoice;
}
/** Asks the user what to do at a limit; the host cancels the request when the turn ends or the limit changes first. */
export const requestBudget = new RequestType<BudgetQuestion, BudgetResult, void>("session/request_budget");

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

/**
 * What the parameters of LSP's `workspace/applyEdit` hold besides its own. The version there does not tell a document from
 * one that was opened after it was closed, since versions start anew.
 */
export interface EditCondition {
  /** `textDigest`: edit only if the document is open and has this text. Absent where files are renamed. */
  readonly digest?: string;
}

/** Parameters of `document/save`. */
export interface SaveDocumentParams {
  readonly uri: string;
  /** `textDigest` of the text: save only if the document still has it. */
  readonly digest: string;
}
/** Result of `document/save`. */
export interface SaveDocumentResult {
  readonly saved: boolean;
}
/** Saves a document that was not dirty before our edit. A buffer that the user has changed is never saved. */
export const saveDocument = new RequestType<SaveDocumentParams, SaveDocumentResult, void>("document/save");

/** Parameters of `document/encoding`. */
export interface DocumentEncodingParams {
  readonly uri: string;
}
/** Result of `document/encoding`. */
export interface DocumentEncodingResult {
  /** As the setting `files.encoding` names it. */
  readonly encoding: string;
}
/** Asks for the encoding of an open document, or the one that the user has set for a file. */
export const documentEncoding = new RequestType<DocumentEncodingParams, DocumentEncodingResult, void>(
  "document/encoding",
);

/** Parameters of `document/format`. */
export interface FormatDocumentParams {
  readonly uri: string;
  /** The text to format, without a byte order mark: what the file has by now. */
  readonly text: string;
}
/** Result of `document/format`. */
export interface FormatDocumentResult {
  /** LSP edits of the text; `null` when saving would not format, or the file has another text. */
  readonly edits: readonly DocumentTextEdit[] | null;
  /** False when the user has only changed lines formatted. */
  readonly whole: boolean;
}
/** One replaced range, as in LSP. */
export interface DocumentTextEdit {
  readonly range: { readonly start: TextPosition; readonly end: TextPosition };
  readonly newText: string;
}
/** A place in a text; line and UTF-16 character count from 0. */
export interface TextPosition {
  readonly line: number;
  readonly character: number;
}
/** Asks what format on save would make of a file. No document that the user sees may change by it. */
export const formatDocument = new RequestType<FormatDocumentParams, FormatDocumentResult, void>("document/format");

/** Parameters of `document/diagnostics`. */
export interface DocumentDiagnosticsParams {
  readonly uri: string;
  /** The text that the diagnostics must be of, without a byte order mark. */
  readonly text: string;
  /** Milliseconds to wait for them at most. */
  readonly waitMs: number;
}
/** Result of `document/diagnostics`. */
export type DocumentDiagnosticsResult =
  | { readonly known: false }
  | { readonly known: true; readonly diagnostics: readonly DocumentDiagnostic[] };
/** An error or a warning; the line counts from 1. */
export interface DocumentDiagnostic {
  readonly severity: "error" | "warning";
  readonly line: number;
  readonly message: string;
}
/** Asks for the errors and warnings of exactly the given text; those of an earlier text are not known. */
export const documentDiagnostics = new RequestType<DocumentDiagnosticsParams, DocumentDiagnosticsResult, void>(
  "document/diagnostics",
);
/** A notebook with unsaved changes, as it is in the editor. */
export interface OpenNotebook {
  /** The JSON that saving would write. */
  readonly text: string;
  /** Changes whenever the notebook does; opaque. */
  readonly version: string;
}
/** Parameters of `notebook/read`. */
export interface ReadNotebookParams {
  readonly uri: string;
}
/** Result of `notebook/read`: `null` when the notebook is not open, or has no unsaved changes. */
export interface ReadNotebookResult {
  readonly notebook: OpenNotebook | null;
}
/** Reads a notebook that is open with unsaved changes. */
export const readNotebook = new RequestType<ReadNotebookParams, ReadNotebookResult, void>("notebook/read");

/** Parameters of `notebook/edit`. */
export interface EditNotebookParams {
  readonly uri: string;
  /** Edit only if the notebook is still at this version. */
  readonly version: string;
  /** The JSON whose cells it is to have. */
  readonly text: string;
}
/** Result of `notebook/edit`: what is there after the edit; `null` when the notebook was at another version. */
export interface EditNotebookResult {
  readonly notebook: OpenNotebook | null;
}
/** Gives an open notebook other cells as one undo step, without saving it. */
export const editNotebook = new RequestType<EditNotebookParams, EditNotebookResult, void>("notebook/edit");

/** Tells that the list of models or the selection changed. */
export const modelsChanged = new NotificationType<ListModelsResult>("model/didChange");
