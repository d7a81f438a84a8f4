/**
 * Names that differ only in case, through a whole host: on a disk that tells them apart and on one that does not.
 *
 * Easily got wrong: the second disk is simulated over the first, below Node's functions, because no machine has both.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test, vi } from "vitest";
import type { PendingFile } from "../../server/src/protocol/review.ts";
import { createFakeEditor } from "../support/fakeEditor.ts";
import { disk } from "../support/ignoreCase.ts";
import type { ScriptCall } from "../support/modelDouble.ts";
import { type Play, startPlay } from "../support/play.ts";

vi.mock("node:fs/promises", async (original) =>
  (await import("../support/ignoreCase.ts")).ignoreCase(await original<typeof import("node:fs/promises")>()),
);

const signal = new AbortController().signal;
const text = "one\ntwo\nthree\n";
const move = (from: string, to: string): ScriptCall => ({ name: "move", input: { from, to } });
const edit = (path: string, old: string, text: string): ScriptCall => ({
  name: "edit",
  input: { path, old, new: text },
});
const read = (path: string): ScriptCall => ({ name: "read", input: { files: [{ path }] } });

function script(...calls: readonly ScriptCall[]) {
  return { steps: [...calls.map((call) => ({ calls: [call] })), { say: "Done." }] };
}

function resultsOf(play: Play): readonly string[] {
  return play.events().flatMap((event) => (event.type === "tool_result" ? [event.text] : []));
}

function changesOf(play: Play) {
  return play.events().flatMap((event) => (event.type === "file_changed" ? [event.change] : []));
}

describe.each([
  ["tells names apart by case", false],
  ["ignores case", true],
])("a disk that %s", (_, ignoresCase) => {
  test.each(["turn", "file"])("a file gets a name in other case, undone by %s", async (how) => {
    disk.ignoresCase = ignoresCase;
    const told: (readonly PendingFile[])[] = [];
    const onReview = (_: unknown, files: readonly PendingFile[]) => void told.push(files);
    const files = { "folder/a.txt": text, "b.txt": "b\n" };
    await using play = await startPlay({
      script: script(move("folder/a.txt", "folder/A.txt")),
      files,
      host: { onReview },
    });
    const namesNow = () => readdir(join(play.root, "folder"));
    const { sessionId, turnId } = await play.prompt("Go");
    expect(resultsOf(play)).toEqual(["Moved folder/a.txt to folder/A.txt."]);
    expect(await namesNow()).toEqual(["A.txt"]);
    const { host } = play.local;
    await host.refreshReview(sessionId);
    const uri = (path: string) => pathToFileURL(join(play.root, path)).href;
    expect(told.at(-1)).toMatchObject([{ uri: uri("folder/A.txt"), movedFrom: uri("folder/a.txt") }]);
    if (how === "file") {
      await host.review({ sessionId, action: "undo", uri: uri("folder/A.txt") }, signal);
    } else {
      const { files: undone, restoreId } = await host.undo({ sessionId, turnId });
      expect(undone.map(({ outcome }) => outcome)).toEqual(["restored"]);
      expect(await namesNow()).toEqual(["a.txt"]);
      await host.undoRestore({ sessionId, restoreId });
      expect(await namesNow()).toEqual(["A.txt"]);
      await host.undo({ sessionId, turnId });
    }
    expect(await namesNow()).toEqual(["a.txt"]);
    expect(await play.read("folder/a.txt")).toBe(text);
    await host.refreshReview(sessionId);
    expect(told.at(-1)).toEqual([]);
  });

  test("a file that the editor has unsaved gets a name in other case and keeps what was typed", async () => {
    disk.ignoresCase = ignoresCase;
    const editor = createFakeEditor();
    await using play = await startPlay({
      script: script(move("a.txt", "A.txt")),
      files: { "a.txt": text },
      host: { editor },
    });
    const uri = (path: string) => pathToFileURL(join(play.root, path)).href;
    editor.open(uri("a.txt"));
    editor.type(uri("a.txt"), `${text}typed\n`);
    const { sessionId, turnId } = await play.prompt("Go");
    expect(await readdir(play.root)).toEqual(["A.txt"]);
    expect(editor.openDocument(uri("A.txt"))?.text).toBe(`${text}typed\n`);
    expect(editor.openDocument(uri("a.txt"))).toBeUndefined();
    await play.local.host.undo({ sessionId, turnId });
    expect(await readdir(play.root)).toEqual(["a.txt"]);
    expect(editor.openDocument(uri("a.txt"))?.text).toBe(`${text}typed\n`);
    expect(await play.read("a.txt")).toBe(text);
  });
});

test("where case is ignored, a file under any spelling is one file", async () => {
  disk.ignoresCase = true;
  const told: (readonly PendingFile[])[] = [];
  const onReview = (_: unknown, files: readonly PendingFile[]) => void told.push(files);
  const calls = [
    read("SRC/A.TXT"),
    edit("src/a.txt", "one", "ONE"),
    edit("Src/A.txt", "three", "THREE"),
    { name: "write", input: { path: "src/A.TXT", text: "all\n" } },
    { name: "write", input: { path: "SRC/new.txt", text: "new\n" } },
  ];
  await using play = await startPlay({ script: script(...calls), files: { "src/a.txt": text }, host: { onReview } });
  const { sessionId, turnId } = await play.prompt("Go");
  expect(resultsOf(play)[0]).toContain("src/a.txt");
  expect(resultsOf(play)[2]).toMatch(/^Edited src\/a\.txt at line 3\./);
  const uri = (path: string) => pathToFileURL(join(play.root, path)).href;
  expect(changesOf(play).map((change) => change.uri)).toEqual([
    ...[uri("src/a.txt"), uri("src/a.txt"), uri("src/a.txt")],
    uri("src/new.txt"),
  ]);
  expect(await readdir(join(play.root, "src"))).toEqual(["a.txt", "new.txt"]);
  await play.local.host.refreshReview(sessionId);
  expect(told.at(-1)?.map((file) => file.uri)).toEqual([uri("src/a.txt"), uri("src/new.txt")]);
  const { files } = await play.local.host.undo({ sessionId, turnId });
  expect(files.map(({ outcome }) => outcome)).toEqual(["restored", "restored"]);
  expect(await readdir(join(play.root, "src"))).toEqual(["a.txt"]);
  expect(await play.read("src/a.txt")).toBe(text);
});

test("where case counts, another spelling is another file: it is not there, or in the way", async () => {
  disk.ignoresCase = false;
  const files = { "a.txt": text, "b.txt": "b\n", "B.txt": "other\n" };
  const calls = [edit("A.TXT", "one", "ONE"), move("b.txt", "B.txt")];
  await using play = await startPlay({ script: script(...calls), files });
  await play.prompt("Go");
  expect(resultsOf(play)[0]).toContain("A.TXT does not exist. Did you mean a.txt");
  expect(resultsOf(play)[1]).toContain("B.txt exists already");
  expect(changesOf(play)).toEqual([]);
  expect(await play.read("B.txt")).toBe("other\n");
});
