/**
 * The index is derived: whatever happens to it, the list is what the journals say.
 *
 * Not here: what a search finds (`test/contract/sessionStore.test.ts`).
 */
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import initSqlJs from "sql.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { createJournalStore, type JournalStoreDeps } from "../../../server/src/storage/journal.ts";
import type { SessionStore } from "../../../server/src/storage/store.ts";
import { maxTextLength } from "../../../server/src/storage/summary.ts";

let now = 1_000;
const clock = { now: () => now };

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

let dir: string;
let index: string;
const stores: SessionStore[] = [];
const journalOf = (id: string) => join(dir, "sessions", `${id}.jsonl`);

beforeEach(async () => {
  now = 1_000;
  dir = await mkdtemp(join(tmpdir(), "hermes-index-"));
  index = join(dir, "index.sqlite");
});

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  await rm(dir, { recursive: true });
});

function openStore(more: Partial<JournalStoreDeps> = {}): SessionStore {
  const store = createJournalStore({ dir, clock, ...more });
  stores.push(store);
  return store;
}

async function titles(store: SessionStore, text?: string): Promise<readonly string[]> {
  const found = await store.list({ limit: 100, ...(text === undefined ? {} : { text }) });
  return found.map(({ title }) => title);
}

/** Writes three sessions and an index of them, all closed again. */
async function threeSessions(): Promise<void> {
  const store = createJournalStore({ dir, clock });
  for (const name of ["one", "two", "three"]) {
    now += 1_000;
    await store.append(`s-${name}` as SessionId, 0, [prompt(`Task ${name}\nwith detail-${name}`)]);
  }
  expect(await titles(store)).toEqual(["Task three", "Task two", "Task one"]);
  await store.close();
}

const all = ["Task three", "Task two", "Task one"];

describe("an index that is", () => {
  test.each<[string, () => Promise<void>]>([
    ["missing", () => rm(index)],
    ["empty", () => truncate(index, 0)],
    ["cut in the middle", async () => truncate(index, (await stat(index)).size / 2)],
    ["another file altogether", () => writeFile(index, "not a database ".repeat(1_000))],
    [
      "full of holes",
      async () => {
        const bytes = await readFile(index);
        await writeFile(index, bytes.fill(0xff, 4_096, bytes.length - 100));
      },
    ],
    [
      "of another version",
      async () => {
        const database = new (await initSqlJs()).Database(await readFile(index));
        database.run("UPDATE sessions SET title = 'of another meaning'; PRAGMA user_version = 999");
        await writeFile(index, database.export());
        database.close();
      },
    ],
    [
      "without its tables",
      async () => {
        const database = new (await initSqlJs()).Database(await readFile(index));
        database.run("DROP TABLE texts; DROP TABLE sessions");
        await writeFile(index, database.export());
        database.close();
      },
    ],
    [
      "in the way as a folder",
      async () => {
        await rm(index);
        await mkdir(index);
      },
    ],
  ])("%s is built again from the journals", async (_, spoil) => {
    await threeSessions();
    await spoil();
    const store = openStore();
    expect(await titles(store)).toEqual(all);
    expect(await titles(store, "detail-two")).toEqual(["Task two"]);
    await store.close();
    expect(await titles(openStore())).toEqual(all);
    expect((await readdir(dir)).sort()).toEqual(["index.sqlite", "sessions"]);
  });
});

describe("the list is up to date after", () => {
  beforeEach(threeSessions);

  test("another process has appended, with the index open or closed", async () => {
    const [store, other] = [openStore(), openStore()];
    expect(await titles(store)).toEqual(all);
    now = 9_000;
    await other.append("s-one" as SessionId, 1, [{ type: "title_set", title: "Renamed" }]);
    expect(await titles(store)).toEqual(["Renamed", "Task three", "Task two"]);
    await appendFile(journalOf("s-two"), `${JSON.stringify({ seq: 2, at: 10_000, ...prompt("needle") })}\n`);
    expect(await titles(store, "needle")).toEqual(["Task two"]);
    expect(await titles(openStore(), "needle")).toEqual(["Task two"]);
    expect(await store.list({ limit: 1 })).toMatchObject([
      { title: "Task two", turns: 2, createdAt: 3_000, updatedAt: 10_000 },
    ]);
  });

  test("a journal was deleted, and after one was added", async () => {
    const store = openStore();
    expect(await titles(store)).toEqual(all);
    await rm(journalOf("s-two"));
    await writeFile(journalOf("s-four"), `${JSON.stringify({ seq: 1, at: 9_000, ...prompt("Task four") })}\n`);
    expect(await titles(store)).toEqual(["Task four", "Task three", "Task one"]);
    expect(await titles(store, "detail-two")).toEqual([]);
  });

  test("a journal was edited in place, or cut, or replaced", async () => {
    const store = openStore();
    expect(await titles(store)).toEqual(all);
    const text = await readFile(journalOf("s-one"), "utf8");
    await writeFile(journalOf("s-one"), text.replaceAll("one", "ONE"));
    await utimes(journalOf("s-one"), 1, 1);
    await truncate(journalOf("s-two"), 5);
    await rm(journalOf("s-three"));
    await writeFile(
      journalOf("s-three"),
      `${JSON.stringify({ seq: 1, at: 1, ...prompt(`New ${"x".repeat(900)}`) })}\n`,
    );
    expect((await titles(store)).map((title) => title.slice(0, 8))).toEqual(["Task ONE", "New xxxx"]);
  });

  test("a batch that was seen half has become whole", async () => {
    const store = openStore();
    const other = openStore();
    await other.append("s-one" as SessionId, 1, [prompt("first half"), prompt("second half")]);
    const whole = await readFile(journalOf("s-one"));
    await truncate(journalOf("s-one"), whole.length - 30);
    expect(await titles(store, "half")).toEqual([]);
    await appendFile(journalOf("s-one"), whole.subarray(-30));
    expect(await titles(store, "second half")).toEqual(["Task one"]);
  });

  test("only what is new was read", async () => {
    const store = openStore();
    expect(await titles(store)).toEqual(all);
    // A change that an append-only file never sees, at a place that must not be read again.
    const text = await readFile(journalOf("s-one"), "utf8");
    const more = `${JSON.stringify({ seq: 2, at: 9_000, ...prompt("more") })}\n`;
    await writeFile(journalOf("s-one"), text.replace("Task one", "Task 1ne") + more);
    expect(await store.list({ limit: 1 })).toMatchObject([{ title: "Task one", turns: 2 }]);
  });
});

test("what cannot be understood hides nothing else", async () => {
  await threeSessions();
  await writeFile(journalOf("s-garbage"), "\0\xff garbage\n".repeat(100));
  await writeFile(journalOf("s-empty"), "");
  await writeFile(join(dir, "sessions", "notes.txt"), "mine");
  await writeFile(join(dir, "sessions", "Not-An-Id.jsonl"), `${JSON.stringify({ seq: 1, at: 1, ...prompt("no") })}\n`);
  await mkdir(journalOf("s-folder"));
  const strange = [
    { seq: 1, at: 8_000, ...prompt("Strange") },
    { seq: 2, at: 9_000, type: "turn_started", prompt: "of another shape" },
    { seq: 3, at: 9_500, type: "assistant_block", block: null },
    { seq: 4, at: 9_800, type: "hologram" },
  ];
  await writeFile(journalOf("s-strange"), strange.map((line) => `${JSON.stringify(line)}\n`).join(""));
  expect(await titles(openStore())).toEqual(["Strange", ...all]);
});

test("text is searched up to the limit per session, and the session is listed all the same", async () => {
  const store = openStore();
  const id = "s-long" as SessionId;
  await store.append(id, 0, [
    prompt(`early ${"x".repeat(maxTextLength - 100)}`),
    prompt("middle"),
    prompt("z".repeat(200)),
    prompt("late"),
  ]);
  expect(await titles(store, "middle")).toHaveLength(1);
  expect(await titles(store, "late")).toEqual([]);
  expect(await store.list({ limit: 1 })).toMatchObject([{ turns: 4 }]);
});

test("nothing is loaded before the first list", async () => {
  let located = 0;
  const locateWasm = () => {
    located += 1;
    return join(dir, "nowhere.wasm");
  };
  const store = openStore({ locateWasm });
  await store.append("s-one" as SessionId, 0, [prompt("Task one")]);
  await store.read("s-one" as SessionId);
  expect(located).toBe(0);
  await expect(store.list({ limit: 1 })).rejects.toThrow(
    /^Sessions cannot be listed, because SQLite could not be loaded: .*nowhere\.wasm.*The sessions themselves are unharmed\. Reinstall Hermes\.$/,
  );
  await store.append("s-one" as SessionId, 1, [prompt("Still stored")]);
});

test("lists asked for at once agree", async () => {
  await threeSessions();
  const store = openStore();
  expect(await Promise.all([titles(store), titles(store), titles(store, "one")])).toEqual([all, all, ["Task one"]]);
});

test("no folder at all is no session at all", async () => {
  expect(await openStore().list({ limit: 5 })).toEqual([]);
});
