/**
 * Deletes and moves of every kind of file through a real host: undone by file, by turn and after a restart, the folder
 * is what it was, byte for byte; and what the user typed since is kept.
 *
 * Easily got wrong: what is compared is the whole tree with modes and links, so a file that is left over fails as well.
 */
import { chmod, lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { createLocalHost } from "../../server/src/main/local.ts";
import type { PendingFile } from "../../server/src/protocol/review.ts";
import type { Json, PermissionRequest } from "../../server/src/protocol/types.ts";
import { createFakeEditor } from "../support/fakeEditor.ts";
import type { Script } from "../support/modelDouble.ts";
import { type Play, type PlayOptions, startPlay } from "../support/play.ts";

const signal = new AbortController().signal;

/** Every entry below a folder: mode and content, or a link's target. */
async function treeOf(root: string, folder = ""): Promise<{ [path: string]: string }> {
  const found: { [path: string]: string } = {};
  for (const name of (await readdir(join(root, folder))).sort()) {
    const path = join(folder, name);
    const stats = await lstat(join(root, path));
    if (stats.isDirectory()) Object.assign(found, { [`${path}/`]: "folder" }, await treeOf(root, path));
    else if (stats.isSymbolicLink()) found[path] = `-> ${await readlink(join(root, path))}`;
    else found[path] = `${(stats.mode & 0o7777).toString(8)} ${(await readFile(join(root, path))).toString("hex")}`;
  }
  return found;
}

const files = {
  "text.txt": "one\ntwo\nthree\n",
  "crlf.txt": "\uFEFFone\r\ntwo\r\n",
  "latin.txt": Uint8Array.from([0x63, 0x61, 0x66, 0xe9, 10]),
  "empty.txt": "",
  "picture.bin": Uint8Array.from({ length: 5_000 }, (_, at) => (at * 7) % 256),
  "run.sh": "#!/bin/sh\n",
  "locked.txt": "locked\n",
  "target.txt": "not mine to touch\n",
  "folder/a.txt": "a\n",
  "folder/deep/b.bin": Uint8Array.from([0, 1, 2]),
  "folder/.hidden": "hidden\n",
};

const named = [
  "text.txt",
  "crlf.txt",
  "latin.txt",
  "empty.txt",
  "picture.bin",
  "run.sh",
  "locked.txt",
  "link",
  "folder",
];
const moves = named.map((path) => ({ from: path, to: `made/for/${path}` }));

async function prepare(root: string): Promise<void> {
  await chmod(join(root, "run.sh"), 0o755);
  await chmod(join(root, "locked.txt"), 0o444);
  await symlink("target.txt", join(root, "link"));
}

const call = (name: string, input: Json) => ({ name, input });
const scripts: { readonly [tool in "delete" | "move"]: Script } = {
  delete: { steps: [{ calls: [call("delete", { paths: named })] }, { say: "Done." }] },
  move: { steps: [{ calls: moves.map((move) => call("move", move)) }, { say: "Done." }] },
};

function errorsOf(play: Play) {
  return play.events().flatMap((event) => (event.type === "tool_result" && event.isError ? [event.text] : []));
}

/** Another host on the same folder and journals. */
function secondHost(play: Play, options: PlayOptions["host"] = {}) {
  return createLocalHost({
    config: play.config,
    environment: { PATH: process.env.PATH, HOME: play.home, HERMES_HOME: play.home },
    root: play.root,
    trusted: () => true,
    ask: async () => "deny",
    onUpdate: () => undefined,
    ...options,
  });
}

describe.each(["delete", "move"] as const)("%s", (tool) => {
  test.each(["file", "turn", "all, after a restart", "keep"] as const)("undone by %s", async (how) => {
    const asked: PermissionRequest[] = [];
    const ask = async (request: PermissionRequest) => {
      asked.push(request);
      return "allow_once" as const;
    };
    const told: (readonly PendingFile[])[] = [];
    const onReview = (_: unknown, files: readonly PendingFile[]) => void told.push(files);
    await using play = await startPlay({ script: scripts[tool], files, ask, host: { onReview } });
    await prepare(play.root);
    const before = await treeOf(play.root);
    const { sessionId, turnId } = await play.prompt("Go");
    expect(errorsOf(play)).toEqual([]);
    const after = await treeOf(play.root);
    const left = tool === "delete" ? ["target.txt"] : ["made/", "target.txt"];
    expect(Object.keys(after).filter((path) => !path.startsWith("made/f"))).toEqual(left);
    if (tool === "move") expect(after["made/for/link"]).toBe("-> target.txt");
    expect(asked[0]?.detail).toContain(tool === "delete" ? "This deletes 11 files." : "This moves 1 file.");
    const { host } = play.local;
    await host.refreshReview(sessionId);
    const pending = told.at(-1) ?? [];
    expect(pending).toHaveLength(11);
    if (how === "file") {
      // The later ones first: nothing depends on the order.
      for (const { uri } of pending.toReversed()) await host.review({ sessionId, action: "undo", uri }, signal);
    } else if (how === "turn") {
      const undone = await host.undo({ sessionId, turnId });
      expect(undone.files.map(({ outcome }) => outcome)).toEqual(Array(11).fill("restored"));
      expect(await treeOf(play.root)).toEqual(before);
      // Doing it again, and going back by a restore.
      await host.undoRestore({ sessionId, restoreId: undone.restoreId });
      expect(await treeOf(play.root)).toEqual(after);
      await host.refreshReview(sessionId);
      const byUri = (files: readonly PendingFile[]) => files.toSorted((a, b) => (a.uri < b.uri ? -1 : 1));
      expect(byUri(told.at(-1) ?? [])).toEqual(byUri(pending));
      await host.restore({ sessionId, turnId, files: true, conversation: true });
    } else if (how === "keep") {
      await host.review({ sessionId, action: "keep" }, signal);
      expect(await treeOf(play.root)).toEqual(after);
    } else {
      const later: (readonly PendingFile[])[] = [];
      const local = await secondHost(play, { onReview: (_, files) => void later.push(files) });
      await local.host.refreshReview(sessionId);
      expect(later.at(-1)).toEqual(pending);
      await local.host.review({ sessionId, action: "undo" }, signal);
      await local.host.refreshReview(sessionId);
      expect(later.at(-1)).toEqual([]);
      await local.close();
    }
    if (how !== "keep") expect(await treeOf(play.root)).toEqual(before);
    if (how !== "all, after a restart") {
      await host.refreshReview(sessionId);
      expect(told.at(-1)).toEqual([]);
    }
  });
});

test("a moved and edited file is one entry; its hunks and its move are undone apart, and typing stays", async () => {
  const told: (readonly PendingFile[])[] = [];
  await using play = await startPlay({
    script: {
      steps: [
        { calls: [call("read", { files: [{ path: "a.txt" }] })] },
        { calls: [call("move", { from: "a.txt", to: "lib/b.txt" })] },
        { calls: [call("edit", { path: "lib/b.txt", old: "two\n", new: "TWO\n" })] },
        { calls: [call("write", { path: "a.txt", text: "new here\n" })] },
        { say: "Done." },
      ],
    },
    files: { "a.txt": "one\ntwo\nthree\nfour\nfive\n" },
    host: { onReview: (_, files) => void told.push(files) },
  });
  const { sessionId } = await play.prompt("Go");
  expect(errorsOf(play)).toEqual([]);
  const { host } = play.local;
  const uriOf = (path: string) => pathToFileURL(join(play.root, path)).href;
  await writeFile(join(play.root, "lib/b.txt"), "one\nTWO\nthree\nfour\nfive, I say\n");
  await host.filesChanged([uriOf("lib/b.txt")]);
  await host.refreshReview(sessionId);
  expect(told.at(-1)).toMatchObject([
    { uri: uriOf("lib/b.txt"), movedFrom: uriOf("a.txt"), status: "modified", addedLines: 1, removedLines: 1 },
    { uri: uriOf("a.txt"), status: "added" },
  ]);
  const [move, hunk] = told.at(-1)?.[0]?.hunks ?? [];
  const undo = (uri: string, hunkId?: string) =>
    host.review({ sessionId, action: "undo", uri, ...(hunkId === undefined ? {} : { hunkId }) }, signal);
  // The old place is taken: nothing is overwritten.
  const refused = await undo(uriOf("lib/b.txt"), move?.id ?? "");
  expect(refused.files).toEqual([{ uri: uriOf("lib/b.txt"), outcome: "conflict" }]);
  expect(await play.read("a.txt")).toBe("new here\n");
  await undo(uriOf("a.txt"));
  const back = await undo(uriOf("lib/b.txt"), move?.id ?? "");
  expect(back.files).toEqual([{ uri: uriOf("a.txt"), outcome: "restored", movedFrom: uriOf("lib/b.txt") }]);
  expect(await treeOf(play.root).then(Object.keys)).toEqual(["a.txt"]);
  await undo(uriOf("a.txt"), hunk?.id ?? "");
  expect(await play.read("a.txt")).toBe("one\ntwo\nthree\nfour\nfive, I say\n");
  await host.refreshReview(sessionId);
  expect(told.at(-1)).toEqual([]);
});

test("files that changed places change back, and what was moved and then deleted comes back to its first place", async () => {
  await using play = await startPlay({
    script: {
      steps: [
        {
          calls: [
            call("move", { from: "a.txt", to: "t.txt" }),
            call("move", { from: "b.txt", to: "a.txt" }),
            call("move", { from: "t.txt", to: "b.txt" }),
            call("move", { from: "c.txt", to: "d.txt" }),
            call("delete", { paths: ["d.txt"] }),
            call("delete", { paths: ["e.txt"] }),
            call("move", { from: "f.txt", to: "e.txt" }),
          ],
        },
        { say: "Done." },
      ],
    },
    files: { "a.txt": "a\n", "b.txt": "b\n", "c.txt": "c\n", "e.txt": "e\n", "f.txt": "f\n" },
  });
  const before = await treeOf(play.root);
  const { sessionId, turnId } = await play.prompt("Go");
  expect(errorsOf(play)).toEqual([]);
  expect([await play.read("a.txt"), await play.read("b.txt"), await play.read("e.txt")]).toEqual(["b\n", "a\n", "f\n"]);
  await play.local.host.undo({ sessionId, turnId });
  expect(await treeOf(play.root)).toEqual(before);
});

test("undo leaves alone what others put in the place, or changed since", async () => {
  await using play = await startPlay({
    script: {
      steps: [
        {
          calls: [
            call("delete", { paths: ["gone.txt"] }),
            call("move", { from: "a.txt", to: "b.txt" }),
            call("move", { from: "c.txt", to: "d.txt" }),
            call("write", { path: "new/file.txt", text: "made\n" }),
          ],
        },
        { say: "Done." },
      ],
    },
    files: { "gone.txt": "gone\n", "a.txt": "a\n", "c.txt": "one\ntwo\n" },
  });
  const { sessionId, turnId } = await play.prompt("Go");
  await writeFile(join(play.root, "gone.txt"), "mine\n");
  await writeFile(join(play.root, "a.txt"), "mine too\n");
  await writeFile(join(play.root, "d.txt"), "one\ntwo, mine\n");
  await writeFile(join(play.root, "new/mine.txt"), "mine as well\n");
  const { files: undone } = await play.local.host.undo({ sessionId, turnId });
  const outcomes = Object.fromEntries(undone.map(({ uri, outcome }) => [uri.slice(uri.lastIndexOf("/") + 1), outcome]));
  expect(outcomes).toEqual({
    "gone.txt": "conflict",
    "b.txt": "conflict",
    "c.txt": "restored",
    "file.txt": "restored",
  });
  const texts = await Promise.all(["gone.txt", "a.txt", "b.txt", "c.txt", "new/mine.txt"].map(play.read));
  expect(texts).toEqual(["mine\n", "mine too\n", "a\n", "one\ntwo, mine\n", "mine as well\n"]);
});

test("unsaved text moves along through the editor and back; a dirty file is not deleted", async () => {
  const editor = createFakeEditor();
  await using play = await startPlay({
    script: {
      steps: [
        { calls: [call("delete", { paths: ["a.txt"] })] },
        { calls: [call("move", { from: "a.txt", to: "b.txt" })] },
        { calls: [call("edit", { path: "b.txt", old: "one\n", new: "ONE\n" })] },
        { say: "Done." },
      ],
    },
    files: { "a.txt": "one\ntwo\nthree\n" },
    host: { editor },
  });
  const uriOf = (path: string) => pathToFileURL(join(play.root, path)).href;
  editor.open(uriOf("a.txt"));
  editor.type(uriOf("a.txt"), "one\ntwo\nthree, unsaved\n");
  const { sessionId, turnId } = await play.prompt("Go");
  expect(errorsOf(play)).toEqual([expect.stringContaining("unsaved changes")]);
  expect(editor.openDocument(uriOf("a.txt"))).toBeUndefined();
  expect(editor.openDocument(uriOf("b.txt"))?.text).toBe("ONE\ntwo\nthree, unsaved\n");
  await play.local.host.undo({ sessionId, turnId });
  expect(editor.openDocument(uriOf("a.txt"))?.text).toBe("one\ntwo\nthree, unsaved\n");
  expect(editor.isDirty(uriOf("a.txt"))).toBe(true);
  expect(await treeOf(play.root).then(Object.keys)).toEqual(["a.txt"]);
});

const refusals = [
  [call("move", { from: "a.txt", to: "b.txt" }), "b.txt exists already"],
  [call("move", { from: "a.txt", to: "folder" }), "folder exists already"],
  [call("move", { from: "a.txt", to: "dangling" }), "dangling exists already"],
  [call("move", { from: "a.txt", to: "a.txt" }), "are the same path"],
  [call("move", { from: "a.txt", to: "b.txt/c.txt" }), "a part of its path is a file"],
  [call("move", { from: "folder", to: "folder/inner" }), "cannot be moved into itself"],
  [call("move", { from: "empty", to: "full" }), "has no files in it"],
  [call("delete", { paths: ["."] }), "The workspace's own folder"],
  [call("delete", { paths: ["b.txt", "missing.txt"] }), "missing.txt does not exist"],
  [call("delete", { paths: [".git"] }), ".git belongs to git itself"],
  [call("move", { from: "a.txt", to: ".git/a" }), ".git/a belongs to git itself"],
] as const;

const rules = [
  [call("delete", { paths: ["folder"] }), "deny edit(folder/keep.txt)"],
  [call("move", { from: "a.txt", to: "folder/a.txt" }), "deny edit(folder/**)"],
  [call("move", { from: "secret", to: "shown" }), "deny read(secret/**)"],
  [call("delete", { paths: ["link"] }), "deny edit(link)"],
  [call("move", { from: "moved", to: "guarded" }), "deny edit(guarded/x/*)"],
] as const;

test("refusals change nothing: places that are taken, the root, git's own files, what rules hold back", async () => {
  const content = {
    "a.txt": "a\n",
    "b.txt": "b\n",
    "folder/keep.txt": "kept\n",
    "secret/key": "k\n",
    "moved/x/y": "y\n",
    ".git/HEAD": "x\n",
  };
  const script = (calls: readonly ReturnType<typeof call>[]): Script => ({
    steps: [...calls.map((one) => ({ calls: [one] })), { say: "Done." }],
  });
  await using play = await startPlay({ script: script(refusals.map(([one]) => one)), files: content });
  await symlink("nowhere", join(play.root, "dangling"));
  await mkdir(join(play.root, "empty"));
  const before = await treeOf(play.root);
  await play.prompt("Go");
  expect(errorsOf(play)).toEqual(refusals.map(([, message]) => expect.stringContaining(message)));
  expect(await treeOf(play.root)).toEqual(before);

  const settings = { "permissions.rules": rules.map(([, rule]) => rule) as never };
  await using ruled = await startPlay({ script: script(rules.map(([one]) => one)), files: content, settings });
  await symlink("a.txt", join(ruled.root, "link"));
  await ruled.prompt("Go");
  expect(errorsOf(ruled)).toEqual(rules.map(([, rule]) => expect.stringContaining(rule.slice("deny ".length))));
  expect(await ruled.read("secret/key")).toBe("k\n");
});
