/**
 * What the panel's page and the extension say to each other: two unions, one for each direction.
 *
 * Not here: JSON-RPC (`methods.ts`). Types only, so that the page shares nothing of the extension. Easily got wrong: the
 * page can be destroyed at any time, so it holds nothing but drafts; after `ready` it is told everything again.
 */
import type { SessionDelta, SessionEvent, SessionUpdate } from "./events.ts";
import type {
  ApprovalChoice,
  BudgetChoice,
  CacheForecast,
  CallId,
  CompactionId,
  CredentialName,
  Failure,
  FileChange,
  LimitStanding,
  ModelChoice,
  PromptPart,
  RestoreId,
  SessionId,
  SessionSummary,
  SpendingRow,
  TurnId,
} from "./types.ts";

/** Something in the editor that goes with a prompt, as a chip shows it. */
export interface ReferenceChip {
  readonly id: string;
  /** For example `src/parse.ts:10-24`. */
  readonly label: string;
  readonly kind: "selection" | "file";
  /** False for what is only offered: the active editor, until the user adds it. */
  readonly included: boolean;
  /** Bytes of the text that the model would be given. */
  readonly bytes: number;
}

/** A file with pending hunks, as the panel lists it. */
export interface PendingSummary {
  readonly sessionId: SessionId;
  readonly uri: string;
  readonly status: "added" | "modified" | "deleted";
  /** Where it was before the agent moved it. */
  readonly movedFrom?: string;
  /** How many hunks are pending. */
  readonly hunks: number;
  readonly addedLines: number;
  readonly removedLines: number;
  /** The turns that made them. */
  readonly turnIds: readonly TurnId[];
}

/** How the host process is. */
export type HostState = "starting" | "running" | "restarting" | "stopped" | "no_folder";

/** What an error offers to do. */
export type PanelAction = "set_api_key" | "select_model" | "try_again" | "show_log" | "restart_host" | "open_folder";

/** From the extension to the page. */
export type ToPanel =
  /** The workspace folder; `root` is its URI, from which paths are shortened, and `folders` how many are open. */
  | {
      readonly type: "workspace";
      readonly name: string;
      readonly root: string | undefined;
      readonly folders: number;
      readonly trusted: boolean;
    }
  | { readonly type: "host"; readonly state: HostState; readonly message?: string }
  | { readonly type: "models"; readonly models: readonly ModelChoice[]; readonly selected: string }
  /** The whole state of the session to show; without an id, the empty state. */
  | {
      readonly type: "session";
      readonly sessionId: SessionId | undefined;
      readonly events: readonly SessionEvent[];
      readonly live: readonly SessionDelta[];
      /** True when there are turns before the ones in `events`. */
      readonly hasEarlier?: boolean;
    }
  | { readonly type: "updates"; readonly sessionId: SessionId; readonly updates: readonly SessionUpdate[] }
  | { readonly type: "sessions"; readonly query: string; readonly sessions: readonly SessionSummary[] }
  /** What was spent; shown at once. Without rows they are still being read. */
  | {
      readonly type: "cost";
      readonly rows?: readonly SpendingRow[];
      /** Today, in the user's time zone: `2026-11-21`. */
      readonly today?: string;
      readonly titles?: { readonly [sessionId: string]: string };
      /** The limits that are set, and what is used of each. */
      readonly limits?: readonly LimitStanding[];
    }
  /** Explain where the time and the money of a turn went; of the last one that has ended where none is named. */
  | { readonly type: "why"; readonly turnId?: TurnId }
  /** What the next request finds in the prompt cache; without a forecast nothing is known. */
  | { readonly type: "forecast"; readonly sessionId: SessionId; readonly forecast: CacheForecast | null }
  | { readonly type: "references"; readonly chips: readonly ReferenceChip[] }
  /** What is pending in all sessions; the page shows those of its own. */
  | { readonly type: "pending"; readonly files: readonly PendingSummary[] }
  /** Whether files are shown in the editor as the agent edits them. */
  | { readonly type: "follow"; readonly on: boolean }
  /** What the user asked for could not be done. */
  | { readonly type: "failed"; readonly failure: Failure; readonly action?: PanelAction }
  /** The last prompt has run to its end, or could not be run. */
  | { readonly type: "prompt_settled" }
  /** Something the user should know that is not part of the session, such as a restart. */
  | { readonly type: "notice"; readonly message: string }
  /** Put a prompt back into the prompt box, unless something is there. */
  | { readonly type: "draft"; readonly text: string }
  /** Put the cursor into the prompt box. */
  | { readonly type: "focus" };

/** From the page to the extension. */
export type FromPanel =
  | { readonly type: "ready" }
  | { readonly type: "submit"; readonly text: string }
  | { readonly type: "try_again"; readonly prompt: readonly PromptPart[] }
  /** Ask a prompt in a new session, of the model and not of the cache. */
  | { readonly type: "ask_again"; readonly prompt: readonly PromptPart[] }
  /** The cursor is in the prompt box, or the first key was pressed there. */
  | { readonly type: "warm_up"; readonly intent: "focus" | "typing" }
  | { readonly type: "stop" }
  | { readonly type: "new_session" }
  | { readonly type: "open_session"; readonly sessionId: SessionId }
  /** Show more turns than the so many that are there. */
  | { readonly type: "show_earlier"; readonly turns: number }
  | { readonly type: "list_sessions"; readonly query: string }
  | { readonly type: "show_cost" }
  /** Open what the cost view shows as a table that other programs read. */
  | { readonly type: "export_cost" }
  | { readonly type: "select_model"; readonly model: string }
  | { readonly type: "set_api_key"; readonly name?: CredentialName; readonly model?: string }
  | {
      readonly type: "answer";
      readonly sessionId: SessionId;
      readonly callId: CallId;
      readonly choice: ApprovalChoice;
    }
  /** What the user wants at a limit that a turn waits at. */
  | {
      readonly type: "answer_budget";
      readonly sessionId: SessionId;
      readonly turnId: TurnId;
      readonly choice: BudgetChoice;
    }
  /** Raise a limit for the rest of its period. */
  | { readonly type: "raise_limit"; readonly standing: LimitStanding; readonly limit: number }
  | { readonly type: "undo"; readonly turnId: TurnId }
  /** Go back to right before a turn. */
  | { readonly type: "restore"; readonly turnId: TurnId; readonly files: boolean; readonly conversation: boolean }
  | { readonly type: "undo_restore"; readonly restoreId: RestoreId }
  /** Replace the conversation by a summary, which keeps what the hint says in particular. */
  | { readonly type: "compact"; readonly hint?: string }
  | { readonly type: "undo_compaction"; readonly compactionId: CompactionId }
  /** Show a file that a restore left alone with both sides. */
  | { readonly type: "show_conflict"; readonly restoreId: RestoreId; readonly uri: string }
  | { readonly type: "open_diff"; readonly change: FileChange }
  | { readonly type: "open_all_diffs"; readonly changes: readonly FileChange[] }
  /** Keep or undo what is pending: in a file, of a turn, or in the whole session. */
  | {
      readonly type: "review";
      readonly action: "keep" | "undo";
      readonly sessionId: SessionId;
      readonly uri?: string;
      readonly turnId?: TurnId;
    }
  /** Show the diff of a pending file, or of all pending files. */
  | { readonly type: "open_pending"; readonly uri?: string }
  | { readonly type: "follow"; readonly on: boolean }
  /** `path` is a URI or a path relative to the workspace; the line counts from 1. */
  | { readonly type: "open_file"; readonly path: string; readonly line?: number }
  | { readonly type: "toggle_reference"; readonly id: string }
  | { readonly type: "do"; readonly action: PanelAction };
