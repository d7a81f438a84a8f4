/**
 * Open documents over a disk: what is read, edited, saved and searched when the user has typed, types meanwhile, or not.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mergeTexts } from "../../../server/src/text/merge.ts";
import { createDiskWorkspace } from "../../../server/src/workspace/disk.ts";
import { toDocumentEdits } from "../../../server/src/workspace/documentEdits.ts";
import { createEditorWorkspace } from "../../../server/src/workspace/editor.ts";
import type { FileText, Workspace } from "../../../server/src/workspace/workspace.ts";
import { applyEdits, createFakeEditor, type FakeEditor } from "../../support/fakeEditor.ts";
import { seeded } from "./seeded.ts";

const { signal } = new AbortController();

/** Writes what an agent made of `base`: swap, and while the document has moved on, merge and swap again. */
async function writeMerged(workspace: Workspace, base: FileText, text: string): Promise<"applied" | "conflict"> {
  let [version, wanted] = [base.version, text];
  for (;;) {
    const swap = await workspace.swap(base.uri, version, wanted, signal);
    if (swap.applied) return "applied";
    if (swap.current === null) return "conflict";
    const merge = mergeTexts(base.text, text, swap.current.text);
    if (!merge.clean) return "conflict";
    [version, wanted] = [swap.current.version, merge.text];
  }
}

describe("an editor's workspace", () => {
  let root: string;
  let uri: string;
  let editor: FakeEditor;
  let workspace: Workspace;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "hermes-editor-"));
    uri = pathToFileURL(join(root, "a.txt")).href;
    editor = createFakeEditor();
    const environment = { PATH: process.env.PATH };
    const disk = createDiskWorkspace({ root, outputDir: root, environment, createId: () => "id" });
    workspace = createEditorWorkspace(disk, editor);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function openWith(disk: string): Promise<void> {
    await writeFile(join(root, "a.txt"), disk);
    editor.open(uri);
  }
  const onDisk = () => readFile(join(root, "a.txt"), "utf8");
  const edit = async (text: string) => workspace.swap(uri, (await workspace.read(uri, signal)).version, text, signal);

  it("gives a clean document as the disk has it, whatever the editor made of its endings", async () => {
    await openWith("\uFEFFa\r\nb\r\nc\n");
    expect(await workspace.read(uri, signal)).toMatchObject({ text: "\uFEFFa\r\nb\r\nc\n", source: "disk" });
  });

  it("gives unsaved text, with a version that follows the text and not the editor's counter", async () => {
    await openWith("a\n");
    editor.type(uri, "typed\n");
    const first = await workspace.read("a.txt", signal);
    expect(first).toMatchObject({ uri, text: "typed\n", source: "buffer" });
    editor.type(uri, "more\n");
    expect((await workspace.read(uri, signal)).version).not.toBe(first.version);
    editor.type(uri, "typed\n");
    expect((await workspace.read(uri, signal)).version).toBe(first.version);
  });

  it("does not save over what came to the disk while it edited", async () => {
    await openWith("one\n");
    const disk = createDiskWorkspace({ root, outputDir: root, environment: {}, createId: () => "id" });
    const port: FakeEditor = {
      ...editor,
      applyEdit: async (...edits) => {
        const applied = await editor.applyEdit(...edits);
        // The user has typed, saved and undone: their words are on the disk alone.
        await writeFile(join(root, "a.txt"), "mine\none\n");
        return applied;
      },
    };
    const over = createEditorWorkspace(disk, port);
    const { version } = await over.read(uri, signal);
    expect(await over.swap(uri, version, "one\ntwo\n", signal)).toMatchObject({ applied: true });
    expect(await onDisk()).toBe("mine\none\n");
    expect(editor.isDirty(uri)).toBe(true);
  });

  it("edits and saves a clean document in one step that touches only what differs", async () => {
    await openWith("\uFEFFone\r\ntwo\r\nthree\r\n");
    expect(await edit("\uFEFFone\r\ntwenty\r\nthree\r\n")).toMatchObject({ applied: true, file: { source: "disk" } });
    expect(await onDisk()).toBe("\uFEFFone\r\ntwenty\r\nthree\r\n");
    const range = { start: { line: 1, character: 2 }, end: { line: 1, character: 3 } };
    expect(editor.edits).toEqual([[{ range, newText: "enty" }]]);
  });

  it("edits a changed document and never saves it", async () => {
    await openWith("one\ntwo\n");
    editor.type(uri, "one\ntwo\ntyped\n");
    expect(await edit("ONE\ntwo\ntyped\n")).toMatchObject({
      applied: true,
      file: { text: "ONE\ntwo\ntyped\n", source: "buffer" },
    });
    expect([editor.openDocument(uri)?.text, editor.isDirty(uri), await onDisk()]).toEqual([
      "ONE\ntwo\ntyped\n",
      true,
      "one\ntwo\n",
    ]);
  });

  it("gives the text as it is after format on save", async () => {
    await openWith("a\n");
    editor.format = (text) => text.trimEnd().concat(";\n");
    expect(await edit("b\n")).toMatchObject({ applied: true, file: { text: "b;\n", source: "disk" } });
  });

  it("is stale when the user typed since, and merges without losing a key", async () => {
    await openWith("one\ntwo\nthree\n");
    const base = await workspace.read(uri, signal);
    editor.type(uri, "one\ntwo\nthree\ntyped\n");
    expect(await workspace.swap(uri, base.version, "x\n", signal)).toMatchObject({
      applied: false,
      current: { text: "one\ntwo\nthree\ntyped\n" },
    });
    const outcome = await writeMerged(workspace, base, "ONE\ntwo\nthree\n");
    expect(outcome).toBe("applied");
    expect([editor.openDocument(uri)?.text, await onDisk()]).toEqual(["ONE\ntwo\nthree\ntyped\n", "one\ntwo\nthree\n"]);
  });

  it("merges also when the user types between looking and editing", async () => {
    await openWith("one\ntwo\nthree\n");
    const base = await workspace.read(uri, signal);
    editor.beforeEdit = () => {
      editor.beforeEdit = () => undefined;
      editor.type(uri, "one\ntwo\nTHREE\n");
    };
    await writeMerged(workspace, base, "ONE\ntwo\nthree\n");
    expect(editor.openDocument(uri)?.text).toBe("ONE\ntwo\nTHREE\n");
  });

  it("refuses to delete unsaved text, and deletes a clean document's file", async () => {
    await openWith("a\n");
    editor.type(uri, "b\n");
    const { version } = await workspace.read(uri, signal);
    await expect(workspace.swap(uri, version, null, signal)).rejects.toThrow("unsaved changes");
    editor.type(uri, "a\n");
    const clean = await workspace.read(uri, signal);
    expect(await workspace.swap(uri, clean.version, null, signal)).toEqual({ applied: true, file: null });
  });

  it("reads what only the editor can decode or has at all", async () => {
    await openWith("a\n");
    editor.type(uri, "c\u00e9\n");
    await writeFile(join(root, "a.txt"), new Uint8Array([0x63, 0xe9, 0x0a]));
    expect(await workspace.read(uri, signal)).toMatchObject({ text: "c\u00e9\n", source: "buffer" });
    await rm(join(root, "a.txt"));
    expect(await workspace.read(uri, signal)).toMatchObject({ text: "c\u00e9\n", source: "buffer" });
  });

  it("searches unsaved text instead of the file's, in path order and within glob and limit", async () => {
    await openWith("needle on disk\n");
    await writeFile(join(root, "b.txt"), "needle\nneedle\n");
    editor.type(uri, "first\nneedle unsaved\nlast\n");
    const query = { pattern: "n(e)+dle", context: 1, limit: 10 };
    expect(await workspace.search(query, signal)).toMatchObject({
      hits: [
        { path: "a.txt", line: 2, text: "needle unsaved", before: ["first"], after: ["last"] },
        { path: "b.txt", line: 1 },
        { path: "b.txt", line: 2 },
      ],
      truncated: false,
    });
    expect((await workspace.search({ ...query, path: "a.txt" }, signal)).hits).toHaveLength(1);
    expect((await workspace.search({ ...query, glob: "!a.*" }, signal)).hits).toHaveLength(2);
    expect(await workspace.search({ ...query, limit: 2 }, signal)).toMatchObject({
      hits: [{ path: "a.txt" }, { path: "b.txt" }],
      truncated: true,
    });
  });

  it("loses nothing in random interleavings of a typist and an agent", async () => {
    const random = seeded(17);
    await openWith(Array.from({ length: 20 }, (_, i) => `line ${i}\n`).join(""));
    const typed: string[] = [];
    let seen = await workspace.read(uri, signal);
    for (let round = 0; round < 150; round += 1) {
      const type = () => {
        const lines = (editor.openDocument(uri)?.text ?? "").split("\n");
        const line = `typed ${round}.${typed.length}`;
        lines.splice(random.below(lines.length), 0, line);
        typed.push(line);
        editor.type(uri, lines.join("\n"));
      };
      if (random.below(3) === 0) type();
      editor.beforeEdit = () => {
        editor.beforeEdit = () => undefined;
        if (random.below(2) === 0) type();
      };
      const lines = seen.text.split("\n");
      lines.splice(random.below(lines.length), 0, `agent ${round}`);
      const outcome = await writeMerged(workspace, seen, lines.join("\n"));
      const now = (await workspace.read(uri, signal)).text.split("\n");
      expect(now.filter((line) => line.startsWith("typed")).toSorted()).toEqual(typed.toSorted());
      expect(now.includes(`agent ${round}`)).toBe(outcome === "applied");
      if (random.below(3) > 0) seen = await workspace.read(uri, signal);
    }
    expect(typed.length).toBeGreaterThan(50);
  });
});

describe("toDocumentEdits", () => {
  it("gives edits that an editor turns into the wanted text", () => {
    const random = seeded(23);
    const text = (ending: string) =>
      Array.from(
        { length: random.below(8) },
        () => `${random.pick(["a", "ab", "\u{1F600}", "\u{1F601}", ""])}${ending}`,
      ).join("") + random.pick(["", "end"]);
    for (let round = 0; round < 1_000; round += 1) {
      const ending = random.pick(["\n", "\r\n"]);
      const [document, wanted] = [`${text(ending)}x${ending}`, `${text(ending)}x${ending}`];
      expect(applyEdits(document, toDocumentEdits(document, wanted))).toBe(wanted);
    }
  });
});
