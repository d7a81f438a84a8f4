/**
 * A notebook in a real VS Code: the user has typed in one cell and not saved, the agent edits another; both are there,
 * nothing is saved, and undoing the hunk gives back the agent's cell alone. Saved, the file is edited on the disk.
 *
 * Easily got wrong: VS Code shows a notebook's cells a moment after its tab, so each is awaited before it is clicked.
 */
import assert from "node:assert/strict";
import { type Script, startModelDouble } from "../../support/modelDouble.ts";
import { sampleNotebook } from "../../support/sampleNotebook.ts";
import { withWorkbench } from "../support/workbench.ts";

const edit = (old: string, text: string) => ({ name: "edit", input: { path: "a.ipynb", old, new: text } });

const script: Script = {
  steps: [
    { say: "I read it.", calls: [{ name: "read", input: { files: [{ path: "a.ipynb" }] } }] },
    { say: "I edit a cell.", calls: [edit("x = math.pi", "x = math.tau")] },
    { say: "The cell is changed." },
    { say: "I remove a cell.", calls: [edit('# %% [code] id=plot\nprint("é", x)  # typed\n\n', "")] },
    { say: "The cell is gone." },
    { say: "And once more.", calls: [edit("x = math.pi", "x = math.e")] },
    { say: "It is changed on disk." },
  ],
};

describe("a notebook", () => {
  it("is edited beside what the user has typed, and undone without it, and neither is saved", async () => {
    const double = await startModelDouble({ script });
    try {
      await withWorkbench(
        {
          name: "notebook",
          workspace: { "a.ipynb": sampleNotebook },
          env: { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl },
          settings: {
            "hermes.model.name": "anthropic/claude-sonnet-5-5",
            "hermes.localModels.detect": false,
            "files.autoSave": "off",
          },
        },
        async ({ page, panel, openPanel, openFile, readFile, runCommand, screenshot }) => {
          await openPanel();
          await openFile("a.ipynb");
          const cell = (text: string) =>
            page.locator(".notebookOverlay .cell-list-container .view-line", { hasText: text });
          const dirty = page.locator(".tab.dirty").filter({ hasText: "a.ipynb" });
          const pending = (count: number) =>
            page.locator(".statusbar-item", { hasText: count === 0 ? /\d+ pending/ : `${count} pending` });
          await cell('print("é", x)').click();
          await page.keyboard.press("End");
          await page.keyboard.type("  # typed");
          await dirty.waitFor();
          const ask = async (text: string) => {
            await panel.getByRole("textbox").first().fill(text);
            await panel.getByRole("button", { name: "Send" }).click();
          };
          await ask("Use tau");
          await panel.getByRole("button", { name: "Allow for this session" }).click();
          await panel.getByRole("log").getByText("The cell is changed.").waitFor();
          await cell("x = math.tau").waitFor();
          await cell("# typed").waitFor();
          await dirty.waitFor();
          await pending(1).waitFor();
          assert.equal(await readFile("a.ipynb"), sampleNotebook);
          assert.ok(double.requests.some(({ json }) => JSON.stringify(json).includes("x)  # typed")));
          await screenshot("edited");

          await runCommand("Hermes: Next Pending Change");
          await page.locator(".diff-editor, .monaco-diff-editor").first().waitFor();
          await page.locator(".modified .view-line", { hasText: "x = math.tau" }).waitFor();
          await screenshot("diff");
          await runCommand("Hermes: Undo This Change");
          await pending(0).waitFor({ state: "hidden" });
          await page.locator(".modified .view-line", { hasText: "x = math.pi" }).waitFor();
          await page.locator(".original .view-line", { hasText: "x = math.tau" }).waitFor({ state: "detached" });
          await screenshot("settled");
          await dirty.click();
          await cell("x = math.pi").waitFor();
          await cell("# typed").waitFor();
          await dirty.waitFor();
          assert.equal(await readFile("a.ipynb"), sampleNotebook);
          await screenshot("undone");

          await ask("Remove the plot");
          await panel.getByRole("log").getByText("The cell is gone.").waitFor();
          await cell("# typed").waitFor({ state: "detached" });
          await pending(1).waitFor();
          await runCommand("Hermes: Undo Changes in File");
          await cell("# typed").waitFor();
          await dirty.waitFor();
          assert.equal(await readFile("a.ipynb"), sampleNotebook);

          await cell("# typed").click();
          await page.keyboard.press("ControlOrMeta+S");
          await dirty.waitFor({ state: "detached" });
          const saved = await readFile("a.ipynb");
          const [, plot] = JSON.parse(saved).cells;
          assert.equal(plot.outputs[0].data["image/png"], "iVBORw0KGgo=");
          assert.deepEqual([plot.id, plot.metadata.tags], ["plot", ["figure"]]);
          await ask("Use e");
          await panel.getByRole("log").getByText("It is changed on disk.").waitFor();
          await cell("x = math.e").waitFor();
          assert.equal(await readFile("a.ipynb"), saved.replace("x = math.pi", "x = math.e"));
          assert.equal(await dirty.count(), 0);
          await runCommand("Hermes: Undo Changes in File");
          await cell("x = math.pi").waitFor();
          assert.equal(await readFile("a.ipynb"), saved);
          double.assertClean();
        },
      );
    } finally {
      await double.close();
    }
  });
});
