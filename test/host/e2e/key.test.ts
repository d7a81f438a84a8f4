/**
 * From the recording to a model of one's own: a key is added by one click, is kept, and can be taken back.
 *
 * Easily got wrong: the key must show up nowhere, so the page, the log and the files of the host are searched for it.
 */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { withWorkbench } from "../support/workbench.ts";

const key = "sk-ant-test-0123456789";

describe("an API key", () => {
  it("takes the place of the recording, survives a reload, and is seen nowhere", async () => {
    const settings = { "hermes.localModels.detect": false };
    await withWorkbench({ name: "key", settings }, async (workbench) => {
      const { page, openPanel, runCommand, reload, log, hermesHome, screenshot } = workbench;
      let panel = await openPanel();
      const recording = () => panel.getByText("Recording", { exact: true });
      const entry = page.locator(".quick-input-widget input");
      const choose = (text: string) =>
        page.locator(".quick-input-list .monaco-list-row").filter({ hasText: text }).click();
      await recording().waitFor();

      await panel.getByRole("button", { name: "Add API key" }).click();
      await choose("Anthropic");
      await page.locator(".quick-input-widget").getByText("secret storage").waitFor();
      assert.equal(await entry.getAttribute("type"), "password");
      await entry.fill("two words");
      await page.locator(".quick-input-widget").getByText("A key has no spaces").waitFor();
      await entry.fill(key);
      await page.keyboard.press("Enter");
      await recording().waitFor({ state: "detached" });
      await panel
        .getByRole("combobox", { name: "Model" })
        .locator("option:checked", { hasText: "Claude" })
        .waitFor({ state: "attached" });
      await screenshot("added");

      await reload();
      panel = await openPanel();
      await panel
        .getByRole("combobox", { name: "Model" })
        .locator("option:checked", { hasText: "Claude" })
        .waitFor({ state: "attached" });

      await runCommand("Hermes: Set API Key…");
      await choose("Remove the Anthropic key");
      await recording().waitFor();
      const seen = [...log, await page.content(), await panel.locator("body").innerHTML()];
      for (const name of await fs.readdir(hermesHome, { recursive: true })) {
        const file = path.join(hermesHome, name);
        if ((await fs.stat(file)).isFile()) seen.push(await fs.readFile(file, "utf8"));
      }
      assert.equal(
        seen.some((text) => text.includes(key)),
        false,
      );
    });
  });
});
