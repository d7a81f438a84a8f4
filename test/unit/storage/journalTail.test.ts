/**
 * The newest turns of a journal, read from its end: the very events that a whole reading gives, or nothing at all.
 *
 * Easily got wrong: what is read backwards must never be believed where writers raced or died.
 */
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SessionEvent, SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { createJournalStore } from "../../../server/src/storage/journal.ts";
import type { SessionStore, SessionTail } from "../../../server/src/storage/store.ts";
import { says, started } from "../../support/events.ts";

const id = "s-1" as SessionId;
let dir: string;
let path: string;
let store: SessionStore;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "hermes-tail-"));
  path = join(dir, "sessions", `${id}.jsonl`);
  store = createJournalStore({ dir, clock: { now: () => 1 } });
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const title: SessionEventBody = { type: "title_set", title: "The title" };
const turn = (name: string, text: string): readonly SessionEventBody[] => [
  started(name, `"type":"turn_started" ${name}`),
  { type: "step_started", turnId: name as TurnId, step: 1 },
  says(name, 1, 0, text),
  { type: "turn_finished", turnId: name as TurnId, stopReason: "end_turn" },
];

/** Stores turns of so many characters each, an event at a time but for the first three. */
async function write(turns: number, length: number): Promise<readonly SessionEvent[]> {
  const begin: readonly SessionEventBody[] = [
    { type: "session_created", sessionId: id, cwd: "/w", version: 1 },
    { type: "system_set", text: "system" },
    title,
  ];
  await store.append(id, 0, begin);
  let seq = begin.length;
  for (let at = 1; at <= turns; at++) {
    for (const body of turn(`t${at}`, "x".repeat(length))) await store.append(id, seq++, [body]);
  }
  return (await store.read(id)).events;
}

const tail = (turns: number): Promise<SessionTail | undefined> =>
  store.readTail?.(id, turns) ?? Promise.reject(new Error("This store cannot."));

const fromTurn = (events: readonly SessionEvent[], name: string) =>
  events.slice(events.findIndex((event) => event.type === "turn_started" && event.turnId === name));

test.each([
  [1, 10],
  [3, 10],
  // Some of these turns are longer than what is read at once.
  [2, 400_000],
  [7, 90_000],
])("the newest %d of 8 turns of %d characters are there, after whose they are", async (count, length) => {
  const events = await write(8, length);
  const found = await tail(count);
  expect(found?.hasEarlier).toBe(true);
  expect(found?.events.slice(0, 2)).toEqual([events[0], events[2]]);
  expect(found?.events.slice(2)).toEqual(fromTurn(events, `t${9 - count}`));
});

test.each([8, 100])("all of 8 turns are there when %d are asked for", async (count) => {
  const events = await write(8, 10);
  const found = await tail(count);
  expect(fromTurn(found?.events ?? [], "t1")).toEqual(fromTurn(events, "t1"));
});

test("a long session costs no more bytes than its newest turns", async () => {
  await write(300, 2_000);
  const { size } = await stat(path);
  const last = await tail(2);
  // What stands before the end is not looked at: zeros there are no events.
  const whole = await readFile(path);
  whole.fill(0, 200_000, size - 100_000);
  await writeFile(path, whole);
  expect(await tail(2)).toEqual(last);
  expect(last?.events.filter(({ type }) => type === "turn_started")).toHaveLength(2);
});

test("a file that ends within a line, or within a batch, is read whole", async () => {
  await write(3, 10);
  await appendFile(path, '{"seq":16,"at":1,"type":"no');
  expect(await tail(1)).toBeUndefined();
  await truncate(path, 0);
  await write(3, 10);
  await store.append(id, 15, [title, title]);
  const { length } = (await readFile(path, "utf8")).trimEnd().split("\n").at(-1) ?? "";
  expect(await tail(1)).toBeDefined();
  await truncate(path, (await stat(path)).size - length - 1);
  expect(await tail(1)).toBeUndefined();
});

test.each([
  [
    "a batch that lost its race",
    `{"seq":15,"at":1,"_batch":"other:1","type":"notice","level":"info","message":"late"}\n`,
  ],
  ["a line that is no event", "!cut\n"],
  ["events that are missing", `{"seq":17,"at":1,"_batch":"other:1","type":"notice","level":"info","message":"gap"}\n`],
])("%s at the end makes it be read whole", async (_, line) => {
  await write(3, 10);
  expect(await tail(1)).toBeDefined();
  await appendFile(path, line);
  expect(await tail(1)).toBeUndefined();
});

test("what lies before the newest turns does not matter", async () => {
  await write(3, 10);
  await appendFile(path, "!cut\n");
  for (const [at, body] of [...turn("t4", "a"), ...turn("t5", "b")].entries()) await store.append(id, 15 + at, [body]);
  expect((await tail(1))?.events.at(-1)).toMatchObject({ turnId: "t5" });
  expect(await tail(2)).toBeUndefined();
});

test("a session that is not there has none", async () => {
  expect(await tail(1)).toBeUndefined();
});
