/**
 * What follows an edit, through a whole turn in a real VS Code: a formatter and problems of another extension, files that
 * are closed and open, and what of it the model is told and the user sees.
 *
 * Not here: how VS Code is asked (`../afterEdit.test.ts`). Easily got wrong: the formatter takes leading spaces away and a
 * problem quotes its line, so a problem with spaces in it is one of an earlier text.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { root } from "../../rig/bootstrap.mjs";
import { type ModelDouble, startModelDouble } from "../../support/modelDouble.ts";
import { type Workbench, withWorkbench } from "../support/workbench.ts";

const source = "one\ntwo\nthree\n";
const edit = (file: string, old: string, text: string) => ({ name: "edit", input: { path: file, old, new: text } });

/** What the model was told of the calls of the step before. */
function toldIn(double: ModelDouble, request: number): readonly string[] {
  return double.requests[request]?.view?.results.map(({ text }) => text) ?? [];
}

/** The lines of the diff editors, file by file: in each, those taken away before the text as it is now. */
function shownLines({ page }: Workbench): Promise<readonly string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll(".multiDiffEntry .modified .view-line")].map((line) =>
      (line.textContent ?? "").replaceAll("\u00a0", " "),
    ),
  );
}

describe("after an edit", () => {
  it("the user and the model see the final text of closed and open files, with the problems of just that text", async () => {
    const steps = [
      {
        say: "I change three.",
        calls: [
          edit("closed.tidy", "two", "    bad two\n    and more"),
          edit("open.tidy", "two", "    bad two\n    and more"),
          edit("quiet.tidy", "two", "    bad two\n    and more"),
        ],
      },
      {
        say: "Once more.",
        calls: [edit("closed.tidy", "bad two", "  good two"), edit("open.tidy", "bad two", "  good two")],
      },
      { say: "That is all." },
    ];
    const double = await startModelDouble({ script: { steps } });
    const workspace = { "closed.tidy": source, "open.tidy": source, "quiet.tidy": source };
    const env = { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl };
    const settings = {
      "hermes.model.name": "anthropic/claude-sonnet-5-5",
      "hermes.localModels.detect": false,
      "hermes.edits.diagnosticsWaitMs": 5_000,
      "editor.formatOnSave": true,
      "files.autoSave": "off",
    };
    const companion = path.join(root, "test", "host", "tidy");
    try {
      await withWorkbench({ name: "afterEdit", workspace, env, settings, companion }, async (workbench) => {
        const { page, panel, openPanel, openFile, readFile, screenshot } = workbench;
        await openPanel();
        await openFile("open.tidy");
        await panel.getByRole("textbox").first().fill("Change them");
        await panel.getByRole("button", { name: "Send" }).click();
        await panel.getByRole("button", { name: "Allow for this session" }).click();
        await panel.getByRole("log").getByText("That is all.").waitFor();
        const formatted = " The file was formatted as the editor does on save.";
        const first = (file: string, problems: string) =>
          `Edited ${file} at lines 2-3. Lines 1-4 are now:\none\nbad two\nand more\nthree\n[end of line 4]${formatted}\n${problems}`;
        const second = (file: string) =>
          `Edited ${file} at line 2. Lines 1-4 are now:\none\ngood two\nand more\nthree\n[end of line 4]${formatted}\n` +
          "No problems reported for this version.";
        const bad = 'Problems now:\n- error, line 2: "bad two" is bad';
        assert.deepEqual(toldIn(double, 1), [
          first("closed.tidy", bad),
          first("open.tidy", bad),
          first("quiet.tidy", "Problems: not known yet."),
        ]);
        assert.deepEqual(toldIn(double, 2), [second("closed.tidy"), second("open.tidy")]);
        assert.deepEqual(await page.locator(".tab").allTextContents(), ["open.tidy"], "nothing else was opened");
        assert.equal(await page.locator(".tab.dirty").count(), 0);
        assert.equal(await readFile("closed.tidy"), "one\ngood two\nand more\nthree\n");
        assert.equal(await readFile("open.tidy"), "one\ngood two\nand more\nthree\n");
        assert.equal(await readFile("quiet.tidy"), "one\nbad two\nand more\nthree\n");

        await page.locator(".statusbar-item", { hasText: "3 pending" }).click();
        await page.locator(".multiDiffEntry .line-insert").nth(5).waitFor();
        await screenshot("diffs");
        const diffOf = (line: string) => ["two", "one", line, "and more", "three", ""];
        assert.deepEqual(await shownLines(workbench), [
          ...diffOf("good two"),
          ...diffOf("good two"),
          ...diffOf("bad two"),
        ]);
        double.assertClean();
      });
    } finally {
      await double.close();
    }
  });
});
