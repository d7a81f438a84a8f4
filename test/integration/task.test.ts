/** The whole task through each wire format, with and without an editor, on real files, with real tools. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import { createFakeEditor } from "../support/fakeEditor.ts";
import { startPlay, type WireFormat, wireFormats } from "../support/play.ts";
import {
  readRefactorFiles,
  refactorExpected,
  refactorFiles,
  refactorPrompt,
  refactorScript,
  unsavedPath,
  unsavedText,
} from "../support/refactorTask.ts";

/** Each call's id, in the order of its block, with the number of results it got. */
function resultsPerCall(events: readonly SessionEvent[]): readonly number[] {
  const calls = events.flatMap((event) =>
    event.type === "assistant_block" && event.block.part.type === "tool_call" ? [event.block.part.callId] : [],
  );
  return calls.map((id) => events.filter((event) => event.type === "tool_result" && event.callId === id).length);
}

describe.each(Object.keys(wireFormats) as WireFormat[])("through %s", (wire) => {
  test("the task is done on disk", async () => {
    await using play = await startPlay({
      wire,
      script: refactorScript,
      files: { ...refactorFiles, [unsavedPath]: unsavedText },
    });
    const result = await play.prompt(refactorPrompt);
    expect(result).toMatchObject({ stopReason: "end_turn" });
    expect(await readRefactorFiles(play.root)).toEqual(refactorExpected);
    expect(resultsPerCall(play.events())).toEqual(Array(10).fill(1));
    play.double.assertClean();
  });

  test("unsaved text is seen, kept and left unsaved", async () => {
    const editor = createFakeEditor();
    await using play = await startPlay({ wire, script: refactorScript, files: refactorFiles, host: { editor } });
    const uri = pathToFileURL(join(play.root, unsavedPath)).href;
    editor.open(uri);
    editor.type(uri, unsavedText);
    const main = pathToFileURL(join(play.root, "src/main.ts")).href;
    editor.open(main);
    const result = await play.prompt(refactorPrompt);
    expect(result.stopReason).toBe("end_turn");
    expect(editor.isDirty(uri)).toBe(true);
    expect(editor.isDirty(main)).toBe(false);
    expect(await play.read(unsavedPath)).toBe(refactorFiles[unsavedPath]);
    expect(editor.openDocument(uri)?.text).toBe(refactorExpected[unsavedPath]);
    await editor.save(uri, editor.openDocument(uri) ?? none);
    expect(await readRefactorFiles(play.root)).toEqual(refactorExpected);
    play.double.assertClean();
  });

  test("undo restores every byte", async () => {
    await using play = await startPlay({ wire, script: refactorScript, files: refactorFiles });
    const { sessionId, turnId } = await play.prompt(refactorPrompt);
    const before = await readRefactorFiles(play.root);
    expect(before["src/total.ts"]).toBe(refactorExpected["src/total.ts"]);
    const { files } = await play.local.host.undo({ sessionId, turnId });
    expect(files.map(({ outcome }) => outcome)).toEqual(["restored", "restored", "restored"]);
    for (const [path, text] of Object.entries(refactorFiles)) expect(await play.read(path)).toBe(text);
  });
});

/** For a document that is not open. */
const none = { text: "", version: 0 };
