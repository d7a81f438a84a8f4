/** Notebooks through a real host: {edit, undo a hunk, undo a turn} leaves the bytes that were there, and the mode. */
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { createLocalHost } from "../../server/src/main/local.ts";
import type { PendingFile } from "../../server/src/protocol/review.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { createFakeNotebooks } from "../support/fakeNotebooks.ts";
import type { Script } from "../support/modelDouble.ts";
import { type Play, type PlayOptions, startPlay } from "../support/play.ts";
import { sampleNotebook } from "../support/sampleNotebook.ts";

const path = "a.ipynb";
const edit = (old: string, text: string) => ({ name: "edit", input: { path, old, new: text } });

/** A source is changed, the cell with the image is removed, a cell is added at the end. */
const threeEdits: Script = {
  steps: [
    { calls: [{ name: "read", input: { files: [{ path }] } }] },
    {
      calls: [
        edit("x = math.pi", "x = math.tau"),
        edit('# %% [code] id=plot\nprint("é", x)\n\n', ""),
        edit("# Title\n", "# Title\n\n# %% [code]\nx + 1\n"),
      ],
    },
    { say: "Done." },
  ],
};

const signal = new AbortController().signal;
const bytes = (play: Play) => readFile(join(play.root, path), "utf8");
const mode = async (play: Play) => (await stat(join(play.root, path))).mode & 0o777;

async function start(script: Script, host: PlayOptions["host"] = {}) {
  let told: readonly PendingFile[] = [];
  const onReview = (_: SessionId, files: readonly PendingFile[]) => {
    told = files;
  };
  const play = await startPlay({ script, files: { [path]: sampleNotebook }, host: { onReview, ...host } });
  await chmod(join(play.root, path), 0o640);
  const uri = pathToFileURL(join(play.root, path)).href;
  const hunks = async (sessionId: SessionId) => {
    await play.local.host.refreshReview(sessionId);
    return told.flatMap((file) => file.hunks);
  };
  return { play, uri, hunks, [Symbol.asyncDispose]: () => play[Symbol.asyncDispose]() };
}

test("undoing one hunk leaves the cells of the others, and undoing all gives the bytes back", async () => {
  const orders = [
    [0, 0, 0],
    [1, 0, 0],
    [1, 1, 0],
    [0, 1, 0],
  ];
  for (const order of orders) {
    await using session = await start(threeEdits);
    const { play, uri, hunks } = session;
    const { sessionId } = await play.prompt("Edit");
    const edited = JSON.parse(await bytes(play)).cells;
    expect(edited).toMatchObject([
      { source: ["import math\n", "x = math.tau"] },
      { id: "text" },
      { source: ["x + 1"] },
    ]);
    expect(await hunks(sessionId)).toHaveLength(3);
    for (const [undone, at] of order.entries()) {
      const hunk = (await hunks(sessionId))[at];
      await play.local.host.review({ sessionId, action: "undo", uri, hunkId: hunk?.id ?? "" }, signal);
      expect(await hunks(sessionId)).toHaveLength(2 - undone);
    }
    expect(await bytes(play)).toBe(sampleNotebook);
    expect(await mode(play)).toBe(0o640);
  }
});

test("a turn is undone to the same bytes, also by another host, and with the user's output kept", async () => {
  await using session = await start(threeEdits);
  const { play } = session;
  const { sessionId, turnId } = await play.prompt("Edit");
  // The user runs the first cell meanwhile.
  const run = (text: string) => text.replace('"execution_count": 1', '"execution_count": 7');
  await writeFile(join(play.root, path), run(await bytes(play)));
  await play.local.close();
  const second = await createLocalHost({
    config: play.config,
    environment: {},
    root: play.root,
    trusted: () => true,
    ask: async () => "deny",
    onUpdate: () => undefined,
  });
  try {
    expect((await second.host.undo({ sessionId, turnId })).files).toMatchObject([{ outcome: "restored" }]);
    expect(await bytes(play)).toBe(run(sampleNotebook));
    expect(await mode(play)).toBe(0o640);
  } finally {
    await second.close();
  }
});

const command = `sed -i -e s/math.pi/math.e/ -e s/iVBORw0KGgo/AAAA/ ${path}`;
const byCommand: Script = { steps: [{ calls: [{ name: "shell", input: { command } }] }, { say: "Done." }] };

test("what a command did to a notebook is undone with its outputs, and shown as cells", async () => {
  await using session = await start(byCommand);
  const { play, hunks } = session;
  const { sessionId, turnId } = await play.prompt("Run");
  expect(await hunks(sessionId)).toMatchObject([{ lineCount: 1, before: ["x = math.pi"] }]);
  await play.local.host.undo({ sessionId, turnId });
  expect(await bytes(play)).toBe(sampleNotebook);
  expect(await hunks(sessionId)).toEqual([]);
});

test("a notebook with unsaved changes is edited in the editor, and its file is not touched", async () => {
  const notebooks = createFakeNotebooks();
  await using session = await start(threeEdits, { notebooks });
  const { play, uri, hunks } = session;
  const typedCell = '{"cell_type": "markdown", "id": "mine", "metadata": {}, "source": "Typed"},';
  const typed = (text: string) => text.replace('"cells": [', `"cells": [${typedCell}`);
  notebooks.type(uri, sampleNotebook);
  const { sessionId, turnId } = await play.prompt("Edit");
  notebooks.type(uri, typed(notebooks.text(uri) ?? ""));
  expect(await hunks(sessionId)).toHaveLength(3);
  await play.local.host.undo({ sessionId, turnId });
  expect(notebooks.text(uri)).toBe(typed(sampleNotebook));
  expect(await bytes(play)).toBe(sampleNotebook);
});
