/** Requests of a growing conversation: a message is translated when it is new, and never again. */
import { expect, test } from "vitest";
import { toAnthropicRequest } from "../../../server/src/model/anthropicRequest.ts";
import { toChatRequest } from "../../../server/src/model/openaiChat.ts";
import { toResponsesRequest } from "../../../server/src/model/openaiResponses.ts";
import type { ModelMessage, ModelRequest } from "../../../server/src/model/provider.ts";
import { countingMessage, modelRequest, modelSpec } from "./support.ts";

const formats: readonly (readonly [string, (request: ModelRequest) => unknown])[] = [
  ["Anthropic Messages", toAnthropicRequest],
  ["OpenAI Responses", toResponsesRequest],
  ["Chat Completions", toChatRequest],
];

test.each(formats)("%s", (_, toRequest) => {
  let looked = 0;
  const counting = (text: string) =>
    countingMessage(text, () => {
      looked += 1;
    });
  const messages = Array.from({ length: 200 }, (_unused, at) => counting(`message ${at}`));
  toRequest(modelRequest({ messages: messages.slice(0, 100) }));
  const perMessage = looked / 100;
  for (let end = 101; end <= 200; end++) toRequest(modelRequest({ messages: messages.slice(0, end) }));
  expect(looked).toBe(200 * perMessage);
});

test.each(formats)("%s: a model that sees no pictures is not given what was made for one that does", (_, toRequest) => {
  const messages: readonly ModelMessage[] = [
    { role: "user", parts: [{ type: "image", mimeType: "image/png", base64: "QUJD" }] },
  ];
  const bodyFor = (images: boolean) =>
    JSON.stringify(toRequest(modelRequest({ messages, model: modelSpec({ images }) })));
  expect(bodyFor(true)).toContain("QUJD");
  expect(bodyFor(false)).not.toContain("QUJD");
  expect(bodyFor(true)).toContain("QUJD");
});
