/**
 * Every built-in tool over a real folder, real ripgrep and real processes: what bad input does, and that calls of one
 * message do not lose each other's changes.
 */
import { chmod, mkdir, mkdtemp, open, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../server/src/base/async.ts";
import type { CallId, TurnId } from "../../../server/src/protocol/types.ts";
import { createBuiltinTools } from "../../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import { createScheduler } from "../../../server/src/tools/scheduler.ts";
import { createDiskWorkspace } from "../../../server/src/workspace/disk.ts";
import type { Workspace } from "../../../server/src/workspace/workspace.ts";
import { createToolSession, type ToolSession } from "./callTool.ts";

let folder: string;
let root: string;
let workspace: Workspace;
let session: ToolSession;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "hermes-tools-")));
  root = join(folder, "work");
  await mkdir(join(root, "src"), { recursive: true });
  let ids = 0;
  workspace = createDiskWorkspace({
    root,
    outputDir: join(folder, "output"),
    environment: { PATH: process.env.PATH },
    createId: () => `id-${++ids}`,
  });
  session = createToolSession(workspace);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const put = (path: string, content: string | Uint8Array) => writeFile(join(root, path), content);
const bytes = (path: string) => readFile(join(root, path), "utf8");
const read = (path: string) => session.call("read", { files: [{ path }] });

describe("read", () => {
  test("gives text, and names like a missing one", async () => {
    await put("src/parse.ts", "export const a = 1;\n");
    expect(await read("src/parse.ts")).toBe("== src/parse.ts (1 line)\nexport const a = 1;");
    expect(await read("src/prase.ts")).toMatch(/^error: == src\/prase\.ts\n.*src\/parse\.ts/s);
  });

  test("refuses a folder, a binary file and a file of 2 GB with what to do instead", async () => {
    await put("binary.bin", new Uint8Array([1, 0, 2]));
    const huge = await open(join(root, "huge.log"), "w");
    await huge.truncate(2 * 1024 ** 3);
    await huge.close();
    expect(await read("src")).toMatch(/^error: == src\n.*list/s);
    expect(await read("binary.bin")).toMatch(/^error: == binary\.bin\n.*binary/s);
    expect(await read("huge.log")).toMatch(/^error: == huge\.log\n.*2(\.\d)? GB/s);
  });
});

describe("list and search", () => {
  test("leave out what is ignored", async () => {
    await put(".gitignore", "dist/\n");
    await mkdir(join(root, "dist"));
    await put("dist/out.js", "needle\n");
    await put("src/a.ts", "one\nneedle here\nthree\n");
    expect(await session.call("list", {})).toBe("src/\nsrc/a.ts\n.gitignore");
    expect(await session.call("search", { pattern: "needle" })).toBe(
      "1 hit in 1 file\n== src/a.ts\n1- one\n2: needle here\n3- three",
    );
  });

  test("explain a pattern that is not one", async () => {
    await put("src/a.ts", "f(x\n");
    expect(await session.call("search", { pattern: "f(" })).toMatch(/^error: .*literal/s);
    expect(await session.call("search", { pattern: "f(", literal: true, context: 0 })).toContain("1: f(x");
  });
});

describe("edit and write", () => {
  test("keep the mode, the line endings and the mark", async () => {
    await put("run.sh", "\uFEFFone\r\ntwo\r\n");
    await chmod(join(root, "run.sh"), 0o755);
    expect(await session.call("edit", { path: "run.sh", old: "two\n", new: "2\n3\n" })).toMatch(
      /^Edited run\.sh at lines 2-3\./,
    );
    expect([await bytes("run.sh"), (await stat(join(root, "run.sh"))).mode & 0o777]).toEqual([
      "\uFEFFone\r\n2\r\n3\r\n",
      0o755,
    ]);
  });

  test("of a file deleted since it was read changes nothing and says so", async () => {
    await put("src/a.ts", "one\n");
    await read("src/a.ts");
    await rm(join(root, "src/a.ts"));
    expect(await session.call("edit", { path: "src/a.ts", old: "one", new: "two" })).toMatch(
      /^error: .*deleted or replaced since/s,
    );
  });

  test("make folders, and do not replace a file that somebody has changed", async () => {
    expect(await session.call("write", { path: "new/deep/a.ts", text: "one\n" })).toBe(
      "Created new/deep/a.ts (1 line).",
    );
    await put("new/deep/a.ts", "theirs\n");
    expect(await session.call("write", { path: "new/deep/a.ts", text: "two\n" })).toMatch(
      /^error: .*has changed since you read it/s,
    );
    expect(await bytes("new/deep/a.ts")).toBe("theirs\n");
  });

  test("of one message all land, also in one file, beside reads and a command", async () => {
    const names = ["zero", "one", "two", "three", "four", "five"];
    await put("src/a.ts", names.map((name) => `${name} = old;\n`).join(""));
    const errors: unknown[] = [];
    const scheduler = createScheduler(
      {
        registry: createRegistry(createBuiltinTools({ clock: systemClock })),
        workspace,
        clock: systemClock,
        decide: async () => "run",
        emit: async () => undefined,
        portsFor: () => ({
          turnId: "turn-1" as TurnId,
          report: () => undefined,
          lastSeen: () => undefined,
          saw: () => undefined,
          remove: async () => true,
          move: async () => "moved" as const,
          change: async ({ uri, before, text }) => {
            const outcome = await workspace.swap(uri, before?.version ?? null, text, new AbortController().signal);
            return outcome.applied ? { applied: true, version: outcome.file?.version ?? null } : outcome;
          },
        }),
        onBug: (error) => void errors.push(error),
      },
      new AbortController().signal,
    );
    const submit = (at: number, name: string, input: { readonly [key: string]: string }) =>
      void scheduler.submit({ type: "tool_call", callId: `call-${at}` as CallId, name, input });
    for (const [at, name] of names.entries()) {
      submit(at * 2, "edit", { path: "src/a.ts", old: `${name} = old`, new: `${name} = new` });
      submit(at * 2 + 1, "write", { path: `src/${name}.txt`, text: name });
    }
    submit(99, "shell", { command: "grep -c new src/a.ts; cat src/*.txt" });
    const results = await scheduler.drain();
    expect(results.filter(({ isError }) => isError)).toEqual([]);
    expect(results.at(-1)?.text).toBe(`Exit code 0.\n6\n${names.toSorted().join("")}`);
    expect([await bytes("src/a.ts"), errors]).toEqual([names.map((name) => `${name} = new;\n`).join(""), []]);
  });
});

describe("shell", () => {
  test("runs in the root and gives the exit code and both streams", async () => {
    expect(await session.call("shell", { command: "pwd; echo wrong >&2; exit 3" })).toBe(
      `error: Exit code 3.\n${root}\nwrong`,
    );
  });

  test("tells where the whole of a long output is", async () => {
    const text = await session.call("shell", { command: "for i in $(seq 1 20000); do echo line $i; done" });
    const file = /\[the whole output is in (.+)\]$/.exec(text)?.[1] ?? "";
    expect(text.startsWith("Exit code 0.\nline 1\n")).toBe(true);
    expect(text).toContain("\nline 20000\n");
    expect((await readFile(file, "utf8")).split("\n").at(-2)).toBe("line 20000");
  });
});
