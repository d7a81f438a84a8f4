/** Measured speeds: means that several hosts add to, a file that may be gone or damaged, bounds. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Speeds } from "../../../server/src/storage/speeds.ts";

let folder: string;
let now: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hermes-speeds-"));
  now = 1_000_000;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const path = () => join(folder, "home", "speeds.json");
const open = () => new Speeds({ path: path(), now: () => now });
const sample = { model: "a/m", failed: false, firstTokenMs: 1_000, tokensPerSecond: 100 };

test("the first sample counts in full, later ones a fifth; a failure says nothing of speed", async () => {
  const speeds = open();
  speeds.add(sample);
  expect((await speeds.all()).get("a/m")).toEqual({
    firstTokenMs: 1_000,
    tokensPerSecond: 100,
    failureRate: 0,
    at: now,
  });
  now += 1;
  speeds.add({ model: "a/m", failed: false, firstTokenMs: 2_000 });
  speeds.add({ model: "a/m", failed: true });
  expect((await speeds.all()).get("a/m")).toEqual({
    firstTokenMs: 1_200,
    tokensPerSecond: 100,
    failureRate: 0.2,
    at: now,
  });
});

test("two hosts add to one file, and a third reads what both have measured", async () => {
  const [one, two] = [open(), open()];
  one.add(sample);
  two.add({ ...sample, model: "b/m" });
  two.add({ ...sample, firstTokenMs: 2_000 });
  await one.flush();
  await two.flush();
  const third = await open().all();
  expect([...third.keys()].toSorted()).toEqual(["a/m", "b/m"]);
  expect(third.get("a/m")?.firstTokenMs).toBe(1_200);
  expect(await readdir(join(folder, "home"))).toEqual(["speeds.json"]);
});

test("nothing is written for nothing, and samples are written together", async () => {
  const speeds = open();
  await speeds.flush();
  expect(await readdir(folder)).toEqual([]);
  speeds.add(sample);
  expect(await readdir(folder)).toEqual([]);
  now += 30_000;
  speeds.add(sample);
  await speeds.flush();
  expect(JSON.parse(await readFile(path(), "utf8"))).toHaveProperty(["a/m", "at"], now);
});

test.each(["", "garbage", "[]", "null", '{"a/m":{"firstTokenMs":"fast"}}', '{"a/m":{"firstTokenMs":-1}}'])(
  "a damaged file (%s) means to begin again",
  async (text) => {
    const first = open();
    first.add(sample);
    await first.flush();
    await writeFile(path(), text);
    const speeds = open();
    expect((await speeds.all()).size).toBe(0);
    speeds.add(sample);
    await speeds.flush();
    expect((await open().all()).get("a/m")?.firstTokenMs).toBe(1_000);
  },
);

test("a folder that cannot be written costs nothing but the measurements", async () => {
  await writeFile(join(folder, "home"), "a file where the folder should be");
  const speeds = open();
  speeds.add(sample);
  await expect(speeds.flush()).resolves.toBeUndefined();
});

test("the models measured longest ago go first when there are too many", async () => {
  const speeds = open();
  for (let model = 0; model < 250; model++) {
    now += 1;
    speeds.add({ ...sample, model: `a/${model}` });
  }
  const all = await speeds.all();
  expect(all.size).toBe(200);
  expect(all.has("a/49")).toBe(false);
  expect(all.has("a/50")).toBe(true);
});
