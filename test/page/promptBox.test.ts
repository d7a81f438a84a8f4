/**
 * Where the user writes, on the panel's page in Chromium: keys, drafts, references, what a prompt would cost.
 *
 * Not here: what becomes of a prompt (`panel.test.ts`).
 */
import { describe, expect, test } from "vitest";
import * as say from "../support/panelMessages.ts";
import { answer, begun, box, button, session, withPanel } from "../support/panelTest.ts";

describe("the prompt box", () => {
  test("Enter sends, Shift+Enter makes a line, and the words come back when they could not be sent", () =>
    withPanel([], async (panel) => {
      await box(panel).click();
      await panel.page.keyboard.type("Fix");
      await panel.page.keyboard.press("Shift+Enter");
      await panel.page.keyboard.type("it");
      await panel.page.keyboard.press("Enter");
      expect(await panel.posted()).toEqual([{ type: "submit", text: "Fix\nit" }]);
      expect(await box(panel).inputValue()).toBe("");
      await panel.send(
        { type: "failed", failure: { code: "needs_key", message: "It needs a key." }, action: "set_api_key" },
        { type: "prompt_settled" },
      );
      expect(await box(panel).inputValue()).toBe("Fix\nit");
      await panel.page.getByRole("alert").getByRole("button", { name: "Add API key" }).click();
      expect(await panel.posted()).toEqual([{ type: "do", action: "set_api_key" }]);
    }));

  test("/compact asks for a compaction, with a hint or without", () =>
    withPanel([answer("Done.")], async (panel) => {
      for (const [words, hint] of [["/compact"], ["/compact keep the names", "keep the names"]] as const) {
        await box(panel).fill(words);
        await box(panel).press("Enter");
        expect(await panel.posted()).toEqual([{ type: "compact", ...(hint ? { hint } : {}) }]);
        expect(await box(panel).inputValue()).toBe("");
      }
      await box(panel).fill("/compacted is another word");
      await box(panel).press("Enter");
      expect(await panel.posted()).toEqual([{ type: "submit", text: "/compacted is another word" }]);
    }));

  test("a draft survives the end of the page", async () => {
    await withPanel([], async (panel) => {
      await box(panel).fill("half a thought");
      expect(await panel.page.evaluate(() => (window as unknown as { saved: unknown }).saved)).toEqual({
        draft: "half a thought",
      });
    });
    await withPanel([], async (panel) => expect(await box(panel).inputValue()).toBe("half a thought"), {
      saved: { draft: "half a thought" },
    });
  });

  test("shows references, models by what they need, and an example to start from", () =>
    withPanel([], async (panel) => {
      await button(panel, "Reference src/parse.ts").click();
      await panel.page.getByLabel("Model", { exact: true }).selectOption("ollama/qwen3");
      await panel.page.getByLabel("Model", { exact: true }).selectOption("openai/gpt-6.1-sol");
      await button(panel, /Explain how this project/).click();
      expect(await panel.posted()).toEqual([
        { type: "toggle_reference", id: "a" },
        { type: "select_model", model: "ollama/qwen3" },
        { type: "set_api_key", name: "openai", model: "openai/gpt-6.1-sol" },
      ]);
      expect(await box(panel).inputValue()).toMatch(/^Explain how/);
    }));

  test("says what a reference and a long text would cost before they are sent, for the model that is chosen", () =>
    withPanel([], async (panel) => {
      const chip = button(panel, "Reference src/parse.ts");
      expect(await chip.getAttribute("aria-description")).toBe("≈ 1.2k tokens");
      const cost = panel.page.locator(".prompt-cost");
      await box(panel).fill("short");
      expect(await cost.count()).toBe(0);
      await box(panel).fill("é".repeat(1_000));
      expect(await cost.textContent()).toBe("≈ 500 tokens");
      const parse = { id: "a", label: "src/parse.ts", kind: "file", included: true, bytes: 4_800 } as const;
      await panel.send({ type: "references", chips: [parse] });
      expect(await cost.textContent()).toBe("≈ 1.7k tokens");
      await panel.send({ type: "models", models: say.models, selected: "ollama/qwen3" });
      expect([await cost.count(), await chip.getAttribute("aria-description")]).toEqual([0, null]);
    }));

  test("says that the user is about to write, and at the first key that they do", () =>
    withPanel([session(...begun), answer("Done.")], async (panel) => {
      await panel.page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
      const before = (await panel.warmUps()).length;
      await panel.send({ type: "focus" });
      await box(panel).press("a");
      await box(panel).press("b");
      expect((await panel.warmUps()).slice(before)).toEqual(["focus", "typing"]);
    }));

  test("says what a cold cache and another model cost before anything is sent", () =>
    withPanel([session(...begun)], async (panel) => {
      const [selected, other] = ["anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"];
      const forecast = { tokens: 82_000, warmUntilAt: 0, anewUsd: { [selected]: 0.205, [other]: 0.164 } };
      await panel.send({ type: "models", models: say.models, selected });
      await panel.send({ type: "forecast", sessionId: say.sessionId, forecast });
      const cold = panel.page.locator(".cold-cache");
      // Not while a turn runs: then it is warm, or about to be.
      expect(await cold.count()).toBe(0);
      await panel.send(answer("Done."));
      expect(await cold.textContent()).toBe("Cache is cold: the next request sends 82.0k tokens anew, about $0.20.");
      const options = panel.page.getByLabel("Model", { exact: true }).locator("option");
      const labels = (await options.allTextContents()).filter((label) => label.includes("anew"));
      expect(labels).toEqual(["qwen3 (Ollama) · 82.0k tokens anew", "GPT-6.1 Sol · 82.0k tokens anew, about $0.16"]);
      await panel.send({
        type: "forecast",
        sessionId: say.sessionId,
        forecast: { ...forecast, warmUntilAt: Date.now() + 3_600_000 },
      });
      expect(await cold.count()).toBe(0);
    }));

  test("does not take the keyboard unasked, and takes it when asked", () =>
    withPanel([answer("Done.")], async (panel) => {
      const isFocused = () => box(panel).evaluate((element) => element === document.activeElement);
      await panel.page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
      await panel.send(session(...begun));
      expect(await isFocused()).toBe(false);
      await panel.send({ type: "focus" });
      expect(await isFocused()).toBe(true);
    }));
});
