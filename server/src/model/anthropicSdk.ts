/**
 * The part of the Anthropic SDK that Hermes uses, to be loaded with `import()` on the first request.
 *
 * Not here: what is asked. Easily got wrong: these imports must stay static and by name. A dynamic import of the package
 * itself would keep all of it in the bundle, three times as much to load before the first request.
 */
import { BaseAnthropic } from "@anthropic-ai/sdk/client";
import {
  type Message,
  type MessageCreateParamsBase,
  Messages,
  type RawMessageStreamEvent,
} from "@anthropic-ai/sdk/resources/messages/messages";
import type { Connection } from "./connection.ts";

/** Where a request goes, and with which key. */
export interface AnthropicTarget {
  readonly apiKey: string;
  readonly baseURL: string;
}

/** What is sent. */
export interface AnthropicMessage {
  readonly body: MessageCreateParamsBase;
  readonly headers: { readonly [name: string]: string };
}

/**
 * Sends a request; resolves when the answer begins, or with the whole answer where none is streamed. The SDK is kept from reading credentials from the environment, from
 * logging (standard output carries the protocol) and from retrying.
 */
export async function sendMessages(
  { apiKey, baseURL }: AnthropicTarget,
  { body, headers }: AnthropicMessage,
  connection: Connection,
): Promise<AsyncIterable<RawMessageStreamEvent> | Message> {
  const client = new BaseAnthropic({
    apiKey,
    baseURL,
    maxRetries: 0,
    timeout: 2 ** 31 - 1,
    logLevel: "off",
    openTelemetry: false,
    fetch: connection.fetch,
  });
  return new Messages(client).create(body, { signal: connection.signal, headers });
}
