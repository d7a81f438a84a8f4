/**
 * Every fault does to a real SDK what it says, in all three formats, and strikes as often as it says.
 */
import { afterEach, describe, expect, test } from "vitest";
import { type Fault, type ModelDouble, type Step, startModelDouble } from "../../support/modelDouble.ts";
import { apis, ask, nothingSeen } from "./clients.ts";

let double: ModelDouble;
afterEach(() => double.close());

const say = "0123456789abcdefghij";
const step = (...fault: Fault[]): Step => ({ say, calls: [{ name: "read", input: { path: "é.ts" } }], fault });

async function start(...fault: Fault[]): Promise<void> {
  double = await startModelDouble({ script: { steps: [step(...fault), { say: "next" }] } });
}

describe.each(apis)("%s", (api) => {
  test.each([
    ["rateLimit", 429],
    ["overloaded", api === "anthropic" ? 529 : 503],
    ["server", 500],
    ["auth", 401],
    ["permission", 403],
    ["notFound", 404],
    ["contextOverflow", 400],
    ["tooLarge", 413],
    ["timeout", 504],
    ["badGateway", 502],
  ] as const)("%s is HTTP %d, once, and then the step plays", async (error, status) => {
    await start({ kind: "http", error, retryAfter: 7, retryAfterMs: 1500 });
    await expect(ask(double, api, "hello")).rejects.toMatchObject({ status });
    expect((await ask(double, api, "hello")).text).toBe(say);
    expect(double.requests.map((request) => [request.step, request.attempt, request.outcome])).toEqual([
      [0, 0, "fault"],
      [0, 1, "complete"],
    ]);
  });

  test("a rate limit says how long to wait", async () => {
    await start({ kind: "http", error: "rateLimit", retryAfter: 7, retryAfterMs: 1500, message: "Slow down." });
    const error = await ask(double, api, "hello").catch((reason: unknown) => reason);
    const headers = error instanceof Error && "headers" in error ? error.headers : undefined;
    expect(headers instanceof Headers && [headers.get("retry-after"), headers.get("retry-after-ms")]).toEqual([
      "7",
      "1500",
    ]);
    expect(String(error)).toContain("Slow down.");
  });

  test.each<[string, Fault, string]>([
    ["cut before the status line", { kind: "cut", at: "start" }, ""],
    ["cut after the headers", { kind: "cut", at: "headers" }, ""],
    ["cut in the text", { kind: "cut", at: { text: 5 } }, "01234"],
    ["cut in the arguments", { kind: "cut", at: { call: 0, arguments: 4 } }, say],
    ["cut after the call", { kind: "cut", at: { call: 0 } }, say],
    ["cut before the end", { kind: "cut", at: "end" }, say],
    ["end in the text", { kind: "end", at: { text: 5 } }, "01234"],
    ["error event in the text", { kind: "error", at: { text: 5 } }, "01234"],
    ["cut after 3 events", { kind: "cut", at: { events: 1 } }, ""],
    ["cut after 10 bytes", { kind: "cut", at: { bytes: 10 } }, ""],
    ["garbage in the text", { kind: "garbage", at: { text: 5 } }, "01234"],
  ])("%s fails the request, keeps what came, and is over at the next attempt", async (_name, fault, text) => {
    await start(fault);
    const seen = nothingSeen();
    await expect(ask(double, api, "hello", seen)).rejects.toThrow();
    expect(seen.text).toBe(text);
    expect((await ask(double, api, "hello")).text).toBe(say);
    expect(double.requests.map((request) => request.step)).toEqual([0, 0]);
  });

  test("a cut at any byte is a cut at that byte", async () => {
    double = await startModelDouble({
      script: { steps: [(request) => step({ kind: "cut", at: { bytes: request.attempt * 97 }, times: 99 })] },
    });
    const path = { anthropic: "/v1/messages", responses: "/v1/responses", chat: "/v1/chat/completions" }[api];
    const messages = [{ role: "user", content: "hello" }];
    const model = { anthropic: "claude-opus-5-5", responses: "gpt-6.1-sol", chat: "x" }[api];
    const body = JSON.stringify({
      model,
      max_tokens: 9,
      stream: true,
      messages,
      ...(api === "responses" ? { input: messages } : {}),
    });
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const headers = { authorization: "Bearer k", "anthropic-version": "2026-10-21" };
      const response = await fetch(double.url + path, { method: "POST", headers, body });
      let bytes = 0;
      const drain = async () => {
        for await (const chunk of response.body ?? []) bytes += chunk.length;
      };
      await expect(drain()).rejects.toThrow();
      expect(bytes).toBe(attempt * 97);
    }
  });

  test("pings, unknown events and tiny socket writes change nothing", async () => {
    double = await startModelDouble({
      script: {
        steps: [
          {
            say: "Grüße 😀",
            chunkBytes: 3,
            fault: [
              { kind: "ping", at: { text: 3 } },
              { kind: "unknown", at: { text: 5 } },
            ],
          },
        ],
      },
    });
    expect((await ask(double, api, "hello")).text).toBe("Grüße 😀");
  });

  test("a stall lasts until it is released", async () => {
    await start({ kind: "stall", at: { call: 0, arguments: 3 }, name: "stuck" });
    const seen = nothingSeen();
    const answer = ask(double, api, "hello", seen);
    await double.reached("stuck");
    expect(double.requests[0]?.outcome).toBe("pending");
    double.release("stuck");
    expect((await answer).calls).toEqual([{ name: "read", arguments: '{"path":"é.ts"}' }]);
  });

  test("a client that leaves is noticed, and its next request is another attempt", async () => {
    await start({ kind: "stall", at: { text: 5 }, name: "stuck" });
    const left = new AbortController();
    const answer = ask(double, api, "hello", nothingSeen(), left.signal);
    await double.reached("stuck");
    left.abort();
    await expect(answer).rejects.toThrow();
    expect((await ask(double, api, "hello")).text).toBe(say);
    expect(double.requests.map((request) => request.outcome)).toEqual(["aborted", "complete"]);
  });
});

test("events in the wrong order reach the SDK in that order", async () => {
  await start({ kind: "order", at: { events: 2 } });
  await expect(ask(double, "anthropic", "hello")).rejects.toThrow();
});

test("close ends answers that wait", async () => {
  await start({ kind: "stall", at: { text: 5 }, name: "stuck" });
  const answer = ask(double, "anthropic", "hello");
  await double.reached("stuck");
  await Promise.all([double.close(), expect(answer).rejects.toThrow()]);
});
