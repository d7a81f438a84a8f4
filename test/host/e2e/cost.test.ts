/**
 * A turn that waits at a limit on money, and the cost view of a month of work, in both themes: the pictures of the docs.
 *
 * Not here: what else a limit does (`limits.test.ts`). Easily got wrong: what was spent before is written as the ledger's
 * own lines, by days before today, so the first days of a month show fewer bars of it.
 */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { type Script, startModelDouble } from "../../support/modelDouble.ts";
import { type Workbench, withWorkbench } from "../support/workbench.ts";

const files = { "src/parse.ts": "export const secondsOf = (hours: number) => hours * 60;\n" };
const look = [{ name: "list", input: { path: "." } }];
const usage = { input: 412, cacheWrite: 1_900, cacheRead: 61_400, output: 1_480 };
const scripts: readonly Script[] = [
  { match: "Explain", steps: [{ say: "It bundles four programs.", usage }] },
  {
    steps: [
      { say: "I look around.", calls: look, usage: { input: 1_240, cacheWrite: 61_400, cacheRead: 0, output: 2_120 } },
      { say: "An hour has 3600 seconds; it counts 60.", usage },
    ],
  },
];

const dayMs = 24 * 60 * 60_000;
/** Thousands of prompt tokens of the days up to yesterday. */
const earlier = [310, 90, 250, 0, 0, 180, 420, 260, 120, 290, 0, 0, 60, 330, 270, 110, 240, 180, 0, 0, 470];

/** Writes down what other folders spent: requests of a day as one, and nearly $2.79 today. */
async function spend(home: string): Promise<void> {
  const folder = path.join(home, "spending");
  await fs.mkdir(folder, { recursive: true });
  const days = earlier.map((thousands, index) => ({
    ago: earlier.length - index,
    thousands,
    usd: (3 * thousands) / 1000,
  }));
  for (const { ago, thousands, usd } of [...days, { ago: 0, thousands: 640, usd: 2.785 }]) {
    if (thousands === 0) continue;
    const at = Date.now() - ago * dayMs;
    const date = new Date(at);
    const month = `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}`;
    const id = `earlier-${ago}`;
    const model = ago % 3 === 1 ? "openai/gpt-6.1-sol" : "anthropic/claude-sonnet-5-5";
    const account = { sessionId: "earlier", turnId: id, model, purpose: "turn" };
    const used = { inputTokens: thousands * 160, cacheReadTokens: thousands * 840, cacheWriteTokens: 0 };
    const lines = [
      { ...account, type: "reserved", id, at, tokens: thousands * 1000, nano: usd * 1e9 },
      { type: "settled", id, usage: { ...used, outputTokens: thousands * 20 }, nano: usd * 1e9 },
    ];
    await fs.appendFile(path.join(folder, `${month}.jsonl`), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
}

/** Makes the panel as wide as people have it. */
async function widen({ page }: Workbench): Promise<void> {
  const bar = await page.locator(".part.auxiliarybar").boundingBox();
  assert.ok(bar);
  await page.mouse.move(bar.x - 2, bar.y + 300);
  await page.mouse.down();
  await page.mouse.move(bar.x - 140, bar.y + 300, { steps: 5 });
  await page.mouse.up();
}

describe("cost", () => {
  for (const [theme, title] of Object.entries({ light: "Light Modern", dark: "Dark Modern" })) {
    it(`of a month is drawn, and a turn waits at a limit on money, in the ${theme} theme`, async () => {
      const double = await startModelDouble({ script: scripts });
      const settings = {
        "hermes.model.name": "anthropic/claude-sonnet-5-5",
        "hermes.localModels.detect": false,
        "hermes.budget.session.requests": 200,
        "hermes.budget.day.usd": 3,
        "hermes.budget.month.usd": 40,
        "workbench.colorTheme": `Default ${title}`,
      };
      const env = { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl };
      try {
        await withWorkbench({ name: `cost-${theme}`, workspace: files, env, settings }, async (workbench) => {
          const { page, panel, openPanel, runCommand, screenshot, hermesHome } = workbench;
          await spend(hermesHome);
          await openPanel();
          await widen(workbench);
          const ask = async (text: string) => {
            await panel.getByRole("textbox").first().fill(text);
            await panel.getByRole("button", { name: "Send" }).click();
          };
          await ask("Explain the build");
          await panel.getByRole("log").getByText("It bundles four programs.").waitFor();
          await runCommand("Hermes: New Session");
          await panel.getByRole("heading", { name: "What should be done?" }).waitFor();
          await ask("What is wrong in the parser?");
          const card = panel.getByRole("group", { name: /^Limit: The limit of \$3\.00 for today would be passed/ });
          await card.waitFor();
          await page.setViewportSize({ width: 1400, height: 580 });
          const whole = page.locator('iframe.webview[src*="extensionId=hermes-agent.hermes"]');
          await screenshot("waits", whole);
          await card.getByRole("button", { name: "Raise to $5.00" }).click();
          await panel.getByRole("log").getByText("An hour has 3600 seconds").waitFor();
          await runCommand("Hermes: Show Cost");
          const limits = panel.getByRole("region", { name: "Limits" });
          await limits.getByText("(raised from $3.00)").waitFor();
          await page.setViewportSize({ width: 1400, height: 960 });
          await panel.getByRole("button", { name: "Open as CSV" }).hover({ trial: true });
          await screenshot("view", whole);
          double.assertClean();
        });
      } finally {
        await double.close();
      }
    });
  }
});
