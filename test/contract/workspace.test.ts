/**
 * What every workspace promises, held against the disk, the editor with nothing open, and the editor with everything open.
 */
import { readFileSync } from "node:fs";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import "../support/leaks.ts";
import { isAbort, ToolError } from "../../server/src/base/errors.ts";
import { createDiskWorkspace } from "../../server/src/workspace/disk.ts";
import { createEditorWorkspace } from "../../server/src/workspace/editor.ts";
import { digestOf } from "../../server/src/workspace/fileBytes.ts";
import type { RunOutcome, SearchQuery, Workspace } from "../../server/src/workspace/workspace.ts";
import { createFakeEditor } from "../support/fakeEditor.ts";
import { seeded } from "../unit/workspace/seeded.ts";

const { signal } = new AbortController();

let folder: string;
let root: string;

function createDisk(): ReturnType<typeof createDiskWorkspace> {
  let ids = 0;
  return createDiskWorkspace({
    root,
    exclude: () => ["**/generated", "out"],
    outputDir: join(folder, "output"),
    environment: { PATH: process.env.PATH, VISIBLE: "yes" },
    createId: () => `id${++ids}`,
    limits: { output: { headBytes: 1_000, tailBytes: 2_000, fileBytes: 100_000 } },
  });
}

const adapters: readonly { readonly name: string; readonly create: () => Workspace }[] = [
  { name: "disk", create: createDisk },
  { name: "editor, nothing open", create: () => createEditorWorkspace(createDisk(), createFakeEditor()) },
  {
    name: "editor, everything open",
    create: () => createEditorWorkspace(createDisk(), createFakeEditor({ opensAll: true })),
  },
];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hermes-workspace-"));
  root = join(folder, "project");
  await mkdir(root);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function put(path: string, content: string | Uint8Array): Promise<string> {
  const absolute = join(root, path);
  await mkdir(dirname(absolute), { recursive: true });
  await writeFile(absolute, content);
  return pathToFileURL(absolute).href;
}

const bytesOf = (path: string) => readFile(join(root, path));

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ToolError);
  return error instanceof Error ? error.message : "";
}

describe.each(adapters)("a workspace ($name)", ({ create }) => {
  let workspace: Workspace;
  beforeEach(() => {
    workspace = create();
  });

  /** Replaces the whole text of a file that exists. */
  async function overwrite(path: string, text: string) {
    const { uri } = await workspace.resolve(path);
    const { version } = await workspace.read(uri, signal);
    return workspace.swap(uri, version, text, signal);
  }

  const search = (query: Partial<SearchQuery> & { readonly pattern: string }) =>
    workspace.search({ context: 0, limit: 100, ...query }, signal);
  const found = async (query: Partial<SearchQuery> & { readonly pattern: string }) =>
    (await search(query)).hits.map(({ path, line }) => `${path}:${line}`);
  const run = (command: string, timeoutMs = 10_000): Promise<RunOutcome> =>
    workspace.run({ command, timeoutMs, onOutput: () => undefined }, signal);

  describe("resolve", () => {
    it("takes relative and absolute paths and file URIs", async () => {
      const uri = await put("src/a b.ts", "");
      const want = { uri, path: "src/a b.ts", inside: true, ignored: false };
      for (const path of ["src/a b.ts", "./src/../src/a b.ts", join(root, "src/a b.ts"), uri]) {
        expect(await workspace.resolve(path)).toMatchObject(want);
      }
      expect(await workspace.resolve(".")).toMatchObject({ path: ".", inside: true });
      expect(await workspace.resolve("new/file.ts")).toMatchObject({ path: "new/file.ts", inside: true });
      expect(await workspace.resolve("~/a")).toMatchObject({ path: "~/a", inside: true });
    });

    it("sees through links that lead out, also of files that do not exist yet", async () => {
      await mkdir(join(folder, "elsewhere"));
      await symlink(join(folder, "elsewhere"), join(root, "link"));
      await symlink(join(folder, "nowhere.txt"), join(root, "dangling"));
      expect(await workspace.resolve("link/new.txt")).toMatchObject({ inside: false });
      expect(await workspace.resolve("dangling")).toMatchObject({ inside: false, path: join(folder, "nowhere.txt") });
      expect(await workspace.resolve("../project-other/a")).toMatchObject({ inside: false });
      expect(await workspace.resolve("../project/a")).toMatchObject({ inside: true, path: "a" });
      expect(await workspace.resolve("..a")).toMatchObject({ inside: true, path: "..a" });
    });

    it("refuses what is no path", async () => {
      expect(await refusal(workspace.resolve("a\0b"))).toContain("NUL");
      expect(await refusal(workspace.resolve(""))).toContain("empty");
      expect(await refusal(workspace.resolve("https://example.com/a"))).toContain("not a file");
      await symlink(join(root, "y"), join(root, "x"));
      await symlink(join(root, "x"), join(root, "y"));
      expect(await refusal(workspace.resolve("x"))).toContain("circle");
    });

    it("knows what ignore files and exclude settings hide", async () => {
      await put(".gitignore", "*.log\n/build/\n!keep.log\n");
      await put("sub/.gitignore", "local\n!special.log\n");
      await put(".hermesignore", "secret*\n");
      await put(".git/info/exclude", "private\n");
      const hidden = ["a.log", "build/x", "sub/local", "secret.txt", "deep/secrets/a", "private", ".git/config"];
      hidden.push("x/generated/y.ts", "out/a.js");
      const shown = ["keep.log", "sub/special.log", "src/build/x", "local", "src/out/a.js", "a.ts"];
      const ignored = async (path: string) => (await workspace.resolve(path)).ignored;
      for (const path of hidden) expect([path, await ignored(path)]).toEqual([path, true]);
      for (const path of shown) expect([path, await ignored(path)]).toEqual([path, false]);
    });

    it("notices when an ignore file changes", async () => {
      expect((await workspace.resolve("a.tmp")).ignored).toBe(false);
      await put(".gitignore", "*.tmp\n");
      expect((await workspace.resolve("a.tmp")).ignored).toBe(true);
    });
  });

  describe("read", () => {
    it.each(["plain\n", "\uFEFFmarked\r\nlines\r\n", "mixed\r\nends\n", "no end", "", "\u{1F600} \u2028 \u0001\n"])(
      "gives %j exactly",
      async (text) => {
        const uri = await put("a.txt", text);
        expect(await workspace.read(uri, signal)).toMatchObject({ uri, text, source: "disk", mode: 0o644 });
      },
    );

    it("gives a new version for a change of the same size at the same time", async () => {
      const uri = await put("a.txt", "one");
      const first = await workspace.read(uri, signal);
      await put("a.txt", "two");
      expect((await workspace.read(uri, signal)).version).not.toBe(first.version);
    });

    it("names up to three near files when one is missing", async () => {
      await put("src/parser.ts", "");
      await put("src/render.ts", "");
      await put("lib/prser.ts", "");
      const message = await refusal(workspace.read((await workspace.resolve("src/prser.ts")).uri, signal));
      expect(message).toBe("src/prser.ts does not exist. Did you mean src/parser.ts, lib/prser.ts?");
    });

    it("refuses a folder, a binary file, what is no text in its encoding and a pipe, each by name", async () => {
      await mkdir(join(root, "folder"));
      expect(await refusal(workspace.read("folder", signal))).toContain("folder is a folder. Use list");
      expect(await refusal(workspace.read(await put("a.bin", new Uint8Array([1, 0, 2])), signal))).toContain(
        "a.bin is a binary",
      );
      expect(await refusal(workspace.read(await put("l1.txt", new Uint8Array([0x63, 0xe9])), signal))).toContain(
        "l1.txt is not UTF-8",
      );
      const half = new Uint8Array([0xff, 0xfe, 0x61, 0, 0, 0xd8]);
      expect(await refusal(workspace.read(await put("u.txt", half), signal))).toContain("u.txt is not utf16le text");
      expect((await run("mkfifo pipe")).exitCode).toBe(0);
      expect(await refusal(workspace.read("pipe", signal))).toContain("not a regular file");
    });

    it("refuses a file of 2 GB without reading it", async () => {
      await put("huge.txt", "");
      await truncate(join(root, "huge.txt"), 2 * 1024 ** 3);
      const started = performance.now();
      expect(await refusal(workspace.read("huge.txt", signal))).toContain(
        "huge.txt is 2.0 GB, over the limit of 16.0 MB",
      );
      expect(performance.now() - started).toBeLessThan(500);
    });
  });

  describe("swap", () => {
    it("replaces what its caller saw, keeps the mode, and leaves nothing else behind", async () => {
      await put("run.sh", "#!/bin/sh\n");
      await chmod(join(root, "run.sh"), 0o750);
      const outcome = await overwrite("run.sh", "#!/bin/sh\nexit 0\n");
      expect(outcome).toMatchObject({
        applied: true,
        file: { text: "#!/bin/sh\nexit 0\n", source: "disk", mode: 0o750 },
      });
      expect((await stat(join(root, "run.sh"))).mode & 0o7777).toBe(0o750);
      expect(await readdir(root)).toEqual(["run.sh"]);
      expect(outcome.applied && outcome.file).toEqual(await workspace.read("run.sh", signal));
    });

    it.each(["\uFEFFa\r\nb\r\n", "a\nb", "\uFEFFa\nb\n", "a\r\nb"])(
      "keeps the bytes around an edit of %j",
      async (text) => {
        await put("a.txt", text);
        await overwrite("a.txt", text.replace("b", "c"));
        expect((await bytesOf("a.txt")).toString()).toBe(text.replace("b", "c"));
      },
    );

    it("writes line endings and byte order marks as it is told", async () => {
      await put("a.txt", "a\nb\n");
      await overwrite("a.txt", "\uFEFFa\r\nb\r\n");
      expect((await bytesOf("a.txt")).toString()).toBe("\uFEFFa\r\nb\r\n");
    });

    it("makes a new file and its folders", async () => {
      const { uri } = await workspace.resolve("new/deep/a.txt");
      expect(await workspace.swap(uri, null, "text\n", signal)).toMatchObject({
        applied: true,
        file: { text: "text\n", mode: 0o644 },
      });
      expect((await bytesOf("new/deep/a.txt")).toString()).toBe("text\n");
    });

    it("touches nothing when the file is another than its caller saw, and gives what is there", async () => {
      const uri = await put("a.txt", "one\n");
      const { version } = await workspace.read(uri, signal);
      await put("a.txt", "two\n");
      expect(await workspace.swap(uri, version, "three\n", signal)).toMatchObject({
        applied: false,
        reason: "stale",
        current: { text: "two\n" },
      });
      expect(await workspace.swap(uri, null, "three\n", signal)).toMatchObject({
        applied: false,
        current: { text: "two\n" },
      });
      expect(await workspace.swap(uri, version, null, signal)).toMatchObject({
        applied: false,
        current: { text: "two\n" },
      });
      await rm(join(root, "a.txt"));
      expect(await workspace.swap(uri, version, "three\n", signal)).toEqual({
        applied: false,
        reason: "stale",
        current: null,
      });
      expect(await readdir(root)).toEqual([]);
    });

    it("deletes", async () => {
      const uri = await put("a.txt", "one\n");
      const { version } = await workspace.read(uri, signal);
      expect(await workspace.swap(uri, version, null, signal)).toEqual({ applied: true, file: null });
      expect(await readdir(root)).toEqual([]);
    });

    it("writes through a link and keeps it", async () => {
      await put("real/a.txt", "one\n");
      await symlink("real/a.txt", join(root, "link.txt"));
      await overwrite("link.txt", "two\n");
      expect((await bytesOf("real/a.txt")).toString()).toBe("two\n");
      expect(
        (await readdir(root, { withFileTypes: true })).find((entry) => entry.name === "link.txt")?.isSymbolicLink(),
      ).toBe(true);
    });

    it("refuses a read-only file, a folder in the way, and text that has no bytes", async () => {
      await put("a.txt", "one\n");
      await chmod(join(root, "a.txt"), 0o444);
      expect(await refusal(overwrite("a.txt", "two\n"))).toContain("a.txt is read-only (mode 444)");
      expect((await bytesOf("a.txt")).toString()).toBe("one\n");
      expect(await refusal(workspace.swap((await workspace.resolve("a.txt/b")).uri, null, "x", signal))).toContain(
        "is a file, not a folder",
      );
      expect(await refusal(workspace.swap((await workspace.resolve("b.txt")).uri, null, "\ud800", signal))).toContain(
        "surrogate",
      );
      expect(await readdir(root)).toEqual(["a.txt"]);
    });

    it("lets one of several racing writers win each round, and loses no applied text", async () => {
      const random = seeded(5);
      const uri = await put("a.txt", "start\n");
      for (let round = 0; round < 20; round += 1) {
        const seen = await workspace.read(uri, signal);
        const writers = Array.from({ length: 2 + random.below(4) }, (_, i) => `${seen.text}${round}.${i}\n`);
        const outcomes = await Promise.all(writers.map((text) => workspace.swap(uri, seen.version, text, signal)));
        const won = writers.filter((_, i) => outcomes[i]?.applied);
        expect(won).toHaveLength(1);
        expect((await bytesOf("a.txt")).toString()).toBe(won[0]);
      }
      expect(await readdir(root)).toEqual(["a.txt"]);
    });

    it("makes a file once when several try", async () => {
      const { uri } = await workspace.resolve("a.txt");
      const outcomes = await Promise.all([1, 2, 3].map((n) => workspace.swap(uri, null, `${n}\n`, signal)));
      expect(outcomes.filter(({ applied }) => applied)).toHaveLength(1);
    });

    it("changes nothing when it is aborted before it writes", async () => {
      const uri = await put("a.txt", "one\n");
      const { version } = await workspace.read(uri, signal);
      await expect(workspace.swap(uri, version, "two\n", AbortSignal.abort())).rejects.toSatisfy(isAbort);
      expect((await bytesOf("a.txt")).toString()).toBe("one\n");
    });
  });

  describe("list", () => {
    beforeEach(async () => {
      for (const path of ["b.txt", "src/z/deep.ts", "src/a.ts", "src.md", "node_modules/x.js", ".env", "out/o.js"])
        await put(path, "123");
      await put(".gitignore", "node_modules/\n");
    });

    it("gives a tree, folders first, hidden entries left out", async () => {
      const { entries, truncated } = await workspace.list(".", { depth: 5, limit: 100 }, signal);
      expect(entries.map(({ path }) => path)).toEqual([
        "src/",
        "src/z/",
        "src/z/deep.ts",
        "src/a.ts",
        ".env",
        ".gitignore",
        "b.txt",
        "src.md",
      ]);
      expect(entries.at(-1)).toEqual({ path: "src.md", size: 3 });
      expect(truncated).toBe(false);
    });

    it("stops at its depth and at its limit, and says so", async () => {
      expect((await workspace.list("src", { depth: 1, limit: 10 }, signal)).entries.map(({ path }) => path)).toEqual([
        "src/z/",
        "src/a.ts",
      ]);
      const cut = await workspace.list(".", { depth: 5, limit: 2 }, signal);
      expect(cut).toEqual({ entries: [{ path: "src/" }, { path: ".env", size: 3 }], truncated: true });
    });

    it("lists a hidden folder that is asked for by name, and refuses files and what is missing", async () => {
      expect((await workspace.list("node_modules", { depth: 1, limit: 10 }, signal)).entries).toEqual([
        { path: "node_modules/x.js", size: 3 },
      ]);
      expect(await refusal(workspace.list("b.txt", { depth: 1, limit: 10 }, signal))).toContain("is a file");
      expect(await refusal(workspace.list("absent", { depth: 1, limit: 10 }, signal))).toContain("does not exist");
    });
  });

  describe("search", () => {
    beforeEach(async () => {
      await put("src/a.ts", "one\ntwo needle\nthree\nfour\n");
      await put("src/b.ts", "needle(1)\r\nNEEDLE\r\n");
      await put("c.md", "needle\n");
      await put("node_modules/d.js", "needle\n");
      await put("secret.txt", "needle\n");
      await put("x/generated/e.ts", "needle\n");
      await put(".git/f", "needle\n");
      await put(".gitignore", "node_modules\n");
      await put(".hermesignore", "secret.txt\n");
    });

    it("finds what is not hidden, in path order, with the lines around", async () => {
      expect(await search({ pattern: "ne+dle", context: 1 })).toEqual({
        hits: [
          { path: "c.md", line: 1, text: "needle", before: [], after: [] },
          { path: "src/a.ts", line: 2, text: "two needle", before: ["one"], after: ["three"] },
          { path: "src/b.ts", line: 1, text: "needle(1)", before: [], after: ["NEEDLE"] },
        ],
        truncated: false,
      });
    });

    it("narrows by folder, file, glob, literal text and case", async () => {
      expect(await found({ pattern: "needle", path: "src" })).toEqual(["src/a.ts:2", "src/b.ts:1"]);
      expect(await found({ pattern: "needle", path: "src/a.ts" })).toEqual(["src/a.ts:2"]);
      expect(await found({ pattern: "needle", glob: "*.md" })).toEqual(["c.md:1"]);
      expect(await found({ pattern: "needle(1)", literal: true })).toEqual(["src/b.ts:1"]);
      expect(await found({ pattern: "NEEDLE", ignoreCase: true, path: "src/b.ts" })).toEqual([
        "src/b.ts:1",
        "src/b.ts:2",
      ]);
      expect(await found({ pattern: "needle$", path: "src" })).toEqual(["src/a.ts:2"]);
      expect(await found({ pattern: "two needle\\nthree" })).toEqual(["src/a.ts:2"]);
      expect(await found({ pattern: "absent" })).toEqual([]);
      expect(await found({ pattern: "-needle" })).toEqual([]);
    });

    it("searches a hidden place that is asked for by name", async () => {
      expect(await found({ pattern: "needle", path: "node_modules" })).toEqual(["node_modules/d.js:1"]);
    });

    it("stops at its limit and says so", async () => {
      await put("many.txt", "needle\n".repeat(5_000));
      const outcome = await search({ pattern: "needle", limit: 3, path: "many.txt" });
      expect([outcome.hits.length, outcome.truncated]).toEqual([3, true]);
      expect((await search({ pattern: "needle", limit: 3, glob: "!many.txt" })).truncated).toBe(false);
    });

    it("shows the part of a long line that was hit, and survives a line of many megabytes", async () => {
      await put("long.txt", `${"x".repeat(5_000)}\u00e9needle${"y".repeat(5_000)}\n`);
      await put("longer.txt", `first\n${"z".repeat(3_000_000)}needle\n`);
      const { hits } = await search({ pattern: "needle", glob: "long*.txt" });
      expect(hits.map(({ path, line, text }) => [path, line, text.length < 410])).toEqual([
        ["long.txt", 1, true],
        ["longer.txt", 2, true],
      ]);
      expect(hits[0]?.text).toContain("x\u00e9needley");
    });

    it("passes on what is wrong with a pattern, a glob or a path", async () => {
      expect(await refusal(search({ pattern: "(" }))).toMatch(/unclosed group[\s\S]*set literal to true/);
      expect(await refusal(search({ pattern: "a", glob: "{" }))).toContain("The glob { is not valid");
      expect(await refusal(search({ pattern: "a", path: "sr/a.ts" }))).toContain("Did you mean src/a.ts?");
    });
  });

  describe("run", () => {
    it("gives the output in order and the exit code", async () => {
      expect(await run("echo one; echo two >&2; echo three; exit 3")).toEqual({
        exitCode: 3,
        signal: null,
        timedOut: false,
        output: "one\ntwo\nthree\n",
      });
    });

    it("runs in the root, with the environment it was given, no terminal and no input", async () => {
      expect(
        (await run('pwd; echo "$VISIBLE $HOME|$PAGER $TERM $NO_COLOR"; cat; test -t 1 || echo no terminal')).output,
      ).toBe(`${root}\nyes |cat dumb 1\nno terminal\n`);
    });

    it("tells the signal that ended a command", async () => {
      expect(await run("kill -KILL $$")).toMatchObject({ exitCode: null, signal: "SIGKILL", timedOut: false });
    });

    it("reports output as it arrives, never half a character", async () => {
      const parts: string[] = [];
      const command = "printf '\\342\\202'; sleep 0.05; printf '\\254\\n'; head -c 100000 /dev/zero | tr '\\0' a";
      await workspace.run({ command, timeoutMs: 10_000, onOutput: (text) => parts.push(text) }, signal);
      expect(parts.join("")).toBe(`\u20ac\n${"a".repeat(100_000)}`);
    });

    it("keeps head and tail of long output and the whole in a file", async () => {
      const outcome = await run("seq 1 10000");
      const lines = outcome.output.split("\n");
      expect([lines[0], lines.at(-2), outcome.output.length < 3_200]).toEqual(["1", "10000", true]);
      expect(outcome.output).toMatch(
        /\n\[\.\.\. [\d,]+ bytes left out; the whole output is in .*id\d+\.txt \.\.\.\]\n/,
      );
      expect(lines.every((line) => /^(\d+|\[.*\]|)$/.test(line))).toBe(true);
      expect(await readFile(outcome.outputFile ?? "", "utf8")).toBe(
        Array.from({ length: 10_000 }, (_, i) => `${i + 1}\n`).join(""),
      );
    });

    it("bounds the file as well", async () => {
      const outcome = await run("head -c 1000000 /dev/zero | tr '\\0' a");
      expect((await stat(outcome.outputFile ?? "")).size).toBe(100_000);
      expect(outcome.output).toContain("cut after 100,000 bytes");
    });

    it("ends everything a command left in the background, also what holds its output", async () => {
      const outcome = await run("sleep 300 & echo $!; (trap '' TERM; sleep 301) & echo $!");
      expect(outcome.exitCode).toBe(0);
      for (const pid of outcome.output.trim().split("\n")) expect(lives(Number(pid))).toBe(false);
    });

    it("ends the whole tree on timeout, also what ignores being asked", async () => {
      const outcome = await run("trap '' TERM; sleep 300 & echo $!; wait; sleep 300", 200);
      expect(outcome).toMatchObject({ timedOut: true, exitCode: null });
      expect(lives(Number(outcome.output.trim()))).toBe(false);
    });

    it("ends the whole tree on abort", async () => {
      const controller = new AbortController();
      let pid = 0;
      const onOutput = (text: string) => {
        pid ||= Number(text.trim());
        controller.abort();
      };
      const command = "sleep 300 & echo $!; wait";
      await expect(workspace.run({ command, timeoutMs: 60_000, onOutput }, controller.signal)).rejects.toSatisfy(
        isAbort,
      );
      expect(pid).toBeGreaterThan(0);
      expect(lives(pid)).toBe(false);
    });
  });
});

/** False for a process that is gone or a zombie that nobody has reaped yet. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

describe.each(adapters)("moving and deleting entries: $name", ({ create }) => {
  const full = () => create() as Required<Workspace>;

  it("finds what is there, links not followed, within the limit", async () => {
    const workspace = full();
    expect(await workspace.findTree("none", 10, signal)).toBeUndefined();
    const inner = await put("folder/deep/.hidden", "12345");
    await mkdir(join(root, "folder/empty"));
    await symlink("deep", join(root, "folder/link"));
    const uri = (path: string) => pathToFileURL(join(root, path)).href;
    expect(await workspace.findTree("folder", 10, signal)).toEqual({
      isFolder: true,
      files: [
        { uri: uri("folder/link"), path: "folder/link", kind: "link", size: 4 },
        { uri: inner, path: "folder/deep/.hidden", kind: "file", size: 5 },
      ],
      folders: [uri("folder"), uri("folder/deep"), uri("folder/empty")],
      emptyFolders: 1,
      truncated: false,
    });
    expect(await workspace.findTree("folder", 2, signal)).toMatchObject({ truncated: true });
    expect(await workspace.findTree("folder/link", 10, signal)).toMatchObject({ isFolder: false, folders: [] });
  });

  it("moves without overwriting, makes folders, and says how many it would make", async () => {
    const workspace = full();
    const from = await put("a.txt", "a\n");
    await chmod(join(root, "a.txt"), 0o755);
    await put("taken.txt", "mine\n");
    const uri = (path: string) => pathToFileURL(join(root, path)).href;
    expect(await workspace.moveFile(from, uri("taken.txt"), signal)).toBe("taken");
    expect(await workspace.moveFile(uri("none"), uri("b"), signal)).toBe("missing");
    expect(await workspace.countMissingFolders("x/y/b.txt", signal)).toBe(2);
    expect(await workspace.moveFile(from, uri("x/y/b.txt"), signal)).toBe("moved");
    expect((await stat(join(root, "x/y/b.txt"))).mode & 0o777).toBe(0o755);
    expect(await readFile(join(root, "taken.txt"), "utf8")).toBe("mine\n");
    expect(await workspace.removeFolder(uri("x"), signal)).toBe(false);
    expect(await workspace.removeFolder(uri("."), signal)).toBe(false);
    expect(await workspace.moveFile(uri("x/y/b.txt"), from, signal)).toBe("moved");
    expect(await workspace.removeFolder(uri("x/y"), signal)).toBe(true);
    expect((await readdir(root)).sort()).toEqual(["a.txt", "taken.txt", "x"]);
    const refused = await workspace.moveFile(from, uri("taken.txt/in.txt"), signal).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ToolError);
  });

  it("moves, deletes and makes a link itself", async () => {
    const workspace = full();
    await put("target.txt", "target\n");
    await symlink("target.txt", join(root, "link"));
    const uri = (path: string) => pathToFileURL(join(root, path)).href;
    expect((await workspace.resolve("link")).entryUri).toBe(uri("link"));
    const link = await workspace.readBytes(uri("link"), signal);
    expect(link).toEqual({ bytes: Buffer.from("target.txt"), mode: 0o120777 });
    expect(await workspace.moveFile(uri("link"), uri("moved"), signal)).toBe("moved");
    const digest = digestOf(Buffer.from("target.txt"));
    expect(await workspace.swapBytes(uri("moved"), digest, null, signal)).toBe(true);
    expect(await readFile(join(root, "target.txt"), "utf8")).toBe("target\n");
    expect(await workspace.swapBytes(uri("again"), null, link, signal)).toBe(true);
    expect(await workspace.swapBytes(uri("again"), null, link, signal)).toBe(false);
    expect(await readlink(join(root, "again"))).toBe("target.txt");
    expect((await readdir(root)).sort()).toEqual(["again", "target.txt"]);
  });
});
