/**
 * Review in a real VS Code: an edit is seen while it is written, hunks are kept and undone one by one while another is
 * still being written and after a reload of the window, and the bytes are the expected ones.
 *
 * Easily got wrong: buttons above hunks are drawn a moment after the hunks, so each is awaited before it is clicked.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type ModelDouble, type Script, startModelDouble } from "../../support/modelDouble.ts";
import { type Workbench, withWorkbench } from "../support/workbench.ts";

/** A file of 60 lines; those that the agent will change are known by their numbers. */
const lineOf = (line: number) => `export const value${line} = ${line};\n`;
const before = Array.from({ length: 60 }, (_, index) => lineOf(index + 1)).join("");
const changedLine = (line: number) => `export const value${line} = "changed ${line}";\n`;
const edit = (line: number, after = changedLine(line)) => ({
  name: "edit",
  input: { path: "src/values.ts", old: lineOf(line), new: after },
});
const fifth = edit(55, `${changedLine(55)}// and a second line\n// and a third line\n`);
/** Where the last edit is held: its new text has begun, and is not complete. */
const midArguments = JSON.stringify(fifth.input).indexOf("and a third");

async function withReview(
  name: string,
  script: Script,
  settings: Readonly<Record<string, unknown>>,
  body: (workbench: Workbench, double: ModelDouble) => Promise<void>,
): Promise<void> {
  const double = await startModelDouble({ script });
  try {
    await withWorkbench(
      {
        name,
        workspace: { "src/values.ts": before, "src/other.ts": "export const other = 1;\n" },
        env: { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl },
        settings: {
          "hermes.model.name": "anthropic/claude-sonnet-5-5",
          "hermes.localModels.detect": false,
          "files.autoSave": "off",
          "editor.fontSize": 12,
          "editor.minimap.enabled": false,
          ...settings,
        },
      },
      (workbench) => body(workbench, double),
    );
  } finally {
    await double.close();
  }
}

/** Sends a prompt and allows edits for the session. */
async function start({ panel, openPanel, openFile }: Workbench, file = "src/values.ts"): Promise<void> {
  await openPanel();
  await openFile(file);
  await panel.getByRole("textbox").first().fill("Change the values");
  await panel.getByRole("button", { name: "Send" }).click();
  await panel.getByRole("button", { name: "Allow for this session" }).click();
}

/** The status bar's count. */
async function pending(page: Page, count: number): Promise<void> {
  const item = page.locator(".statusbar-item", { hasText: /\d+ pending/ });
  if (count === 0) await item.waitFor({ state: "hidden" });
  else await page.locator(".statusbar-item", { hasText: `${count} pending` }).waitFor();
}

/** Puts the cursor into a line of the active editor. */
async function goTo(page: Page, line: number): Promise<void> {
  await page.keyboard.press("ControlOrMeta+KeyG");
  await page.locator(".quick-input-widget input").fill(`:${line}`);
  await page.keyboard.press("Enter");
  await page.locator(".statusbar-item", { hasText: `Ln ${line}, Col` }).waitFor();
  await page.locator(".editor-instance .monaco-editor.focused").waitFor();
}

/** The buttons above the hunk at a line that is in view, by their place among all hunks in view. */
function buttonAbove(page: Page, hunk: number, title: string) {
  return page.locator(".codelens-decoration:visible").nth(hunk).locator("a", { hasText: title });
}

function expected(changes: Readonly<Record<number, string>>): string {
  return Array.from({ length: 60 }, (_, index) => changes[index + 1] ?? lineOf(index + 1)).join("");
}

describe("review by hunk", () => {
  it("keeps hunk 1 and undoes hunk 3 while hunk 5 is being written, and undoes hunk 5 after a reload", async () => {
    const script: Script = {
      steps: [
        { say: "Four first.", calls: [edit(5), edit(10), edit(15), edit(20)] },
        { say: "Now the fifth.", calls: [fifth], hold: { name: "mid", at: { call: 0, arguments: midArguments } } },
        { say: "All five are changed." },
      ],
    };
    await withReview("review", script, {}, async (workbench, double) => {
      const { page, panel, reload, openFile, readFile, screenshot } = workbench;
      await start(workbench);
      await pending(page, 4);
      await double.reached("mid");
      await buttonAbove(page, 3, "Keep").waitFor();
      await screenshot("held");
      await buttonAbove(page, 0, "Keep").click();
      await pending(page, 3);
      await goTo(page, 15);
      await page.keyboard.press("ControlOrMeta+Shift+F9");
      await pending(page, 2);
      await buttonAbove(page, 2, "Keep").waitFor({ state: "detached" });
      double.release("mid");
      await panel.getByRole("log").getByText("All five are changed.").waitFor();
      await pending(page, 3);
      await screenshot("five");

      await reload();
      await pending(page, 3);
      await openFile("src/values.ts");
      await goTo(page, 20);
      await page.keyboard.press("ControlOrMeta+F8");
      await page.locator(".statusbar-item", { hasText: "Ln 55, Col" }).waitFor();
      await buttonAbove(page, 0, "Undo").waitFor();
      await screenshot("fifth");
      await workbench.runCommand("Hermes: Undo This Change");
      await pending(page, 2);
      await page.locator(".editor-instance .monaco-editor.focused").waitFor();
      await page.keyboard.press("ControlOrMeta+S");
      await page.locator(".tab.active:not(.dirty)").filter({ hasText: "values.ts" }).waitFor();
      assert.equal(
        await readFile("src/values.ts"),
        expected({ 5: changedLine(5), 10: changedLine(10), 20: changedLine(20) }),
      );
      await screenshot("reloaded");
      double.assertClean();
    });
  });
});

/** The theme is the window's own, so no setting of a test's machine can choose it. */
async function chooseTheme({ page }: Workbench, title: string): Promise<void> {
  await page.keyboard.press("ControlOrMeta+KeyK");
  await page.keyboard.press("ControlOrMeta+KeyT");
  const input = page.locator(".quick-input-widget input");
  await input.fill(title);
  await page.locator(".quick-input-list .monaco-list-row.focused").filter({ hasText: title }).waitFor();
  await page.keyboard.press("Enter");
  await input.waitFor({ state: "hidden" });
}

/** What is painted over the text: the new text of an edit that is being written. */
function painted(page: Page): Promise<readonly string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll(".view-line span")]
      .map((span) => getComputedStyle(span, "::after").content)
      .filter((content) => content.includes("\n") || content.includes("\\a")),
  );
}

describe("review by file and of all", () => {
  it("follows the agent, shows all diffs, keeps a file, and undoes the rest, in a dark theme", async () => {
    const calls = [
      edit(5),
      edit(30, ""),
      { name: "edit", input: { path: "src/other.ts", old: "other = 1", new: "other = 2" } },
    ];
    const script: Script = { steps: [{ say: "Three.", calls }, { say: "All are changed." }] };
    await withReview("review-dark", script, {}, async (workbench, double) => {
      const { page, panel, openPanel, openFile, readFile, screenshot } = workbench;
      await openPanel();
      await openFile("src/values.ts");
      await chooseTheme(workbench, "Dark Modern");
      await panel.getByRole("button", { name: /^Follow/ }).click();
      await panel.getByRole("button", { name: /^Follow/, pressed: true }).waitFor();
      await panel.getByRole("textbox").first().fill("Change the values");
      await panel.getByRole("button", { name: "Send" }).click();
      await panel.getByRole("button", { name: "Allow for this session" }).click();
      await panel.getByRole("log").getByText("All are changed.").waitFor();
      await pending(page, 3);
      await page.locator(".tab").filter({ hasText: "other.ts" }).waitFor();
      await openFile("src/values.ts");
      await buttonAbove(page, 1, "Keep").waitFor();
      await screenshot("buttons");

      await page.locator(".statusbar-item", { hasText: "3 pending" }).click();
      await page.locator(".tab.active").filter({ hasText: "Pending changes by Hermes" }).waitFor();
      await page.locator(".multiDiffEntry .line-insert, .multiDiffEntry .line-delete").first().waitFor();
      await screenshot("diffs");

      const bar = panel.getByRole("region", { name: "Pending changes" });
      await bar.getByRole("button", { name: "3 pending" }).click();
      await screenshot("bar");
      await bar.getByRole("button", { name: "Keep other.ts" }).click();
      await pending(page, 2);
      await bar.getByRole("button", { name: "Undo all pending changes" }).click();
      await page.locator(".monaco-dialog-box").getByRole("button", { name: "Undo All" }).click();
      await pending(page, 0);
      await bar.waitFor({ state: "detached" });
      assert.equal(await page.locator(".tab.dirty").count(), 0, "what was saved before is saved");
      assert.equal(await readFile("src/values.ts"), before);
      assert.equal(await readFile("src/other.ts"), "export const other = 2;\n");
      double.assertClean();
    });
  });
});

/** Where the editor's lines are. */
function placesOfLines(page: Page): Promise<string> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>(".editor-instance .view-line")]
      .map(({ style }) => style.top)
      .sort()
      .join(" "),
  );
}

describe("an edit that is being written", () => {
  for (const [theme, title] of Object.entries({ light: "Light Modern", dark: "Dark Modern" })) {
    it(`grows in the open editor and is gone when it is refused, in a ${theme} theme`, async () => {
      const script: Script = {
        steps: [
          { say: "I write.", calls: [fifth], hold: { name: "mid", at: { call: 0, arguments: midArguments } } },
          { say: "It was refused." },
        ],
      };
      await withReview(`preview-${theme}`, script, {}, async (workbench, double) => {
        const { page, panel, openPanel, openFile, readFile, screenshot } = workbench;
        await openPanel();
        await openFile("src/values.ts");
        await chooseTheme(workbench, title);
        await page.keyboard.press("ControlOrMeta+End");
        await panel.getByRole("textbox").first().fill("Change the values");
        const places = await placesOfLines(page);
        await panel.getByRole("button", { name: "Send" }).click();
        await double.reached("mid");
        await page.waitForFunction(() =>
          [...document.querySelectorAll(".view-line span")].some((span) =>
            getComputedStyle(span, "::after").content.includes("second line"),
          ),
        );
        await screenshot("written");
        assert.equal((await painted(page)).length, 1);
        assert.equal(await placesOfLines(page), places, "no line has moved");
        assert.equal(await page.locator(".tab.dirty").count(), 0, "the document is untouched");
        double.release("mid");
        await panel.getByRole("button", { name: "Deny" }).click();
        await panel.getByRole("log").getByText("It was refused.").waitFor();
        assert.deepEqual(await painted(page), []);
        assert.equal(await readFile("src/values.ts"), before);
      });
    });
  }
});
