/**
 * Where the time and the money of a turn went, in a real VS Code: the command explains the last turn, a finding leads to
 * its row, the meter tells the parts of the window, and all of it is there again after the window was loaded anew.
 *
 * Easily got wrong: times are real here, so only what the turn itself makes certain is compared.
 */
import assert from "node:assert/strict";
import type { FrameLocator } from "playwright-core";
import { type Script, startModelDouble } from "../../support/modelDouble.ts";
import { withWorkbench } from "../support/workbench.ts";

const files = {
  "src/parse.ts": "export const secondsOf = (hours: number) => hours * 60;\n",
  "check.mjs": [
    'import { readFileSync } from "node:fs";',
    'const isRight = readFileSync("src/parse.ts", "utf8").includes("3600");',
    'setTimeout(() => { console.log(isRight ? "1 passed" : "1 failed: 2 hours are 7200 seconds"); process.exit(isRight ? 0 : 1); }, 2_300);',
  ].join("\n"),
};

const usage = { input: 412, cacheWrite: 1_900, cacheRead: 61_400 };
const script: Script = {
  steps: [
    {
      think: "The prompt asks for the tests to be run. I look at the parser and run the check.",
      say: "I look at the parser and run the check.",
      calls: [
        { name: "read", input: { files: [{ path: "src/parse.ts" }] } },
        { name: "shell", input: { command: "node check.mjs" } },
      ],
      usage: { input: 1_240, cacheWrite: 61_400, cacheRead: 0, output: 212, thinking: 96 },
    },
    {
      say: "An hour has 3600 seconds, not 60. I correct that and run the check again.",
      calls: [
        {
          name: "edit",
          input: { path: "src/parse.ts", old: "hours * 60;", new: "hours * 3600;" },
        },
        { name: "shell", input: { command: "node check.mjs" } },
      ],
      usage: { ...usage, output: 148 },
    },
    {
      say: "`secondsOf` counted 60 seconds to the hour. It now counts 3600, and the check passes.",
      usage: { ...usage, cacheRead: 63_300, output: 61 },
    },
  ],
};

async function playTurn(panel: FrameLocator): Promise<void> {
  await panel.getByRole("textbox").first().fill("Run the check and fix what fails.");
  await panel.getByRole("button", { name: "Send" }).click();
  await panel.getByRole("button", { name: "Allow for this session" }).click();
  // The command's rule is one of its own.
  const edit = panel.getByRole("group", { name: /^Approval: Edit/ }).getByRole("button", { name: "Allow once" });
  await edit.click();
  await panel.getByRole("button", { name: "Where the time went" }).waitFor();
}

describe("where the time went", () => {
  for (const [theme, title] of Object.entries({ light: "Light Modern", dark: "Dark Modern" })) {
    it(`is explained by the command, in the ${theme} theme`, async () => {
      const double = await startModelDouble({ script, timing: { firstTokenMs: 900, tokensPerSecond: 45 } });
      try {
        await withWorkbench(
          {
            name: `waterfall-${theme}`,
            workspace: files,
            env: { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl },
            settings: {
              "hermes.model.name": "anthropic/claude-sonnet-5-5",
              "hermes.localModels.detect": false,
              "workbench.colorTheme": `Default ${title}`,
            },
          },
          async ({ page, openPanel, runCommand, screenshot, reload, panel }) => {
            await page.setViewportSize({ width: 1200, height: 1240 });
            await openPanel();
            await playTurn(panel);
            const meter = panel.getByRole("button", { name: /^Context window \d+ % full: 6\d\.\dk of / });
            await meter.focus();
            await panel.getByRole("rowheader", { name: "Conversation" }).waitFor();
            await screenshot("meter");
            await runCommand("Hermes: Why Was This Slow or Expensive?");
            const section = panel.getByRole("region", { name: "Where the time went" });
            await section.getByRole("rowheader", { name: "Running tools" }).waitFor();
            const rows = section.getByRole("list", { name: /^Steps and tool calls/ }).getByRole("button");
            assert.deepEqual(
              (await rows.allInnerTexts())
                .map((text) => text.split("\n")[0])
                .filter((label) => /^Step|^Run|^Edit|^Read|^Drawing/.test(label ?? "")),
              [
                "Step 1",
                "Read src/parse.ts",
                "Run node check.mjs",
                "Step 2",
                "Edit src/parse.ts",
                "Run node check.mjs",
                "Step 3",
                "Drawing the end",
              ],
            );
            await section
              .getByRole("button", { name: /“Run node check\.mjs” ran for \d\.\d s\./ })
              .first()
              .click();
            await panel.locator(".fall-row:focus", { hasText: "Run node check.mjs" }).waitFor();
            await screenshot("open");
            await reload();
            await openPanel();
            await panel.getByRole("button", { name: "Where the time went" }).click();
            await section.getByRole("rowheader", { name: "Running tools" }).waitFor();
            assert.equal(await rows.filter({ hasText: "Drawing the end" }).count(), 0);
            await meter.waitFor();
          },
        );
        double.assertClean();
      } finally {
        await double.close();
      }
    });
  }
});
