/**
 * An extension for the tests: a formatter and problems for `*.tidy` files, as a language extension brings them.
 *
 * Easily got wrong: a problem quotes its line, so a test can tell for which text it was published; and problems of
 * `quiet.tidy` are never published.
 */
const vscode = require("vscode");

/** Lines begin without spaces. */
const formatter = {
  provideDocumentFormattingEdits: (document) =>
    linesOf(document)
      .filter(({ firstNonWhitespaceCharacterIndex }) => firstNonWhitespaceCharacterIndex > 0)
      .map(({ lineNumber, firstNonWhitespaceCharacterIndex }) =>
        vscode.TextEdit.delete(new vscode.Range(lineNumber, 0, lineNumber, firstNonWhitespaceCharacterIndex)),
      ),
};

exports.activate = ({ subscriptions }) => {
  const problems = vscode.languages.createDiagnosticCollection("tidy");
  const check = (document) => {
    if (!document.fileName.endsWith(".tidy") || document.fileName.endsWith("quiet.tidy")) return;
    const bad = linesOf(document).filter(({ text }) => text.includes("bad"));
    problems.set(
      document.uri,
      bad.map(({ range, text }) => new vscode.Diagnostic(range, `"${text}" is bad`)),
    );
  };
  subscriptions.push(
    problems,
    vscode.languages.registerDocumentFormattingEditProvider({ pattern: "**/*.tidy" }, formatter),
    vscode.workspace.onDidOpenTextDocument(check),
    vscode.workspace.onDidChangeTextDocument(({ document }) => check(document)),
  );
  for (const document of vscode.workspace.textDocuments) check(document);
};

function linesOf(document) {
  return Array.from({ length: document.lineCount }, (_, line) => document.lineAt(line));
}
