/**
 * Configuration files in a real VS Code: what is wrong is in the Problems view, and goes when it is put right.
 *
 * Not here: every kind of mistake (`test/unit/configFile.test.ts`). Easily got wrong: problems come by an event, whose
 * time is not ours.
 */
import assert from "node:assert/strict";
import * as vscode from "vscode";

const problemsOf = (uri: vscode.Uri) =>
  vscode.languages.getDiagnostics(uri).filter(({ source }) => source === "Hermes");

/** Resolves when the problems that the editor knows of satisfy the test. */
function problemsLike(uri: vscode.Uri, isMeant: (problems: readonly vscode.Diagnostic[]) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isMeant(problemsOf(uri))) return;
      subscription.dispose();
      resolve();
    };
    const subscription = vscode.languages.onDidChangeDiagnostics(look);
    look();
  });
}

describe("configuration files", () => {
  it("are checked while they are typed, by line and column", async () => {
    const [folder] = vscode.workspace.workspaceFolders ?? [];
    assert.ok(folder);
    const extension = vscode.extensions.getExtension<{ readonly ready: Promise<void> }>("hermes-agent.hermes");
    await (await extension?.activate())?.ready;
    const uri = vscode.Uri.joinPath(folder.uri, ".hermes", "config.yaml");
    try {
      await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode("turn:\n  maxSteps: 10\n"));
      const document = await vscode.workspace.openTextDocument(uri);
      const editor = await vscode.window.showTextDocument(document);
      await editor.edit((edit) => edit.insert(new vscode.Position(1, 12), "many"));
      await problemsLike(uri, (problems) => problems.length > 0);
      const [problem] = problemsOf(uri);
      assert.match(problem?.message ?? "", /^turn\.maxSteps must be a number from 1 to 1000; it is "many10"/);
      assert.deepEqual(problem?.range.start, new vscode.Position(1, 12));
      await vscode.commands.executeCommand("undo");
      await problemsLike(uri, (problems) => problems.length === 0);
    } finally {
      await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
      await vscode.workspace.fs.delete(vscode.Uri.joinPath(folder.uri, ".hermes"), { recursive: true });
    }
  });
});
