/** The `list` and `search` tools: what they show, their limits and what they touch. */
import { describe, expect, test } from "vitest";
import { createMemoryWorkspace } from "../../../support/memoryWorkspace.ts";
import { createToolSession } from "../callTool.ts";

describe("list", () => {
  const files = { "package.json": "{}", "src/a.ts": "", "src/deep/b.ts": "", "data/big.csv": "x".repeat(2_500_000) };

  test("shows two levels, folders with a slash, and the size of large files", async () => {
    const { call } = createToolSession(createMemoryWorkspace(files));
    expect(await call("list", {})).toBe("data/\ndata/big.csv (2.4 MB)\npackage.json\nsrc/\nsrc/a.ts\nsrc/deep/");
  });

  test("shows a folder to a depth", async () => {
    const { call } = createToolSession(createMemoryWorkspace(files));
    expect(await call("list", { path: "src", depth: 1 })).toBe("src/a.ts\nsrc/deep/");
    expect(await call("list", { path: "none" })).toBe("The folder is empty, or everything in it is ignored.");
  });

  test("stops at its limit and says so", async () => {
    const many = Object.fromEntries(Array.from({ length: 1_200 }, (_, at) => [`f${String(at).padStart(4, "0")}`, ""]));
    const { call } = createToolSession(createMemoryWorkspace(many));
    const lines = (await call("list", {})).split("\n");
    expect([lines.length, lines.at(-1)]).toEqual([
      1_001,
      "[only the first 1000 entries; list a folder below, or with less depth]",
    ]);
  });

  test("reads everything below its folder", async () => {
    const workspace = createMemoryWorkspace(files);
    const { parse } = createToolSession(workspace);
    expect(await parse("list", { path: "src" }).access(workspace)).toEqual({
      reads: ["file:///project/src/**"],
      writes: [],
    });
  });
});

describe("search", () => {
  const files = {
    "a.ts": "one\ntwo needle\nthree\nfour\nfive needle\nsix\nseven\neight\nnine needle\n",
    "b.ts": "Needle\n",
  };

  test("groups by file, joins context that overlaps, and marks gaps", async () => {
    const { call } = createToolSession(createMemoryWorkspace(files));
    expect(await call("search", { pattern: "needle", context: 1, path: "a.ts" })).toBe(
      [
        "3 hits in 1 file",
        "== a.ts",
        "1- one",
        "2: two needle",
        "3- three",
        "4- four",
        "5: five needle",
        "6- six",
        "--",
        "8- eight",
        "9: nine needle",
        "10- ",
      ].join("\n"),
    );
  });

  test("shows a hit as a hit although it is also context of another", async () => {
    const { call } = createToolSession(createMemoryWorkspace({ a: "x1\nx2\n" }));
    expect(await call("search", { pattern: "x" })).toBe("2 hits in 1 file\n== a\n1: x1\n2: x2\n3- ");
  });

  test("says what else to try when there is nothing", async () => {
    const { call } = createToolSession(createMemoryWorkspace(files));
    expect(await call("search", { pattern: "nowhere", ignoreCase: true })).toBe(
      "No hits. Try a shorter pattern, or literal: true if the pattern is plain text. Ignored files are not searched.",
    );
  });

  test("stays within its limits and says so", async () => {
    const { call } = createToolSession(createMemoryWorkspace({ a: `${"needle ".repeat(100)}\n`.repeat(500) }));
    const text = await call("search", { pattern: "needle", context: 0 });
    expect(Buffer.byteLength(text)).toBeLessThan(33 * 1024);
    expect(text).toMatch(
      /^more than 300 hits; the first are in 1 file\n== a\n1: (needle )+.*…\[300 more characters\]\n/,
    );
    expect(
      text.endsWith("[not all is shown; narrow it with path, glob or a longer pattern, or use less context]"),
    ).toBe(true);
  });

  test("has a title with the pattern and reads everything below its path", async () => {
    const workspace = createMemoryWorkspace(files);
    const parsed = createToolSession(workspace).parse("search", { pattern: 'say "x"', path: "src" });
    expect(parsed.title).toBe('Search "say \\"x\\"" in src');
    expect(await parsed.access(workspace)).toEqual({ reads: ["file:///project/src/**"], writes: [] });
  });
});
