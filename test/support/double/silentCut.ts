/**
 * What a local server leaves of a prompt that is longer than its window: the system prompt and the newest messages.
 *
 * Not here: refusing such a prompt (`refusals.ts`), which is what vendors do. Easily got wrong: nothing in the answer tells
 * of it but the prompt's tokens in the usage.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import { asObjects, type JsonObject, strip, tokensOf } from "./json.ts";

/** The body of a Chat Completions request without the oldest messages, so that it has at most `window` tokens. */
export function cutSilently(body: JsonObject, window: number): JsonObject {
  const messages = asObjects(body.messages);
  const size = (value: Json | undefined) => (value === undefined ? 0 : tokensOf(strip(value)));
  const isSystem = ({ role }: JsonObject) => role === "system";
  let room = window - size(body.tools) - messages.filter(isSystem).reduce((sum, message) => sum + size(message), 0);
  let first = messages.length;
  // The newest message stays, whatever its length.
  while (first > 0 && (first === messages.length || room >= size(messages[first - 1]))) {
    first -= 1;
    room -= size(messages[first]);
  }
  return { ...body, messages: messages.filter((message, at) => isSystem(message) || at >= first) };
}
