/**
 * Chunks as odd compatible servers send them, and what is made of them.
 *
 * Not here: well-behaved servers (the provider contract). Easily got wrong: ids made here count up from `new1`.
 */
import { describe, expect, test } from "vitest";
import { ChatAnswer } from "../../../server/src/model/openaiChatAnswer.ts";
import type { ModelEvent } from "../../../server/src/model/provider.ts";
import { collect } from "./support.ts";

const endpoint = { vendor: "The server", host: "127.0.0.1:1", model: "m", local: true };
type Chunk = Parameters<ChatAnswer["read"]>[0] extends AsyncIterable<infer C> ? C : never;

async function read(deltas: readonly object[], finish = "stop", used: readonly string[] = []): Promise<ModelEvent[]> {
  const chunks = [
    ...deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] })),
    { choices: [{ index: 0, delta: {}, finish_reason: finish }] },
  ];
  let made = 0;
  const answer = new ChatAnswer(endpoint, new Set(used), () => `new${++made}`);
  async function* stream() {
    yield* chunks as unknown as Chunk[];
  }
  return collect(answer.read(stream(), () => {}));
}

function call(index: number, id: string | undefined, name: string | undefined, text: string, extra: object = {}) {
  return {
    tool_calls: [{ index, ...(id === undefined ? {} : { id }), function: { name, arguments: text }, ...extra }],
  };
}

const blocksOf = (events: readonly ModelEvent[]) =>
  events.flatMap((event) => (event.type === "block_done" ? [event.block] : []));
const callsOf = (events: readonly ModelEvent[]) =>
  blocksOf(events).flatMap(({ part }) => (part.type === "tool_call" ? [[part.callId, part.name, part.input]] : []));

describe("tool calls", () => {
  test.each([
    {
      name: "whole calls that all have index 0",
      deltas: [call(0, "a", "read", '{"p":1}'), call(0, "b", "read", '{"p":2}')],
      expected: [
        ["a", "read", { p: 1 }],
        ["b", "read", { p: 2 }],
      ],
    },
    {
      name: "whole calls that all have index 0 and the same id",
      deltas: [call(0, "a", "read", '{"p":1}'), call(0, "a", "list", "{}"), call(0, "a", "list", '{"p":2}')],
      expected: [
        ["a", "read", { p: 1 }],
        ["new1", "list", {}],
        ["new2", "list", { p: 2 }],
      ],
    },
    {
      name: "id and name on every piece of one call",
      deltas: [call(0, "a", "read", '{"p":{"q":1}'), call(0, "a", "read", "}"), call(0, "a", "read", "")],
      expected: [["a", "read", { p: { q: 1 } }]],
    },
    {
      name: "no ids, told apart by their names",
      deltas: [
        call(0, undefined, "read", '{"p":'),
        call(0, undefined, undefined, "1}"),
        call(0, undefined, "list", "{}"),
      ],
      expected: [
        ["new1", "read", { p: 1 }],
        ["new2", "list", {}],
      ],
    },
    {
      name: "the name repeated on every piece of one id",
      deltas: [call(0, "a", "read", '{"p"'), call(0, "a", "read", ":1}")],
      expected: [["a", "read", { p: 1 }]],
    },
    {
      name: "an id that was used before in the conversation",
      deltas: [call(0, "call_0", "read", "{}")],
      expected: [["new1", "read", {}]],
    },
    {
      name: "an empty repeat of a finished call",
      deltas: [call(0, "a", "read", "{}"), call(1, "b", "read", "{}"), call(0, undefined, undefined, "")],
      expected: [
        ["a", "read", {}],
        ["b", "read", {}],
      ],
    },
  ])("$name", async ({ deltas, expected }) => {
    const events = await read(deltas, "stop", ["call_0"]);
    expect(callsOf(events)).toEqual(expected);
    expect(events.at(-1)).toMatchObject({ type: "done", stop: "tool_calls" });
  });

  test("a call that goes on after the next one began is refused: it may have run already", async () => {
    const deltas = [call(0, "a", "read", '{"p"'), call(1, "b", "read", "{}"), call(0, undefined, undefined, ":1}")];
    await expect(read(deltas)).rejects.toMatchObject({ kind: "protocol" });
  });

  test("a call without a name is refused", async () => {
    await expect(read([call(0, "a", undefined, "{}")])).rejects.toMatchObject({ kind: "protocol" });
  });

  test("is echoed with whatever the server hung on it, and always with arguments that are JSON", async () => {
    const deltas = [
      call(0, "a", "read", '{"p": 1}', { extra_content: { google: { thought_signature: "S" } } }),
      call(1, "b", "read", '{"p'),
      call(2, "c", "read", ""),
    ];
    expect(blocksOf(await read(deltas)).map(({ wire }) => wire)).toEqual([
      {
        id: "a",
        type: "function",
        function: { name: "read", arguments: '{"p": 1}' },
        extra_content: { google: { thought_signature: "S" } },
      },
      { id: "b", type: "function", function: { name: "read", arguments: '{"INVALID_JSON":"{\\"p"}' } },
      { id: "c", type: "function", function: { name: "read", arguments: "{}" } },
    ]);
  });
});

describe("text", () => {
  test.each(["reasoning", "reasoning_content"])("%s is thinking, kept under that name", async (field) => {
    const events = await read([{ [field]: "h" }, { [field]: "m" }, { content: "Hi" }]);
    expect(blocksOf(events)).toEqual([
      { part: { type: "thinking", text: "hm" }, wire: { [field]: "hm" } },
      { part: { type: "text", text: "Hi" }, wire: { content: "Hi" } },
    ]);
  });

  test("text after a call is a block of its own", async () => {
    const events = await read([{ content: "A" }, call(0, "a", "read", "{}"), { content: "B" }]);
    expect(blocksOf(events).map(({ part }) => part.type)).toEqual(["text", "tool_call", "text"]);
  });

  test.each([
    { finish: "length", stop: "max_tokens" },
    { finish: "content_filter", stop: "refusal" },
    { finish: "stop", stop: "end_turn" },
    { finish: "eos", stop: "end_turn" },
  ])("ends for $finish with $stop", async ({ finish, stop }) => {
    expect((await read([{ content: "Hi" }], finish)).at(-1)).toMatchObject({ type: "done", stop });
  });
});
