/**
 * What crosses a process boundary, by itself: ids, parts, messages, models, usage, limits, tools.
 *
 * Not here: session events and deltas (`events.ts`), reviews and restores (`review.ts`), JSON-RPC descriptors (`methods.ts`)
 * and anything with runtime code. Easily got wrong: this file imports nothing, and journals of older versions are read as
 * these types too, so that a new field of a stored one is optional.
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
  /** Of a further change by the same call: beyond those of the first, so that their sum is what the call changed. */
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
