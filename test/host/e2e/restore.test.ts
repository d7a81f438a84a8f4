/**
 * Checkpoints in a real VS Code: files and conversation go back and come back, and a conflict is shown with both sides as
 * one edit that one undo takes back.
 *
 * Easily got wrong: nothing may be saved when both sides are shown, so the disk is looked at as well.
 */
import assert from "node:assert/strict";
import { type Script, startModelDouble } from "../../support/modelDouble.ts";
import { type Workbench, withWorkbench } from "../support/workbench.ts";

const before = "first\nsecond\nthird\n";
const after = "first\nsecond by Hermes\nthird\n";
const script: Script = {
  steps: [
    { calls: [{ name: "edit", input: { path: "notes.txt", old: "second\n", new: "second by Hermes\n" } }] },
    { say: "It is changed." },
  ],
};

async function withTurn(name: string, body: (workbench: Workbench) => Promise<void>): Promise<void> {
  const double = await startModelDouble({ script });
  try {
    const settings = {
      "hermes.model": "anthropic/claude-sonnet-5-5",
      "hermes.localModels.detect": false,
      "files.autoSave": "off",
    };
    const env = { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl };
    await withWorkbench({ name, workspace: { "notes.txt": before }, env, settings }, async (workbench) => {
      const { panel, openPanel, openFile } = workbench;
      await openPanel();
      await openFile("notes.txt");
      await panel.getByRole("textbox").first().fill("Change the second line");
      await panel.getByRole("button", { name: "Send" }).click();
      await panel.getByRole("button", { name: "Allow for this session" }).click();
      await panel.getByRole("log").getByText("It is changed.").waitFor();
      await body(workbench);
    });
  } finally {
    await double.close();
  }
}

describe("checkpoints", () => {
  it("take files and conversation back, and bring both back again", () =>
    withTurn("restore", async ({ panel, readFile, screenshot }) => {
      assert.equal(await readFile("notes.txt"), after);
      await panel.getByRole("button", { name: "Restore…" }).click();
      await panel.getByRole("menuitem", { name: "Files and conversation" }).click();
      await panel.getByRole("button", { name: /^Files and conversation restored, 1 turn taken back/ }).waitFor();
      assert.equal(await readFile("notes.txt"), before);
      assert.equal(await panel.getByRole("textbox").first().inputValue(), "Change the second line");
      await screenshot("restored");
      await panel.getByRole("button", { name: "Undo restore" }).click();
      await panel.getByRole("log").getByText("It is changed.").waitFor();
      assert.equal(await readFile("notes.txt"), after);
    }));

  it("show a conflict with both sides, unsaved, as one edit", () =>
    withTurn("conflict", async ({ page, panel, openFile, readFile, screenshot }) => {
      await openFile("notes.txt");
      await page.locator(".view-line", { hasText: "second by Hermes" }).first().click();
      await page.keyboard.press("End");
      await page.keyboard.type(" and me");
      await panel.getByRole("button", { name: "Undo", exact: true }).click();
      await panel.getByRole("button", { name: "Show both sides of notes.txt" }).click();
      await page.locator(".view-line", { hasText: "<<<<<<< your text" }).first().waitFor();
      await page.locator(".view-line", { hasText: ">>>>>>> before the turn" }).first().waitFor();
      await page.locator(".codelens-decoration a", { hasText: "Accept Incoming Change" }).first().waitFor();
      await screenshot("both-sides");
      assert.equal(await readFile("notes.txt"), after);
      await page.keyboard.press("ControlOrMeta+KeyZ");
      await page.locator(".view-line", { hasText: "<<<<<<< your text" }).waitFor({ state: "detached" });
      await page.locator(".view-line", { hasText: "second by Hermes and me" }).first().waitFor();
    }));
});
