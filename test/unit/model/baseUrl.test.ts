/** Base URLs that nothing can be sent to are told at once, and are not asked again as a broken network would be. */
import { expect, test } from "vitest";
import { createAnthropicProvider } from "../../../server/src/model/anthropic.ts";
import { createOpenAIChatProvider } from "../../../server/src/model/openaiChat.ts";
import { createOpenAIResponsesProvider } from "../../../server/src/model/openaiResponses.ts";
import { collect, modelRequest } from "./support.ts";

const providers = { createAnthropicProvider, createOpenAIChatProvider, createOpenAIResponsesProvider };

test.each(
  Object.entries(providers).flatMap(([name, create]) =>
    ["localhost:8080/v1", "not a url", "file:///tmp", "127.0.0.1:1"].map((baseUrl) => ({ name, create, baseUrl })),
  ),
)("$name: $baseUrl", async ({ create, baseUrl }) => {
  const provider = create({ apiKey: "key", baseUrl });
  await expect(collect(provider.stream(modelRequest(), new AbortController().signal))).rejects.toMatchObject({
    kind: "badRequest",
    message: expect.stringMatching(new RegExp(`“${baseUrl}”.*https://`)),
  });
});
