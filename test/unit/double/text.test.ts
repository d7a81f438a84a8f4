/**
 * What a script says arrives at the real SDKs through all three formats: text, thinking, calls, stops, whole answers.
 */
import { afterEach, describe, expect, test } from "vitest";
import { type DoubleOptions, type ModelDouble, type Script, startModelDouble } from "../../support/modelDouble.ts";
import { anthropicOf, apis, ask, openaiOf } from "./clients.ts";

let double: ModelDouble;
afterEach(() => double.close());

async function start(script: Script | Script[], options: DoubleOptions = {}): Promise<ModelDouble> {
  double = await startModelDouble({ script, ...options });
  return double;
}

const read = (path: string) => ({ name: "read", input: { path } });

describe.each(apis)("%s", (api) => {
  test("streams thinking, text and parallel calls, cut anywhere between characters", async () => {
    await start({
      steps: [{ think: "Who? 😀", say: "Hällo wörld 👋🏽", calls: [read("a.ts"), read("b.ts")], deltaChars: 1 }],
    });
    expect(await ask(double, api, "hello")).toMatchObject({
      thinking: "Who? 😀",
      text: "Hällo wörld 👋🏽",
      calls: [
        { name: "read", arguments: '{"path":"a.ts"}' },
        { name: "read", arguments: '{"path":"b.ts"}' },
      ],
      stop: { anthropic: "tool_use", responses: "completed", chat: "tool_calls" }[api],
    });
  });

  test("sends malformed arguments as they stand", async () => {
    await start({ steps: [{ calls: [{ name: "edit", rawArguments: '{"path": "a.ts", "old' }] }] });
    const seen = await ask(double, api, "hello");
    expect(seen.calls).toEqual([{ name: "edit", arguments: '{"path": "a.ts", "old' }]);
  });

  test("refuses in the vendor's form", async () => {
    await start({ steps: [{ say: "I cannot help with that.", stop: "refusal" }] });
    const seen = await ask(double, api, "hello");
    expect(seen.stop).toBe({ anthropic: "refusal", responses: "completed", chat: "content_filter" }[api]);
    expect(api === "anthropic" ? seen.text : seen.refusal).toBe("I cannot help with that.");
  });

  test("stops at the token limit", async () => {
    await start({ steps: [{ say: "Half a sen", stop: "max_tokens" }] });
    expect((await ask(double, api, "hello")).stop).toBe(
      { anthropic: "max_tokens", responses: "max_output_tokens", chat: "length" }[api],
    );
  });

  test("plays one step per request, tells conversations apart, and refuses when the script is over", async () => {
    await start([
      { match: "first", steps: [{ say: "one" }, { say: "two" }] },
      { match: "/^SEC/i", steps: [{ say: "other" }] },
      { steps: [{ say: "default" }], repeatLast: true },
    ]);
    const say = async (text: string) => (await ask(double, api, text)).text;
    expect([
      await say("the first"),
      await say("second"),
      await say("the first"),
      await say("x"),
      await say("x"),
    ]).toEqual(["one", "other", "two", "default", "default"]);
    await expect(say("second")).rejects.toThrow("The script has 1 steps and no more.");
  });

  test("makes the same bytes from the same seed", async () => {
    const bytes = async () => {
      await using one = await startModelDouble({ script: { steps: [{ think: "t", say: "s", calls: [read("a")] }] } });
      const seen = await ask(one, api, "hello");
      return JSON.stringify(seen);
    };
    expect(await bytes()).toBe(await bytes());
    await start({ steps: [] });
  });

  test("keeps raw bytes and headers, but never a key", async () => {
    await start({ steps: [{ say: "hi" }] });
    await ask(double, api, "grüße");
    const [request] = double.requests;
    expect(request?.body.toString("utf8")).toContain("grüße");
    expect(request).toMatchObject({ api, outcome: "complete", status: 200, step: 0, attempt: 0 });
    expect(JSON.stringify(request?.headers)).toContain("…cdef");
    expect(JSON.stringify(request?.headers)).not.toContain("0123456789");
  });

  test("lets a function answer by what the request holds", async () => {
    await start({ steps: [(request) => ({ say: `You said: ${request.view?.firstUser}` })] });
    expect((await ask(double, api, "abc")).text).toBe("You said: abc");
  });

  test("says of a wrong script what is wrong", async () => {
    await start({ steps: [{ say: "short", hold: { name: "never", at: { text: 99 } } }] });
    await expect(ask(double, api, "hello")).rejects.toMatchObject({ status: 400 });
    expect(double.violations).toMatchObject([
      { rule: "script", message: expect.stringContaining('never reaches {"text":99}') },
    ]);
  });
});

test("Messages: redacted thinking, interleaved blocks and a whole answer", async () => {
  await start({
    steps: [
      {
        redactedThinking: true,
        interleave: [{ say: "One." }, { think: "Hm." }, { say: "Two." }, { call: read("a.ts") }],
      },
    ],
  });
  const message = await anthropicOf(double).messages.create({
    model: "claude-opus-5-5",
    max_tokens: 1000,
    messages: [{ role: "user", content: "hello" }],
  });
  expect(message.content.map((block) => block.type)).toEqual([
    "redacted_thinking",
    "text",
    "thinking",
    "text",
    "tool_use",
  ]);
});

test("Responses and Chat answer whole, too", async () => {
  await start({ steps: [{ say: "whole", calls: [read("a.ts")] }], repeatLast: true });
  const messages = [{ role: "user" as const, content: "hello" }];
  const response = await openaiOf(double).responses.create({ model: "gpt-6.1-sol", input: "hello" });
  const completion = await openaiOf(double).chat.completions.create({ model: "any", messages });
  expect(response.output_text).toBe("whole");
  expect(completion.choices[0]?.message).toMatchObject({ content: "whole", tool_calls: [{ type: "function" }] });
});

test("a template takes text from the newest tool results", async () => {
  await start({
    steps: [{ calls: [read("a.ts")] }, { say: "Line {{result:0:/line (\\d+)/}} of {{result:0}}" }],
  });
  const client = anthropicOf(double);
  const request = { model: "claude-opus-5-5", max_tokens: 1000 };
  const user = { role: "user" as const, content: "hello" };
  const first = await client.messages.create({ ...request, messages: [user] });
  const id = first.content.flatMap((block) => (block.type === "tool_use" ? [block.id] : []))[0] ?? "";
  const second = await client.messages.create({
    ...request,
    messages: [
      user,
      { role: "assistant", content: JSON.parse(JSON.stringify(first.content)) },
      { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: "error at line 42" }] },
    ],
  });
  expect(second.content).toMatchObject([{ text: "Line 42 of error at line 42" }]);
  double.assertClean();
});

test("models, token counts, keys and unknown models answer as the vendors do", async () => {
  await start({ steps: [] }, { key: "sk-ant-0123456789abcdef", models: ["claude-opus-5-5"], contextWindow: 10 });
  const client = anthropicOf(double);
  const messages = [{ role: "user" as const, content: "hello" }];
  const models = await client.models.list();
  expect(models.data).toMatchObject([{ id: "claude-opus-5-5", max_input_tokens: 10 }]);
  const count = await client.messages.countTokens({ model: "claude-opus-5-5", messages });
  expect(count.input_tokens).toBeGreaterThan(3);
  const unknown = client.messages.create({ model: "claude-nope", max_tokens: 1, messages });
  await expect(unknown).rejects.toMatchObject({ status: 404, type: "not_found_error" });
  const long = client.messages.create({ model: "claude-opus-5-5", max_tokens: 1, messages });
  await expect(long).rejects.toThrow(/prompt is too long: \d+ tokens > 10 maximum/);
  await expect(ask(double, "responses", "hello")).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
  expect(double.violations).toEqual([]);
});
