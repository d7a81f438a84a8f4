/**
 * What the client looks at before it edits or saves a document for the host: the text, in a real VS Code.
 *
 * Not here: merging what was refused (`test/unit/workspace/editor.test.ts`). Easily got wrong: VS Code counts a
 * document's versions from 1 again when it is opened again.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { isEditCurrent, saveIfCurrent } from "../../client/src/edits.ts";
import { textDigest } from "../../server/src/protocol/textDigest.ts";

describe("an edit or a save for the host", () => {
  const file = path.join(vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? "", "condition.txt");
  const uri = vscode.Uri.file(file).toString();
  const isCurrent = (text: string) =>
    isEditCurrent({
      edit: { documentChanges: [{ textDocument: { uri, version: 1 }, edits: [] }] },
      digest: textDigest(text),
    });

  before(() => fs.writeFileSync(file, "one\n"));

  after(async () => {
    await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
    fs.rmSync(file, { force: true });
  });

  it("is carried out only on the text that it is meant for", async () => {
    assert.equal(isCurrent("one\n"), false, "the document is not open");
    await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(file));
    const editor = vscode.window.activeTextEditor;
    assert.equal(editor?.document.uri.toString(), uri);
    assert.equal(isCurrent("one\n"), true);
    await editor?.edit((edit) => edit.insert(new vscode.Position(1, 0), "typed\n"));
    assert.equal(isCurrent("one\n"), false, "the user has typed");
    assert.equal(isCurrent("one\ntyped\n"), true);
    assert.deepEqual(await saveIfCurrent({ uri, digest: textDigest("one\n") }), { saved: false });
    assert.equal(fs.readFileSync(file, "utf8"), "one\n");
    assert.deepEqual(await saveIfCurrent({ uri, digest: textDigest("one\ntyped\n") }), { saved: true });
    assert.equal(fs.readFileSync(file, "utf8"), "one\ntyped\n");
  });
});
