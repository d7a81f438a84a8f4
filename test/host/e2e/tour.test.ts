/**
 * The recorded tour, by clicks and keys alone: what a person sees who opens Hermes without a key.
 *
 * Easily got wrong: the words are recorded, everything else is real; so the test looks at the files, and runs the
 * sample's tests itself.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs/promises";
import path from "node:path";
import { root } from "../../rig/bootstrap.mjs";
import { type Workbench, withWorkbench } from "../support/workbench.ts";

const file = "src/format.ts";

/** Whether the tests of the sample pass, as `npm test` there says. */
function sampleTestsPass(workspace: string): boolean {
  return spawnSync(process.execPath, ["--test"], { cwd: workspace, encoding: "utf8" }).status === 0;
}

async function playTour({ openPanel }: Workbench) {
  const panel = await openPanel();
  await panel.getByRole("button", { name: "Run the tests and fix what fails." }).click();
  await panel.getByRole("button", { name: "Send" }).click();
  await panel.getByRole("button", { name: "Allow for this session" }).click();
  await panel.getByRole("button", { name: "Allow once" }).click();
  await panel.getByText("All 15 tests pass now.").waitFor();
  return panel;
}

describe("the recorded tour", () => {
  it("fixes the sample's failing test; the diff opens; undo restores the bytes", async () => {
    await withWorkbench({ name: "tour" }, async (workbench) => {
      const { workspace, page, readFile, screenshot } = workbench;
      const before = await readFile(file);
      assert.equal(sampleTestsPass(workspace), false);

      const panel = await playTour(workbench);
      assert.equal(sampleTestsPass(workspace), true);
      assert.ok((await panel.getByText("Recording", { exact: true }).count()) >= 1);
      await panel.getByRole("button", { name: "Add API key" }).first().waitFor();

      await panel
        .getByRole("button", { name: /format\.ts.*Open the diff|format\.ts/ })
        .last()
        .click();
      await page.locator(".monaco-diff-editor .view-line", { hasText: "Rounded as a whole" }).first().waitFor();
      await screenshot("fixed");

      await panel.getByRole("button", { name: "Undo", exact: true }).click();
      await panel.getByText("Undone.", { exact: true }).waitFor();
      assert.equal(await readFile(file), before);
      assert.equal(sampleTestsPass(workspace), false);
      assert.equal(await fs.readFile(path.join(root, "sample", file), "utf8"), before);
    });
  });
});
