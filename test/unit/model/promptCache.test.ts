/**
 * Where breakpoints go, by tables of block counts.
 *
 * Not here: what the simulated prompt cache makes of them (the provider contract).
 */
import { expect, test } from "vitest";
import { type CacheableMessage, placeBreakpoints } from "../../../server/src/model/promptCache.ts";

const blocks = (count: number, type = "text") => Array.from({ length: count }, () => ({ type, text: "x" }));
const user = (count: number, type?: string): CacheableMessage => ({ role: "user", content: blocks(count, type) });
const assistant = (count: number, type?: string): CacheableMessage => ({
  role: "assistant",
  content: blocks(count, type),
});

test.each<{ name: string; messages: CacheableMessage[]; expected: [number, number][] }>([
  { name: "nothing to mark", messages: [], expected: [] },
  { name: "one prompt: its last block", messages: [user(2)], expected: [[0, 1]] },
  { name: "a short step: the tail alone", messages: [user(1), assistant(2), user(1)], expected: [[2, 0]] },
  { name: "19 new blocks: the tail alone", messages: [user(1), assistant(10), user(9)], expected: [[2, 8]] },
  {
    name: "20 new blocks: one 15 blocks after the earlier tail, which the tail's marker does not reach",
    messages: [user(1), assistant(10), user(10)],
    expected: [
      [2, 4],
      [2, 9],
    ],
  },
  {
    name: "100 new blocks: never more than three",
    messages: [user(1), assistant(50), user(50)],
    expected: [
      [1, 14],
      [1, 29],
      [2, 49],
    ],
  },
  {
    name: "thinking cannot be marked: the block before it is",
    messages: [user(1), assistant(1), { role: "assistant", content: [...blocks(1), ...blocks(2, "thinking")] }],
    expected: [[2, 0]],
  },
  {
    name: "empty text cannot be marked",
    messages: [{ role: "user", content: [...blocks(1), { type: "text", text: "" }] }],
    expected: [[0, 0]],
  },
  {
    name: "a paused answer goes on: measured from before it",
    messages: [user(1), assistant(30, "tool_use")],
    expected: [
      [1, 14],
      [1, 29],
    ],
  },
])("$name", ({ messages, expected }) => {
  expect(placeBreakpoints(messages)).toEqual(expected.map(([message, block]) => ({ message, block, long: false })));
});

test.each<{ name: string; messages: CacheableMessage[]; expected: [number, number, boolean][] }>([
  {
    name: "a prompt is the tail, and those before it are marked too",
    messages: [user(1), assistant(1), user(2)],
    expected: [
      [0, 0, true],
      [2, 1, true],
    ],
  },
  {
    name: "however many blocks are between them",
    messages: [user(1), assistant(30, "tool_use"), user(30, "tool_result"), assistant(1), user(1)],
    expected: [
      [0, 0, true],
      [4, 0, true],
    ],
  },
  {
    name: "their ends stay marked while the turn goes on",
    messages: [user(1), assistant(1), user(1), assistant(2), user(2, "tool_result")],
    expected: [
      [0, 0, true],
      [2, 0, true],
      [4, 1, false],
    ],
  },
  {
    name: "markers within a long prompt are for an hour too, since none may follow a shorter one",
    messages: [user(1), assistant(1), user(25)],
    expected: [
      [0, 0, true],
      [2, 13, true],
      [2, 24, true],
    ],
  },
  {
    name: "a long step needs them all",
    messages: [user(1), assistant(50), user(50, "tool_result")],
    expected: [
      [1, 14, false],
      [1, 29, false],
      [2, 49, false],
    ],
  },
])("where the user pauses: $name", ({ messages, expected }) => {
  expect(placeBreakpoints(messages, true)).toEqual(
    expected.map(([message, block, long]) => ({ message, block, long })),
  );
});

test("a breakpoint is never 20 blocks or more after the last one or the earlier tail", () => {
  for (let added = 1; added <= 34; added++) {
    const positions = placeBreakpoints([user(3), assistant(added), user(1)]).map(({ message, block }) =>
      message === 2 ? 3 + added : 3 + block,
    );
    const gaps = positions.map((position, at) => position - (at === 0 ? 2 : (positions[at - 1] ?? 0)));
    expect(Math.max(...gaps)).toBeLessThan(20);
  }
});
