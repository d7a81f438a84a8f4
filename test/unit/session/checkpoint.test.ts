/**
 * Undo on a real folder: which bytes and permission bits are there afterwards, and what it says it did.
 *
 * Not here: how texts merge (`test/unit/workspace/merge.test.ts`). Easily got wrong: bytes are compared, not texts.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { UndoneFile } from "../../../server/src/protocol/review.ts";
import type { BlobId, FileChange } from "../../../server/src/protocol/types.ts";
import { conflictIn, restoreFiles } from "../../../server/src/session/checkpoint.ts";
import { historiesOf } from "../../../server/src/session/fileHistory.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import type { SessionStore } from "../../../server/src/storage/store.ts";
import { createDiskWorkspace } from "../../../server/src/workspace/disk.ts";
import { createQueues } from "../../../server/src/workspace/queues.ts";
import type { Workspace } from "../../../server/src/workspace/workspace.ts";

const { signal } = new AbortController();

let folder: string;
let store: SessionStore;
let workspace: Workspace;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hermes-undo-"));
  await mkdir(join(folder, "root"));
  store = createMemoryStore({ clock: { now: () => 1_000 } });
  let ids = 0;
  workspace = createDiskWorkspace({
    root: join(folder, "root"),
    outputDir: join(folder, "output"),
    environment: {},
    createId: () => `id${++ids}`,
  });
});

afterEach(() => rm(folder, { recursive: true }));

const at = (path: string) => join(folder, "root", path);
const bytesOf = (path: string) => readFile(at(path), "latin1").catch(() => null);
const blobOf = async (text: string | null): Promise<BlobId | null> =>
  text === null ? null : store.putBlob(Buffer.from(text));

async function put(path: string, text: string | null): Promise<void> {
  if (text === null) await rm(at(path), { force: true });
  else await writeFile(at(path), text);
}

/** What a turn records when it takes a file through `texts`, the first being the one before the turn. */
async function changesOf(path: string, ...texts: readonly (string | null)[]): Promise<readonly FileChange[]> {
  const { uri } = await workspace.resolve(path);
  const images = await Promise.all(texts.map(blobOf));
  return images.slice(1).map((after, i) => ({ uri, before: images[i] ?? null, after, addedLines: 0, removedLines: 0 }));
}

/** Restores, and gathers what it has written. */
async function restored(changes: readonly FileChange[], written: FileChange[] = [], stop = signal) {
  const announce = async (change: FileChange) => void written.push(change);
  const failed = async () => void written.pop();
  return restoreFiles(changes, { store, workspace, fileOrder: createQueues(), announce, failed }, stop);
}

async function undo(changes: readonly FileChange[]): Promise<readonly UndoneFile["outcome"][]> {
  const files = await restored(changes);
  expect(files.map(({ uri }) => uri)).toEqual([...new Set(changes.map(({ uri }) => uri))]);
  return files.map(({ outcome }) => outcome);
}

interface Case {
  readonly name: string;
  /** The file's texts: before the turn, then after each of its changes. `null` where there is no file. */
  readonly turn: readonly (string | null)[];
  readonly now: string | null;
  readonly outcome: UndoneFile["outcome"];
  readonly left: string | null;
}

const cases: readonly Case[] = [
  { name: "a change", turn: ["a\n", "b\n"], now: "b\n", outcome: "restored", left: "a\n" },
  { name: "several changes, to the first", turn: ["a", "b", "c", "d"], now: "d", outcome: "restored", left: "a" },
  {
    name: "a byte order mark and CRLF",
    turn: ["\uFEFFa\r\n", "b\n"],
    now: "b\n",
    outcome: "restored",
    left: "\uFEFFa\r\n",
  },
  { name: "a file made by the turn", turn: [null, "new"], now: "new", outcome: "restored", left: null },
  { name: "a file deleted by the turn", turn: ["old", null], now: null, outcome: "restored", left: "old" },
  { name: "a file made and deleted", turn: [null, "new", null], now: null, outcome: "unchanged", left: null },
  { name: "an empty file", turn: ["", "full"], now: "full", outcome: "restored", left: "" },
  { name: "what was undone by hand", turn: ["a", "b"], now: "a", outcome: "unchanged", left: "a" },
  { name: "a new file that is gone already", turn: [null, "new"], now: null, outcome: "unchanged", left: null },
  {
    name: "a last change that was recorded and never written",
    turn: ["a", "b", "c"],
    now: "b",
    outcome: "restored",
    left: "a",
  },
  {
    name: "a file that the user changed elsewhere",
    turn: ["1\n2\n3\n4\n5\n", "1\nTWO\n3\n4\n5\n"],
    now: "1\nTWO\n3\n4\nfive\n",
    outcome: "merged",
    left: "1\n2\n3\n4\nfive\n",
  },
  {
    name: "a file that the user changed in the same line",
    turn: ["1\n2\n3\n", "1\nTWO\n3\n"],
    now: "1\nTwo!\n3\n",
    outcome: "conflict",
    left: "1\nTwo!\n3\n",
  },
  { name: "a changed file that the user deleted", turn: ["a", "b"], now: null, outcome: "conflict", left: null },
  {
    name: "a new file that the user changed",
    turn: [null, "a\n"],
    now: "a\nmine\n",
    outcome: "conflict",
    left: "a\nmine\n",
  },
  { name: "a deleted file that the user made anew", turn: ["a", null], now: "mine", outcome: "conflict", left: "mine" },
  { name: "a file that is binary by now", turn: ["a", "b"], now: "\0\0", outcome: "conflict", left: "\0\0" },
];

test.each(cases)("undoing $name: $outcome", async ({ turn, now, outcome, left }) => {
  await put("file.txt", now);
  const changes = await changesOf("file.txt", ...turn);
  expect(await undo(changes)).toEqual([outcome]);
  expect(await bytesOf("file.txt")).toBe(left === null ? null : Buffer.from(left).toString("latin1"));
  // Nothing but the file itself is left.
  expect(await readdir(join(folder, "root"))).toEqual(left === null ? [] : ["file.txt"]);
});

test("files are undone in the order in which they were first changed, each by itself", async () => {
  await Promise.all([put("a", "A2"), put("b", "mine"), put("c", "C1")]);
  const [a, b, c] = [
    await changesOf("a", "A0", "A1", "A2"),
    await changesOf("b", "B0", "B1"),
    await changesOf("c", "C0", "C1"),
  ];
  expect(await undo([...c, ...a.slice(0, 1), ...b, ...a.slice(1)])).toEqual(["restored", "restored", "conflict"]);
  expect([await bytesOf("a"), await bytesOf("b"), await bytesOf("c")]).toEqual(["A0", "mine", "C0"]);
});

test.runIf(process.platform !== "win32")("permission bits are those from before the turn", async () => {
  await put("changed.sh", "after");
  await chmod(at("changed.sh"), 0o750);
  const withMode = (changes: readonly FileChange[]) => changes.map((change) => ({ ...change, mode: 0o750 }));
  const changed = withMode(await changesOf("changed.sh", "before", "after"));
  const deleted = withMode(await changesOf("deleted.sh", "before", null));
  expect(await undo([...changed, ...deleted])).toEqual(["restored", "restored"]);
  for (const path of ["changed.sh", "deleted.sh"]) expect((await stat(at(path))).mode & 0o777).toBe(0o750);
});

test.each(cases)("undoing the undo of $name gives back what was there", async ({ turn, now }) => {
  await put("file.txt", now);
  const before = await bytesOf("file.txt");
  const written: FileChange[] = [];
  await restored(await changesOf("file.txt", ...turn), written);
  expect((await restored(written)).map(({ outcome }) => outcome)).not.toContain("conflict");
  expect(await bytesOf("file.txt")).toBe(before);
});

test("what the user changed between two changes stays", async () => {
  await put("file.txt", "ONE\n2\nmine\n4\nFIVE\n");
  const first = await changesOf("file.txt", "1\n2\n3\n4\n5\n", "ONE\n2\n3\n4\n5\n");
  const second = await changesOf("file.txt", "ONE\n2\nmine\n4\n5\n", "ONE\n2\nmine\n4\nFIVE\n");
  expect(await undo([...first, ...second])).toEqual(["merged"]);
  expect(await bytesOf("file.txt")).toBe("1\n2\nmine\n4\n5\n");
});

test("a conflict of two texts can be shown with both sides", async () => {
  await put("file.txt", "1\nmine\n3\nFOUR\n");
  const changes = await changesOf("file.txt", "1\n2\n3\n4\n", "1\nTWO\n3\nFOUR\n");
  expect(await restored(changes)).toMatchObject([{ outcome: "conflict", bothSides: true }]);
  const [history] = historiesOf(changes);
  expect(history && (await conflictIn(history, { store, workspace }, signal))).toEqual({
    present: "1\nmine\n3\nFOUR\n",
    text: "1\n<<<<<<< your text\nmine\n=======\n2\n>>>>>>> before the turn\n3\n4\n",
  });
  expect(await bytesOf("file.txt")).toBe("1\nmine\n3\nFOUR\n");
});

describe("nothing is lost when", () => {
  test("the file changes while it is undone: it is merged with that, too", async () => {
    await put("file.txt", "1\nTWO\n3\n4\n");
    const changes = await changesOf("file.txt", "1\n2\n3\n4\n", "1\nTWO\n3\n4\n");
    const { swap } = workspace;
    let typed = false;
    workspace.swap = async (...args) => {
      if (!typed) await put("file.txt", "1\nTWO\n3\n4\ntyped\n");
      typed = true;
      return swap(...args);
    };
    expect(await undo(changes)).toEqual(["merged"]);
    expect(await bytesOf("file.txt")).toBe("1\n2\n3\n4\ntyped\n");
  });

  test("the file never holds still: it is left alone", async () => {
    await put("file.txt", "b");
    const changes = await changesOf("file.txt", "a", "b");
    const { swap } = workspace;
    let writes = 0;
    workspace.swap = async (...args) => {
      await put("file.txt", ++writes % 2 === 0 ? "b" : "b\n\nmore");
      return swap(...args);
    };
    expect(await undo(changes)).toEqual(["conflict"]);
    expect(await bytesOf("file.txt")).toMatch(/^b/);
  });

  test("a text from before the turn is not stored any more: no file is touched", async () => {
    await Promise.all([put("a", "A1"), put("b", "B1")]);
    const lost = (await changesOf("b", "B0", "B1")).map((change) => ({ ...change, before: "0".repeat(64) as BlobId }));
    await expect(undo([...(await changesOf("a", "A0", "A1")), ...lost])).rejects.toMatchObject({
      code: "image_gone",
    });
    expect([await bytesOf("a"), await bytesOf("b")]).toEqual(["A1", "B1"]);
  });

  test("the file may not be written: it is told as a conflict, the others are undone", async () => {
    await Promise.all([put("locked", "L1"), put("free", "F1")]);
    await chmod(at("locked"), 0o444);
    const changes = [...(await changesOf("locked", "L0", "L1")), ...(await changesOf("free", "F0", "F1"))];
    expect(await undo(changes)).toEqual(["conflict", "restored"]);
    expect([await bytesOf("locked"), await bytesOf("free")]).toEqual(["L1", "F0"]);
  });

  test("it is stopped: it ends between two files", async () => {
    await put("a", "A1");
    const changes = await changesOf("a", "A0", "A1");
    const stopped = AbortSignal.abort();
    await expect(restored(changes, [], stopped)).rejects.toMatchObject({ name: "AbortError" });
    expect(await bytesOf("a")).toBe("A1");
  });
});

test("a move that a killed host had only announced is no conflict; one whose file is elsewhere by now is", async () => {
  await put("a.txt", "a\n");
  const [change] = await changesOf("b.txt", "a\n", "a\n");
  if (!change) throw new Error("There is a change.");
  const { uri } = await workspace.resolve("a.txt");
  const moved = { ...change, movedFrom: uri };
  const undoMove = () => restored([moved]);
  expect(await undoMove()).toEqual([{ uri, outcome: "unchanged", movedFrom: change.uri }]);
  await put("a.txt", "another\n");
  expect(await undoMove()).toEqual([{ uri: change.uri, outcome: "conflict" }]);
  expect(await bytesOf("a.txt")).toBe("another\n");
});

test("what others wrote between two changes of the turn stays, or is a conflict in the same lines", async () => {
  const first = await changesOf("a.txt", "one\ntwo\nthree\nfour\n", "ONE\ntwo\nthree\nfour\n");
  const second = await changesOf("a.txt", "ONE\ntwo\nthree\nfour\nmine\n", "ONE\nTWO\nthree\nfour\nmine\n");
  await put("a.txt", "ONE\nTWO\nthree\nfour\nmine\n");
  expect(await undo([...first, ...second])).toEqual(["merged"]);
  expect(await bytesOf("a.txt")).toBe("one\ntwo\nthree\nfour\nmine\n");
  const third = await changesOf("b.txt", "one\n", "ONE\n");
  const fourth = await changesOf("b.txt", "mine\n", "MINE\n");
  await put("b.txt", "MINE\n");
  expect(await undo([...third, ...fourth])).toEqual(["conflict"]);
  expect(await bytesOf("b.txt")).toBe("MINE\n");
});
