/** The `edit` and `write` tools: what changes, what is refused, and what the model is told each time. */
import { describe, expect, test } from "vitest";
import { createMemoryWorkspace } from "../../../support/memoryWorkspace.ts";
import { createToolSession } from "../callTool.ts";

function check(files: { readonly [path: string]: string }) {
  const workspace = createMemoryWorkspace(files);
  const session = createToolSession(workspace);
  return { workspace, ...session, read: (path: string) => session.call("read", { files: [{ path }] }) };
}

const source = "import a;\n\nfunction f() {\n  return 1;\n}\n\nfunction g() {\n  return 2;\n}\n";

describe("edit", () => {
  test("replaces a unique text and shows the place as it is now", async () => {
    const { call, workspace } = check({ "a.ts": source });
    expect(await call("edit", { path: "a.ts", old: "  return 1;", new: "  return 3;\n  // done" })).toBe(
      "Edited a.ts at lines 4-5. Lines 2-7 are now:\n\nfunction f() {\n  return 3;\n  // done\n}\n\n[end of line 7]",
    );
    expect(workspace.text("a.ts")).toBe(source.replace("return 1;", "return 3;\n  // done"));
  });

  test("does not need the file to have been read, and counts as having shown it", async () => {
    const { call, seen, workspace } = check({ "a.ts": source });
    await call("edit", { path: "a.ts", old: "return 1", new: "return 3" });
    expect(seen("file:///project/a.ts")?.text).toBe(workspace.text("a.ts"));
  });

  test("keeps CRLF, the mark, and a missing final newline", async () => {
    const { call, workspace } = check({ "a.ts": "\uFEFFone\r\ntwo\r\nthree" });
    await call("edit", { path: "a.ts", old: "one\ntwo", new: "1\n2" });
    expect(workspace.text("a.ts")).toBe("\uFEFF1\r\n2\r\nthree");
  });

  test("replaces all occurrences when asked", async () => {
    const { call, workspace } = check({ "a.ts": source });
    expect(await call("edit", { path: "a.ts", old: "function", new: "async function", all: true })).toMatch(
      /^Edited a.ts at line 3, line 7\./,
    );
    expect(workspace.text("a.ts")).toBe(source.replaceAll("function", "async function"));
  });

  test("takes $ in the new text as it is", async () => {
    const { call, workspace } = check({ "a.ts": "x x" });
    await call("edit", { path: "a.ts", old: "x", new: "$&$1", all: true });
    expect(workspace.text("a.ts")).toBe("$&$1 $&$1");
  });

  test("says where a text that is not unique occurs", async () => {
    const { call, workspace } = check({ "a.ts": source });
    expect(await call("edit", { path: "a.ts", old: "  return", new: "  yield" })).toBe(
      'error: "old" occurs more than once in a.ts at lines 4, 8. Nothing was changed. Add lines around it, or set all: true.',
    );
    expect(workspace.text("a.ts")).toBe(source);
  });

  test("gives the closest real lines when the text is missing, and says so when the same edit comes again", async () => {
    const { call, workspace } = check({ "a.ts": source });
    const edit = { path: "a.ts", old: "function g() {\n  return 42;\n}", new: "x" };
    const first = await call("edit", edit);
    expect(first).toBe(
      'error: "old" does not occur in a.ts. Nothing was changed. The closest lines there, 7-9, are:\n' +
        'function g() {\n  return 2;\n}\n[end of the closest lines; copy "old" from them]',
    );
    expect(await call("edit", edit)).toBe(
      first.replace(
        "error: ",
        "error: This is the same edit that has already failed in this turn. Do not try it again. ",
      ),
    );
    workspace.set("a.ts", source.replace("return 2;", "return 42;"));
    expect(await call("edit", edit)).toMatch(/^Edited a.ts/);
  });

  test("shows the current text when an edit that is not unique comes again, and starts afresh in a new turn", async () => {
    const { call, startTurn } = check({ "a.ts": source });
    const edit = { path: "a.ts", old: "  return", new: "  yield" };
    const first = await call("edit", edit);
    expect(first).not.toContain("end of line");
    const again = await call("edit", edit);
    expect(again).toMatch(/^error: This is the same edit that has already failed in this turn\. Do not try it again\./);
    expect(again).toMatch(/Lines 2-\d+ there are:\n[\s\S]*return[\s\S]*\[end of line \d+\]$/);
    startTurn();
    expect(await call("edit", edit)).toBe(first);
  });

  test("says so when a write that was refused comes again, and shows only what may be seen", async () => {
    const { call, read, workspace, startTurn } = check({ "a.ts": "one\n" });
    const write = { path: "a.ts", text: "mine\n" };
    const unread = await call("write", write);
    const again = await call("write", write);
    expect(again).toMatch(/^error: This is the same write that was already refused in this turn/);
    expect(again).not.toContain("one");
    startTurn();
    expect(await call("write", write)).toBe(unread);
    await read("a.ts");
    workspace.set("a.ts", "two\n");
    expect(await call("write", { ...write, text: "other\n" })).not.toContain("two");
    expect(await call("write", { ...write, text: "other\n" })).toContain("It begins now:\ntwo\n");
    expect(workspace.text("a.ts")).toBe("two\n");
  });

  test("refuses an empty old text in a file with text, and an edit that changes nothing", async () => {
    const { call } = check({ "a.ts": source });
    expect(await call("edit", { path: "a.ts", old: "", new: "x" })).toBe(
      'error: "old" is empty, but a.ts is not. Copy the text to replace, or use write.',
    );
    expect(await call("edit", { path: "a.ts", old: "import a;", new: "import a;" })).toMatch(
      /^error: "new" leaves a.ts exactly/,
    );
  });

  test("can empty a file, and fill an empty one", async () => {
    const { call, workspace } = check({ "a.ts": "x\n" });
    expect(await call("edit", { path: "a.ts", old: "x\n", new: "" })).toBe("Edited a.ts; it is empty now.");
    await call("edit", { path: "a.ts", old: "", new: "y\n" });
    expect(workspace.text("a.ts")).toBe("y\n");
  });

  test("of a missing file points to write; of one deleted since it was read says so", async () => {
    const { call, read, workspace } = check({ "a.ts": source });
    expect(await call("edit", { path: "new.ts", old: "a", new: "b" })).toBe(
      "error: There is no file new.ts. To create a file use write.",
    );
    await read("a.ts");
    workspace.remove("a.ts");
    expect(await call("edit", { path: "a.ts", old: "return 1", new: "return 3" })).toBe(
      "error: There is no file a.ts. You have read a.ts before, so it was deleted or replaced since you read it. Do not assume its old text.",
    );
  });

  test("of a file that has changed elsewhere keeps both changes", async () => {
    const { call, read, workspace } = check({ "a.ts": source });
    await read("a.ts");
    workspace.set("a.ts", `// theirs\n${source}`);
    await call("edit", { path: "a.ts", old: "return 1", new: "return 3" });
    expect(workspace.text("a.ts")).toBe(`// theirs\n${source.replace("return 1", "return 3")}`);
  });

  test("never guesses in a file that has changed since it was read", async () => {
    const { call, read, workspace } = check({ "a.ts": source });
    await read("a.ts");
    workspace.set("a.ts", source.replace("  return 1;", "  return 1;  "));
    const edit = { path: "a.ts", old: "function f() {\n  return 1;\n}", new: "function f() {}" };
    expect(await call("edit", edit)).toMatch(
      /^error: a\.ts has changed since you read it and "old" is no longer there exactly\./,
    );
    await read("a.ts");
    expect(await call("edit", edit)).toMatch(/^Edited a\.ts/);
  });

  test("starts again when the file changes under it, and gives up when that does not end", async () => {
    const { call, workspace } = check({ "a.ts": source });
    let changes = 0;
    workspace.beforeSwap = () => {
      changes += 1;
      if (changes === 1) workspace.set("a.ts", `// theirs\n${source}`);
    };
    await call("edit", { path: "a.ts", old: "return 1", new: "return 3" });
    expect(workspace.text("a.ts")).toBe(`// theirs\n${source.replace("return 1", "return 3")}`);
    workspace.set("a.ts", source);
    workspace.beforeSwap = () => workspace.set("a.ts", `${source}// ${++changes}\n`);
    expect(await call("edit", { path: "a.ts", old: "return 1", new: "return 3" })).toMatch(
      /^error: a.ts keeps changing/,
    );
  });

  test("says when the file is deleted under it", async () => {
    const { call, workspace } = check({ "a.ts": source });
    workspace.beforeSwap = () => workspace.remove("a.ts");
    expect(await call("edit", { path: "a.ts", old: "return 1", new: "return 3" })).toMatch(
      /^error: a.ts was deleted while/,
    );
    expect(workspace.text("a.ts")).toBeUndefined();
  });

  test("says that an unsaved buffer is not on disk", async () => {
    const { call, workspace } = check({});
    workspace.set("a.ts", source, "buffer");
    expect(await call("edit", { path: "a.ts", old: "return 1", new: "return 3" })).toMatch(
      / The file has unsaved changes in the editor: this change is there too and not on disk, where commands look\.$/,
    );
  });

  test("shows the change in its detail and writes only its file", async () => {
    const { parse, workspace } = check({ "a.ts": source });
    const parsed = parse("edit", { path: "./a.ts", old: "one\ntwo\n", new: "1" });
    expect([parsed.title, parsed.detail, await parsed.access(workspace)]).toEqual([
      "Edit ./a.ts",
      "-one\n-two\n+1",
      { reads: ["file:///project/a.ts"], writes: ["file:///project/a.ts"] },
    ]);
  });
});

describe("write", () => {
  test("creates a file", async () => {
    const { call, workspace, seen } = check({});
    expect(await call("write", { path: "src/new.ts", text: "one\ntwo\n" })).toBe("Created src/new.ts (2 lines).");
    expect([workspace.text("src/new.ts"), seen("file:///project/src/new.ts")?.text]).toEqual([
      "one\ntwo\n",
      "one\ntwo\n",
    ]);
  });

  test("refuses to replace a file that was not read, or has changed since", async () => {
    const { call, read, workspace } = check({ "a.ts": source });
    expect(await call("write", { path: "a.ts", text: "x" })).toBe(
      "error: a.ts exists and you have not read it, so it was not replaced. Read it first, then write or edit.",
    );
    await read("a.ts");
    workspace.set("a.ts", "theirs");
    expect(await call("write", { path: "a.ts", text: "x" })).toBe(
      "error: a.ts has changed since you read it, so it was not replaced. Read it again, then write or edit.",
    );
    expect(workspace.text("a.ts")).toBe("theirs");
    await read("a.ts");
    expect(await call("write", { path: "a.ts", text: "x" })).toBe("Replaced a.ts (1 line).");
    expect(await call("write", { path: "a.ts", text: "y" })).toBe("Replaced a.ts (1 line).");
  });

  test("keeps line endings and the mark of what it replaces", async () => {
    const { call, read, workspace } = check({ "a.ts": "\uFEFFone\r\ntwo\r\n" });
    await read("a.ts");
    await call("write", { path: "a.ts", text: "1\n2\n3\n" });
    expect(workspace.text("a.ts")).toBe("\uFEFF1\r\n2\r\n3\r\n");
  });

  test("creates again what was deleted since it was read, and says so", async () => {
    const { call, read, workspace } = check({ "a.ts": source });
    await read("a.ts");
    workspace.remove("a.ts");
    expect(await call("write", { path: "a.ts", text: "x\n" })).toBe(
      "It had been deleted since you read it; created a.ts (1 line).",
    );
    expect(workspace.text("a.ts")).toBe("x\n");
  });
});
