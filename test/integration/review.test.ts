/** Review by hunk through a real host: on disk, in an editor, while a turn runs, and after a restart. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { createLocalHost } from "../../server/src/main/local.ts";
import * as clientMethods from "../../server/src/protocol/clientMethods.ts";
import * as methods from "../../server/src/protocol/methods.ts";
import type { PendingFile } from "../../server/src/protocol/review.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { createFakeEditor } from "../support/fakeEditor.ts";
import { type Script, startModelDouble } from "../support/modelDouble.ts";
import { type Play, type PlayOptions, startPlay } from "../support/play.ts";
import { startHost } from "../support/processes.ts";
import { seeded } from "../unit/workspace/seeded.ts";

const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}\n`).join("");
const original = lines(1, 40);

/** Five edits, far from each other: two changes, a deletion, an addition, a change. */
const fiveEdits = [
  { old: "line 3\n", new: "three\n" },
  { old: "line 10\n", new: "ten\nten and a half\n" },
  { old: "line 17\nline 18\n", new: "" },
  { old: "line 25\n", new: "line 25\nnew\n" },
  { old: "line 33\n", new: "thirty-three\n" },
];

function editing(path: string, edits: readonly { readonly old: string; readonly new: string }[]): Script {
  return {
    steps: [
      { calls: [{ name: "read", input: { files: [{ path }] } }] },
      { calls: edits.map((edit) => ({ name: "edit", input: { path, ...edit } })) },
      { say: "Done." },
    ],
  };
}

const applied = (text: string, edits: readonly { readonly old: string; readonly new: string }[]) =>
  edits.reduce((result, edit) => result.replace(edit.old, edit.new), text);

/** A play that also hears what is pending. */
async function startReview(options: PlayOptions) {
  const told: { readonly sessionId: SessionId; readonly files: readonly PendingFile[] }[] = [];
  const watchers = new Set<() => void>();
  const onReview = (sessionId: SessionId, files: readonly PendingFile[]) => {
    told.push({ sessionId, files });
    for (const watcher of [...watchers]) watcher();
  };
  const play = await startPlay({ ...options, host: { onReview, ...options.host } });
  const pending = async (sessionId: SessionId) => {
    await play.local.host.refreshReview(sessionId);
    return told.at(-1)?.files ?? [];
  };
  const hunks = async (sessionId: SessionId) => (await pending(sessionId)).flatMap((file) => file.hunks);
  const untilTold = (test: (files: readonly PendingFile[]) => boolean) =>
    new Promise<void>((resolve) => {
      const watcher = () => {
        if (!test(told.at(-1)?.files ?? [])) return;
        watchers.delete(watcher);
        resolve();
      };
      watchers.add(watcher);
      watcher();
    });
  return { play, told, pending, hunks, untilTold, [Symbol.asyncDispose]: () => play[Symbol.asyncDispose]() };
}

const signal = new AbortController().signal;
const uriOf = (play: Play, path: string) => pathToFileURL(join(play.root, path)).href;

test("hunks are kept and undone one by one, and nothing else moves", async () => {
  await using review = await startReview({ script: editing("a.txt", fiveEdits), files: { "a.txt": original } });
  const { play } = review;
  const { sessionId, turnId } = await play.prompt("Edit");
  await review.untilTold(([file]) => file?.hunks.length === 5);
  const [file] = await review.pending(sessionId);
  expect(file).toMatchObject({ uri: uriOf(play, "a.txt"), status: "modified", addedLines: 5, removedLines: 5 });
  expect(file?.hunks.map(({ fromLine, lineCount, before }) => ({ fromLine, lineCount, before }))).toEqual([
    { fromLine: 3, lineCount: 1, before: ["line 3"] },
    { fromLine: 10, lineCount: 2, before: ["line 10"] },
    { fromLine: 18, lineCount: 0, before: ["line 17", "line 18"] },
    { fromLine: 25, lineCount: 1, before: [] },
    { fromLine: 33, lineCount: 1, before: ["line 33"] },
  ]);
  expect(file?.hunks.every(({ turnIds }) => turnIds.length === 1 && turnIds[0] === turnId)).toBe(true);
  expect(await play.local.host.readBlob({ blob: file?.shadow ?? ("" as never) })).toEqual({ text: original });

  const uri = uriOf(play, "a.txt");
  const [first, , third, , fifth] = file?.hunks ?? [];
  const { host } = play.local;
  const kept = await host.review({ sessionId, action: "keep", uri, hunkId: first?.id ?? "" }, signal);
  expect(kept.files).toEqual([{ uri, outcome: "unchanged" }]);
  const undone = await host.review({ sessionId, action: "undo", uri, hunkId: third?.id ?? "" }, signal);
  expect(undone.files).toEqual([{ uri, outcome: "restored" }]);
  expect(await play.read("a.txt")).toBe(
    applied(
      original,
      [0, 1, 3, 4].flatMap((at) => fiveEdits[at] ?? []),
    ),
  );
  await host.review({ sessionId, action: "undo", uri, hunkId: fifth?.id ?? "" }, signal);
  expect(await play.read("a.txt")).toBe(
    applied(
      original,
      [0, 1, 3].flatMap((at) => fiveEdits[at] ?? []),
    ),
  );
  expect(await review.hunks(sessionId)).toHaveLength(2);
  await expect(host.review({ sessionId, action: "undo", uri, hunkId: third?.id ?? "" }, signal)).rejects.toMatchObject({
    code: "stale_hunk",
  });
  await host.review({ sessionId, action: "undo" }, signal);
  expect(await play.read("a.txt")).toBe(applied(original, fiveEdits.slice(0, 1)));
  expect(await review.pending(sessionId)).toEqual([]);
  const stored = play.events().filter((event) => event.type === "hunks_reviewed");
  expect(stored.map(({ action, hunks }) => [action, hunks])).toEqual([
    ["keep", 1],
    ["undo", 1],
    ["undo", 1],
    ["undo", 2],
  ]);
});

test("what the user types is theirs, and a new host sees the same hunks", async () => {
  const editor = createFakeEditor();
  await using review = await startReview({
    script: editing("a.txt", fiveEdits),
    files: { "a.txt": original },
    host: { editor },
  });
  const { play } = review;
  const uri = uriOf(play, "a.txt");
  editor.open(uri);
  const { sessionId } = await play.prompt("Edit");
  const typed = (editor.openDocument(uri)?.text ?? "").replace("line 6\n", "mine\n").replace("ten\n", "ten, I say\n");
  editor.type(uri, typed);
  await play.local.host.filesChanged([uri]);
  await review.untilTold(([file]) => file?.hunks.some(({ before }) => before.includes("line 10")) ?? false);
  const before = await review.pending(sessionId);
  expect(before[0]?.hunks).toHaveLength(5);
  expect((await play.local.host.readBlob({ blob: before[0]?.shadow ?? ("" as never) })).text).toBe(
    original.replace("line 6\n", "mine\n"),
  );
  await play.local.host.review({ sessionId, action: "undo", uri, hunkId: before[0]?.hunks[2]?.id ?? "" }, signal);
  expect(editor.isDirty(uri)).toBe(true);
  expect(await play.read("a.txt")).toBe(applied(original, fiveEdits));
  const now = await review.pending(sessionId);
  expect(now[0]?.hunks).toHaveLength(4);

  const heard: (readonly PendingFile[])[] = [];
  const second = await createLocalHost({
    config: play.config,
    environment: {},
    root: play.root,
    trusted: () => true,
    ask: async () => "deny",
    onUpdate: () => undefined,
    onReview: (_, files) => heard.push(files),
    editor,
  });
  try {
    await second.host.refreshReview(sessionId);
    expect(heard.at(-1)).toEqual(now);
    await second.host.review({ sessionId, action: "undo", uri }, signal);
    expect(editor.openDocument(uri)?.text).toBe(original.replace("line 6\n", "mine\n"));
    expect(heard.at(-1)).toEqual([]);
  } finally {
    await second.close();
  }
});

test("an added file goes, unless the user has a hand in it", async () => {
  await using review = await startReview({
    script: {
      steps: [
        {
          calls: [
            { name: "write", input: { path: "new.txt", text: "fresh\n" } },
            { name: "write", input: { path: "mine.txt", text: "fresh\n" } },
          ],
        },
        { say: "Done." },
      ],
    },
  });
  const { play } = review;
  const { sessionId } = await play.prompt("Write");
  const files = await review.pending(sessionId);
  expect(files.map(({ status, hunks, shadow }) => ({ status, shadow, hunks: hunks.length }))).toEqual([
    { status: "added", shadow: null, hunks: 1 },
    { status: "added", shadow: null, hunks: 1 },
  ]);
  await writeFile(join(play.root, "mine.txt"), "fresh\nand my words\n");
  const { files: outcomes } = await play.local.host.review({ sessionId, action: "undo" }, signal);
  // Both were written at once, so either may come first.
  expect(outcomes.map(({ uri, outcome }) => `${uri.slice(uri.lastIndexOf("/") + 1)} ${outcome}`).sort()).toEqual([
    "mine.txt conflict",
    "new.txt restored",
  ]);
  expect(existsSync(join(play.root, "new.txt"))).toBe(false);
  expect(await play.read("mine.txt")).toBe("fresh\nand my words\n");
});

test("review goes on while a turn runs, and the model is not misled by it", async () => {
  await using review = await startReview({
    script: {
      steps: [
        { calls: [{ name: "read", input: { files: [{ path: "a.txt" }] } }] },
        {
          calls: [
            { name: "edit", input: { path: "a.txt", old: "line 3\n", new: "three\n" } },
            { name: "edit", input: { path: "a.txt", old: "line 30\n", new: "thirty\n" } },
          ],
        },
        { hold: "go", calls: [{ name: "edit", input: { path: "a.txt", old: "three\n", new: "THREE\n" } }] },
        { calls: [{ name: "edit", input: { path: "a.txt", old: "line 20\n", new: "twenty\n" } }] },
        { say: "Done." },
      ],
    },
    files: { "a.txt": original },
  });
  const { play } = review;
  const { sessionId } = await play.local.host.newSession({});
  const turn = play.prompt("Edit", { sessionId });
  await play.until((update) => update.type === "step_finished" && update.step === 2);
  const uri = uriOf(play, "a.txt");
  const [first] = await review.hunks(sessionId);
  await play.local.host.review({ sessionId, action: "undo", uri, hunkId: first?.id ?? "" }, signal);
  play.double.release("go");
  await turn;
  const results = play.events().filter((event) => event.type === "tool_result");
  expect(results[3]).toMatchObject({
    isError: true,
    text: expect.stringContaining("a.txt has changed since you read it"),
  });
  expect(await play.read("a.txt")).toBe(original.replace("line 30\n", "thirty\n").replace("line 20\n", "twenty\n"));
  expect((await review.hunks(sessionId)).map(({ before }) => before)).toEqual([["line 20"], ["line 30"]]);
});

test("an agent, a typist and a reviewer at once: each line is as its last writer left it", async () => {
  const long = lines(1, 200);
  const steps = Array.from({ length: 6 }, (_, step) => ({
    calls: Array.from({ length: 5 }, (_, call) => {
      const line = 3 + 6 * (step * 5 + call);
      return { name: "edit", input: { path: "a.txt", old: `line ${line}\n`, new: `edited ${line}\n` } };
    }),
  }));
  const editor = createFakeEditor();
  await using review = await startReview({
    script: {
      steps: [{ calls: [{ name: "read", input: { files: [{ path: "a.txt" }] } }] }, ...steps, { say: "Done." }],
    },
    files: { "a.txt": long },
    host: { editor },
  });
  const { play } = review;
  const uri = uriOf(play, "a.txt");
  editor.open(uri);
  const random = seeded(7);
  const typed: string[] = [];
  editor.beforeEdit = () => {
    if (typed.length === 12 || random.below(2) === 0) return;
    const line = 6 * (1 + typed.length);
    typed.push(`line ${line}\n`);
    editor.type(uri, (editor.openDocument(uri)?.text ?? "").replace(`line ${line}\n`, `line ${line}\nmine ${line}\n`));
  };
  const { sessionId } = await play.local.host.newSession({});
  const kept = new Set<string>();
  let isRunning = true;
  const turn = play.prompt("Edit", { sessionId }).finally(() => {
    isRunning = false;
  });
  while (isRunning) {
    const hunks = await review.hunks(sessionId);
    const hunk = hunks[random.below(Math.max(1, hunks.length))];
    if (!hunk) {
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    const action: "keep" | "undo" = random.below(2) === 0 ? "keep" : "undo";
    const done = await play.local.host
      .review({ sessionId, action, uri, hunkId: hunk.id }, signal)
      .catch(() => undefined);
    if (done?.files[0]?.outcome === "unchanged") kept.add(hunk.before[0] ?? "");
  }
  expect(await turn).toMatchObject({ stopReason: "end_turn" });
  // An edit is given up when the file has changed under it four times in a row.
  const outcomes = play.events().filter((event) => event.type === "tool_result");
  expect(outcomes.filter(({ isError }) => !isError).length).toBeGreaterThan(20);
  await play.local.host.review({ sessionId, action: "undo" }, signal);
  expect(await review.pending(sessionId)).toEqual([]);
  const expected = typed.reduce((text, line) => text.replace(line, line + line.replace("line", "mine")), long);
  const withKept = [...kept].reduce(
    (text, line) => text.replace(`${line}\n`, `${line.replace("line", "edited")}\n`),
    expected,
  );
  expect(editor.openDocument(uri)?.text).toBe(withKept);
  expect(typed.length).toBeGreaterThan(0);
  expect(kept.size).toBeGreaterThan(0);
});

test("what a command changed is reviewed like any edit", async () => {
  const image = new Uint8Array([137, 80, 78, 71, 0, 1, 2, 3]);
  const command =
    "sed -i 's/line 20$/twenty/' a.txt && echo more > made.txt && rm gone.txt && printf '\\000x' > logo.png";
  await using review = await startReview({
    script: {
      steps: [
        { calls: [{ name: "read", input: { files: [{ path: "a.txt" }] } }] },
        { calls: [{ name: "edit", input: { path: "a.txt", old: "line 3\n", new: "three\n" } }] },
        { calls: [{ name: "shell", input: { command } }] },
        { say: "Done." },
      ],
    },
    files: { "a.txt": original, "gone.txt": "here\n", "logo.png": image },
  });
  const { play } = review;
  const { sessionId } = await play.prompt("Edit");
  const files = await review.pending(sessionId);
  const names = files.map(({ uri, status, hunks }) => [uri.slice(uri.lastIndexOf("/") + 1), status, hunks.length]);
  expect(names.sort()).toEqual([
    ["a.txt", "modified", 2],
    ["gone.txt", "deleted", 1],
    ["logo.png", "modified", 1],
    ["made.txt", "added", 1],
  ]);
  const { files: outcomes } = await play.local.host.review({ sessionId, action: "undo" }, signal);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(Array(4).fill("restored"));
  expect(await play.read("a.txt")).toBe(original);
  expect(await play.read("gone.txt")).toBe("here\n");
  expect(existsSync(join(play.root, "made.txt"))).toBe(false);
  expect(new Uint8Array(await readFile(join(play.root, "logo.png")))).toEqual(image);
  expect(await review.pending(sessionId)).toEqual([]);
});

test("undoing a turn takes its hunks off the list and leaves another turn's", async () => {
  await using review = await startReview({
    script: {
      steps: [
        ...(editing("a.txt", fiveEdits.slice(0, 2)).steps ?? []),
        { calls: [{ name: "edit", input: { path: "a.txt", old: "line 33\n", new: "thirty-three\n" } }] },
        { say: "Done." },
      ],
    },
    files: { "a.txt": original },
  });
  const { play } = review;
  const { sessionId, turnId } = await play.prompt("Edit");
  const later = await play.prompt("More", { sessionId });
  expect(await review.hunks(sessionId)).toHaveLength(3);
  const { host } = play.local;
  await host.undo({ sessionId, turnId });
  const [left, ...others] = await review.hunks(sessionId);
  expect(others).toEqual([]);
  expect(left).toMatchObject({ before: ["line 33"], turnIds: [later.turnId] });
  await host.review({ sessionId, action: "undo", turnId: later.turnId }, signal);
  expect(await play.read("a.txt")).toBe(original);
  expect(await review.pending(sessionId)).toEqual([]);
});

test("a file with Windows line endings and a byte order mark is restored byte for byte", async () => {
  const windows = `\uFEFF${original.replaceAll("\n", "\r\n")}`;
  await using review = await startReview({ script: editing("a.txt", fiveEdits), files: { "a.txt": windows } });
  const { play } = review;
  const { sessionId } = await play.prompt("Edit");
  expect(await review.hunks(sessionId)).toHaveLength(5);
  const { mode } = await stat(join(play.root, "a.txt"));
  await play.local.host.review({ sessionId, action: "undo" }, signal);
  expect(await play.read("a.txt")).toBe(windows);
  expect((await stat(join(play.root, "a.txt"))).mode).toBe(mode);
});

test("a file that the user has deleted has nothing pending", async () => {
  await using review = await startReview({ script: editing("a.txt", fiveEdits), files: { "a.txt": original } });
  const { play } = review;
  const { sessionId } = await play.prompt("Edit");
  expect(await review.hunks(sessionId)).toHaveLength(5);
  await rm(join(play.root, "a.txt"));
  expect(await review.pending(sessionId)).toEqual([]);
});

test("over the protocol: typing, changes on disk and reviews are told of", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hermes-review-"));
  const root = join(folder, "work");
  await mkdir(root);
  const path = join(root, "a.txt");
  const uri = pathToFileURL(path).href;
  await writeFile(path, original);
  await using double = await startModelDouble({ script: editing("a.txt", fiveEdits) });
  try {
    const told: clientMethods.ReviewChangedParams[] = [];
    const watched: string[] = [];
    let heard = () => {};
    await using host = await startHost({
      root,
      env: {
        HOME: folder,
        HERMES_HOME: join(folder, "home"),
        ANTHROPIC_BASE_URL: double.anthropicBaseUrl,
        ANTHROPIC_API_KEY: "test-key",
      },
      prepare: (connection) => {
        connection.onNotification(clientMethods.reviewChanged, (params) => {
          told.push(params);
          heard();
        });
        connection.onRequest("client/registerCapability", ({ registrations }) => {
          for (const { method } of registrations) watched.push(method);
        });
      },
    });
    const untilHunks = (...before: (readonly string[])[]) =>
      new Promise<clientMethods.ReviewChangedParams>((resolve) => {
        heard = () => {
          const last = told.at(-1);
          const hunks = last?.files.flatMap((file) => file.hunks) ?? [];
          if (last && JSON.stringify(hunks.map((hunk) => hunk.before)) === JSON.stringify(before)) resolve(last);
        };
        heard();
      });
    const { connection } = host;
    const { sessionId } = await connection.sendRequest(methods.newSession, {});
    await connection.sendRequest(methods.promptSession, {
      sessionId,
      prompt: [{ type: "text", text: "Edit" }],
      origin: "panel",
    });
    const five = [["line 3"], ["line 10"], ["line 17", "line 18"], [], ["line 33"]];
    const { files } = await untilHunks(...five);
    const shadow = files[0]?.shadow;
    expect(shadow && (await connection.sendRequest(methods.readBlob, { blob: shadow }))).toEqual({ text: original });
    const [, , , fourth] = files[0]?.hunks ?? [];
    await connection.sendRequest(methods.reviewSession, { sessionId, action: "keep", uri, hunkId: fourth?.id ?? "" });
    await untilHunks(...five.toSpliced(3, 1));
    await expect(
      connection.sendRequest(methods.reviewSession, { sessionId, action: "keep", uri, hunkId: fourth?.id ?? "" }),
    ).rejects.toMatchObject({ data: { code: "stale_hunk" } });

    // The user takes the first change back, in an editor.
    const text = await readFile(path, "utf8");
    const textDocument = { uri, languageId: "plaintext", version: 1, text };
    await connection.sendNotification("textDocument/didOpen", { textDocument });
    await connection.sendNotification("textDocument/didChange", {
      textDocument: { uri, version: 2 },
      contentChanges: [{ text: text.replace("three\n", "line 3\n") }],
    });
    await untilHunks(["line 10"], ["line 17", "line 18"], ["line 33"]);
    await connection.sendNotification("textDocument/didClose", { textDocument: { uri } });
    await untilHunks(["line 3"], ["line 10"], ["line 17", "line 18"], ["line 33"]);

    // Another program writes the file.
    await writeFile(path, original);
    await connection.sendNotification("workspace/didChangeWatchedFiles", { changes: [{ uri, type: 2 }] });
    await untilHunks();
    await writeFile(path, text);
    told.length = 0;
    await connection.sendRequest(methods.loadSession, { sessionId });
    await untilHunks(["line 3"], ["line 10"], ["line 17", "line 18"], ["line 33"]);
    // Once for configuration files, at the start, and once for everything.
    expect(watched).toEqual(["workspace/didChangeWatchedFiles", "workspace/didChangeWatchedFiles"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
