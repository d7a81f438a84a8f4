/** The `read` tool: ranges, several files, budgets and what goes wrong with one of them. */
import { expect, test } from "vitest";
import { createMemoryWorkspace } from "../../../support/memoryWorkspace.ts";
import { createToolSession } from "../callTool.ts";

const lines = (count: number, text = "line") =>
  Array.from({ length: count }, (_, at) => `${text} ${at + 1}\n`).join("");

function check(files: { readonly [path: string]: string }) {
  const workspace = createMemoryWorkspace(files);
  return { workspace, ...createToolSession(workspace) };
}

test("shows several files and ranges, each under its header", async () => {
  const { call } = check({ "src/a.ts": "one\ntwo\nthree\n", "b.txt": "no newline", "empty.txt": "" });
  const files = [{ path: "src/a.ts" }, { path: "src/a.ts", from: 2, to: 9 }, { path: "b.txt" }, { path: "empty.txt" }];
  expect(await call("read", { files })).toBe(
    [
      "== src/a.ts (3 lines)\none\ntwo\nthree",
      "== src/a.ts (lines 2-3 of 3)\ntwo\nthree",
      "== b.txt (1 line)\nno newline",
      "== empty.txt (empty)",
    ].join("\n\n"),
  );
});

test("numbers lines when asked", async () => {
  const { call } = check({ "a.ts": "one\ntwo\n" });
  expect(await call("read", { files: [{ path: "a.ts", from: 2 }], numbered: true })).toBe(
    "== a.ts (lines 2-2 of 2)\n2\ttwo",
  );
});

test("takes null for an argument that is left out", async () => {
  const { call } = check({ "a.ts": "one\n" });
  expect(await call("read", { files: [{ path: "a.ts", from: null, to: null }], numbered: null })).toBe(
    "== a.ts (1 line)\none",
  );
});

test("shows no carriage returns and no byte order mark", async () => {
  const { call } = check({ "a.ts": "\uFEFFone\r\ntwo\r\n" });
  expect(await call("read", { files: [{ path: "a.ts" }] })).toBe("== a.ts (2 lines)\none\ntwo");
});

test("marks unsaved text", async () => {
  const { call, workspace } = check({});
  workspace.set("a.ts", "unsaved\n", "buffer");
  expect(await call("read", { files: [{ path: "a.ts" }] })).toBe(
    "== a.ts (1 line, unsaved changes in the editor)\nunsaved",
  );
});

test("reads the others when one file is missing, and is an error when all are", async () => {
  const { call } = check({ "a.ts": "one\n" });
  expect(await call("read", { files: [{ path: "no.ts" }, { path: "a.ts" }] })).toBe(
    "== no.ts\nThere is no file no.ts.\n\n== a.ts (1 line)\none",
  );
  expect(await call("read", { files: [{ path: "no.ts" }] })).toBe("error: == no.ts\nThere is no file no.ts.");
});

test("says what is wrong with a range", async () => {
  const { call } = check({ "a.ts": "one\n" });
  expect(
    await call("read", {
      files: [
        { path: "a.ts", from: 5 },
        { path: "a.ts", from: 3, to: 2 },
      ],
    }),
  ).toBe(
    'error: == a.ts\nThere is no line 5: the file has 1 line.\n\n== a.ts\nThe range 3-2 is empty: "to" is before "from".',
  );
});

test("cuts a long file at the limit of lines, and reading on from there gives the rest", async () => {
  const { call } = check({ "a.txt": lines(2_500) });
  const first = await call("read", { files: [{ path: "a.txt" }] });
  expect(first.split("\n")[0]).toBe("== a.txt (lines 1-2000 of 2500)");
  expect(first.endsWith("line 2000\n[cut at the limit of this call; read on with from: 2001]")).toBe(true);
  const rest = await call("read", { files: [{ path: "a.txt", from: 2_001 }] });
  expect(rest.endsWith("line 2500")).toBe(true);
});

test("shares its bytes fairly: small files are whole beside large ones", async () => {
  const { call } = check({
    "big.txt": lines(1_500, "x".repeat(200)),
    "small.txt": "small\n",
    "big2.txt": lines(1_500, "y".repeat(200)),
  });
  const text = await call("read", { files: [{ path: "big.txt" }, { path: "small.txt" }, { path: "big2.txt" }] });
  expect(text).toContain("== small.txt (1 line)\nsmall");
  expect(text.match(/read on with from/g)).toHaveLength(2);
  expect(Buffer.byteLength(text)).toBeLessThan(65 * 1024);
});

test("cuts a very long line and says how much is missing", async () => {
  const { call } = check({ "a.min.js": "x".repeat(10_000) });
  expect(await call("read", { files: [{ path: "a.min.js" }] })).toBe(
    `== a.min.js (1 line)\n${"x".repeat(2_000)}…[8000 more characters]`,
  );
});

test("remembers what it has shown", async () => {
  const { call, seen } = check({ "a.ts": "one\n" });
  await call("read", { files: [{ path: "a.ts" }, { path: "no.ts" }] });
  expect([seen("file:///project/a.ts")?.text, seen("file:///project/no.ts")]).toEqual(["one\n", undefined]);
});

test.each([
  [{}, "files"],
  [{ files: [] }, "files"],
  [{ files: [{ path: "a", from: 0 }] }, "files[0].from"],
  [{ files: [{ path: 1 }] }, "files[0].path"],
  [{ files: Array.from({ length: 21 }, () => ({ path: "a" })) }, "files"],
])("refuses %j and names the field", async (input, field) => {
  const { call } = check({ a: "" });
  const text = await call("read", input);
  expect(text).toMatch(/^error: Invalid arguments for read\./);
  expect(text).toContain(`→ at ${field}`);
});
