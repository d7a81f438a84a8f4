/**
 * The three families of failure and how to tell them apart. A failure that is none of these is a bug.
 *
 * Not here: recovery. `retry.ts`, `scheduler.ts` and `turn.ts` decide what to do with each family.
 * Easily got wrong: an abort is not a failure; test with `isAbort` before anything else.
 */

/** A tool could not do what it was asked. The message is for the model: it says what happened and what to do next. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/** Why a model request failed, in the words that retry, routing and the user's message branch on. */
export type ProviderErrorKind =
  | "rateLimit"
  | "overloaded"
  /** Not asked at all, because it has failed too often; `retryAfterMs` says when it is asked again. */
  | "unavailable"
  | "auth"
  | "billing"
  | "notFound"
  | "contextOverflow"
  | "badRequest"
  | "network"
  | "protocol"
  | "server";

/** What is known of a failed model request. */
export interface ProviderErrorOptions {
  readonly kind: ProviderErrorKind;
  /** Milliseconds the vendor asked us to wait. */
  readonly retryAfterMs?: number;
  readonly status?: number;
  readonly cause?: unknown;
}

/** A model request failed. The message is for the user: what happened, why, what to do. It never holds a key. */
export class ProviderError extends Error {
  override readonly name = "ProviderError";
  readonly kind: ProviderErrorKind;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;

  constructor(message: string, options: ProviderErrorOptions) {
    super(message, { cause: options.cause });
    this.kind = options.kind;
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
  }
}

/** The request itself is wrong (unknown session, a second prompt while one runs): the caller is told, nothing changes. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** True when `error` is the outcome of an abort rather than a failure. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "APIUserAbortError");
}

/** Marks a place that the types say cannot be reached; throws when a value arrives there all the same. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}

/** The message of anything thrown, for logs and for errors that wrap it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node system error (`ENOENT`, `EACCES`), or `undefined`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
