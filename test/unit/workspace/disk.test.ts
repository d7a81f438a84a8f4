/**
 * What only a disk can do wrong: names it refuses, a missing ripgrep, a host that is killed while a command runs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDiskWorkspace } from "../../../server/src/workspace/disk.ts";
import { excludeToIgnorePatterns, matchesGlob } from "../../../server/src/workspace/ignore.ts";
import { nearNames } from "../../../server/src/workspace/nearNames.ts";
import { findRipgrep, searchWithRipgrep } from "../../../server/src/workspace/ripgrep.ts";

const { signal } = new AbortController();
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hermes-disk-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function create() {
  return createDiskWorkspace({ root, outputDir: root, environment: { PATH: process.env.PATH }, createId: () => "id" });
}

describe("a disk workspace", () => {
  it("says what to do when the system refuses a write, and leaves no temp file", async () => {
    const workspace = create();
    await expect(workspace.swap("x".repeat(300), null, "text", signal)).rejects.toThrow("Choose a shorter one");
    await expect(workspace.swap("/proc/none/a", null, "text", signal)).rejects.toThrow("nothing has changed");
    await mkdir(join(root, "folder"));
    await expect(workspace.swap(pathToFileURL(join(root, "folder")).href, null, "text", signal)).rejects.toThrow(
      "folder is a folder",
    );
    expect(await readdir(root)).toEqual(["folder"]);
  });

  it("writes names as long as the file system has them, in any script", async () => {
    const name = "\u6587".repeat(85);
    expect(await create().swap(name, null, "text", signal)).toMatchObject({ applied: true });
    expect(await readdir(root)).toEqual([name]);
  });

  it("gives URIs below the root as it was opened, and sees below the root that is a link", async () => {
    const link = `${root}-link`;
    await symlink(root, link);
    try {
      const workspace = createDiskWorkspace({ root: link, outputDir: root, environment: {}, createId: () => "id" });
      expect(await workspace.resolve("a.ts")).toMatchObject({
        uri: pathToFileURL(join(link, "a.ts")).href,
        fsPath: join(root, "a.ts"),
        path: "a.ts",
        inside: true,
      });
      expect(await workspace.resolve(join(root, "a.ts"))).toMatchObject({ path: "a.ts", inside: true });
    } finally {
      await unlink(link);
    }
  });

  it("respects the ignore files of a repository that it is a part of", async () => {
    await mkdir(join(root, ".git"));
    await mkdir(join(root, "packages/a"), { recursive: true });
    await writeFile(join(root, ".gitignore"), "dist\n/packages/a/local\n");
    const inner = createDiskWorkspace({
      root: join(root, "packages/a"),
      outputDir: root,
      environment: {},
      createId: () => "id",
    });
    const ignored = async (path: string) => (await inner.resolve(path)).ignored;
    expect([await ignored("dist/x"), await ignored("local"), await ignored("src/local")]).toEqual([true, true, false]);
  });

  it("leaves no process of a command behind when the host is killed", async () => {
    const disk = new URL("../../../server/src/workspace/disk.ts", import.meta.url).href;
    const script = `
      import { createDiskWorkspace } from ${JSON.stringify(disk)};
      const workspace = createDiskWorkspace({ root: ${JSON.stringify(root)}, outputDir: ${JSON.stringify(root)},
        environment: process.env, createId: () => "id" });
      const command = "trap '' TERM HUP INT; sleep 600 & echo $!; (sleep 601 & echo $!; wait) & echo $!; echo $$; wait";
      await workspace.run({ command, timeoutMs: 600_000, onOutput: (text) => process.stdout.write(text) },
        new AbortController().signal);`;
    const host = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(host, "exit");
    const pids = await readPids(host, 4);
    const before = pids.map(lives);
    host.kill("SIGKILL");
    await exited;
    expect(before).toEqual([true, true, true, true]);
    for (let tries = 0; tries < 500 && pids.some(lives); tries += 1) await sleep(10);
    expect(pids.map(lives)).toEqual([false, false, false, false]);
  });
});

/** The first `count` lines, in whatever order the processes of the command come to write them. */
async function readPids(host: ChildProcess, count: number): Promise<number[]> {
  let text = "";
  for await (const chunk of host.stdout ?? []) {
    text += String(chunk);
    if (text.split("\n").length > count) break;
  }
  return text.trim().split("\n").map(Number);
}

/** False for a process that is gone or a zombie that nobody has reaped yet. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return process.platform !== "linux";
  }
}

describe("findRipgrep", () => {
  it("prefers what was configured, then the package, and passes over what is no program", async () => {
    const packaged = await findRipgrep({});
    expect(packaged).toContain("ripgrep");
    expect(await findRipgrep({ configured: process.execPath })).toBe(process.execPath);
    expect(await findRipgrep({ configured: root, editorPath: root })).toBe(packaged);
  });

  it("says how to get ripgrep when there is none", async () => {
    const search = {
      ripgrepPath: undefined,
      root,
      target: ".",
      excludes: [],
      ignoreFiles: "respected" as const,
      timeoutMs: 1_000,
      hides: async () => false,
    };
    const query = { pattern: "a", context: 0, limit: 1 };
    await expect(searchWithRipgrep(query, search, signal)).rejects.toThrow("install it");
  });
});

describe("names and globs", () => {
  it("finds names like a missing one: wrong case, a slip, another folder; three at most", () => {
    const known = ["src/Parser.ts", "src/parsers.ts", "src/other.ts", "lib/parser.ts", "a/parser.ts", "b/parser.ts"];
    expect(nearNames("src/parser.ts", known)).toEqual(["src/Parser.ts", "src/parsers.ts", "a/parser.ts"]);
    expect(nearNames("src/x.ts", known)).toEqual([]);
  });

  it("writes exclude settings as ignore patterns", () => {
    expect(excludeToIgnorePatterns("**/*.{js,map}")).toEqual(["**/*.js", "**/*.map"]);
    expect(excludeToIgnorePatterns("out")).toEqual(["/out"]);
    expect(excludeToIgnorePatterns("{a,b{1,2}}/c")).toEqual(["/a/c", "/b1/c", "/b2/c"]);
  });

  it("reads a search's glob as ripgrep does", () => {
    const matches = (glob: string) => ["a.ts", "src/b.ts", "src/c.js"].filter((path) => matchesGlob(glob, path));
    expect(matches("*.ts")).toEqual(["a.ts", "src/b.ts"]);
    expect(matches("src/**")).toEqual(["src/b.ts", "src/c.js"]);
    expect(matches("!*.ts")).toEqual(["src/c.js"]);
    expect(matches("*.{ts,js}")).toEqual(["a.ts", "src/b.ts", "src/c.js"]);
  });
});
