/**
 * Destructive commands, really run on dirty files in git repositories: undoing the turn brings back every byte and
 * permission bit, or the approval said beforehand what it could not bring back.
 *
 * Easily got wrong: each command must do damage here, or its row shows nothing; so that is asserted first.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PendingFile } from "../../server/src/protocol/review.ts";
import type { PermissionRequest } from "../../server/src/protocol/types.ts";
import { createFakeEditor } from "../support/fakeEditor.ts";
import { type PlayOptions, startPlay } from "../support/play.ts";

let folder: string;
const template = () => join(folder, "template");

const bytes = (seed: number, length: number) => Uint8Array.from({ length }, (_, at) => (at * seed + (at >> 3)) % 256);

function write(root: string, files: { readonly [path: string]: string | Uint8Array }): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

function git(cwd: string, ...args: readonly string[]): void {
  execFileSync("git", ["-c", "init.defaultBranch=main", ...args], {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: "1" },
  });
}

/** A repository with every kind of uncommitted work. */
function makeTemplate(): void {
  const root = template();
  mkdirSync(root);
  git(root, "init", "-q");
  git(root, "config", "user.name", "Test");
  git(root, "config", "user.email", "test@localhost");
  const committed = {
    "a.txt": "a, first\n",
    "clean.txt": "clean, first\n",
    "staged.txt": "staged, committed\n",
    "both.txt": "both, committed\n",
    "picture.dat": bytes(3, 5_000),
    "clean.dat": bytes(5, 5_000),
    "dir/deep.txt": "deep, committed\n",
    "dir/clean.txt": "one\ntwo\nthree\n",
    "sp ace.txt": "blank, committed\n",
    "crlf.txt": "one\r\ntwo\r\n",
    "locked.txt": "locked\n",
    "run.sh": "#!/bin/sh\nrm -rf dir\n",
    "package.json": '{ "name": "x", "version": "1.0.0", "scripts": { "wipe": "git checkout -- ." } }\n',
    ".gitignore": "*.log\nignored/\n",
  };
  write(root, committed);
  chmodSync(join(root, "run.sh"), 0o755);
  chmodSync(join(root, "locked.txt"), 0o444);
  git(root, "add", "-A");
  git(root, "commit", "-qm", "first");
  write(root, { "clean.txt": "clean, second\n", "a.txt": "a, committed\n" });
  git(root, "commit", "-qam", "second");
  write(root, { "staged.txt": "staged, mine\n", "both.txt": "both, staged\n", "staged new.txt": "staged and new\n" });
  git(root, "add", "-A");
  write(root, {
    "a.txt": "a, mine\n",
    "both.txt": "both, mine\n",
    "picture.dat": bytes(7, 6_000),
    "dir/deep.txt": "\uFEFFdeep, mine",
    "dir/new/inner.txt": "inner\n",
    "sp ace.txt": "blank, mine\n",
    "new.txt": "new\n",
    "ünï.txt": "ünï\n",
    "latin.txt": Uint8Array.from([0x63, 0x61, 0x66, 0xe9, 10]),
    "debug.log": "a log\n",
    "ignored/secret.env": "KEY=1\n",
  });
  chmodSync(join(root, "new.txt"), 0o600);
}

/** Every file outside of `.git`, with its permission bits and bytes. */
function stateOf(root: string): { readonly [path: string]: string } {
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => !/^\.git(\/|$)/.test(path));
  const files = paths.filter((path) => !lstatSync(join(root, path)).isDirectory()).sort();
  return Object.fromEntries(
    files.map((path) => {
      const { mode } = lstatSync(join(root, path));
      return [path, `${(mode & 0o7777).toString(8)} ${readFileSync(join(root, path)).toString("latin1")}`];
    }),
  );
}

async function startShell(command: string, options: Partial<PlayOptions> = {}) {
  const asked: PermissionRequest[] = [];
  const play = await startPlay({
    script: { steps: [{ calls: [{ name: "shell", input: { command } }] }, { say: "Done." }] },
    ask: async (request) => {
      asked.push(request);
      return "allow_once";
    },
    ...options,
  });
  return { play, detail: () => asked.map(({ detail }) => detail).join("\n") };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hermes-damage-"));
  mkdirSync(join(folder, "empty"));
  makeTemplate();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Undone whole. */
const restored: readonly string[] = [
  "git reset --hard",
  "git reset -q --hard HEAD~1",
  "git checkout -- .",
  "git checkout .",
  "git checkout HEAD~1 -- clean.txt a.txt",
  "git checkout -f HEAD~1",
  "git clean -fd",
  "git clean -fdx",
  "git stash",
  "git stash push -u",
  "git stash -a",
  "git restore .",
  "git restore --source=HEAD~1 --staged --worktree .",
  "git rm -rf dir",
  "git switch -q --discard-changes --detach HEAD~1",
  "git -C dir checkout -- .",
  "rm a.txt new.txt picture.dat",
  "rm -rf dir",
  "rm *.txt",
  "rm -f debug.log ignored/secret.env",
  "rm -rf ignored",
  'rm "sp ace.txt" ünï.txt latin.txt',
  "unlink new.txt",
  "shred -u new.txt picture.dat",
  "truncate -s 0 picture.dat debug.log",
  "mv new.txt a.txt",
  "mv -f dir/deep.txt latin.txt",
  "cp clean.dat picture.dat",
  "ln -f clean.txt a.txt",
  "dd if=/dev/zero of=picture.dat bs=10 count=3",
  "echo gone > new.txt",
  ": >| debug.log",
  "ls &> a.txt",
  "echo gone | tee a.txt new.txt",
  "sort -o dir/clean.txt dir/clean.txt",
  "sed -i s/mine/theirs/ a.txt both.txt locked.txt crlf.txt && sed -i 's/o/0/g' locked.txt",
  "perl -pi -e 's/e/3/g' crlf.txt latin.txt dir/clean.txt",
  "find . -name '*.txt' -not -path './.git/*' -delete",
  "find dir -type f -exec rm {} \\;",
  "find dir -type f -print0 | xargs -0 rm",
  "env X=1 nohup nice -n 5 timeout 20 rm -r dir",
  "bash -c 'cd dir && rm -f deep.txt new/inner.txt'",
  "sh run.sh",
  "./run.sh",
  "npm run -s wipe",
  "true && (cd dir; rm clean.txt); false || rm new.txt",
  "echo $(rm a.txt)",
  "if true; then\n  # all of it\n  rm -rf dir\nfi",
  "eval 'rm a.txt'",
  "rm .gitignore",
  "rm -rf dir && echo file > dir",
  "rm new.txt && mkdir new.txt && echo x > new.txt/x",
];

/** Not undone whole, and what the approval says of it. */
const warned: readonly (readonly [string, RegExp])[] = [
  ["rm -rf .git a.txt", /cannot bring back: .*git's own files/],
  ["find . -type f -delete", /cannot bring back: .*git's own files/],
  ["git ls-files -o | xargs rm", /cannot bring back: .*files that git ignores/],
  ["rm ../outside.txt", /cannot bring back: .*\.\.\/outside\.txt, outside of the workspace/],
  ["git stash drop", /cannot bring back: what git itself keeps/],
];

describe("every byte comes back after", () => {
  test.each(restored.map((command) => ({ command })))("$command", async ({ command }) => {
    const { play, detail } = await startShell(command);
    await using _ = play;
    cpSync(template(), play.root, { recursive: true, preserveTimestamps: true });
    const before = stateOf(play.root);
    const { sessionId, turnId } = await play.prompt("Destroy something.");
    expect(stateOf(play.root)).not.toEqual(before);
    expect(detail()).toMatch(/This can destroy uncommitted work: .*\. Hermes keeps before-images of \d+ files?\./);
    expect(play.events().filter(({ type }) => type === "notice")).toEqual([]);
    const { files } = await play.local.host.undo({ sessionId, turnId });
    expect(files.filter(({ outcome }) => outcome !== "restored")).toEqual([]);
    expect(stateOf(play.root)).toEqual(before);
  });
});

describe("the approval says what cannot come back after", () => {
  test.each(warned.map(([command, says]) => ({ command, says })))("$command", async ({ command, says }) => {
    const { play, detail } = await startShell(command);
    await using _ = play;
    cpSync(template(), play.root, { recursive: true, preserveTimestamps: true });
    writeFileSync(join(play.root, "../outside.txt"), "outside\n");
    git(play.root, "stash", "store", "-m", "stored", "HEAD");
    const before = stateOf(play.root);
    const { sessionId, turnId } = await play.prompt("Destroy something.");
    expect(detail()).toMatch(says);
    await play.local.host.undo({ sessionId, turnId });
    // What is not ignored comes back all the same.
    expect(stateOf(play.root)).toMatchObject(
      Object.fromEntries(Object.entries(before).filter(([path]) => !/\.log$|^ignored/.test(path))),
    );
  });
});

test("without git, what the session changed and what the command names comes back", async () => {
  const script = {
    steps: [
      { calls: [{ name: "write", input: { path: "mine.txt", text: "written\n" } }] },
      { calls: [{ name: "shell", input: { command: "node wipe.mjs; rm named.txt" } }] },
      { say: "Done." },
    ],
  };
  const wipe =
    'import { writeFileSync } from "node:fs";\nfor (const f of ["mine.txt", "other.txt"]) writeFileSync(f, "");\n';
  const { play, detail } = await startShell("", {
    script,
    files: { "wipe.mjs": wipe, "named.txt": "named\n", "other.txt": "other\n" },
  });
  await using _ = play;
  const { sessionId, turnId } = await play.prompt("Write, then wipe.");
  expect(detail()).toContain("Undo cannot bring back: files that Hermes has not changed itself");
  expect(play.events().flatMap((event) => (event.type === "notice" ? [event.message] : []))).toEqual([
    "Undoing this turn does not bring back what the command changed here, as there was no before-image: other.txt.",
  ]);
  const changes = play.events().flatMap((event) => (event.type === "file_changed" ? [event.change] : []));
  expect(changes.map(({ addedLines, removedLines }) => [addedLines, removedLines])).toEqual([
    [1, 0],
    [0, 1],
    [0, 1],
  ]);
  await play.local.host.undo({ sessionId, turnId });
  expect(Object.keys(stateOf(play.root))).toEqual(["named.txt", "other.txt", "wipe.mjs"]);
});

test("a repository without commits: staged and untracked files come back", async () => {
  const { play } = await startShell("git rm -q -rf --cached . && git clean -fdq", {
    files: { "a.txt": "a\n", "b.txt": "b\n" },
  });
  await using _ = play;
  git(play.root, "init", "-q");
  git(play.root, "add", "a.txt");
  const before = stateOf(play.root);
  const { sessionId, turnId } = await play.prompt("Clean.");
  expect(stateOf(play.root)).toEqual({});
  await play.local.host.undo({ sessionId, turnId });
  expect(stateOf(play.root)).toEqual(before);
});

test("line endings that git converts come back as they were, and content behind a filter is not made up", async () => {
  const { play } = await startShell("rm unix.txt large.bin");
  await using _ = play;
  git(play.root, "init", "-q");
  git(play.root, "config", "core.autocrlf", "true");
  git(play.root, "config", "filter.short.clean", "head -c 3");
  write(play.root, {
    ".gitattributes": "large.bin filter=short\n",
    "unix.txt": "one\r\ntwo\r\n",
    "large.bin": "pointer to more",
  });
  git(play.root, "add", "-A");
  git(play.root, "-c", "user.name=T", "-c", "user.email=t@localhost", "commit", "-qm", "first");
  const { sessionId, turnId } = await play.prompt("Remove.");
  const notices = play.events().flatMap((event) => (event.type === "notice" ? [event.message] : []));
  expect(notices).toEqual([expect.stringContaining("large.bin")]);
  await play.local.host.undo({ sessionId, turnId });
  expect(await play.read("unix.txt")).toBe("one\r\ntwo\r\n");
  expect(Object.keys(stateOf(play.root))).not.toContain("large.bin");
});

test("files that only come into sight are not taken for new ones, so undo leaves them", async () => {
  const { play } = await startShell("rm .gitignore; echo made > made.txt");
  await using _ = play;
  cpSync(template(), play.root, { recursive: true });
  const before = stateOf(play.root);
  const { sessionId, turnId } = await play.prompt("Go.");
  const changed = play.events().flatMap((event) => (event.type === "file_changed" ? [event.change.uri] : []));
  expect(changed.map((uri) => uri.split("/").at(-1))).toEqual([".gitignore", "made.txt"]);
  await play.local.host.undo({ sessionId, turnId });
  expect(stateOf(play.root)).toEqual(before);
});

test("folders that a command made go with their files, and those that were there before stay", async () => {
  const { play } = await startShell("mkdir -p a/b && echo f | tee a/b/f.txt a/g.txt old/h.txt");
  await using _ = play;
  git(play.root, "init", "-q");
  // Its time of birth cannot be set, but it was made before all of this file's repositories.
  renameSync(join(folder, "empty"), join(play.root, "old"));
  const { sessionId, turnId } = await play.prompt("Make folders.");
  expect(Object.keys(stateOf(play.root))).toEqual(["a/b/f.txt", "a/g.txt", "old/h.txt"]);
  await play.local.host.undo({ sessionId, turnId });
  expect(readdirSync(play.root).sort()).toEqual([".git", "old"]);
});

test("what only reads is not scanned, and a command that fails or is stopped is recorded", async () => {
  const { play } = await startShell("", {
    script: {
      steps: [
        { calls: [{ name: "shell", input: { command: "cat a.txt" } }] },
        { calls: [{ name: "shell", input: { command: "chmod +x a.txt; echo b > b.bin; exit 3" } }] },
        { calls: [{ name: "shell", input: { command: "rm a.txt; sleep 60", timeoutSeconds: 1 } }] },
        { say: "Done." },
      ],
    },
    files: { "a.txt": "a\n" },
  });
  await using _ = play;
  git(play.root, "init", "-q");
  const before = stateOf(play.root);
  const { sessionId, turnId } = await play.prompt("Go.");
  const changes = play.events().flatMap((event) => (event.type === "file_changed" ? [event] : []));
  expect(changes.map(({ change }) => change.uri.split("/").at(-1))).toEqual(["a.txt", "b.bin", "a.txt"]);
  expect(new Set(changes.map(({ callId }) => callId)).size).toBe(2);
  await play.local.host.undo({ sessionId, turnId });
  expect(stateOf(play.root)).toEqual(before);
});

test("unsaved text is left alone: the file under it is a conflict when it is not text", async () => {
  const editor = createFakeEditor();
  const { play } = await startShell("printf 'x\\0y' > a.txt", { files: { "a.txt": "a\n" }, host: { editor } });
  await using _ = play;
  git(play.root, "init", "-q");
  const uri = pathToFileURL(join(play.root, "a.txt")).href;
  editor.open(uri);
  editor.type(uri, "mine, unsaved\n");
  const { sessionId, turnId } = await play.prompt("Go.");
  const { files } = await play.local.host.undo({ sessionId, turnId });
  expect(files.map(({ outcome }) => outcome)).toEqual(["conflict"]);
  expect(editor.openDocument(uri)?.text).toBe("mine, unsaved\n");
  expect(editor.isDirty(uri)).toBe(true);
});

test("what the user saves while a command runs stays the user's", async () => {
  const editor = createFakeEditor();
  const command = "echo ready; until [ -e .git/go ]; do sleep 0.02; done; rm b.txt";
  const { play } = await startShell(command, { files: { "a.txt": "a\n", "b.txt": "b\n" }, host: { editor } });
  await using _ = play;
  git(play.root, "init", "-q");
  const uri = pathToFileURL(join(play.root, "a.txt")).href;
  editor.open(uri);
  const turn = play.prompt("Go.");
  await play.until((update) => update.type === "tool_output_delta");
  editor.type(uri, "a, typed\n");
  await editor.save(uri, editor.openDocument(uri) ?? none);
  writeFileSync(join(play.root, ".git/go"), "");
  const { sessionId, turnId } = await turn;
  expect(play.events().flatMap((event) => (event.type === "notice" ? [event.message] : []))).toEqual([
    expect.stringMatching(/^You saved these files while a command ran, .*a\.txt\.$/),
  ]);
  const { files } = await play.local.host.undo({ sessionId, turnId });
  expect(files.map(({ outcome }) => outcome)).toEqual(["restored"]);
  expect([await play.read("a.txt"), await play.read("b.txt")]).toEqual(["a, typed\n", "b\n"]);
});

test("what a command changed is pending and reviewed like any edit, binary files as a whole", async () => {
  const told: (readonly PendingFile[])[] = [];
  const { play } = await startShell("sed -i s/two/TWO/ a.txt; rm c.bin; echo new > d.txt", {
    files: { "a.txt": "one\ntwo\n", "c.bin": Uint8Array.from([1, 0, 2]) },
    host: { onReview: (_, files) => void told.push(files) },
  });
  await using _ = play;
  git(play.root, "init", "-q");
  const before = stateOf(play.root);
  const { sessionId, turnId } = await play.prompt("Go.");
  await play.local.host.refreshReview(sessionId);
  expect(told.at(-1)?.map(({ uri, status, hunks }) => [uri.split("/").at(-1), status, hunks.length])).toEqual([
    ["a.txt", "modified", 1],
    ["c.bin", "deleted", 1],
    ["d.txt", "added", 1],
  ]);
  await play.local.host.undo({ sessionId, turnId });
  expect(stateOf(play.root)).toEqual(before);
  await play.local.host.refreshReview(sessionId);
  expect(told.at(-1)).toEqual([]);
});

/** For a document that is not open. */
const none = { text: "", version: 0 };
