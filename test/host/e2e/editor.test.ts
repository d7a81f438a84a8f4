/**
 * The panel beside the editor: what is selected goes along, a hidden panel asks by notification, a page that was
 * destroyed comes back whole, and all diffs open in one editor.
 *
 * Easily got wrong: a hidden panel has no page at all, so after it is shown everything in it is found anew.
 */
import assert from "node:assert/strict";
import { type Script, startModelDouble } from "../../support/modelDouble.ts";
import { withWorkbench } from "../support/workbench.ts";

const files = { "src/a.ts": "export const a = 1;\n", "src/b.ts": "export const b = 2;\n" };

const script: Script = {
  steps: [
    {
      say: "I change both files.",
      calls: [
        { name: "edit", input: { path: "src/a.ts", old: "a = 1", new: "a = 10" } },
        { name: "edit", input: { path: "src/b.ts", old: "b = 2", new: "b = 20" } },
      ],
    },
    { say: "Both are changed." },
  ],
};

describe("the panel beside the editor", () => {
  it("takes the selection along, asks while hidden, comes back whole, and shows all diffs", async () => {
    const double = await startModelDouble({ script });
    try {
      await withWorkbench(
        {
          name: "editor",
          workspace: files,
          env: { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl },
          settings: { "hermes.model.name": "anthropic/claude-sonnet-5-5", "hermes.localModels.detect": false },
        },
        async ({ page, panel, openPanel, openFile, readFile, runCommand, screenshot }) => {
          await openPanel();
          await openFile("src/a.ts");
          await page.keyboard.press("ControlOrMeta+A");
          await panel.getByRole("button", { name: "Reference src/a.ts:1", pressed: true }).waitFor();
          await panel.getByRole("textbox").first().fill("Change this");
          await panel.getByRole("button", { name: "Send" }).click();
          await panel.getByRole("button", { name: "Allow once" }).click();
          await panel.getByText("Edit src/b.ts", { exact: true }).first().waitFor();
          await panel.getByRole("textbox").first().fill("a draft");

          await runCommand("View: Hide Secondary Side Bar");
          await panel.getByRole("textbox").first().waitFor({ state: "detached" });
          // Driven by tests, VS Code shows no toasts; its list of notifications has the same buttons.
          await runCommand("Notifications: Show Notifications");
          const asks = page
            .locator(".notifications-center .notification-list-item")
            .filter({ hasText: "Hermes asks:" });
          await asks.waitFor();
          await screenshot("hidden");
          await asks.getByRole("button", { name: "Allow Once" }).click();
          await openPanel();
          assert.equal(await panel.getByRole("textbox").first().inputValue(), "a draft");
          await panel.getByRole("log").getByText("Both are changed.").waitFor();
          assert.deepEqual(
            [await readFile("src/a.ts"), await readFile("src/b.ts")],
            ["export const a = 10;\n", "export const b = 20;\n"],
          );

          await panel.getByRole("button", { name: "Open all diffs" }).click();
          await page.locator(".multiDiffEntry, .multi-diff-root-editor").first().waitFor();
          await page.locator(".tab.active").filter({ hasText: "Changes by Hermes" }).waitFor();
          await screenshot("diffs");
          assert.ok(double.requests.some(({ json }) => JSON.stringify(json).includes("export const a = 1;")));
          double.assertClean();
        },
      );
    } finally {
      await double.close();
    }
  });
});
