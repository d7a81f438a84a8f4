/**
 * What can be brought back, and what it says when something cannot: bounds, links, folders without git or that git refuses.
 *
 * Not here: destructive commands one by one (`test/integration/shellDamage.test.ts`).
 */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlobId } from "../../../server/src/protocol/types.ts";
import { createDiskWorkspace } from "../../../server/src/workspace/disk.ts";
import { digestOf } from "../../../server/src/workspace/fileBytes.ts";
import type { ChangeScope, Workspace } from "../../../server/src/workspace/workspace.ts";

const { signal } = new AbortController();
const nothing: ChangeScope = { paths: [], ignored: false, anything: false };

let root: string;
let workspace: Workspace;
let kept: Map<BlobId, string>;

const keep = async (bytes: Uint8Array): Promise<BlobId> => {
  kept.set(digestOf(bytes), Buffer.from(bytes).toString("latin1"));
  return digestOf(bytes);
};
const put = async (path: string, text: string) => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
};
const git = (...args: readonly string[]) =>
  execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@localhost", ...args], { cwd: root, stdio: "pipe" });
const survey = async (scope: Partial<ChangeScope> = {}) => workspace.surveyChanges?.({ ...nothing, ...scope }, signal);
const snapshot = async (scope: Partial<ChangeScope> = {}) => {
  const taken = await workspace.snapshotChanges?.({ ...nothing, ...scope }, keep, signal);
  if (!taken) throw new Error("A disk workspace sees changes.");
  return taken;
};

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hermes-scan-"));
  kept = new Map();
  let ids = 0;
  workspace = createDiskWorkspace({
    root,
    outputDir: join(root, "output"),
    environment: { PATH: process.env.PATH, HOME: root },
    createId: () => `id${++ids}`,
  });
});

afterEach(() => rm(root, { recursive: true, force: true }));

test("only what git could not give back is kept", async () => {
  git("init", "-q");
  await put("clean.txt", "clean");
  await put("sub/dirty.txt", "committed");
  git("add", "-A");
  git("commit", "-qm", "first");
  await put("sub/dirty.txt", "mine");
  await put("new.txt", "new");
  await put(".gitignore", "ignored.txt\n");
  await put("ignored.txt", "secret");
  expect(await survey()).toEqual({ files: 3, gaps: [], present: [] });
  const taken = await snapshot();
  expect([...kept.values()].sort()).toEqual(["ignored.txt\n", "mine", "new"]);
  expect(await taken.changes(signal)).toEqual({ changes: [], lost: [] });
  await put("clean.txt", "changed");
  await chmod(join(root, "new.txt"), 0o700);
  await rm(join(root, "sub"), { recursive: true });
  const { changes, lost } = await taken.changes(signal);
  expect(lost).toEqual([]);
  expect(
    changes.map(({ uri, before, after, mode, modeAfter }) => [
      uri.slice(uri.lastIndexOf("/") + 1),
      before && kept.get(before),
      after && kept.get(after),
      mode,
      modeAfter,
    ]),
  ).toEqual([
    ["clean.txt", "clean", "changed", 0o644, undefined],
    ["new.txt", "new", "new", 0o644, 0o700],
    ["dirty.txt", "mine", null, 0o644, undefined],
  ]);
});

test("what is over the bounds is told before, and as lost after", async () => {
  git("init", "-q");
  await put("small.txt", "small");
  await put("zz-large.bin", "");
  await truncate(join(root, "zz-large.bin"), 65 * 1024 * 1024);
  expect(await survey()).toMatchObject({
    files: 1,
    gaps: ["zz-large.bin (over the limit of 2,000 files and 64 MB)"],
  });
  const taken = await snapshot();
  await rm(join(root, "zz-large.bin"));
  expect(await taken.changes(signal)).toEqual({ changes: [], lost: ["zz-large.bin"] });
});

test("a large ignored folder is not kept in part, and takes no room from what is", async () => {
  git("init", "-q");
  await put(".gitignore", "/deps/\n/out/\n");
  for (let at = 0; at < 501; at++) await put(`deps/${at}.js`, "x");
  await put("out/one.js", "one");
  await put("src/new.ts", "new");
  const paths = ["deps", "out", "src"];
  expect(await survey({ paths })).toMatchObject({ files: 3, gaps: ["deps/ (ignored, over the limit of 500 files)"] });
  const taken = await snapshot({ paths });
  for (const path of paths) await rm(join(root, path), { recursive: true });
  const { changes, lost } = await taken.changes(signal);
  expect(changes.map(({ before }) => before && kept.get(before))).toEqual(["one", "new"]);
  expect(lost).toEqual([]);
});

test("links, other folders and git's own files are named when the command names them", async () => {
  git("init", "-q");
  await put("a.txt", "a");
  await symlink("a.txt", join(root, "link"));
  const paths = ["link", "/etc/hostname", ".git", "missing"];
  const found = await survey({ paths });
  expect(found?.gaps).toEqual([
    "the symbolic link link",
    "/etc/hostname, outside of the workspace",
    "git's own files: its history, branches, index and stash",
  ]);
  expect(found?.present).toEqual(["link", "/etc/hostname", ".git"]);
  const taken = await snapshot();
  await rm(join(root, "link"));
  expect(await taken.changes(signal)).toEqual({ changes: [], lost: ["link"] });
});

test("a damaged repository counts as none", async () => {
  git("init", "-q");
  await put("a.txt", "a");
  await writeFile(join(root, ".git/HEAD"), "damaged");
  expect(await survey()).toMatchObject({
    files: 0,
    gaps: ["files that Hermes has not changed itself, because there is no git repository here"],
  });
  expect(await survey({ anything: true })).toMatchObject({ files: 1 });
  expect(await survey({ paths: ["*.txt"] })).toMatchObject({ files: 1, present: ["*.txt"] });
});

test("nothing is written to the repository and no program of its settings runs", async () => {
  git("init", "-q");
  await put("a.txt", "a");
  git("add", "-A");
  git("commit", "-qm", "first");
  git("config", "core.fsmonitor", "touch ran; false");
  git("config", "diff.external", "touch ran; false");
  await put("a.txt", "b");
  const index = await stat(join(root, ".git/index"));
  const taken = await snapshot();
  await put("a.txt", "c");
  expect((await taken.changes(signal)).changes).toHaveLength(1);
  expect((await stat(join(root, ".git/index"))).mtimeMs).toBe(index.mtimeMs);
  await expect(stat(join(root, "ran"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("the command does not run when bytes cannot be kept", async () => {
  git("init", "-q");
  await put("a.txt", "a");
  const full = async () => Promise.reject(new Error("the disk is full"));
  await expect(workspace.snapshotChanges?.(nothing, full, signal)).rejects.toThrow("the disk is full");
});

test("a swap of bytes compares first, keeps or sets the mode, and takes the place of an empty folder", async () => {
  const { swapBytes, readBytes } = workspace;
  if (!swapBytes || !readBytes) throw new Error("A disk workspace swaps bytes.");
  const [one, two] = [Uint8Array.from([0, 255, 1]), Uint8Array.from([0, 254])];
  expect(await readBytes("x.bin", signal)).toBeNull();
  expect(await swapBytes("x.bin", null, { bytes: one, mode: 0o600 }, signal)).toBe(true);
  expect(await readBytes("x.bin", signal)).toEqual({ bytes: Buffer.from(one), mode: 0o600 });
  expect(await swapBytes("x.bin", null, { bytes: two }, signal)).toBe(false);
  expect(await swapBytes("x.bin", digestOf(two), { bytes: two }, signal)).toBe(false);
  await chmod(join(root, "x.bin"), 0o400);
  expect(await swapBytes("x.bin", digestOf(one), { bytes: two }, signal)).toBe(true);
  expect(await readBytes("x.bin", signal)).toEqual({ bytes: Buffer.from(two), mode: 0o400 });
  expect(await swapBytes("x.bin", digestOf(one), null, signal)).toBe(false);
  expect(await swapBytes("x.bin", digestOf(two), null, signal)).toBe(true);
  expect(await readBytes("x.bin", signal)).toBeNull();
  await mkdir(join(root, "folder"));
  expect(await swapBytes("folder", null, { bytes: one }, signal)).toBe(true);
  await mkdir(join(root, "full/inner"), { recursive: true });
  expect(await swapBytes("full", null, { bytes: one }, signal).catch(() => false)).toBe(false);
  await symlink("folder", join(root, "link"));
  expect(await swapBytes("link", digestOf(one), { bytes: two }, signal)).toBe(false);
  expect(Buffer.compare(await readFile(join(root, "folder")), one)).toBe(0);
});
