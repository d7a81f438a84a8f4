/**
 * The panel as a person meets it, in the browser.
 *
 * Not here: whole tasks. Easily got wrong: locators name what people see (roles, labels), not the page's classes.
 */
import assert from "node:assert/strict";
import { withWorkbench } from "../support/workbench.ts";

describe("panel", () => {
  it("opens by its command and has a place to type", async () => {
    await withWorkbench({ name: "panel" }, async ({ openPanel, screenshot }) => {
      const panel = await openPanel();
      const box = panel.getByRole("textbox").first();
      await box.fill("hello");
      assert.equal(await box.inputValue(), "hello");
      await screenshot("open");
    });
  });
});
