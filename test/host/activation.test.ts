/**
 * The extension in a real VS Code: it activates, quickly, and offers its commands.
 *
 * Not here: what the commands do. Easily got wrong: the time is measured by the extension itself and excludes what
 * VS Code needs to load the bundle's file.
 */
import assert from "node:assert/strict";
import * as vscode from "vscode";

const commands = [
  "hermes.newSession",
  "hermes.ask",
  "hermes.fixFile",
  "hermes.writeTests",
  "hermes.reviewChanges",
  "hermes.stop",
  "hermes.setApiKey",
  "hermes.showLog",
  "hermes.openPanel",
];

function hermes(): vscode.Extension<{ readonly activationMs: number }> {
  const extension = vscode.extensions.getExtension<{ readonly activationMs: number }>("hermes-agent.hermes");
  assert.ok(extension, "VS Code does not know the extension hermes-agent.hermes");
  return extension;
}

describe("activation", () => {
  it("activates, taking at most 50 ms of its own", async () => {
    const { activationMs } = await hermes().activate();
    assert.equal(hermes().isActive, true);
    console.log(`activationMs ${activationMs}`);
    assert.ok(activationMs > 0 && activationMs <= 50, `activation took ${activationMs} ms`);
  });

  it("registers every command that it declares", async () => {
    await hermes().activate();
    const known = new Set(await vscode.commands.getCommands(true));
    const declared: readonly { command: string }[] = hermes().packageJSON.contributes.commands;
    assert.ok(declared.length >= commands.length);
    assert.deepEqual(
      declared.map(({ command }) => command).filter((command) => !known.has(command)),
      [],
    );
  });

  it("shows its tasks in the palette under Hermes", () => {
    const declared: { command: string; category?: string }[] = hermes().packageJSON.contributes.commands;
    const shown = declared.filter(({ category }) => category === "Hermes").map(({ command }) => command);
    assert.deepEqual(
      commands.filter((command) => !shown.includes(command)),
      [],
    );
  });
});
