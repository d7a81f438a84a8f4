/** What `delete` and `move` answer the model; undo is held by the integration tests. */
import { expect, test } from "vitest";
import { createMemoryWorkspace } from "../../../support/memoryWorkspace.ts";
import { createToolSession } from "../callTool.ts";

const files = { "a.txt": "a\n", "src/b.ts": "b\n", "src/deep/c.ts": "c\n", "other.txt": "other\n" };
const { signal } = new AbortController();

test("files and folders are deleted, each once", async () => {
  const workspace = createMemoryWorkspace(files);
  const session = createToolSession(workspace);
  expect(await session.call("delete", { paths: ["a.txt", "src", "src/b.ts"] })).toBe(
    "Deleted a.txt, src/, src/b.ts (3 files).",
  );
  expect(["a.txt", "src/b.ts", "src/deep/c.ts", "other.txt"].map((path) => workspace.text(path))).toEqual([
    undefined,
    undefined,
    undefined,
    "other\n",
  ]);
});

test("nothing is deleted when one of the paths is missing", async () => {
  const workspace = createMemoryWorkspace(files);
  const answer = await createToolSession(workspace).call("delete", { paths: ["a.txt", "none.txt"] });
  expect(answer).toBe("error: none.txt does not exist. Use list or search to find it.");
  expect(workspace.text("a.txt")).toBe("a\n");
});

test("a file and a folder get their new paths, and a place that is taken is refused", async () => {
  const workspace = createMemoryWorkspace(files);
  const session = createToolSession(workspace);
  expect(await session.call("move", { from: "a.txt", to: "docs/a.md" })).toBe("Moved a.txt to docs/a.md.");
  expect(await session.call("move", { from: "src", to: "lib" })).toBe("Moved src to lib (2 files).");
  expect(workspace.text("lib/deep/c.ts")).toBe("c\n");
  expect(await session.call("move", { from: "lib/b.ts", to: "other.txt" })).toContain("other.txt exists already");
  expect(workspace.text("other.txt")).toBe("other\n");
});

test("too much at once is refused with what to do instead", async () => {
  const many = Object.fromEntries(Array.from({ length: 2_001 }, (_, at) => [`many/${at}.txt`, ""]));
  const workspace = createMemoryWorkspace(many);
  const session = createToolSession(workspace);
  expect(await session.call("delete", { paths: ["many"] })).toContain("many has more than 2000 files and folders");
  expect(workspace.text("many/0.txt")).toBe("");
  const caution = await session.parse("delete", { paths: ["many"] }).caution?.(workspace, [], signal);
  expect(caution).toContain("It would fail as things are");
});

test("the approval says how many files it is", async () => {
  const workspace = createMemoryWorkspace(files);
  const { parse } = createToolSession(workspace);
  const cautionOf = (name: string, input: { readonly [key: string]: string | string[] }) =>
    parse(name, input).caution?.(workspace, [], signal);
  expect(await cautionOf("delete", { paths: ["src"] })).toBe("This deletes 2 files. Undo can bring them back.");
  expect(await cautionOf("move", { from: "a.txt", to: "b.txt" })).toBe("This moves 1 file. Undo can bring it back.");
});
