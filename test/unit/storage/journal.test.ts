/**
 * What only a disk can do wrong: cut lines, damage, full disks, second writers, and files that others may read.
 *
 * Not here: what every store promises (`test/contract/sessionStore.test.ts`).
 */
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { SessionId } from "../../../server/src/protocol/types.ts";
import { createJournalStore, type JournalStoreDeps } from "../../../server/src/storage/journal.ts";
import { type SessionStore, StaleSessionError } from "../../../server/src/storage/store.ts";

const id = "s-1" as SessionId;
const clock = { now: () => 1_000 };
const notice = (message: string): SessionEventBody => ({ type: "notice", level: "info", message });

let dir: string;
let path: string;
const stores: SessionStore[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "hermes-journal-"));
  path = join(dir, "sessions", `${id}.jsonl`);
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

async function messages(store: SessionStore): Promise<readonly string[]> {
  const { events } = await store.read(id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  return events.map((event) => (event.type === "notice" ? event.message : event.type));
}

describe("a journal cut within what was appended last", () => {
  test.each([
    ["one event", [notice("cut, “é” 漢")]],
    ["three events at once", [notice("cut"), notice("ü"), notice("last")]],
  ])("at every byte of %s gives everything before it, and goes on", async (_, last) => {
    const store = openStore();
    await store.append(id, 0, [notice("one"), notice("two")]);
    const { size: kept } = await stat(path);
    await store.append(id, 2, last);
    const whole = await readFile(path);
    for (let size = kept; size < whole.length; size++) {
      await writeFile(path, whole.subarray(0, size));
      const reader = createJournalStore({ dir, clock });
      expect(await reader.read(id)).toMatchObject({ events: [{ seq: 1 }, { seq: 2 }], damagedBytes: size - kept });
      const writer = createJournalStore({ dir, clock });
      expect(await writer.append(id, 2, [notice("next")])).toMatchObject([{ seq: 3 }]);
      expect(await messages(reader)).toEqual(["one", "two", "next"]);
      expect((await readFile(path)).subarray(0, size).equals(whole.subarray(0, size))).toBe(true);
      await Promise.all([reader.close(), writer.close()]);
    }
  });

  test("is found by a store that had it whole", async () => {
    const store = openStore();
    await store.append(id, 0, [notice("one")]);
    await store.append(id, 1, [notice("two")]);
    await truncate(path, (await stat(path)).size - 5);
    await expect(store.append(id, 2, [notice("three")])).rejects.toThrow(StaleSessionError);
    await store.append(id, 1, [notice("again")]);
    expect(await messages(store)).toEqual(["one", "again"]);
  });
});

describe("damage", () => {
  test("in the middle costs the damaged lines alone", async () => {
    const store = openStore();
    for (let seq = 0; seq < 6; seq += 3) {
      await store.append(id, seq, [notice(`${seq}`), notice(`${seq + 1}`), notice(`${seq + 2}`)]);
    }
    await store.append(id, 6, [notice("6")]);
    const lines = (await readFile(path, "utf8")).split("\n");
    lines[1] = lines[1]?.replace('"seq"', '"sea"') ?? "";
    lines[3] = "\0".repeat(20);
    await writeFile(path, lines.join("\n"));
    const { events, damagedBytes } = await store.read(id);
    // The first line of the second batch is gone, so its other two stand alone.
    expect(events.map(({ seq }) => seq)).toEqual([1, 3, 5, 6, 7]);
    expect(damagedBytes).toBe((lines[1]?.length ?? 0) + 1 + 21);
    expect(await openStore().append(id, 7, [notice("7")])).toMatchObject([{ seq: 8 }]);
  });

  test.each([
    ["no JSON", "garbage"],
    ["no object", "[1]"],
    ["no position", '{"at":1,"type":"notice"}'],
    ["a position that is no whole number", '{"seq":1.5,"at":1,"type":"notice"}'],
    ["no time", '{"seq":1,"type":"notice"}'],
    ["no type", '{"seq":1,"at":1}'],
  ])("a line that is %s is counted and kept", async (_, line) => {
    const store = openStore();
    await store.append(id, 0, [notice("one")]);
    await appendFile(path, `${line}\n`);
    await store.append(id, 1, [notice("two")]);
    expect(await messages(store)).toEqual(["one", "two"]);
    expect((await store.read(id)).damagedBytes).toBe(line.length + 1);
    expect(await readFile(path, "utf8")).toContain(`${line}\n`);
  });

  test("of everything is told with the place where it is kept", async () => {
    const store = openStore();
    await store.append(id, 0, [notice("one")]);
    await writeFile(path, "half a li");
    await expect(store.read(id)).rejects.toMatchObject({
      code: "unknown_session",
      message: expect.stringMatching(/9 damaged bytes are kept in .*s-1\.jsonl/),
    });
  });

  test.each<[string, (packed: Buffer) => Uint8Array]>([
    ["flipped bytes", (packed) => packed.fill(1, 6)],
    ["a missing end", (packed) => packed.subarray(0, -3)],
    ["another text", () => zstdCompressSync("another text")],
  ])("of a stored text by %s is noticed, and told as such", async (_, spoil) => {
    const store = openStore();
    const blob = await store.putBlob(Buffer.from("some text"));
    const file = join(dir, "blobs", blob.slice(0, 2), blob.slice(2));
    await writeFile(file, spoil(await readFile(file)));
    await expect(store.getBlob(blob)).rejects.toMatchObject({ code: "damaged_blob" });
  });
});

test("events of types from a newer version are given as they are", async () => {
  const store = openStore();
  await store.append(id, 0, [notice("one")]);
  await appendFile(path, `{"seq":2,"at":5,"type":"hologram","depth":{"cm":3}}\n`);
  expect((await store.read(id)).events.at(-1)).toEqual({ seq: 2, at: 5, type: "hologram", depth: { cm: 3 } });
  await store.append(id, 2, [notice("three")]);
});

test("lines longer than what is read at once are whole", async () => {
  const store = openStore();
  const long = Array.from({ length: 4 }, (_, i) => "漢é😀x"[i]?.repeat(300_001) ?? "");
  await store.append(id, 0, long.map(notice));
  expect(await messages(openStore())).toEqual(long);
});

describe("two stores on one session", () => {
  test("let exactly one of two appends at a position through, every time", async () => {
    const [a, b] = [openStore(), openStore()];
    await a.append(id, 0, [notice("begin")]);
    let winners = "";
    for (let seq = 1; seq <= 60; seq++) {
      const outcomes = await Promise.allSettled([
        a.append(id, seq, [notice(`${seq}`)]),
        b.append(id, seq, [notice(`${seq}`)]),
      ]);
      const refused = outcomes.filter(({ status }) => status === "rejected");
      expect(refused).toEqual([{ status: "rejected", reason: expect.any(StaleSessionError) }]);
      winners += outcomes[0].status === "fulfilled" ? "a" : "b";
    }
    expect(winners).toHaveLength(60);
    expect(await messages(a)).toEqual(["begin", ...Array.from({ length: 60 }, (_, i) => `${i + 1}`)]);
    expect((await b.read(id)).damagedBytes).toBe(0);
  });

  test("discover each other when one writes between the other's look and its write", async () => {
    const other = openStore();
    let intruders = 1;
    const store = openStore({
      write: async (handle, bytes) => {
        if (intruders-- > 0) await other.append(id, 1, [notice("theirs"), notice("too")]);
        return (await handle.write(bytes)).bytesWritten;
      },
    });
    intruders = 0;
    await store.append(id, 0, [notice("begin")]);
    intruders = 1;
    await expect(store.append(id, 1, [notice("ours"), notice("dropped"), notice("whole")])).rejects.toThrow(
      StaleSessionError,
    );
    expect(await messages(store)).toEqual(["begin", "theirs", "too"]);
    expect(await store.append(id, 3, [notice("ours again")])).toMatchObject([{ seq: 4 }]);
    expect(await messages(other)).toEqual(["begin", "theirs", "too", "ours again"]);
  });

  test("see what the other has appended", async () => {
    const [a, b] = [openStore(), openStore()];
    await a.append(id, 0, [notice("one")]);
    await b.append(id, 1, [notice("two")]);
    await a.append(id, 2, [notice("three")]);
    expect(await messages(b)).toEqual(["one", "two", "three"]);
  });
});

describe("a full disk", () => {
  test.each([0, 1, 40, 90, 150])("after %i bytes of an append loses nothing and can be gone on from", async (room) => {
    let full = false;
    const store = openStore({
      write: async (handle, bytes) => {
        if (!full) return (await handle.write(bytes)).bytesWritten;
        await handle.write(bytes.subarray(0, room));
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      },
    });
    await store.append(id, 0, [notice("one")]);
    full = true;
    const failed = [store.append(id, 1, [notice("a"), notice("b")]), store.append(id, 3, [notice("c")])];
    for (const outcome of await Promise.allSettled(failed)) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: {
          message: expect.stringMatching(/^Could not save the conversation: the disk is full \(ENOSPC, \/.*\)\.$/),
        },
      });
    }
    expect(await messages(openStore())).toEqual(["one"]);
    full = false;
    expect(await store.append(id, 1, [notice("a"), notice("b")])).toMatchObject([{ seq: 2 }, { seq: 3 }]);
    expect(await messages(openStore())).toEqual(["one", "a", "b"]);
  });

  test("that takes a write piece by piece gets all of it", async () => {
    const store = openStore({
      write: async (handle, bytes) => (await handle.write(bytes.subarray(0, 7))).bytesWritten,
    });
    await store.append(id, 0, [notice("in small pieces"), notice("of seven bytes")]);
    expect(await messages(openStore())).toEqual(["in small pieces", "of seven bytes"]);
  });

  test("is told for stored texts too", async () => {
    const store = openStore();
    await writeFile(join(dir, "blobs"), "in the way");
    await expect(store.putBlob(Buffer.from("x"))).rejects.toThrow(/^Could not keep a copy of the text: .*blobs/);
    await rm(join(dir, "blobs"));
    expect(Buffer.from(await store.getBlob(await store.putBlob(Buffer.from("x")))).toString()).toBe("x");
  });
});

test("appends that wait for the same flush share one write", async () => {
  let writes = 0;
  const store = openStore({
    write: async (handle, bytes) => {
      writes += 1;
      return (await handle.write(bytes)).bytesWritten;
    },
  });
  await Promise.all(Array.from({ length: 50 }, (_, i) => store.append(id, i, [notice(`${i}`)])));
  expect(writes).toBeLessThanOrEqual(2);
  expect(await messages(store)).toHaveLength(50);
});

test.runIf(process.platform !== "win32")("everything is for its owner alone", async () => {
  const store = openStore();
  await store.append(id, 0, [notice("private")]);
  const blob = await store.putBlob(Buffer.from("private"));
  await store.list({ limit: 1 });
  await store.close();
  const file = join(dir, "blobs", blob.slice(0, 2), blob.slice(2));
  const mode = async (of: string) => ((await stat(of)).mode & 0o777).toString(8);
  expect(await Promise.all([path, file, join(dir, "index.sqlite")].map(mode))).toEqual(["600", "600", "600"]);
  expect(await Promise.all([dirname(path), join(dir, "blobs"), dirname(file)].map(mode))).toEqual([
    "700",
    "700",
    "700",
  ]);
});

test("temp files that killed processes left long ago are removed, young ones are not", async () => {
  await openStore().putBlob(Buffer.from("makes the folder"));
  const [old, young] = [join(dir, "tmp", ".old.tmp"), join(dir, "tmp", ".young.tmp")];
  await Promise.all([writeFile(old, "x"), writeFile(young, "x")]);
  await utimes(old, 0, 0);
  await utimes(young, 7_000, 7_000);
  await openStore({ clock: { now: () => 7_200_000 } }).putBlob(Buffer.from("sweeps"));
  expect(await readdir(join(dir, "tmp"))).toEqual([".young.tmp"]);
});

test("a closed store refuses, after everything appended is on disk", async () => {
  const store = openStore();
  const append = store.append(id, 0, [notice("one")]);
  await store.close();
  await append;
  await expect(store.append(id, 1, [notice("two")])).rejects.toThrow("The session store is closed.");
  expect(await messages(openStore())).toEqual(["one"]);
});
