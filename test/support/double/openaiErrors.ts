/**
 * OpenAI's error bodies, which Responses, Chat Completions and most compatible servers share.
 *
 * Not here: Anthropic's (`anthropicWire.ts`). Easily got wrong: the code that clients branch on is `error.code`, not
 * `error.type`, and it is null for most bad requests.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import { badGateway, type Failure, type FailureKind } from "./wire.ts";

/** Status, `type`, `code` and default message of each failure. */
export const openaiErrors: Readonly<
  Record<Exclude<FailureKind, "badGateway">, readonly [number, string, string | null, string]>
> = {
  rateLimit: [
    429,
    "tokens",
    "rate_limit_exceeded",
    "Rate limit reached for the model on tokens per min (TPM): Limit 30000, Used 29980, Requested 1000. Please try again in 2s.",
  ],
  overloaded: [
    503,
    "server_error",
    "server_is_overloaded",
    "Our servers are currently overloaded. Please try again later.",
  ],
  server: [
    500,
    "server_error",
    "server_error",
    "The server had an error while processing your request. Sorry about that!",
  ],
  auth: [401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."],
  permission: [403, "invalid_request_error", "model_not_found", "Project does not have access to the model."],
  notFound: [
    404,
    "invalid_request_error",
    "model_not_found",
    "The model does not exist or you do not have access to it.",
  ],
  contextOverflow: [
    400,
    "invalid_request_error",
    "context_length_exceeded",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
  ],
  badRequest: [400, "invalid_request_error", null, "Bad request"],
  tooLarge: [413, "invalid_request_error", "request_too_large", "Request body too large."],
  timeout: [504, "server_error", "timeout", "The request timed out."],
};

/** The HTTP answer to a failure. */
export function failure(kind: FailureKind, message?: string, code?: string): Failure {
  if (kind === "badGateway") return badGateway;
  const headers = { "content-type": "application/json", "x-request-id": "req_00000000000000000000000000000000" };
  return { status: openaiErrors[kind][0], headers, body: JSON.stringify(errorBody(kind, message, code)) };
}

/** The JSON of a failure. */
export function errorBody(kind: Exclude<FailureKind, "badGateway">, message?: string, code?: string): Json {
  const [, type, usual, text] = openaiErrors[kind];
  return { error: { message: message ?? text, type, param: null, code: code ?? usual } };
}
