/** The embedder: what it sends, what it takes for a vector, and what it says when there is none. */
import { expect, test } from "vitest";
import { cosine } from "../../../server/src/model/embedder.ts";
import { createOpenAIEmbedder } from "../../../server/src/model/openaiEmbeddings.ts";

const signal = new AbortController().signal;

function embedderOf(answer: unknown, options: { readonly apiKey?: string; readonly status?: number } = {}) {
  const sent: Headers[] = [];
  const embedder = createOpenAIEmbedder({
    baseUrl: "http://127.0.0.1:9/v1",
    model: "m",
    ...(options.apiKey ? { apiKey: options.apiKey } : {}),
    fetch: async (_, init) => {
      sent.push(new Headers(init?.headers));
      return Response.json(answer, { status: options.status ?? 200 });
    },
  });
  return { embedder, sent };
}

test("a vector comes as it is, and a key goes only where one is given", async () => {
  const answer = { data: [{ embedding: [0.5, -1] }] };
  const open = embedderOf(answer);
  expect([...(await open.embedder.embed("x", signal))]).toEqual([0.5, -1]);
  expect(open.sent[0]?.get("authorization")).toBeNull();
  const keyed = embedderOf(answer, { apiKey: "k" });
  await keyed.embedder.embed("x", signal);
  expect(keyed.sent[0]?.get("authorization")).toBe("Bearer k");
});

test.each([
  ["no data", { data: [] }, 200],
  ["what is no vector", { data: [{ embedding: ["a"] }] }, 200],
  ["a failure", { error: { message: "no such model" } }, 404],
])("%s is told with the server's name", async (_, answer, status) => {
  await expect(embedderOf(answer, { status }).embedder.embed("x", signal)).rejects.toThrow(
    /^The embedding model “m” at 127\.0\.0\.1:9 /,
  );
});

test("an address that is none is refused, and an abort is one", async () => {
  const wrong = createOpenAIEmbedder({ baseUrl: "localhost:1", model: "m" });
  await expect(wrong.embed("x", signal)).rejects.toThrow("base URL");
  const reason = new DOMException("stopped", "AbortError");
  await expect(embedderOf({}).embedder.embed("x", AbortSignal.abort(reason))).rejects.toBe(reason);
});

test("the cosine of vectors that cannot be compared is 0", () => {
  expect(cosine(Float32Array.of(1, 0), Float32Array.of(2, 0))).toBe(1);
  expect(cosine(Float32Array.of(1), Float32Array.of(1, 0))).toBe(0);
  expect(cosine(Float32Array.of(0), Float32Array.of(1))).toBe(0);
});
