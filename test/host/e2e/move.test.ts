/**
 * A file with unsaved text is moved by the agent in a real VS Code, and moved back: the text is in the editor all the while.
 *
 * Easily got wrong: the tab under the new name shows up before its text, so the text is awaited, not looked at.
 */
import assert from "node:assert/strict";
import { startModelDouble } from "../../support/modelDouble.ts";
import { withWorkbench } from "../support/workbench.ts";

const before = "export const one = 1;\n";

describe("moving files", () => {
  it("takes unsaved text along and brings it back", async () => {
    const move = { name: "move", input: { from: "src/values.ts", to: "lib/numbers.ts" } };
    const double = await startModelDouble({ script: { steps: [{ calls: [move] }, { say: "It is moved." }] } });
    const workspace = { "src/values.ts": before, "src/other.ts": "export const other = 1;\n" };
    const env = { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl };
    const settings = {
      "hermes.model.name": "anthropic/claude-sonnet-5-5",
      "hermes.localModels.detect": false,
      "files.autoSave": "off",
    };
    try {
      await withWorkbench({ name: "move", workspace, env, settings }, async (workbench) => {
        const { page, panel, openPanel, openFile, readFile, runCommand, screenshot } = workbench;
        const dirty = (name: string) => page.locator(".tab.dirty").filter({ hasText: name });
        const typed = page.locator(".view-line").filter({ hasText: "// typed, not saved" });
        await openPanel();
        await openFile("src/values.ts");
        await page.keyboard.press("ControlOrMeta+End");
        await page.keyboard.type("// typed, not saved");
        await dirty("values.ts").waitFor();
        await panel.getByRole("textbox").first().fill("Move the values");
        await panel.getByRole("button", { name: "Send" }).click();
        await panel.getByText("This moves 1 file.").waitFor();
        await panel.getByRole("button", { name: "Allow once" }).click();
        await panel.getByRole("log").getByText("It is moved.").waitFor();
        await dirty("numbers.ts").waitFor();
        await typed.waitFor();
        assert.equal(await readFile("lib/numbers.ts"), before);
        await page.locator(".statusbar-item", { hasText: "1 pending" }).waitFor();
        await page.locator(".codelens-decoration a", { hasText: "Moved from" }).waitFor();
        await screenshot("moved");

        await runCommand("Hermes: Undo Last Turn");
        await dirty("values.ts").waitFor();
        await typed.waitFor();
        await page.locator(".statusbar-item", { hasText: /\d+ pending/ }).waitFor({ state: "hidden" });
        assert.equal(await readFile("src/values.ts"), before);
        await assert.rejects(readFile("lib/numbers.ts"));
        await screenshot("back");
        double.assertClean();
      });
    } finally {
      await double.close();
    }
  });
});
