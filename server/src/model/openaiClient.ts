/**
 * What both OpenAI wire formats share: loading the official SDK, who is asked, tokens counted in our meaning.
 *
 * Not here: either format. Easily got wrong: the SDK must not read keys from the environment, log (standard output
 * carries the protocol) or retry; and servers without a key must not be sent an `Authorization` header.
 */
import type { OpenAI } from "openai/client";
import { ProviderError } from "../base/errors.ts";
import type { Usage } from "../protocol/types.ts";
import { assertBaseUrl, type Connection, type ConnectionOptions, hostOf } from "./connection.ts";
import type { Endpoint } from "./failure.ts";
import type { ModelRequest } from "./provider.ts";

/** Where and how to reach OpenAI, or a server that speaks its API. */
export interface OpenAIOptions extends ConnectionOptions {
  readonly apiKey?: string;
  /** Ends in `/v1`; a model's own `baseUrl` wins. */
  readonly baseUrl?: string;
}

/** An endpoint with its base URL. */
export interface OpenAIEndpoint extends Endpoint {
  readonly baseUrl: string;
}

/** The vendor's own server. */
export const openaiUrl = "https://api.openai.com/v1";

/** Who a request goes to. Local servers are given no key: it is OpenAI's. */
export function toEndpoint({ model }: ModelRequest, options: OpenAIOptions): OpenAIEndpoint {
  const baseUrl = model.baseUrl ?? options.baseUrl ?? openaiUrl;
  const host = hostOf(baseUrl);
  const local = model.local === true;
  return {
    baseUrl,
    host,
    local,
    vendor: local ? `The model server at ${host}` : "OpenAI",
    model: model.wireId,
    ...(options.apiKey === undefined || local ? {} : { secret: options.apiKey }),
  };
}

/** Loads the SDK on first use and makes a client for one request. Throws `ProviderError` of kind `auth` without a key. */
export async function openClient(endpoint: OpenAIEndpoint, connection: Connection): Promise<OpenAI> {
  if (endpoint.secret === undefined && !endpoint.local && endpoint.baseUrl === openaiUrl)
    throw new ProviderError("There is no key for OpenAI. Set one with “Hermes: Set API Key” or in OPENAI_API_KEY.", {
      kind: "auth",
    });
  if (endpoint.local && endpoint.baseUrl === openaiUrl)
    throw new ProviderError(
      `The address of the server for the model “${endpoint.model}” is not known. Set it in “hermes.openai.baseUrl” or OPENAI_BASE_URL, ending in /v1.`,
      { kind: "badRequest" },
    );
  assertBaseUrl(endpoint.baseUrl);
  const { OpenAI: Client } = await import("openai/client");
  return new Client({
    apiKey: endpoint.secret ?? "none",
    adminAPIKey: null,
    baseURL: endpoint.baseUrl,
    maxRetries: 0,
    timeout: 2 ** 31 - 1,
    logLevel: "off",
    fetch: connection.fetch,
    ...(endpoint.secret === undefined ? { defaultHeaders: { Authorization: null } } : {}),
  });
}

/** Usage from OpenAI's counts, where the input is the total and cached tokens are part of it. */
export function toUsage(counts: {
  readonly input: number | undefined;
  readonly cacheRead: number | undefined;
  readonly cacheWrite: number | undefined;
  readonly output: number | undefined;
  readonly thinking: number | undefined;
}): Usage {
  const { input = 0, cacheRead = 0, cacheWrite = 0, output = 0, thinking = 0 } = counts;
  return {
    inputTokens: Math.max(0, input - cacheRead - cacheWrite),
    cacheReadTokens: cacheRead,
    cacheWriteTokens: cacheWrite,
    outputTokens: output,
    thinkingTokens: thinking,
  };
}
