/**
 * What every `SessionStore` promises, run against each of them.
 *
 * Not here: what only a disk can do wrong (`test/unit/storage`). Easily got wrong: a case may use nothing but the
 * interface, or the next adapter cannot join.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionEventBody } from "../../server/src/protocol/events.ts";
import type { BlobId, SessionId, TurnId } from "../../server/src/protocol/types.ts";
import { createJournalStore } from "../../server/src/storage/journal.ts";
import { createMemoryStore } from "../../server/src/storage/memory.ts";
import { type SessionStore, StaleSessionError } from "../../server/src/storage/store.ts";

let now = 1_000;
const clock = { now: () => now };

const first = "first-session" as SessionId;
const second = "second-session" as SessionId;

const created = (sessionId: SessionId, cwd = "/project"): SessionEventBody => ({
  type: "session_created",
  sessionId,
  cwd,
  version: 1,
});
const notice = (message: string): SessionEventBody => ({ type: "notice", level: "info", message });
const prompt = (text: string): SessionEventBody => ({
  type: "turn_started",
  turnId: "turn-1" as TurnId,
  prompt: [{ type: "text", text }],
  origin: "panel",
  context: "",
  model: "test/model",
  recorded: false,
  hostPid: 1,
});
const answer = (text: string): SessionEventBody => ({
  type: "assistant_block",
  turnId: "turn-1" as TurnId,
  step: 1,
  index: 0,
  api: "recorded",
  block: { part: { type: "text", text } },
});

interface Adapter {
  readonly name: string;
  readonly open: (dir: string) => SessionStore;
}

const adapters: readonly Adapter[] = [
  { name: "memory", open: () => createMemoryStore({ clock }) },
  { name: "journal", open: (dir) => createJournalStore({ dir, clock }) },
];

describe.each(adapters)("the $name store", ({ open }) => {
  let dir: string;
  let store: SessionStore;

  beforeEach(async () => {
    now = 1_000;
    dir = await mkdtemp(join(tmpdir(), "hermes-store-"));
    store = open(dir);
  });

  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });

  test("gives back what was appended, numbered from 1 and with the time", async () => {
    const appended = await store.append(first, 0, [created(first), notice("one")]);
    now = 2_000;
    const more = await store.append(first, 2, [notice("two\nlines, “quotes”, 漢字, \u2028 and 😀")]);
    expect(appended).toEqual([
      { seq: 1, at: 1_000, ...created(first) },
      { seq: 2, at: 1_000, ...notice("one") },
    ]);
    expect(await store.read(first)).toEqual({ events: [...appended, ...more], damagedBytes: 0 });
    expect(more.map(({ seq, at }) => [seq, at])).toEqual([[3, 2_000]]);
  });

  test("keeps sessions apart", async () => {
    await store.append(first, 0, [created(first)]);
    await store.append(second, 0, [created(second), notice("mine")]);
    expect((await store.read(first)).events.map(({ type }) => type)).toEqual(["session_created"]);
    expect((await store.read(second)).events.map(({ type }) => type)).toEqual(["session_created", "notice"]);
  });

  test.each([0, 1, 3])("refuses an append at position %i when the last is 2, and changes nothing", async (expected) => {
    const events = await store.append(first, 0, [created(first), notice("kept")]);
    await expect(store.append(first, expected, [notice("lost")])).rejects.toThrow(StaleSessionError);
    expect((await store.read(first)).events).toEqual(events);
    expect(await store.append(first, 2, [notice("next")])).toMatchObject([{ seq: 3 }]);
  });

  test("refuses to go on with a session that is not there", async () => {
    await expect(store.append(first, 4, [notice("lost")])).rejects.toThrow(StaleSessionError);
    await expect(store.read(first)).rejects.toMatchObject({ code: "unknown_session" });
    expect(await store.list({ limit: 10 })).toEqual([]);
  });

  test("lets exactly one of two concurrent appends at a position through", async () => {
    await store.append(first, 0, [created(first)]);
    const outcomes = await Promise.allSettled([
      store.append(first, 1, [notice("a")]),
      store.append(first, 1, [notice("b")]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect((await store.read(first)).events.at(-1)).toMatchObject({ seq: 2, message: "a" });
  });

  test("takes appends that follow each other without waiting for the first", async () => {
    const appends = Array.from({ length: 100 }, (_, i) => store.append(first, i, [notice(`${i}`)]));
    expect((await Promise.all(appends)).flat().map(({ seq }) => seq)).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    expect((await store.read(first)).events).toHaveLength(100);
  });

  test("a read sees every append that was made before it", async () => {
    const append = store.append(first, 0, [created(first)]);
    expect((await store.read(first)).events).toHaveLength(1);
    await append;
  });

  test("an append of nothing says nothing and makes nothing", async () => {
    expect(await store.append(first, 0, [])).toEqual([]);
    await expect(store.read(first)).rejects.toMatchObject({ code: "unknown_session" });
  });

  test.each(["../escape", "UPPER", "", "a/b", "a\0b"])("knows no session %j", async (id) => {
    await expect(store.read(id as SessionId)).rejects.toMatchObject({ code: "unknown_session" });
  });

  test("keeps bytes under the hash of their content, once", async () => {
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7 + (i >> 8)) % 256);
    const [id, again, empty] = await Promise.all([
      store.putBlob(bytes),
      store.putBlob(bytes),
      store.putBlob(new Uint8Array()),
    ]);
    expect(again).toBe(id);
    expect(empty).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(Buffer.from(await store.getBlob(id)).equals(bytes)).toBe(true);
    expect(await store.getBlob(empty)).toHaveLength(0);
  });

  test.each(["0".repeat(64), "../../etc/passwd", ""])("knows no blob %j", async (id) => {
    await expect(store.getBlob(id as BlobId)).rejects.toMatchObject({ code: "unknown_blob" });
  });

  test("lists the newest first, of one folder when asked, up to the limit", async () => {
    await store.append(first, 0, [created(first, "/one"), prompt("Fix the parser\nand its test"), answer("Done.")]);
    now = 2_000;
    await store.append(second, 0, [
      created(second, "/two"),
      prompt("Explain"),
      { type: "title_set", title: "Parsing" },
    ]);
    const one = {
      sessionId: first,
      title: "Fix the parser",
      cwd: "/one",
      createdAt: 1_000,
      updatedAt: 1_000,
      turns: 1,
    };
    const two = { sessionId: second, title: "Parsing", cwd: "/two", createdAt: 2_000, updatedAt: 2_000, turns: 1 };
    expect(await store.list({ limit: 10 })).toEqual([two, one]);
    expect(await store.list({ limit: 1 })).toEqual([two]);
    expect(await store.list({ limit: 10, cwd: "/one" })).toEqual([one]);
    now = 3_000;
    await store.append(first, 3, [prompt("Go on")]);
    expect(await store.list({ limit: 10 })).toEqual([{ ...one, updatedAt: 3_000, turns: 2 }, two]);
  });

  test.each([
    ["a word of a prompt", "parser", [first]],
    ["a part of an identifier in an answer", "tokenSt", [first]],
    ["words in any order and case", "STREAM fix", [first]],
    ["a word that is only in the title", "Lexikon", [second]],
    ["Chinese, without spaces", "解析器", [second]],
    ["a letter with case beyond ASCII", "ÜBERSICHT", [second]],
    ["the same letter decomposed", "u\u0308bersicht", [second]],
    ["what SQL would take for a pattern", "100%_a", [second]],
    ["a pattern that would match anything", "%", [second]],
    ["words of which one is missing", "parser nowhere", []],
    ["several hits, the newest first", "the", [second, first]],
  ])("finds %s", async (_, text, expected) => {
    await store.append(first, 0, [created(first), prompt("Fix the parser"), answer("I changed `readTokenStream()`.")]);
    now = 2_000;
    await store.append(second, 0, [
      created(second),
      { type: "title_set", title: "Das Lexikon" },
      prompt("这个解析器的 the Übersicht: 100%_a"),
    ]);
    const found = await store.list({ limit: 10, text });
    expect(found.map(({ sessionId }) => sessionId)).toEqual(expected);
  });

  test("shows the text around a hit on one line", async () => {
    await store.append(first, 0, [
      created(first),
      prompt(`${"before ".repeat(30)}\n\nneedle\n\n${"after ".repeat(30)}`),
    ]);
    const [found] = await store.list({ limit: 10, text: "NEEDLE" });
    expect(found?.snippet).toMatch(/^…[befor ]{40,} needle [after ]{40,}…$/);
  });

  test("gives out copies", async () => {
    const body: { type: "notice"; level: "info"; message: string } = {
      type: "notice",
      level: "info",
      message: "stored",
    };
    await store.append(first, 0, [body]);
    body.message = "changed later";
    expect((await store.read(first)).events).toMatchObject([{ message: "stored" }]);
  });
});
