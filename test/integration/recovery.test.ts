/** A model that fails under a running turn: real sockets, real SDKs, real tools on real files. */

import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { ProviderError } from "../../server/src/base/errors.ts";
import { createAnthropicProvider } from "../../server/src/model/anthropic.ts";
import { findModel } from "../../server/src/model/catalog.ts";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import type { Fault, Step } from "../support/modelDouble.ts";
import { startPlay, type WireFormat, wireFormats } from "../support/play.ts";
import { requestAccount } from "../unit/model/support.ts";

const wires = Object.keys(wireFormats) as readonly WireFormat[];
const write = (path: string): Step["calls"] => [{ name: "write", input: { path, text: "one line\n" } }];

function changes(events: readonly SessionEvent[]): readonly string[] {
  return events.flatMap((event) => (event.type === "file_changed" ? [event.change.uri.split("/").at(-1) ?? ""] : []));
}

describe.each(wires)("through %s", (wire) => {
  test.each<{ name: string; fault: Fault }>([
    { name: "the socket is cut in a call", fault: { kind: "cut", at: { call: 1, arguments: 5 } } },
    { name: "the body ends after a call", fault: { kind: "end", at: { call: 0 } } },
    { name: "garbage comes after a call", fault: { kind: "garbage", at: { call: 0 } } },
    { name: "an error event comes after a call", fault: { kind: "error", at: { call: 0 } } },
  ])("$name: what was called has run once, and the turn goes on", async ({ fault }) => {
    await using play = await startPlay({
      wire,
      script: {
        steps: [
          {
            think: "Two files.",
            say: "I write.",
            calls: [...(write("a.txt") ?? []), ...(write("b.txt") ?? [])],
            fault,
          },
          // How much of a broken answer arrives is the socket's affair; a model asks for what it has not asked for yet.
          ({ body }) => (body.includes("b.txt") ? { say: "Both are there." } : { calls: write("b.txt") }),
          { say: "Both are there." },
        ],
        repeatLast: true,
      },
    });
    const end = await play.prompt("Write both.");
    expect(end.stopReason).toBe("end_turn");
    // Both are written at the same time.
    expect(changes(play.events()).toSorted()).toEqual(["a.txt", "b.txt"]);
    expect(await play.read("b.txt")).toBe("one line\n");
  });

  test("another vendor goes on with the work of the first, and the next turn is the first's again", async () => {
    const other = wire === "anthropic-messages" ? "openai/gpt-6.1-sol" : "anthropic/claude-sonnet-5-5";
    await using play = await startPlay({
      wire,
      settings: { "model.fallbacks": [other] },
      script: {
        steps: [
          { think: "A file.", calls: write("a.txt") },
          { say: "Done.", fault: { kind: "http", error: "auth" } },
          { say: "Again." },
        ],
      },
    });
    const { sessionId, stopReason } = await play.prompt("Write it.");
    expect(stopReason).toBe("end_turn");
    expect(changes(play.events())).toEqual(["a.txt"]);
    expect(play.events().find(({ type }) => type === "model_changed")).toMatchObject({
      from: wireFormats[wire],
      to: other,
      reason: expect.stringContaining("refused the key"),
    });
    await play.prompt("And again.", { sessionId });
    expect(play.double.requests.map(({ json }) => `${json?.model}`)).toEqual(
      [wireFormats[wire], wireFormats[wire], other, wireFormats[wire]].map((id) => id.split("/")[1]),
    );
  });
});

test("a fallback that cannot be used is named, and the turn ends with the model's own failure", async () => {
  const problems: string[] = [];
  await using play = await startPlay({
    settings: { "model.fallbacks": ["nobody/knows", "recorded/tour"] },
    host: { onProblem: (problem) => problems.push(problem) },
    script: { steps: [{ say: "Hi.", fault: { kind: "http", error: "auth" } }] },
  });
  const end = await play.prompt("Hi.");
  expect(end.failure?.code).toBe("auth");
  expect(problems).toEqual([
    expect.stringContaining("nobody/knows in hermes.model.fallbacks is left out: There is no model"),
    expect.stringContaining("recorded/tour in hermes.model.fallbacks is left out"),
  ]);
});

test("the wait after a 429 is told with its end, holds for other sessions too, and Stop ends it at once", async () => {
  await using play = await startPlay({
    script: { steps: [{ say: "Hi.", fault: { kind: "http", error: "rateLimit", retryAfter: 50 } }] },
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = play.prompt("One.", { signal: first.signal });
  const told = await play.until((update) => update.type === "retry_delta");
  expect(told).toMatchObject({ attempt: 1, reason: expect.stringContaining("(429)") });
  const other = play.prompt("Two.", { signal: second.signal });
  await play.until((update) => update.type === "retry_delta" && "turnId" in told && update.turnId !== told.turnId);
  expect(play.double.requests).toHaveLength(1);
  first.abort();
  second.abort();
  expect((await waiting).stopReason).toBe("cancelled");
  expect((await other).stopReason).toBe("cancelled");
});

test("a connection that does not come about is told as such", async () => {
  // It accepts and never greets, so that the handshake of TLS stays open.
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const fired: number[] = [];
  const provider = createAnthropicProvider({
    apiKey: "test-key",
    baseUrl: `https://127.0.0.1:${port}`,
    connectMs: 5_000,
    after: (ms, run) => {
      if (ms !== 5_000) return () => undefined;
      fired.push(ms);
      const timer = setImmediate(run);
      return () => clearImmediate(timer);
    },
  });
  const request = {
    model: findModel(wireFormats["anthropic-messages"]),
    system: "",
    tools: [],
    messages: [{ role: "user", parts: [{ type: "text", text: "Hi." }] }],
    maxOutputTokens: 100,
    cacheKey: "c",
    account: requestAccount,
  } as const;
  const run = async () => {
    for await (const _ of provider.stream(request, new AbortController().signal));
  };
  const error = await run().catch((thrown: unknown) => thrown);
  server.close();
  expect(fired).toEqual([5_000]);
  expect(error).toBeInstanceOf(ProviderError);
  expect(error).toMatchObject({
    kind: "network",
    message: expect.stringMatching(/^No connection to 127\.0\.0\.1:\d+ came about within 5 s/),
  });
});
