/** Cached values in files: bounds, damage, several hosts. Nothing of it may fail whoever asks. */
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CacheLimits, createCacheFiles } from "../../../server/src/storage/cacheFiles.ts";

let root: string;
let now = 0;
const dir = () => join(root, "answers");
const limits: CacheLimits = { entries: 3, bytes: 1_000, ageMs: 60_000 };
const open = (changes: Partial<CacheLimits> = {}) =>
  createCacheFiles(
    dir(),
    () => ({ ...limits, ...changes }),
    () => now,
  );

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hermes-cache-"));
  now = 1_000_000;
});
afterEach(() => rm(root, { recursive: true, force: true }));

test("what one host writes another reads; what is removed is gone", async () => {
  expect(await open().read("aa")).toBeUndefined();
  expect(await open().readAll()).toEqual([]);
  await open().write("aa", { answer: 1 });
  expect(await open().read("aa")).toEqual({ answer: 1 });
  await open().remove("aa");
  await open().remove("aa");
  expect(await open().read("aa")).toBeUndefined();
});

test("the least recently used go beyond the entries, the bytes and the age", async () => {
  const files = open();
  for (const key of ["a1", "a2", "a3", "a4"]) {
    now += 1_000;
    await files.write(key, { key });
  }
  expect((await readdir(dir())).toSorted()).toEqual(["a2.json", "a3.json", "a4.json"]);
  now += 1_000;
  await files.write("a2", { key: "a2", again: true });
  expect(await files.readAll()).toEqual([{ key: "a2", again: true }, { key: "a4" }, { key: "a3" }]);
  now += 1_000;
  await files.write("b1", { text: "x".repeat(985) });
  expect(await readdir(dir())).toEqual(["b1.json"]);
  now += 61_000;
  await files.write("b2", {});
  expect(await readdir(dir())).toEqual(["b2.json"]);
});

test("damage is passed over, and what killed hosts left half written is swept", async () => {
  const files = open();
  await files.write("aa", { fine: true });
  await writeFile(join(dir(), "bb.json"), '{"cut":');
  await writeFile(join(dir(), ".aa.json.x.tmp"), "half");
  await utimes(join(dir(), ".aa.json.x.tmp"), 1, 1);
  expect(await files.read("bb")).toBeUndefined();
  expect(await files.readAll()).toEqual([{ fine: true }]);
  now += 3_600_000;
  await open({ ageMs: 10_000_000 }).write("cc", {});
  expect(await readdir(dir())).not.toContain(".aa.json.x.tmp");
});

test("a folder that cannot be made costs nothing but the cache", async () => {
  await writeFile(dir(), "a file is in the way");
  const files = open();
  await files.write("aa", {});
  expect(await files.read("aa")).toBeUndefined();
});
