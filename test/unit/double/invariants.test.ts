/**
 * Each rule has a request that breaks it and nothing else, and a careful client breaks none.
 *
 * The second request of a conversation is made of the first one's real answer, then spoiled in one place.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ModelDouble, startModelDouble } from "../../support/modelDouble.ts";
import type { Api } from "./clients.ts";

// Bodies are spoiled on purpose, so they have no types of a vendor's.
type Loose = { [key: string]: unknown };

let double: ModelDouble;
beforeEach(async () => {
  const calls = ["a.ts", "b.ts"].map((path) => ({ name: "read", input: { path } }));
  double = await startModelDouble({
    strict: true,
    minimumPrefix: 10,
    script: { steps: [{ think: "Hm.", say: "Reading.", calls }, { say: "Done." }], repeatLast: true },
  });
});
afterEach(() => double.close());

const paths = { anthropic: "/v1/messages", responses: "/v1/responses", chat: "/v1/chat/completions" };

async function post(api: Api, body: Loose, extra: Record<string, string> = {}): Promise<Loose> {
  const headers = { authorization: "Bearer key", "anthropic-version": "2026-10-21", ...extra };
  const response = await fetch(double.url + paths[api], { method: "POST", headers, body: JSON.stringify(body) });
  return objects(await response.json())[0] ?? {};
}

const mark = { cache_control: { type: "ephemeral" } };
const schema = { type: "object", properties: {} };
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } };

const clients = {
  anthropic: {
    first: (): Loose => ({
      model: "claude-opus-5-5",
      max_tokens: 100,
      system: [{ type: "text", text: "You edit files.", ...mark }],
      tools: [
        { name: "edit", input_schema: schema },
        { name: "read", input_schema: schema },
      ],
      messages: [{ role: "user", content: [{ type: "text", text: "Fix it." }, image] }],
      cache_control: { type: "ephemeral" },
    }),
    next: (body: Loose, answer: Loose): Loose => {
      const blocks = objects(answer.content);
      const results = blocks
        .filter((block) => block.type === "tool_use")
        .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: "text" }));
      const added = [
        { role: "assistant", content: blocks },
        { role: "user", content: results },
      ];
      return { ...body, messages: [...objects(body.messages), ...added] };
    },
  },
  responses: {
    first: (): Loose => ({
      model: "gpt-6.1-sol",
      instructions: "You edit files.",
      tools: [{ type: "function", name: "read", parameters: schema, strict: false }],
      input: [{ role: "user", content: "Fix it." }],
      prompt_cache_key: "one",
      store: false,
    }),
    next: (body: Loose, answer: Loose): Loose => {
      const items = objects(answer.output);
      const results = items
        .filter((item) => item.type === "function_call")
        .map((item) => ({ type: "function_call_output", call_id: item.call_id, output: "text" }));
      return { ...body, input: [...objects(body.input), ...items, ...results] };
    },
  },
  chat: {
    first: (): Loose => ({
      model: "qwen3-coder",
      tools: [{ type: "function", function: { name: "read", parameters: schema } }],
      messages: [
        { role: "system", content: "You edit files." },
        { role: "user", content: "Fix it." },
      ],
    }),
    next: (body: Loose, answer: Loose): Loose => {
      const message = objects(objects(answer.choices)[0]?.message)[0] ?? {};
      const results = objects(message.tool_calls).map((call) => ({
        role: "tool",
        tool_call_id: call.id,
        content: "x",
      }));
      const { refusal: _none, reasoning_content: _thinking, ...plain } = message;
      return { ...body, messages: [...objects(body.messages), plain, ...results] };
    },
  },
};

/** The objects in a list, or the one object, of a loose body. */
function objects(value: unknown): Loose[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((item): item is Loose => typeof item === "object" && item !== null);
}

/** Plays two requests, the second spoiled, and tells the rules that were broken. */
async function rules(api: Api, spoil: (body: Loose) => Loose, headers: Record<string, string> = {}): Promise<string[]> {
  const client = clients[api];
  const body = client.first();
  const answer = await post(api, body);
  await post(api, spoil(client.next(body, answer)), headers);
  return [...new Set(double.violations.map((violation) => violation.rule))];
}

/** Replaces the message or item at `at` (from the end where negative). */
function edit(list: "messages" | "input", at: number, change: (item: Loose) => Loose | Loose[]) {
  return (body: Loose): Loose => {
    const items = objects(body[list]);
    const index = at < 0 ? items.length + at : at;
    return { ...body, [list]: items.flatMap((item, here) => (here === index ? change(item) : [item])) };
  };
}

const content = (change: (blocks: Loose[]) => unknown) => (message: Loose) => ({
  ...message,
  content: change(objects(message.content)),
});
const same = (body: Loose) => body;

describe("a careful client is clean", () => {
  test.each(["anthropic", "responses", "chat"] as const)("%s", async (api) => {
    expect(await rules(api, same)).toEqual([]);
    double.assertClean();
    expect(double.requests.map((request) => [request.step, request.status])).toEqual([
      [0, 200],
      [1, 200],
    ]);
  });
});

describe("Messages", () => {
  test.each<[string, (body: Loose) => Loose, string[]]>([
    ["I1 a tool is gone", (body) => ({ ...body, tools: objects(body.tools).slice(1) }), ["I1", "vendor"]],
    ["I1 tools unsorted", (body) => ({ ...body, tools: objects(body.tools).reverse() }), ["I1", "vendor"]],
    [
      "I2 a date in the system prompt",
      (body) => ({ ...body, system: [{ type: "text", text: "Today's date is 2026-11-21.", ...mark }] }),
      ["I2", "vendor"],
    ],
    [
      "I3 an earlier message changed",
      edit(
        "messages",
        0,
        content(([text, picture]) => [{ ...text, text: "Fix that." }, picture]),
      ),
      ["I3", "vendor"],
    ],
    [
      "I6 an image is gone",
      edit(
        "messages",
        0,
        content(([text]) => [text]),
      ),
      ["I3", "I6", "vendor"],
    ],
    ["I5 another effort", (body) => ({ ...body, output_config: { effort: "low" } }), ["I5"]],
    [
      "I4 text trimmed",
      edit(
        "messages",
        1,
        content((blocks) => blocks.map((block) => (block.type === "text" ? { ...block, text: "Reading" } : block))),
      ),
      ["I4"],
    ],
    [
      "I4 thinking dropped",
      edit(
        "messages",
        1,
        content((blocks) => blocks.slice(1)),
      ),
      ["I4"],
    ],
    [
      "I4 keys in another order",
      edit(
        "messages",
        1,
        content((blocks) => blocks.map((block) => Object.fromEntries(Object.entries(block).reverse()))),
      ),
      ["I4"],
    ],
    [
      "thinking modified",
      edit(
        "messages",
        1,
        content((blocks) => blocks.map((block) => (block.type === "thinking" ? { ...block, thinking: "" } : block))),
      ),
      ["I4", "vendor"],
    ],
    ["I8 no marker at the end", ({ cache_control: _none, ...body }) => body, ["I8"]],
    ["I8 no marker on the system prompt", (body) => ({ ...body, system: "You edit files." }), ["I8"]],
    [
      "I8 more than 20 new blocks without a marker between",
      (body) => ({
        ...body,
        messages: [
          ...objects(body.messages),
          { role: "user", content: Array.from({ length: 20 }, (_, at) => ({ type: "text", text: `line ${at}` })) },
        ],
      }),
      ["I8"],
    ],
    [
      "I9 results out of order",
      edit(
        "messages",
        2,
        content((blocks) => blocks.reverse()),
      ),
      ["I9"],
    ],
    [
      "result missing",
      edit(
        "messages",
        2,
        content((blocks) => blocks.slice(1)),
      ),
      ["vendor"],
    ],
    ["results missing", edit("messages", 2, () => ({ role: "user", content: "Go on." })), ["vendor"]],
    [
      "result twice",
      edit(
        "messages",
        2,
        content(([first, second]) => [first, second, second]),
      ),
      ["I9", "vendor"],
    ],
    [
      "text before results",
      edit(
        "messages",
        2,
        content((blocks) => [{ type: "text", text: "Here:" }, ...blocks]),
      ),
      ["vendor"],
    ],
    [
      "I17 white space as an anchor",
      edit(
        "messages",
        2,
        content((blocks) => [...blocks, { type: "text", text: " " }]),
      ),
      ["I17", "vendor"],
    ],
    ["sampling", (body) => ({ ...body, temperature: 0 }), ["sampling"]],
    ["unknown field", (body) => ({ ...body, prompt_cache_key: "x" }), ["vendor"]],
    ["forced tool choice", (body) => ({ ...body, tool_choice: { type: "any" } }), ["I5", "vendor"]],
    ["no max_tokens", ({ max_tokens: _none, ...body }) => body, ["vendor"]],
    [
      "first message not the user's",
      (body) => ({ ...body, messages: objects(body.messages).slice(1) }),
      ["I3", "I6", "vendor"],
    ],
    [
      "ends with an assistant turn",
      (body) => ({
        ...body,
        messages: [
          { role: "user", content: "Hi" },
          { role: "assistant", content: "Ho" },
        ],
      }),
      ["I4", "vendor"],
    ],
  ])("%s", async (_name, spoil, expected) => {
    expect((await rules("anthropic", spoil)).sort()).toEqual(expected);
  });

  test("a planned break is none", async () => {
    const spoil = (body: Loose) => ({ ...body, output_config: { effort: "low" } });
    expect(await rules("anthropic", spoil, { "x-hermes-changed": "output_config" })).toEqual([]);
  });

  describe("an announced return to an earlier prompt", () => {
    const returned = async (announced: string, messages: (body: Loose) => Loose[]) => {
      const body = clients.anthropic.first();
      const one = { "x-hermes-conversation": "one" };
      const answer = await post("anthropic", body, one);
      const next = clients.anthropic.next(body, answer);
      double.announceRewind(announced);
      await post("anthropic", { ...next, messages: messages(next) }, one);
      return double.violations.map(({ rule }) => rule);
    };
    const firstText = (body: Loose) => JSON.stringify(objects(body.messages)[0]).match(/"text":"([^"\\]+)/)?.[1] ?? "";
    const other: Loose = { role: "user", content: [{ type: "text", text: "Do another thing" }] };

    test("is none when nothing but another prompt is in its place", async () => {
      expect(await returned(firstText(clients.anthropic.first()), () => [other])).not.toContain("I3");
    });

    test("is one when the prompt is not there", async () => {
      expect(await returned("nobody asked this", () => [other])).toContain("I3");
    });

    test("is one when more than a prompt follows", async () => {
      const more = (body: Loose) => [other, ...objects(body.messages).slice(1)];
      expect(await returned(firstText(clients.anthropic.first()), more)).toContain("I3");
    });
  });

  test("compaction may replace the history, and the script goes on", async () => {
    const spoil = (body: Loose) => ({ ...body, messages: [{ role: "user", content: "Summary: fix it." }] });
    expect(await rules("anthropic", spoil, { "x-hermes-compacted": "1" })).toEqual([]);
    expect(double.requests.at(-1)?.step).toBe(1);
  });

  describe("a conversation that begins with a compaction", () => {
    const carried = { role: "user", content: "<compacted-conversation> what was said </compacted-conversation>" };
    const compacted = (body: Loose, text = "Go on.") => ({
      ...body,
      messages: [carried, { role: "user", content: text }],
    });

    test("replaces the history, and the script goes on", async () => {
      expect(await rules("anthropic", compacted)).toEqual([]);
      expect(double.requests.at(-1)?.step).toBe(1);
    });

    test("must keep the tools", async () => {
      expect(await rules("anthropic", (body) => ({ ...compacted(body), tools: [] }))).toContain("I1");
    });

    test("is one break and no more", async () => {
      expect(await rules("anthropic", compacted)).toEqual([]);
      await post("anthropic", compacted(clients.anthropic.first(), "Go back."));
      expect(double.violations.map(({ rule }) => rule)).toContain("I3");
    });
  });

  test("drop_block allows a changed prefix", async () => {
    const thinking = { type: "adaptive", block_binding: { prefix_mismatch_behavior: "drop_block" } };
    const spoil = (body: Loose) => ({ ...body, thinking, tools: [] });
    expect(await rules("anthropic", spoil, { "x-hermes-changed": "thinking,tools" })).toEqual([]);
  });
});

describe("Responses", () => {
  test.each<[string, (body: Loose) => Loose, string[]]>([
    ["I3 an earlier item changed", edit("input", 0, () => ({ role: "user", content: "Fix that." })), ["I3"]],
    ["I4 reasoning dropped", edit("input", 1, () => []), ["I4"]],
    ["I4 ciphertext lost", edit("input", 1, ({ encrypted_content: _none, ...item }) => item), ["I4"]],
    ["ciphertext changed", edit("input", 1, (item) => ({ ...item, encrypted_content: "x" })), ["I4", "vendor"]],
    ["I5 another effort", (body) => ({ ...body, reasoning: { effort: "low" } }), ["I5"]],
    ["I14 another cache key", (body) => ({ ...body, prompt_cache_key: "two" }), ["I14"]],
    ["I14 no cache key", ({ prompt_cache_key: _none, ...body }) => body, ["I14"]],
    ["the vendor keeps it", ({ store: _none, ...body }) => body, ["store"]],
    ["sampling", (body) => ({ ...body, top_p: 1 }), ["sampling"]],
    ["output missing", edit("input", -1, () => []), ["vendor"]],
    ["output of no call", edit("input", -1, (item) => [item, { ...item, call_id: "call_x" }]), ["vendor"]],
    ["unknown previous response", (body) => ({ ...body, previous_response_id: "resp_x" }), ["vendor"]],
  ])("%s", async (_name, spoil, expected) => {
    expect((await rules("responses", spoil)).sort()).toEqual(expected);
  });

  test("a stored response is continued by its id", async () => {
    const body = { ...clients.responses.first(), store: true };
    const answer = await post("responses", body);
    const results = objects(clients.responses.next({ input: [] }, answer).input).slice(-2);
    const next = await post("responses", { ...body, input: results, previous_response_id: answer.id });
    expect(next).toMatchObject({ status: "completed", output: [{ content: [{ text: "Done." }] }] });
  });
});

describe("Chat", () => {
  test.each<[string, (body: Loose) => Loose, string[]]>([
    ["I2 another system prompt", edit("messages", 0, (message) => ({ ...message, content: "You do not." })), ["I2"]],
    ["I4 arguments re-serialised", edit("messages", 2, spaced), ["I4"]],
    ["I9 results out of order", (body) => ({ ...body, messages: swapLast(objects(body.messages)) }), ["I9"]],
    ["result missing", edit("messages", -1, () => []), ["vendor"]],
    ["result of no call", edit("messages", -1, (message) => [message, message]), ["I9", "vendor"]],
    ["a field that local servers refuse", (body) => ({ ...body, cache_prompt: true }), ["chat-fields"]],
  ])("%s", async (_name, spoil, expected) => {
    expect((await rules("chat", spoil)).sort()).toEqual(expected);
  });
});

function spaced(message: Loose): Loose {
  const text = JSON.stringify(message.tool_calls).replaceAll('{\\"path\\":', '{ \\"path\\": ');
  return { ...message, tool_calls: JSON.parse(text) };
}

function swapLast(messages: Loose[]): Loose[] {
  return [...messages.slice(0, -2), ...messages.slice(-2).reverse()];
}

test.each<[string, (body: Loose) => Loose, string[]]>([
  ["verbatim", same, []],
  ["without tools", (body) => ({ ...body, tools: [] }), ["I11"]],
  ["with another system prompt", edit("messages", 0, (message) => ({ ...message, content: "Sum up." })), ["I11"]],
  ["with a shortened history", edit("messages", 1, (message) => ({ ...message, content: "Fix" })), ["I11"]],
])("a fork has a script of its own and sends its parent %s", async (_name, spoil, expected) => {
  double.setScript([
    { match: "Fi", steps: [{ calls: [{ name: "read", input: {} }] }, { say: "Done." }] },
    { matchLast: "Write a title", steps: [{ say: "A title" }] },
  ]);
  const first = clients.chat.first();
  const second = clients.chat.next(first, await post("chat", first));
  const fork = { ...second, messages: [...objects(second.messages), { role: "user", content: "Write a title." }] };
  expect(objects((await post("chat", spoil(fork))).choices)[0]).toMatchObject({ message: { content: "A title" } });
  expect(objects((await post("chat", second)).choices)[0]).toMatchObject({ message: { content: "Done." } });
  expect(double.violations.map((violation) => violation.rule)).toEqual(expected);
});

test("a cut answer may come back in part, and on another API in translation", async () => {
  double.setScript({
    steps: [
      { say: "First part. ", calls: [{ name: "read", input: { path: "a.ts" } }], fault: { kind: "cut", at: "end" } },
      { say: "Done." },
    ],
  });
  const user = { role: "user", content: [{ type: "text", text: "Fix it." }] };
  const anthropic: Loose = { ...clients.anthropic.first(), messages: [user], stream: true };
  await expect(post("anthropic", anthropic)).rejects.toThrow();
  const chat = {
    model: "qwen3-coder",
    messages: [
      { role: "user", content: "Fix it." },
      { role: "assistant", content: "First part." },
      { role: "user", content: "Go on." },
    ],
  };
  const answer = await post("chat", chat);
  expect(objects(answer.choices)[0]).toMatchObject({ message: { content: "Done." } });
  double.assertClean();
});

test("a retry with the same content in other bytes breaks I10", async () => {
  double.setScript({ steps: [{ say: "x", fault: { kind: "http", error: "overloaded" } }] });
  const body = clients.chat.first();
  await post("chat", body);
  await post("chat", Object.fromEntries(Object.entries(body).reverse()));
  expect(double.violations.map((violation) => violation.rule)).toEqual(["I10"]);
});

test("assertClean lists every violation with its request", async () => {
  await rules("anthropic", (body) => ({ ...body, temperature: 1, output_config: { effort: "low" } }));
  expect(() => double.assertClean()).toThrow(
    /found 2 violations:\n {2}sampling at request 1: .*temperature.*\n {2}I5 at request 1: output_config changed/,
  );
});
