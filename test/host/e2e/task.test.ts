/**
 * One task from each way into Hermes through each wire format: the same files come out.
 *
 * Easily got wrong: one of the files has unsaved text in an editor the whole time; it must be seen, kept, and still be
 * unsaved at the end, so the test saves it itself before it compares.
 */
import assert from "node:assert/strict";
import type { FrameLocator } from "playwright-core";
import { type ModelDouble, startModelDouble } from "../../support/modelDouble.ts";
import {
  readRefactorFiles,
  refactorExpected,
  refactorFiles,
  refactorPrompt,
  refactorScript,
  unsavedPath,
  unsavedText,
  writeRefactorFiles,
} from "../../support/refactorTask.ts";
import { type Workbench, withWorkbench } from "../support/workbench.ts";

/** Each starts the task; the panel shows its session. */
const entries: { readonly [name: string]: (workbench: Workbench, panel: FrameLocator) => Promise<void> } = {
  "the panel": async (_, panel) => {
    await panel.getByRole("textbox").first().fill(refactorPrompt);
    await panel.getByRole("button", { name: "Send" }).click();
  },
  "a code action": async ({ page, openFile }) => {
    await openFile("src/main.ts");
    const action = page.locator(".action-widget").getByText("Refactor selection with Hermes…");
    // The file has just been written anew: when the editor takes that over, it closes a menu that is open.
    for (let tries = 1; ; tries++) {
      await page.keyboard.press("ControlOrMeta+A");
      await page.keyboard.press("ControlOrMeta+Period");
      try {
        await action.click({ timeout: 5_000 });
        break;
      } catch (error) {
        if (tries === 5) throw error;
      }
    }
    await page.locator(".quick-input-widget input").fill(refactorPrompt);
    await page.keyboard.press("Enter");
  },
  "the palette": async ({ page, runCommand }) => {
    await runCommand("Hermes: Ask…");
    await page.locator(".quick-input-widget input").fill(refactorPrompt);
    await page.keyboard.press("Enter");
  },
};

/** Puts the user's unsaved words into the open document, as a paste does. */
async function typeUnsaved({ page, openFile }: Workbench): Promise<void> {
  await openFile(unsavedPath);
  // The file has just been written anew: typing before the editor has it would be a conflict of the test's own making.
  await page.locator(".editor-instance .view-line").filter({ hasText: "import { total }" }).waitFor();
  await page
    .locator(".editor-instance .view-line")
    .filter({ hasText: "Typed just now" })
    .waitFor({ state: "detached" });
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText(unsavedText);
  await page.locator(".tab.active.dirty").filter({ hasText: "report.ts" }).waitFor();
}

/** Saves the document that the agent was not allowed to save. */
async function saveByHand({ page, openFile }: Workbench): Promise<void> {
  await openFile(unsavedPath);
  await page.locator(".tab.active.dirty").filter({ hasText: "report.ts" }).waitFor();
  await page.keyboard.press("ControlOrMeta+S");
  await page.locator(".tab.active:not(.dirty)").filter({ hasText: "report.ts" }).waitFor();
}

const wires = {
  "Anthropic Messages": { model: "anthropic/claude-sonnet-5-5", api: "responses" },
  "OpenAI Responses": { model: "openai/gpt-6.1-sol", api: "responses" },
  "OpenAI Chat Completions": { model: "openai/gpt-6.1-sol", api: "chat" },
};

describe("one task, from everywhere, through every wire format", () => {
  for (const [wire, { model, api }] of Object.entries(wires)) {
    it(`${wire}: panel, code action and palette end in the same files`, async () => {
      const double: ModelDouble = await startModelDouble({ script: refactorScript });
      try {
        await withWorkbench(
          {
            name: `task-${api}-${model.split("/")[0]}`,
            workspace: refactorFiles,
            env: {
              ANTHROPIC_API_KEY: "test-key",
              OPENAI_API_KEY: "test-key",
              ANTHROPIC_BASE_URL: double.anthropicBaseUrl,
              OPENAI_BASE_URL: double.openaiBaseUrl,
            },
            settings: {
              "hermes.model.name": model,
              "hermes.openai.api": api,
              "hermes.localModels.detect": false,
              "editor.autoClosingBrackets": "never",
              "editor.autoIndent": "none",
              "files.autoSave": "off",
            },
          },
          async (workbench) => {
            const panel = await workbench.openPanel();
            for (const [entry, start] of Object.entries(entries)) {
              double.reset();
              await writeRefactorFiles(workbench.workspace, { saved: false });
              await typeUnsaved(workbench);
              await start(workbench, panel);
              await panel.getByRole("button", { name: "Allow for this session" }).click();
              await panel.getByRole("button", { name: "Allow once" }).click();
              await panel.getByRole("log").getByText("the check passes: checked").waitFor();
              await panel.getByRole("button", { name: "Send" }).waitFor();
              assert.equal(
                await workbench.readFile(unsavedPath),
                refactorFiles[unsavedPath],
                `${entry}: nothing was saved`,
              );
              await saveByHand(workbench);
              assert.deepEqual(await readRefactorFiles(workbench.workspace), refactorExpected, entry);
              double.assertClean();
            }
            await workbench.screenshot("done");
          },
        );
      } finally {
        await double.close();
      }
    });
  }
});
