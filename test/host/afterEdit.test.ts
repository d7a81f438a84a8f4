/**
 * What VS Code knows after an edit: a formatter run aside changes and shows nothing, and problems of an earlier text are
 * not told.
 *
 * Not here: what the host does with it. Easily got wrong: the formatter and the diagnostics are the test's own, so that
 * no language extension takes part.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as vscode from "vscode";
import { FreshDiagnostics, formatAside } from "../../client/src/afterEdit.ts";

const { token } = new vscode.CancellationTokenSource();

describe("after an edit", () => {
  let folder: string;
  let path: string;
  let uri: vscode.Uri;
  const disposables: vscode.Disposable[] = [];
  const setFormatOnSave = (on: boolean | undefined) =>
    vscode.workspace.getConfiguration("editor").update("formatOnSave", on, vscode.ConfigurationTarget.Global);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "hermes-after-"));
    path = join(folder, "a.txt");
    uri = vscode.Uri.file(path);
    await writeFile(path, "  one\n  two\n");
  });

  afterEach(async () => {
    for (const disposable of disposables.splice(0)) disposable.dispose();
    await setFormatOnSave(undefined);
    await rm(folder, { recursive: true });
  });

  it("formats a closed file aside when the user formats on save, and not otherwise", async () => {
    disposables.push(
      vscode.languages.registerDocumentFormattingEditProvider(
        { pattern: "**/hermes-after-*/*.txt" },
        {
          provideDocumentFormattingEdits: (document) =>
            Array.from({ length: document.lineCount }, (_, line) => document.lineAt(line))
              .filter(({ firstNonWhitespaceCharacterIndex }) => firstNonWhitespaceCharacterIndex > 0)
              .map(({ lineNumber, firstNonWhitespaceCharacterIndex }) =>
                vscode.TextEdit.delete(new vscode.Range(lineNumber, 0, lineNumber, firstNonWhitespaceCharacterIndex)),
              ),
        },
      ),
    );
    const params = { uri: uri.toString(), text: "  one\n  two\n" };
    await setFormatOnSave(false);
    assert.deepEqual(await formatAside(params, token), { edits: null, whole: false });
    await setFormatOnSave(true);
    const { edits, whole } = await formatAside(params, token);
    assert.equal(whole, true);
    assert.deepEqual(
      edits?.map(({ range, newText }) => [range.start.line, range.end.character, newText]),
      [
        [0, 2, ""],
        [1, 2, ""],
      ],
    );
    assert.deepEqual(await formatAside({ ...params, text: "another\n" }, token), { edits: null, whole: false });
    const document = vscode.workspace.textDocuments.find((candidate) => candidate.uri.toString() === uri.toString());
    assert.equal(document?.isDirty, false);
    assert.ok(!vscode.window.tabGroups.all.some(({ tabs }) => tabs.some(({ label }) => label === "a.txt")));
    assert.equal(await readFile(path, "utf8"), params.text);
  });

  it("tells problems only when they were published for the present text", async () => {
    const fresh = new FreshDiagnostics();
    const collection = vscode.languages.createDiagnosticCollection("after");
    disposables.push(fresh, collection);
    const publish = (message: string) =>
      collection.set(uri, [new vscode.Diagnostic(new vscode.Range(1, 0, 1, 1), message)]);
    const document = await vscode.workspace.openTextDocument(uri);
    const ask = (text: string, waitMs: number) => fresh.of({ uri: uri.toString(), text, waitMs }, token);
    const first = document.getText();
    const asked = ask(first, 5_000);
    publish("of the first text");
    assert.deepEqual(await asked, {
      known: true,
      diagnostics: [{ severity: "error", line: 2, message: "of the first text" }],
    });

    const edit = new vscode.WorkspaceEdit();
    edit.insert(uri, new vscode.Position(0, 0), "x");
    await vscode.workspace.applyEdit(edit);
    const second = document.getText();
    assert.notEqual(second, first);
    assert.deepEqual(await ask(second, 50), { known: false });
    assert.deepEqual(await ask(first, 50), { known: false });
    const late = ask(second, 5_000);
    publish("of the second text");
    assert.deepEqual(await late, {
      known: true,
      diagnostics: [{ severity: "error", line: 2, message: "of the second text" }],
    });
    await document.save();
  });
});
