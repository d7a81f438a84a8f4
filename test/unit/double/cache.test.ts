/**
 * The simulated prompt caches give the numbers that the vendors' rules give, in each API's own usage fields.
 *
 * Sizes are chosen so that they can be checked by hand: a token is four bytes of a block's JSON.
 */
import type Anthropic from "@anthropic-ai/sdk";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ModelDouble, startModelDouble } from "../../support/modelDouble.ts";
import { anthropicOf, openaiOf } from "./clients.ts";

let double: ModelDouble;
let now = 0;
const minute = 60_000;

beforeEach(async () => {
  now = 1_000_000;
  const clock = { now: () => now, sleep: async () => {} };
  double = await startModelDouble({ clock, script: { steps: [{ say: "ok" }], repeatLast: true } });
});
afterEach(() => double.close());

type Body = Anthropic.MessageCreateParamsNonStreaming;
type Block = Anthropic.TextBlockParam;

/** A text block of exactly `tokens` tokens. */
function block(tokens: number, letter: string, extra: Partial<Block> = {}): Block {
  return { type: "text", text: letter.repeat(tokens * 4 - '{"type":"text","text":""}'.length), ...extra };
}

const mark = { cache_control: { type: "ephemeral" } } as const;
const hour = { cache_control: { type: "ephemeral", ttl: "1h" } } as const;
const tool: Anthropic.Tool = { name: "read", description: "x".repeat(400), input_schema: { type: "object" } };
const toolTokens = Math.ceil(JSON.stringify(tool).length / 4);

/** A request with `turns` user messages of 500 tokens each, answered in 37 tokens each, and the cache on automatic. */
function request(turns: number, change: Partial<Body> = {}): Body {
  const messages = Array.from({ length: turns }, (_, at): Anthropic.MessageParam[] => [
    ...(at === 0 ? [] : [{ role: "assistant" as const, content: [block(37, "a")] }]),
    { role: "user", content: [block(500, "u")] },
  ]).flat();
  return {
    model: "claude-opus-5-5",
    max_tokens: 100,
    system: [block(1000, "s", mark)],
    tools: [tool],
    cache_control: { type: "ephemeral" },
    messages,
    ...change,
  };
}

async function cost(body: Body): Promise<string> {
  const { usage } = await anthropicOf(double).messages.create(body);
  return `r${usage.cache_read_input_tokens} w${usage.cache_creation_input_tokens} i${usage.input_tokens}`;
}

test("an append-only conversation reads all it wrote and writes only what is new", async () => {
  const base = 1000 + toolTokens;
  expect([await cost(request(1)), await cost(request(2)), await cost(request(3)), await cost(request(4))]).toEqual([
    `r0 w${base + 500} i0`,
    `r${base + 500} w537 i0`,
    `r${base + 1037} w537 i0`,
    `r${base + 1574} w537 i0`,
  ]);
});

test.each<[string, Partial<Body>, number]>([
  ["another model", { model: "claude-sonnet-5-5" }, 0],
  ["another tool", { tools: [{ ...tool, name: "write" }] }, 0],
  ["another system prompt", { system: [block(1000, "z", mark)] }, 0],
  ["another tool choice keeps tools and system", { tool_choice: { type: "none" } }, 1000 + toolTokens],
  ["another effort keeps tools and system", { output_config: { effort: "low" } }, 1000 + toolTokens],
  ["only the last message changed", { messages: [{ role: "user", content: [block(500, "v")] }] }, 1000 + toolTokens],
])("%s", async (_name, change, read) => {
  await cost(request(1));
  const after = await cost(request(1, change));
  expect(after).toBe(`r${read} w${1500 + toolTokens - read} i0`);
});

test("a marker finds an earlier one at most 20 blocks back", async () => {
  await cost(request(1));
  const grown = (blocks: number): Body => ({
    ...request(1),
    messages: [
      ...request(1).messages,
      { role: "assistant", content: [block(37, "a")] },
      { role: "user", content: Array.from({ length: blocks }, () => block(10, "n")) },
    ],
  });
  expect(await cost(grown(25))).toMatch(`r${1000 + toolTokens} `);
  expect(await cost(grown(18))).toMatch(`r${1500 + toolTokens} `);
});

test("entries live five minutes or an hour from the start of a request, and a read prolongs them", async () => {
  await cost(request(1));
  now += 4 * minute;
  expect(await cost(request(1))).toMatch(/^r1[56]/);
  now += 4 * minute;
  expect(await cost(request(1))).toMatch(/^r1[56]/);
  now += 6 * minute;
  expect(await cost(request(1))).toMatch(/^r0 /);
  const long = request(1, { system: [block(1000, "s", hour)] });
  const { usage } = await anthropicOf(double).messages.create({ ...long, model: "claude-opus-5" });
  expect(usage.cache_creation).toEqual({
    ephemeral_1h_input_tokens: 1000 + toolTokens,
    ephemeral_5m_input_tokens: 500,
  });
});

test("below a model's smallest prefix nothing is cached", async () => {
  const small = request(1, { system: [block(100, "s")], model: "claude-haiku-4-5" });
  expect([await cost(small), await cost(small)]).toEqual([`r0 w0 i${600 + toolTokens}`, `r0 w0 i${600 + toolTokens}`]);
});

test("what a request writes can be read once its answer streams, not before", async () => {
  double.setScript({ steps: [{ say: "a", hold: "first" }, { say: "b" }, { say: "c" }] });
  const first = cost(request(1));
  await double.reached("first");
  const meanwhile = await cost(request(2));
  double.release("first");
  await first;
  expect(meanwhile).toMatch(/^r0 /);
  expect(await cost(request(3))).toMatch(/^r[1-9]/);
});

test("max_tokens 0 warms the cache and takes no step", async () => {
  const { usage, content } = await anthropicOf(double).messages.create(request(1, { max_tokens: 0 }));
  expect([content, usage.cache_creation_input_tokens]).toEqual([[], 1500 + toolTokens]);
  expect(await cost(request(1))).toBe(`r${1500 + toolTokens} w0 i0`);
  expect(double.requests.map((item) => item.step)).toEqual([-1, 0]);
});

test("the vendor's diagnosis names what changed", async () => {
  const client = anthropicOf(double);
  const first = await client.messages.create(request(1, { diagnostics: { previous_message_id: null } }));
  const reason = async (change: Partial<Body>) => {
    const body = { ...request(2, change), diagnostics: { previous_message_id: first.id } };
    return (await client.messages.create(body)).diagnostics?.cache_miss_reason?.type ?? null;
  };
  expect([
    await reason({}),
    await reason({ model: "claude-sonnet-5-5" }),
    await reason({ system: "other" }),
    await reason({ tools: [] }),
    await reason({ messages: [{ role: "user", content: "other" }] }),
  ]).toEqual([null, "model_changed", "system_changed", "tools_changed", "messages_changed"]);
});

test.each<[string, Partial<Body>, RegExp]>([
  ["five markers", { system: Array.from({ length: 5 }, () => block(10, "s", mark)) }, /maximum of 4 blocks/],
  ["1h after 5m", { messages: [{ role: "user", content: [block(9, "u", hour)] }] }, /must not come after/],
])("%s are refused", async (_name, change, message) => {
  const { cache_control: _automatic, ...body } = request(1, change);
  await expect(cost(body)).rejects.toThrow(message);
});

const text = (bytes: number, letter: string) => letter.repeat(bytes);

async function openaiCost(change: object): Promise<string> {
  const { usage } = await openaiOf(double).responses.create({
    model: "gpt-6.1-sol",
    instructions: text(8000, "s"),
    input: [{ role: "user", content: text(2000, "u") }],
    prompt_cache_key: "one",
    store: false,
    ...change,
  });
  const { cached_tokens, cache_write_tokens } = usage?.input_tokens_details ?? {};
  return `total ${usage?.input_tokens} r${cached_tokens} w${cache_write_tokens}`;
}

test("Responses: an exact prefix from 1024 tokens, in steps of 128, per key", async () => {
  const longer = {
    input: [
      { role: "user", content: text(2000, "u") },
      { role: "user", content: text(2000, "v") },
    ],
  };
  expect([
    await openaiCost({}),
    await openaiCost({}),
    await openaiCost(longer),
    await openaiCost({ prompt_cache_key: "two" }),
    await openaiCost({ instructions: text(8000, "z") }),
    await openaiCost({ instructions: "short" }),
  ]).toEqual([
    "total 2510 r0 w2432",
    "total 2510 r2432 w0",
    "total 3017 r2432 w512",
    "total 2510 r0 w2432",
    "total 2510 r0 w2432",
    "total 511 r0 w0",
  ]);
});

test("Responses: explicit breakpoints are exact, expire, and alone count in explicit mode", async () => {
  const marked = [
    {
      role: "user",
      content: [
        { type: "input_text", text: text(4000, "u"), prompt_cache_breakpoint: { mode: "explicit" } },
        { type: "input_text", text: text(400, "v") },
      ],
    },
  ];
  const body = { input: marked, prompt_cache_options: { mode: "explicit" } };
  const first = await openaiCost(body);
  const again = await openaiCost(body);
  now += 31 * minute;
  const late = await openaiCost(body);
  const none = await openaiCost({ prompt_cache_options: { mode: "explicit" } });
  expect(first).toMatch(/r0 w30\d\d$/);
  expect(again).toBe(first.replace(/r0 w(\d+)/, "r$1 w0"));
  expect(late).toBe(first);
  expect(none).toMatch(/r0 w0$/);
});

test("Responses: prewarm writes without output; Chat reports cached tokens in its own fields", async () => {
  await openaiCost({ prompt_cache_options: { prewarm: true } });
  expect(await openaiCost({})).toMatch(/r2432 w0$/);
  const messages = [{ role: "user" as const, content: text(8000, "c") }];
  const chat = () => openaiOf(double).chat.completions.create({ model: "qwen3-coder", messages });
  await chat();
  expect((await chat()).usage).toMatchObject({ prompt_tokens_details: { cached_tokens: 1920 } });
});
