/**
 * What happens in a session: its events, which are stored, and its deltas, which are only streamed.
 *
 * Not here: what events are made of (`types.ts`, `review.ts`) and anything with runtime code. Easily got wrong:
 * `SessionEvent`s are stored and carry a sequence number; `SessionDelta`s are not, and losing one must never lose anything
 * a person would miss after a reload.
 */
import type { RestoreTarget, UndoneFile } from "./review.ts";
import type {
  ApprovalChoice,
  AssistantBlock,
  BlobId,
  BudgetChoice,
  BudgetQuestion,
  CacheOutcome,
  CallId,
  CompactionId,
  ContextSize,
  Failure,
  FileChange,
  Location,
  ModelApi,
  PermissionRequest,
  Phase,
  PriceClass,
  PromptPart,
  RestoreId,
  RouteStrategy,
  SentRequest,
  SessionId,
  StopReason,
  ToolKind,
  TurnId,
  Usage,
} from "./types.ts";

/** What every stored event carries. */
export interface EventBase {
  /** Position in the journal, from 1, without gaps. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Where a prompt came from. */
export type PromptOrigin = "panel" | "code_action" | "command" | "cli";

/** A member of the journal, without its position: what modules emit. */
export type SessionEventBody =
  | { readonly type: "session_created"; readonly sessionId: SessionId; readonly cwd: string; readonly version: 1 }
  | { readonly type: "title_set"; readonly title: string }
  /** The system prompt with the project's instructions, frozen for the session: the prompt cache depends on it. */
  | {
      readonly type: "system_set";
      readonly text: string;
      /** The tools that models are told of, by name; all of them when absent. Frozen alike. */
      readonly tools?: readonly string[];
    }
  | {
      readonly type: "turn_started";
      readonly turnId: TurnId;
      readonly prompt: readonly PromptPart[];
      readonly origin: PromptOrigin;
      /** Facts of the moment (root, platform, date), given to the model after the prompt and frozen with it. */
      readonly context: string;
      readonly model: string;
      /** True when a recording answers, so that every surface can say so. */
      readonly recorded: boolean;
      /** The process that runs the turn: a turn whose host is gone is closed by the next one that opens the session. */
      readonly hostPid: number;
      /** Milliseconds from the prompt's arrival to this event. Absent in journals from before it was recorded. */
      readonly preparedMs?: number;
    }
  | {
      /** The answer of this turn was given before and is given again; no model is asked. Stored before its first step. */
      readonly type: "answer_reused";
      readonly turnId: TurnId;
      /** `similar`: the earlier question asked the same in other words. */
      readonly match: "exact" | "similar";
      /** What was asked then. */
      readonly question: string;
      /** When it was answered, in milliseconds since the epoch. */
      readonly answeredAt: number;
    }
  | { readonly type: "step_started"; readonly turnId: TurnId; readonly step: number }
  | {
      /** The stream died before a complete block: what was streamed of this step is dropped, and it is asked again. */
      readonly type: "step_restarted";
      readonly turnId: TurnId;
      readonly step: number;
      readonly reason: string;
    }
  | {
      /** The model of the turn was chosen by rules, because the user left the choice to them. Stored with `turn_started`. */
      readonly type: "model_routed";
      readonly turnId: TurnId;
      readonly model: string;
      /** What the picker shows for it. */
      readonly label: string;
      readonly strategy: RouteStrategy;
      /** The name of the rule that decided. */
      readonly rule: string;
      /** Why, as a phrase: `a short question about one file`. */
      readonly reason: string;
    }
  /** The turn waits at a limit until the user has answered; nothing of the step has been sent. */
  | {
      readonly type: "budget_reached";
      readonly turnId: TurnId;
      readonly step: number;
      readonly question: BudgetQuestion;
    }
  | {
      readonly type: "budget_resolved";
      readonly turnId: TurnId;
      /** `again`: the limit was changed elsewhere meanwhile, so it is looked at again. */
      readonly choice: BudgetChoice | { readonly type: "again" | "cancelled" };
      readonly by: "user" | "host";
    }
  | {
      /**
       * The model of the turn failed for good, and the next one of the user's fallbacks goes on from the last finished
       * step; or the user chose a cheaper one at a limit. What the step had said is dropped unless it holds a call. Later
       * turns begin with the chosen model.
       */
      readonly type: "model_changed";
      readonly turnId: TurnId;
      /** The step that failed. */
      readonly step: number;
      readonly from: string;
      readonly to: string;
      /** What the picker shows for `to`. */
      readonly label: string;
      /** What the failed model said, or which limit was reached, in a sentence. */
      readonly reason: string;
      readonly price: PriceClass;
    }
  | {
      /**
       * A block of the answer is complete. The message of a step is the fold of its blocks, so a stream that dies leaves
       * exactly what the vendor completed, and a call is stored before it runs.
       */
      readonly type: "assistant_block";
      readonly turnId: TurnId;
      readonly step: number;
      /** Which of the answer's blocks, from 0. */
      readonly index: number;
      readonly api: ModelApi;
      readonly block: AssistantBlock;
    }
  | {
      readonly type: "tool_started";
      readonly callId: CallId;
      readonly name: string;
      readonly kind: ToolKind;
      /** One line for the card: `Read src/parse.ts`. */
      readonly title: string;
      readonly locations: readonly Location[];
    }
  | { readonly type: "permission_requested"; readonly callId: CallId; readonly request: PermissionRequest }
  | {
      readonly type: "permission_resolved";
      readonly callId: CallId;
      readonly choice: ApprovalChoice | "cancelled";
      /** `user` when a person answered; otherwise the rule that did. */
      readonly by: string;
    }
  /**
   * Stored just before the file is written, so that no crash can leave a change without its before-image. What a command
   * changed is stored right after it; its before-images are stored before it runs.
   */
  | { readonly type: "file_changed"; readonly turnId: TurnId; readonly callId: CallId; readonly change: FileChange }
  /** The write announced by the last `file_changed` of this call and file did not happen. */
  | { readonly type: "file_change_failed"; readonly turnId: TurnId; readonly callId: CallId; readonly uri: string }
  | {
      readonly type: "tool_result";
      readonly callId: CallId;
      readonly text: string;
      readonly isError: boolean;
      readonly durationMs: number;
      /** In order; absent where the call only did its own work. */
      readonly phases?: readonly Phase[];
    }
  | {
      readonly type: "step_finished";
      readonly turnId: TurnId;
      readonly step: number;
      readonly usage: Usage;
      /** US dollars; absent where the catalogue has no price. */
      readonly cost?: number;
      /** What the request took of the model's window; older versions did not store it. */
      readonly context?: ContextSize;
      /** Milliseconds from sending the request to its first event, and to its last. */
      readonly firstEventMs: number;
      readonly totalMs: number;
      /** All attempts of the step, in order. Absent in journals from before they were recorded. */
      readonly phases?: readonly Phase[];
      /** The prompt was longer than this many tokens, above which the whole request has a higher price. */
      readonly priceStepTokens?: number;
      /** The vendor's name of the response: later requests are compared with it. */
      readonly responseId?: string;
      /** Absent where no request was answered. */
      readonly sent?: SentRequest;
      /** Absent where nothing is known of a cache. */
      readonly cache?: CacheOutcome;
    }
  | {
      /** The conversation so far was put into the vendor's prompt cache while the user wrote a prompt. Its turn may have begun by now. */
      readonly type: "cache_warmed";
      readonly sent: SentRequest;
      readonly usage: Usage;
      /** US dollars; absent where the catalogue has no price. */
      readonly cost?: number;
      /** When the request was sent: from then on the entry lives. */
      readonly startedAt: number;
      readonly responseId?: string;
    }
  | {
      /**
       * The model's server has read less than the prompt that it was sent. From here on the session takes its window for
       * `contextTokens`. The first one is followed by a `notice` for the user.
       */
      readonly type: "prompt_cut";
      readonly turnId: TurnId;
      readonly step: number;
      readonly model: string;
      /** What the server says that it has read. */
      readonly promptTokens: number;
      readonly contextTokens: number;
    }
  | {
      readonly type: "turn_finished";
      readonly turnId: TurnId;
      readonly stopReason: StopReason;
      readonly failure?: Failure;
      /** Text of a block that had begun to stream when the turn ended: shown to the user, never sent to a model. */
      readonly unfinished?: string;
    }
  /**
   * The user kept or undid pending hunks of a file. `shadow` is the file's text without the agent's pending hunks, after
   * that; `null` when it would not exist. What is pending is the difference between it and the present text.
   */
  | {
      readonly type: "hunks_reviewed";
      readonly uri: string;
      readonly action: "keep" | "undo";
      readonly hunks: number;
      /** Which hunks, by the ids that they had. */
      readonly hunkIds: readonly string[];
      /** The file's text right before the review. */
      readonly before: BlobId | null;
      readonly shadow: BlobId | null;
      /** The file's text right after the review. */
      readonly text: BlobId | null;
      /** A pending move was reviewed with it: after `undone` the file is back where it was before it was first moved. */
      readonly move?: "kept" | "undone";
    }
  /**
   * The user takes back what turns did. Stored before anything is written; it counts once `restore_finished` follows,
   * which it also does when the host was killed in between.
   */
  | {
      readonly type: "restore_started";
      readonly restoreId: RestoreId;
      readonly target: RestoreTarget;
      /** The turns whose files go back, or come back when the target is a restore. */
      readonly fileTurns: readonly TurnId[];
      /** The turns that leave the conversation, or come back to it when the target is a restore. */
      readonly conversationTurns: readonly TurnId[];
      /** The process that restores: a restore whose host is gone is closed by the next one that opens the session. */
      readonly hostPid: number;
    }
  /** Stored just before a restore writes a file, with both of its images, so that the restore can be undone. */
  | { readonly type: "file_restored"; readonly restoreId: RestoreId; readonly change: FileChange }
  /** The write announced by the last `file_restored` of this restore and file did not happen. */
  | { readonly type: "file_restore_failed"; readonly restoreId: RestoreId; readonly uri: string }
  | {
      readonly type: "restore_finished";
      readonly restoreId: RestoreId;
      readonly files: readonly UndoneFile[];
      /** True when the host was killed while it wrote: only the files listed were restored. */
      readonly interrupted?: boolean;
    }
  | Compacted
  /** The last compaction is taken back: the conversation is again what it was. Only while nothing was added to it. */
  | { readonly type: "compaction_undone"; readonly compactionId: CompactionId }
  | { readonly type: "notice"; readonly level: "info" | "warning"; readonly message: string };

/**
 * How a conversation is compacted: by the vendor itself, by a summary that the model writes, or by rule, without a model
 * (`extract`).
 */
export type CompactionMeans = "vendor" | "summary" | "extract";

/**
 * Why: less than 15 % of the window is left, a price step is near, the request is too long, there are more steps than the
 * user allows, the end of a turn is a good moment, or the user asked for it.
 */
export type CompactionReason = "window" | "price" | "overflow" | "steps" | "boundary" | "manual";

/**
 * The conversation, as models are given it, begins anew: all messages so far are replaced by a summary and by what is
 * carried word for word. Stored between turns, or between two steps of one; the events before it stay as they are.
 */
export interface Compacted {
  readonly type: "compacted";
  readonly compactionId: CompactionId;
  /** The turn in the midst of which it happened: its prompt follows what is carried. Absent between turns. */
  readonly turnId?: TurnId;
  readonly reason: CompactionReason;
  readonly means: CompactionMeans;
  /** How many messages it replaces. */
  readonly messages: number;
  /** The vendor's own block, sent back first and unchanged to the same API; only for `vendor`. */
  readonly block?: { readonly api: ModelApi; readonly block: AssistantBlock };
  /** What a person can read of the summary; empty where only the vendor can. */
  readonly summary: string;
  /**
   * The text that the model is given: the summary, unless `block` holds it; and word for word what the user said and which
   * files were changed.
   */
  readonly carried: string;
  readonly model: string;
  /** Estimated tokens of a request before and after it. */
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  /** What the requests for a summary used, failed ones included as far as the vendor told. */
  readonly usage: Usage;
  /** US dollars; absent where the catalogue has no price. */
  readonly cost?: number;
  readonly durationMs: number;
}

/** A stored event: the journal's line, the wire's update, the UI's and the tests' input. */
export type SessionEvent = EventBase & SessionEventBody;

/** A streamed update that is not stored; what it shows arrives again, whole, in a stored event. */
export type SessionDelta =
  | { readonly type: "text_delta"; readonly turnId: TurnId; readonly index: number; readonly text: string }
  | { readonly type: "thinking_delta"; readonly turnId: TurnId; readonly index: number; readonly text: string }
  | {
      readonly type: "tool_call_delta";
      readonly turnId: TurnId;
      readonly index: number;
      readonly callId: CallId;
      readonly name: string;
      /** The next piece of the arguments' JSON text. */
      readonly json: string;
    }
  | { readonly type: "tool_output_delta"; readonly callId: CallId; readonly text: string }
  | {
      /** A request waits before it is tried again. `untilAt` is in milliseconds since the epoch. */
      readonly type: "retry_delta";
      readonly turnId: TurnId;
      readonly attempt: number;
      readonly untilAt: number;
      readonly reason: string;
    }
  /** The conversation is being compacted, or (`isRunning` false) no longer is. */
  | { readonly type: "compaction_delta"; readonly isRunning: boolean; readonly reason: CompactionReason };

/** What `session/update` carries. */
export type SessionUpdate = SessionEvent | SessionDelta;
