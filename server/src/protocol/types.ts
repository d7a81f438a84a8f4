/**
 * Every type that crosses a process boundary: parts, messages, tool calls, usage, session events and deltas.
 *
 * Not here: JSON-RPC descriptors (`methods.ts`) and anything with runtime code. This file imports nothing, so the
 * webview can share it as types only. Easily got wrong: `SessionEvent`s are stored and carry a sequence number;
 * `SessionDelta`s are only streamed, and losing one must never lose anything a person would miss after a reload.
 */

/** A JSON value, as it appears on the wire and in the journal. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Identifies one session; also the name of its journal file, so it holds only `[a-z0-9-]`. */
export type SessionId = string & { readonly __brand: "SessionId" };
/** Identifies one turn within a session. */
export type TurnId = string & { readonly __brand: "TurnId" };
/** Identifies one restore within a session. */
export type RestoreId = string & { readonly __brand: "RestoreId" };
/** Identifies one compaction within a session. */
export type CompactionId = string & { readonly __brand: "CompactionId" };
/** Identifies one tool call within a session. Vendor ids are kept as they came: the vendor wants them back. */
export type CallId = string & { readonly __brand: "CallId" };
/** Names a stored byte string by the SHA-256 of its content, in hex. */
export type BlobId = string & { readonly __brand: "BlobId" };

// ---------------------------------------------------------------------------------------------------- parts

/** Plain text or markdown, written by a person or by the model. */
export interface TextPart {
  readonly type: "text";
  readonly text: string;
}

/** A picture given by the user. */
export interface ImagePart {
  readonly type: "image";
  readonly mimeType: "image/png" | "image/jpeg" | "image/gif" | "image/webp";
  /** Base64, without a `data:` prefix. */
  readonly base64: string;
}

/** A file, selection or diagnostic that the user pointed at, as the text that the model is shown. */
export interface ReferencePart {
  readonly type: "reference";
  /** What the user sees on the chip, for example `src/parse.ts:10-24`. */
  readonly label: string;
  readonly uri?: string;
  /** The text given to the model, frozen when the prompt was sent. */
  readonly text: string;
}

/** What the model thought, as far as the vendor shows it. Empty text is normal. */
export interface ThinkingPart {
  readonly type: "thinking";
  readonly text: string;
}

/** The model asks for a tool to be run. */
export interface ToolCallPart {
  readonly type: "tool_call";
  readonly callId: CallId;
  readonly name: string;
  /** The parsed arguments; `null` when they were not JSON, and then `malformed` holds the raw text. */
  readonly input: Json;
  readonly malformed?: string;
}

/** A block that only its vendor understands; it is shown nowhere and echoed unchanged. */
export interface OpaquePart {
  readonly type: "opaque";
}

/** What a person may send. */
export type PromptPart = TextPart | ImagePart | ReferencePart;
/** What a model may answer. */
export type AssistantPart = TextPart | ThinkingPart | ToolCallPart | OpaquePart;

/**
 * One complete block of an answer: what it means, and the vendor's own form of it, which is echoed back unchanged to the
 * same API (thinking is bound to it). Another API is given the meaning instead.
 */
export interface AssistantBlock {
  readonly part: AssistantPart;
  readonly wire?: Json;
}

/** The result of one tool call, as the model sees it. Exactly one exists for each call. */
export interface ToolResult {
  readonly callId: CallId;
  readonly text: string;
  readonly isError: boolean;
}

// ---------------------------------------------------------------------------------------------------- models

/** A wire format. `recorded` plays a recording and never reaches a network. */
export type ModelApi = "anthropic-messages" | "openai-responses" | "openai-chat" | "recorded";

/** How a model may be used and what it costs: one row of the catalogue. */
export interface ModelSpec {
  /** `provider/model`, for example `anthropic/claude-sonnet-5-5`: unique, and what users write. */
  readonly id: string;
  /** What the picker shows. */
  readonly label: string;
  readonly api: ModelApi;
  /** The vendor's id for the model, as sent on the wire. */
  readonly wireId: string;
  /** Tokens the model accepts in all (prompt and answer). */
  readonly contextTokens: number;
  /** Tokens it may answer at most in one request. */
  readonly maxOutputTokens: number;
  readonly images: boolean;
  /** How thinking is asked for: not at all, always adaptive, or by an effort word. */
  readonly thinking: "none" | "adaptive" | "effort";
  /** True when its vendor compacts a conversation itself, on demand, in the wire format of `api`. */
  readonly compacts?: boolean;
  /** US dollars per million tokens; absent for local models. */
  readonly price?: ModelPrice;
  /** How much it can be trusted with: 1 (small) to 5 (the vendor's best). Our ranking; absent where we have none. */
  readonly quality?: number;
  /** Base URL where it differs from the vendor's own. */
  readonly baseUrl?: string;
  /** True when it runs on this machine and needs no key. */
  readonly local?: boolean;
  /** Whether it takes OpenAI's `prompt_cache_options` (gpt-5.6 and later); nobody else's server is sent them. */
  readonly cacheOptions?: boolean;
}

/** US dollars per million tokens. */
export interface ModelPrice {
  readonly input: number;
  readonly output: number;
  readonly cacheWrite: number;
  readonly cacheRead: number;
  /** Prompts longer than `aboveTokens` are charged at `times` the input and output price for the whole request. */
  readonly cliff?: { readonly aboveTokens: number; readonly inputTimes: number; readonly outputTimes: number };
}

/** How dear a model is beside another; `unknown` where one of them has no price. */
export type PriceClass = "free" | "cheaper" | "similar" | "dearer" | "unknown";

/** How a model is chosen where the user has named none: by the task, by cost, or by speed. */
export type RouteStrategy = "adaptive" | "cost" | "latency";

/** A model as the picker offers it. The id `auto` leaves the choice to rules. */
export interface ModelChoice {
  readonly id: string;
  readonly label: string;
  /** Whether it can be used now, and if not, what is missing. */
  readonly state: "ready" | "needs_key" | "recording";
  /** Which credential it needs, where it needs one. */
  readonly credential?: CredentialName;
  /** Bytes of text that make a token for it, as far as is known: what a prompt will cost can be shown before it is sent. */
  readonly bytesPerToken?: number;
}

/** Names of the credentials that Hermes knows. Their values never appear in events, logs or settings. */
export type CredentialName = "anthropic" | "openai";

/** Tokens used by one request or a sum of requests, in one meaning for all vendors. */
export interface Usage {
  /** Prompt tokens charged in full: neither read from the prompt cache nor written to it. */
  readonly inputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  /** Those of `cacheWriteTokens` that were written for an hour, which costs more. Absent for none. */
  readonly longCacheWriteTokens?: number;
  /** All generated tokens, thinking included. */
  readonly outputTokens: number;
  readonly thinkingTokens: number;
}

/**
 * Why a request reads less from the vendor's prompt cache than the requests before it left there. Planned are: another
 * model answers; the conversation went back; it was compacted; its first picture came, or its last one went (Anthropic's
 * cache tells the two apart); what was written has expired. Not planned are: the request
 * differs from the one before it in what was already sent; the vendor did not read what it should have.
 */
export type CacheBreakCause =
  | "model_changed"
  | "conversation_restored"
  | "compacted"
  | "pictures_changed"
  | "expired"
  | "request_changed"
  | "not_read";

/** A break of the prompt cache. */
export interface CacheBreak {
  readonly cause: CacheBreakCause;
  readonly planned: boolean;
  /** Tokens that would have been read from the cache without it, and were paid anew. */
  readonly missedTokens: number;
  /**
   * The first block that is not as it was sent before: `tools: shell`, `system`, `message 12, block 3 (result of read)`.
   * Messages and their blocks count from 1, as Hermes sends them. Absent where every block is.
   */
  readonly block?: string;
  /** What the vendor says of it, in its own word: `tools_changed`. */
  readonly vendorReason?: string;
}

/** What the vendor's prompt cache did for a request, beside what it should have done. Tokens of the prompt. */
export interface CacheOutcome {
  readonly expectedReadTokens: number;
  readonly readTokens: number;
  readonly break?: CacheBreak;
}

/** What a request held, as far as later ones are compared with it. */
export interface SentRequest {
  /** Whose prompt cache it went to: wire format, the vendor's id of the model, and what else divides that cache. */
  readonly to: string;
  /** How many blocks at its beginning are those of the request before it. */
  readonly same: number;
  /** Digests of the blocks after those: tools, system, then messages. */
  readonly blocks: readonly string[];
  /** Tokens of it that the cache then had, and for how many milliseconds after the request unless they are read. */
  readonly cachedTokens: number;
  readonly lifeMs: number;
}

/** What the next request of a conversation finds in the vendor's prompt cache, and what it costs to send it anew. */
export interface CacheForecast {
  /** Tokens of the conversation so far, its last answer included. */
  readonly tokens: number;
  /** When the selected model's cache has forgotten it, in milliseconds since the epoch; 0 when it has nothing of it. */
  readonly warmUntilAt: number;
  /** US dollars for sending all of it anew, by the id of the model. Models without a known price are left out. */
  readonly anewUsd: { readonly [model: string]: number };
}

/** The parts of a request, as they are sent: what stays the same for longest comes first. */
export type ContextSection =
  | "tools"
  | "system"
  /** The project's own instructions, which follow the system prompt. */
  | "instructions"
  /** What stands for the conversation that was compacted; 0 where none was. */
  | "summary"
  | "history"
  /** What goes along with the newest prompt: references, pictures, facts of the moment. */
  | "attached";

/** What a request took of the model's context window, in tokens. */
export interface ContextSize {
  /** All that the model takes: prompt and answer. */
  readonly window: number;
  /** Kept free for the answer. */
  readonly reserve: number;
  /** The prompt. Shares are estimates; their sum is what the vendor has counted, where it has. */
  readonly parts: { readonly [section in ContextSection]: number };
}

/** What one model was used for in one session on one day. */
export interface SpendingRow {
  /** `2026-11-21`, in the user's time zone. */
  readonly day: string;
  readonly model: string;
  readonly sessionId: SessionId;
  readonly requests: number;
  /** Tokens of prompts and answers. */
  readonly tokens: number;
  readonly promptTokens: number;
  /** Those of the prompts that the vendor had in its cache. */
  readonly cacheReadTokens: number;
  readonly outputTokens: number;
  /** Billionths of a US dollar. */
  readonly nano: number;
  /** Requests whose price is not known; their money is not in `nano`. */
  readonly unpriced: number;
  /** Requests that ended before the vendor said what they used: the most that they can have cost is counted. */
  readonly estimated: number;
}

/** The periods that a limit can be set for. */
export type BudgetPeriod = "turn" | "session" | "day" | "month";

/** What a limit is on: model requests, tokens of prompts and answers, billionths of a US dollar; of a turn also steps and ms. */
export type BudgetUnit = "requests" | "tokens" | "nano" | "steps" | "ms";

/** A limit that would be passed by going on. All amounts are in its unit. */
export interface LimitReached {
  readonly period: BudgetPeriod;
  readonly unit: BudgetUnit;
  readonly limit: number;
  /** Spent, and set aside for requests that are under way. */
  readonly spent: number;
  /** What the next request or step needs at least. */
  readonly needed: number;
}

/** A question to the user: the turn waits at a limit. There is one at a time in a turn. */
export interface BudgetQuestion {
  readonly sessionId: SessionId;
  readonly turnId: TurnId;
  readonly reached: LimitReached;
  /** What was reached, in a sentence. */
  readonly message: string;
  /** The limit to raise it to, as proposed; any that is higher than before may be chosen. */
  readonly proposed: number;
  /** That limit in words: `$2.00`, `150 steps`. */
  readonly proposedLabel: string;
  /** A cheaper model that what is left is enough for, where there is one. */
  readonly cheaper?: { readonly model: string; readonly label: string };
}

/** What the user answers at a limit. `limit` replaces the one that was reached, for its period and until that ends. */
export type BudgetChoice =
  | { readonly type: "raise"; readonly limit: number }
  | { readonly type: "cheaper" }
  | { readonly type: "stop" };

/** A limit that is set, and how much of it is used. */
export interface LimitStanding {
  readonly period: BudgetPeriod;
  readonly unit: "requests" | "tokens" | "nano";
  /** As set. */
  readonly configured: number;
  /** As it holds now, where it was raised. */
  readonly limit: number;
  /** Spent, and set aside for requests that are under way. */
  readonly spent: number;
}

/** Why a turn ended: ACP's five, and `budget` and `error`. */
export type StopReason = "end_turn" | "max_tokens" | "max_turn_requests" | "refusal" | "cancelled" | "budget" | "error";

/** A failure that a person is told about: what happened, and what to do next. */
export interface Failure {
  /** A stable word for programs, for example `auth`, `network`, `host_stopped`. */
  readonly code: string;
  /** What happened and why, in a sentence; then what to do. */
  readonly message: string;
}

// ---------------------------------------------------------------------------------------------------- time

/**
 * What a step or a running call does for a while. Of a step: `build` composes the request and what it needs, `queue` waits
 * for a place among the requests of its key, `wait` holds back before it is tried again, `connect` opens a connection,
 * `first_token` waits for the answer to begin, `generation` reads it. Of a call: `apply` writes a change, `settle` waits
 * for the editor to format it and to tell its problems; the rest of a call is its own work.
 */
export type PhaseName = "build" | "queue" | "wait" | "connect" | "first_token" | "generation" | "apply" | "settle";

/** A stretch of the time of a step or a call. Those of one do not overlap. */
export interface Phase {
  readonly name: PhaseName;
  /** Milliseconds from the `step_started` or `tool_started` that began it. */
  readonly fromMs: number;
  readonly ms: number;
  /** Why it waits, in a sentence. */
  readonly reason?: string;
}

// ---------------------------------------------------------------------------------------------------- tools

/** What a tool does, in ACP's words. */
export type ToolKind = "read" | "edit" | "delete" | "move" | "search" | "execute" | "fetch" | "think" | "other";

/** A tool as the model is told of it. */
export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly inputSchema: { readonly [key: string]: Json };
}

/** A place in a file; lines count from 1. */
export interface Location {
  readonly uri: string;
  readonly fromLine?: number;
  readonly toLine?: number;
}

/** One file that a call changed, by its bytes before and after. `null` means the file does not exist. */
export interface FileChange {
  readonly uri: string;
  /** The call moved it here from that place; `before` is what it held there. */
  readonly movedFrom?: string;
  readonly before: BlobId | null;
  readonly after: BlobId | null;
  /** How both are text, as `files.encoding` names it; absent for UTF-8 and for what is no text. */
  readonly encoding?: string;
  readonly addedLines: number;
  readonly removedLines: number;
  /**
   * Unix permission bits before the change, so that undo restores them too. With the bits of a symbolic link's type
   * (0o120000) where it is one; its bytes are then its target.
   */
  readonly mode?: number;
  /** Unix permission bits after it, where a command changed them: undo restores them only if nobody has since. */
  readonly modeAfter?: number;
  /** How many of the folders that it is in the call made for it, innermost first; absent for none. */
  readonly madeFolders?: number;
}

/** What the user answered to an approval. */
export type ApprovalChoice = "allow_once" | "allow_session" | "allow_always" | "deny";

/** A question to the user before a call runs. */
export interface PermissionRequest {
  readonly sessionId: SessionId;
  readonly callId: CallId;
  readonly tool: string;
  readonly kind: ToolKind;
  /** What will happen, in one line: `Run npm test`. */
  readonly title: string;
  /** The whole command, or the diff of the edit, or the reason why it asks. */
  readonly detail: string;
  /** The rule that "for this session" and "always" would store, for example `shell(npm test)`. */
  readonly rule: string;
}

// ---------------------------------------------------------------------------------------------------- events

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

/** What undo did to one file. */
export interface UndoneFile {
  readonly uri: string;
  /** `conflict`: it was changed since in the same lines, and was left as it is. */
  readonly outcome: "restored" | "merged" | "conflict" | "unchanged";
  /** Where it was before undo moved it back to `uri`. */
  readonly movedFrom?: string;
  /** True for a conflict of two texts: `session/conflict` gives one text with both sides. */
  readonly bothSides?: boolean;
}

/** What a restore takes back. */
export type RestoreTarget =
  /** The files of one turn. */
  | { readonly type: "turn"; readonly turnId: TurnId }
  /** Everything since right before a turn: the files, the conversation, or both. */
  | {
      readonly type: "checkpoint";
      readonly turnId: TurnId;
      readonly files: boolean;
      readonly conversation: boolean;
    }
  /** An earlier restore. */
  | { readonly type: "restore"; readonly restoreId: RestoreId };

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

// ---------------------------------------------------------------------------------------------------- sessions

/** A line of the session list. */
export interface SessionSummary {
  readonly sessionId: SessionId;
  readonly title: string;
  readonly cwd: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly turns: number;
  /** The text around a hit, when the list was asked with a query. */
  readonly snippet?: string;
}

// ---------------------------------------------------------------------------------------------------- review

/** A change of the agent that the user has neither kept nor undone. */
export interface PendingHunk {
  /** Names the hunk while neither it nor the lines before it change; stale ids are refused, never guessed. */
  readonly id: string;
  /** First line in the present text, from 1; for a pure deletion the line that it stands before. */
  readonly fromLine: number;
  /** Lines in the present text; 0 for a pure deletion. */
  readonly lineCount: number;
  /** The lines that were there before, without the last line's ending; empty for a pure addition. */
  readonly before: readonly string[];
  /** The turns that made it, oldest first. */
  readonly turnIds: readonly TurnId[];
}

/** A file with pending hunks. */
export interface PendingFile {
  readonly uri: string;
  readonly status: "added" | "modified" | "deleted";
  /** Where it was before the agent moved it. The move is then the first hunk, without lines. */
  readonly movedFrom?: string;
  /** In line order. A binary or very large file has one hunk for the whole. */
  readonly hunks: readonly PendingHunk[];
  readonly addedLines: number;
  readonly removedLines: number;
  /** The text without the pending hunks, for a diff. */
  readonly shadow: BlobId | null;
}
