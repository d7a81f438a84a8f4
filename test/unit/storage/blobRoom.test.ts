/** The disk space of blobs on a real folder: how much there is after many turns, what goes and what stays. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlobId } from "../../../server/src/protocol/types.ts";
import { BlobRoom } from "../../../server/src/storage/blobRoom.ts";
import { createBlobStore } from "../../../server/src/storage/blobs.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "hermes-blobs-"));
});
afterEach(() => rm(dir, { recursive: true }));

const block = 4096;

async function diskBytes(): Promise<number> {
  let total = 0;
  for (const entry of await readdir(join(dir, "blobs"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    total += Math.ceil((await stat(join(entry.parentPath, entry.name))).size / block) * block;
  }
  return total;
}

test("10,000 turns stay within the quota; the newest and the needed are there", { timeout: 60_000 }, async () => {
  const quota = 500 * block;
  const start = 1_700_000_000_000;
  let now = start;
  const room = new BlobRoom(
    join(dir, "blobs"),
    () => now,
    () => quota,
  );
  await mkdir(join(dir, "blobs", "aa"), { recursive: true });
  const nameOf = (turn: number) => String(turn).padStart(62, "0");
  const pathOf = (turn: number) => join(dir, "blobs", "aa", nameOf(turn));
  room.keep(() => [`aa${nameOf(1)}` as BlobId]);
  // A minute from turn to turn, so that what is old may go.
  const put = async (turn: number) => {
    await writeFile(pathOf(turn), `text ${turn}`);
    await utimes(pathOf(turn), start / 1000 + turn * 60, start / 1000 + turn * 60);
    room.added(6);
  };
  const batch = 50;
  for (let turn = 1; turn <= 10_000; turn += batch) {
    now = start + turn * 60_000;
    await Promise.all(Array.from({ length: batch }, (_, at) => put(turn + at)));
    await room.idle();
    if (turn % 1_000 === 1) expect(await diskBytes()).toBeLessThanOrEqual(quota);
  }
  expect(await diskBytes()).toBeLessThanOrEqual(quota);
  expect(await diskBytes()).toBeGreaterThan(quota / 2);
  for (const turn of [1, 10_000]) expect(await readFile(pathOf(turn), "utf8")).toBe(`text ${turn}`);
  await expect(stat(pathOf(2))).rejects.toThrow("ENOENT");
});

test("what was read lately outlives what was not, and what was used just now is not removed", async () => {
  let now = 1_700_000_000_000;
  let quota = 1_000 * block;
  const store = createBlobStore({ dir, now: () => now, quota: () => quota });
  const ids: BlobId[] = [];
  for (let at = 0; at < 10; at++) {
    now += 1_000;
    ids.push(await store.put(Buffer.from(`text ${at}`)));
  }
  now += 60 * 60_000;
  const [first] = ids;
  await store.get(first as BlobId);
  quota = block;
  await store.put(Buffer.from("one more"));
  await store.close();
  const room = new BlobRoom(
    join(dir, "blobs"),
    () => now,
    () => quota,
  );
  room.added(1);
  await room.idle();
  await store.get(first as BlobId);
  for (const id of ids.slice(1)) await expect(store.get(id)).rejects.toMatchObject({ code: "unknown_blob" });
});
