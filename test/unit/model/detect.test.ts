/**
 * Which answers on the usual ports are believed to be model servers, and what is read from them.
 *
 * Not here: real sockets. Easily got wrong: the fake fetch never answers for ports that are not in its table.
 */
import { describe, expect, test } from "vitest";
import type { After } from "../../../server/src/model/connection.ts";
import { detectLocalModels } from "../../../server/src/model/detect.ts";
import { noAbort } from "./support.ts";

interface Reply {
  readonly status?: number;
  readonly body: unknown;
}

/** Answers URLs from a table; any other address refuses the connection. */
function fetchFrom(replies: { readonly [url: string]: Reply }): typeof globalThis.fetch {
  return async (input, init) => {
    const url = String(input);
    const asked = init?.body ? `${url} ${JSON.parse(String(init.body)).model}` : url;
    const reply = replies[asked];
    if (!reply) throw new TypeError("fetch failed");
    const body = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
    return new Response(body, { status: reply.status ?? 200 });
  };
}

const list = (...data: unknown[]) => ({ object: "list", data });

describe("believes", () => {
  test("Ollama, with the window it was given, else what it was trained with up to a cautious bound", async () => {
    const models = await detectLocalModels(
      {
        fetch: fetchFrom({
          "http://127.0.0.1:11434/v1/models": {
            body: list({ id: "qwen3:8b" }, { id: "small" }, { id: "odd" }, { id: "nomic-embed-text" }),
          },
          "http://127.0.0.1:11434/api/show qwen3:8b": {
            body: { parameters: "stop x\nnum_ctx 65536", model_info: { "qwen3.context_length": 131_072 } },
          },
          "http://127.0.0.1:11434/api/show small": { body: { model_info: { "llama.context_length": 8_192 } } },
          "http://127.0.0.1:11434/api/show odd": { body: { model_info: { "x.context_length": 1_000_000 } } },
        }),
      },
      noAbort(),
    );
    expect(models.map(({ id, contextTokens, maxOutputTokens }) => ({ id, contextTokens, maxOutputTokens }))).toEqual([
      { id: "ollama/qwen3:8b", contextTokens: 65_536, maxOutputTokens: 8_192 },
      { id: "ollama/small", contextTokens: 8_192, maxOutputTokens: 4_096 },
      { id: "ollama/odd", contextTokens: 32_768, maxOutputTokens: 8_192 },
    ]);
  });

  test("the others, by the names they have for the window", async () => {
    const models = await detectLocalModels(
      {
        fetch: fetchFrom({
          "http://127.0.0.1:1234/v1/models": { body: list({ id: "lm", max_context_length: 4_096 }) },
          "http://127.0.0.1:8080/v1/models": {
            body: list({ id: "/home/me/models/gemma.gguf", meta: { n_ctx_train: 16_384 } }),
          },
          "http://127.0.0.1:8000/v1/models": { body: list({ id: "org/model", max_model_len: 40_960 }) },
        }),
      },
      noAbort(),
    );
    expect(models).toEqual([
      expect.objectContaining({ id: "lmstudio/lm", label: "lm (LM Studio)", contextTokens: 4_096 }),
      expect.objectContaining({
        id: "llamacpp/gemma",
        wireId: "/home/me/models/gemma.gguf",
        contextTokens: 16_384,
        baseUrl: "http://127.0.0.1:8080/v1",
        local: true,
        api: "openai-chat",
      }),
      expect.objectContaining({ id: "vllm/org/model", wireId: "org/model", contextTokens: 40_960 }),
    ]);
  });
});

describe("does not believe", () => {
  test.each<{ name: string; reply: Reply }>([
    { name: "a web page", reply: { body: "<html>hello</html>" } },
    { name: "another JSON API", reply: { body: { models: [] } } },
    { name: "a list of something else", reply: { body: { object: "list", data: "x" } } },
    { name: "rows without ids", reply: { body: list({ name: "x" }, 3, null) } },
    { name: "an error", reply: { status: 401, body: list({ id: "x" }) } },
    { name: "an endless answer", reply: { body: " ".repeat(2 * 1024 * 1024) } },
  ])("$name", async ({ reply }) => {
    const fetch = fetchFrom({ "http://127.0.0.1:8080/v1/models": reply });
    expect(await detectLocalModels({ fetch }, noAbort())).toEqual([]);
  });
});

test("a port that never answers is given up on, all at the same time", async () => {
  const timers: { ms: number; run: () => void }[] = [];
  const after: After = (ms, run) => {
    timers.push({ ms, run });
    return () => {};
  };
  const hanging: typeof globalThis.fetch = (_, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
  const found = detectLocalModels({ fetch: hanging, after }, noAbort());
  expect(timers.map(({ ms }) => ms)).toEqual([300, 300, 300, 300]);
  for (const timer of timers) timer.run();
  expect(await found).toEqual([]);
});

test("an abort ends it", async () => {
  const controller = new AbortController();
  controller.abort();
  await expect(detectLocalModels({ fetch: fetchFrom({}) }, controller.signal)).rejects.toBe(controller.signal.reason);
});
