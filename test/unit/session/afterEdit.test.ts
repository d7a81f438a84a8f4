/**
 * What follows an edit: formatting aside of files that are closed or have unsaved text, and problems of the final text.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { BlobId, CallId, Json, SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { createToolCalls } from "../../../server/src/session/toolCalls.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { createBuiltinTools } from "../../../server/src/tools/builtin/builtinTools.ts";
import { parseRule } from "../../../server/src/tools/permission.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import { createDiskWorkspace } from "../../../server/src/workspace/disk.ts";
import { createEditorWorkspace } from "../../../server/src/workspace/editor.ts";
import { createQueues } from "../../../server/src/workspace/queues.ts";
import { createFakeEditor, type FakeEditor } from "../../support/fakeEditor.ts";

const source = "one\n  two\nthree\n  four\n";
let root: string;
let uri: string;
let editor: FakeEditor;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hermes-after-"));
  uri = pathToFileURL(join(root, "a.txt")).href;
  await writeFile(join(root, "a.txt"), source);
  editor = createFakeEditor();
  editor.format = (text) => text.replaceAll(/^ +/gm, "");
});

afterEach(() => rm(root, { recursive: true }));

/** Runs calls as one step, and gives their results, the changes in the journal as texts, and what was waited. */
async function step(calls: readonly Json[], diagnosticsWaitMs = 500) {
  const store = createMemoryStore({ clock: { now: () => 1 } });
  const texts = new Map<BlobId | null, string>();
  const results: string[] = [];
  const changes: (readonly [string | undefined, string | undefined])[] = [];
  const counts: (readonly [number, number])[] = [];
  let now = 1_000;
  const waits: number[] = [];
  const workspace = createEditorWorkspace(
    createDiskWorkspace({ root, outputDir: root, environment: {}, createId: () => "id", exclude: () => [] }),
    {
      ...editor,
      problems: async (...about) => {
        waits.push(about[2]);
        now += 400;
        return editor.problems?.(...about);
      },
    },
  );
  const scheduler = createToolCalls({
    session: {
      id: "s1" as SessionId,
      state: { turns: [] },
      append: async (...bodies: readonly SessionEventBody[]) => {
        for (const body of bodies) {
          if (body.type === "tool_result") results.push(body.text);
          if (body.type === "file_changed") {
            changes.push([texts.get(body.change.before), texts.get(body.change.after)]);
            counts.push([body.change.addedLines, body.change.removedLines]);
          }
        }
      },
      stream: () => undefined,
    },
    store: {
      putBlob: async (bytes) => {
        const blob = await store.putBlob(bytes);
        texts.set(blob, new TextDecoder().decode(bytes));
        return blob;
      },
    },
    turnId: "t1" as TurnId,
    memory: { lastSeen: new Map(), rules: [] },
    fileOrder: createQueues(),
    registry: createRegistry(createBuiltinTools({ clock: { now: () => now } })),
    workspace,
    permissions: { rules: () => [parseRule("*", "allow")], add: async () => undefined },
    trusted: () => true,
    ask: async () => "deny",
    concurrency: () => 4,
    diagnosticsWaitMs: () => diagnosticsWaitMs,
    clock: { now: () => now, sleep: async () => undefined },
  })(new AbortController().signal);
  for (const [at, input] of calls.entries()) {
    scheduler.submit({ type: "tool_call", callId: `c${at}` as CallId, name: "edit", input });
  }
  await scheduler.drain();
  return { results, changes, counts, waits };
}

const edit = { path: "a.txt", old: "  two", new: "  TWO" };

test("a closed file is formatted, its formatting is journaled, and the result shows the final text", async () => {
  const { results, changes } = await step([edit]);
  const written = source.replace("two", "TWO");
  expect(changes).toEqual([
    [source, written],
    [written, "one\nTWO\nthree\nfour\n"],
  ]);
  expect(await readFile(join(root, "a.txt"), "utf8")).toBe("one\nTWO\nthree\nfour\n");
  expect(results[0]).toContain("\nTWO\n");
  expect(results[0]).toContain("The file was formatted as the editor does on save.\nProblems: not known yet.");
});

test("an open file that saving formats has the formatting in its journal, and is not formatted again", async () => {
  editor.open(uri);
  const { results, changes } = await step([edit]);
  expect(changes.at(-1)).toEqual([source.replace("two", "TWO"), "one\nTWO\nthree\nfour\n"]);
  expect(changes).toHaveLength(2);
  expect(results[0]).toContain("The file was formatted");
});

test.each(["closed", "open"])(
  "formatting of a file that is %s counts only lines that its edit has not",
  async (how) => {
    if (how === "open") editor.open(uri);
    const { counts } = await step([edit, { path: "a.txt", old: "three", new: "    3\n    three" }]);
    expect(counts).toEqual([
      [1, 1],
      // Saved, the file has "four" without its spaces, which nobody has counted yet.
      [1, 1],
      [2, 1],
      [0, 0],
    ]);
  },
);

test("words that somebody typed and saved meanwhile are not taken for formatting", async () => {
  editor.open(uri);
  editor.format = (text) => `${text}typed\n`;
  const { results, changes } = await step([edit]);
  expect(changes).toEqual([[source, source.replace("two", "TWO")]]);
  expect(await readFile(join(root, "a.txt"), "utf8")).toContain("typed");
  expect(results[0]).not.toContain("formatted");
});

test("of unsaved text only the agent's lines are formatted, and it stays unsaved", async () => {
  editor.open(uri);
  editor.type(uri, `  mine\n${source}`);
  await step([edit]);
  expect(editor.openDocument(uri)?.text).toBe("  mine\none\nTWO\nthree\n  four\n");
  expect(editor.isDirty(uri)).toBe(true);
  expect(await readFile(join(root, "a.txt"), "utf8")).toBe(source);
});

test("a text that moved on while it was formatted is left as it is", async () => {
  editor.open(uri);
  editor.type(uri, `${source}x\n`);
  const aside = editor.format;
  editor.format = (text) => {
    editor.type(uri, `${text}typed\n`);
    return aside(text);
  };
  await step([edit]);
  expect(editor.openDocument(uri)?.text).toBe("one\n  TWO\nthree\n  four\nx\ntyped\n");
});

test("a formatter that fails leaves the edit as it was made", async () => {
  editor.format = () => {
    throw new Error("no");
  };
  const { results } = await step([edit]);
  expect(results[0]).toMatch(/^Edited a.txt/);
  expect(await readFile(join(root, "a.txt"), "utf8")).toBe(source.replace("two", "TWO"));
});

test("problems are those of the formatted text: errors first, ten at most", async () => {
  editor.problemsOf = (text) =>
    text.includes("  ")
      ? undefined
      : Array.from({ length: 12 }, (_, at) => ({
          severity: at === 11 ? ("error" as const) : ("warning" as const),
          line: at + 1,
          message: `problem ${at}\nmore`,
        }));
  const { results } = await step([edit]);
  expect(results[0]).toContain("Problems now:\n- error, line 12: problem 11 more\n- warning, line 1: problem 0 more\n");
  expect(results[0]).toMatch(/and 2 more$/);
  editor.problemsOf = () => [];
  expect((await step([{ path: "a.txt", old: "TWO", new: "2" }])).results[0]).toMatch(
    /No problems reported for this version\.$/,
  );
});

test("the edits of a step share one wait, and without a wait problems are not asked for", async () => {
  const more = { path: "a.txt", old: "three", new: "THREE" };
  const last = { path: "a.txt", old: "one", new: "ONE" };
  expect((await step([edit, more, last])).waits).toEqual([500, 100, 20]);
  await writeFile(join(root, "a.txt"), source);
  const { waits, results } = await step([edit], 0);
  expect(waits).toEqual([]);
  expect(results[0]).not.toContain("Problems");
});
