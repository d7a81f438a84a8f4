/**
 * What a turn took, on the panel's page in Chromium: the waterfall with its findings, and the meter of the context window.
 *
 * Not here: how times become parts (`test/unit/report`).
 */
import type { Locator } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import type { PanelPage } from "../support/panelHarness.ts";
import * as say from "../support/panelMessages.ts";
import { box, button, ended, nearlyFull, slow, withPanel } from "../support/panelTest.ts";

const { sessionId, turnId } = say;

describe("where the time went", () => {
  const section = ({ page }: PanelPage) => page.getByRole("region", { name: "Where the time went" });
  const cells = (of: Locator) =>
    of
      .getByRole("row")
      .evaluateAll((rows) => rows.map((one) => [...one.children].map((cell) => cell.textContent ?? "").join(" | ")));

  test("a turn says its cost and cached share, and unfolds into parts that add up", () =>
    withPanel([slow], async (panel) => {
      expect(await panel.page.locator("footer > span").innerText()).toBe(
        "Claude Sonnet 5.5 · 261.7k tokens · $0.28 · 67 % cached · 42 s",
      );
      const unfold = button(panel, "Where the time went");
      expect(await unfold.getAttribute("aria-expanded")).toBe("false");
      await unfold.press("Enter");
      expect(await cells(section(panel).getByRole("table"))).toEqual([
        "Part | Time | Share",
        "Waiting for you | 22 s | 54 %",
        "Model writing | 6.6 s | 16 %",
        "Running tools | 6.0 s | 14 %",
        "Waiting for the model | 3.8 s | 9 %",
        "Waiting to ask again | 2.0 s | 5 %",
        "Formatter and problems | 0.4 s | 1 %",
        "6 smaller parts | 0.6 s | 1 %",
        "In all | 42 s | 100 %",
      ]);
      await button(panel, "6 smaller parts").click();
      expect((await cells(section(panel).getByRole("table"))).slice(7)).toEqual([
        "Other | 0.3 s | 1 %",
        "Connecting | 96 ms | < 1 %",
        "Writing changes | 90 ms | < 1 %",
        "Preparing requests | 51 ms | < 1 %",
        "Preparing the turn | 50 ms | < 1 %",
        "Tools waiting | 25 ms | < 1 %",
        "In all | 42 s | 100 %",
      ]);
      await unfold.press("Enter");
      expect(await section(panel).count()).toBe(0);
    }));

  test("a finding leads to its row; keys go from row to row, and each says what it took", () =>
    withPanel([slow], async (panel) => {
      await button(panel, "Where the time went").click();
      const found = section(panel).getByRole("list", { name: "Why this was slow or expensive" });
      expect((await found.getByRole("button").allInnerTexts()).map((text) => text.trim())).toEqual([
        "Step 1 alone cost $0.22 of $0.28.",
        "The prompt cache was missed in step 1: 82.0k tokens were sent anew, because the pause was longer than the vendor keeps a prompt.",
        "Most of the time (54 %, 22 s): it waited for your approval of “Run npm test”.",
        "14 % of the time (5.9 s): “Run npm test” ran for 5.9 s.",
        "5 % of the time (2.0 s): one wait before asking again: The model is overloaded.",
      ]);
      await found.getByRole("button", { name: /Most of the time/ }).press("Enter");
      const focused = panel.page.locator("button:focus");
      await panel.page.locator(".fall-row:focus").waitFor();
      expect(await focused.getAttribute("aria-label")).toBe(
        "Run npm test: 28 s, from 4.9 s. Tools waiting 15 ms, Waiting for you 22 s, Running tools 5.9 s.",
      );
      await panel.page.keyboard.press("ArrowDown");
      expect(await focused.getAttribute("aria-label")).toMatch(
        /^Step 2: 5\.8 s, from 33 s\. Preparing requests 19 ms, Waiting to ask again \(The model is overloaded\) 2\.0 s, .* 87\.2k tokens in, 99 % cached, 420 out \(60 of it thinking\), \$0\.0342\.$/,
      );
      await panel.page.getByText(/^Step 2 Preparing requests 19 ms/).waitFor();
      await panel.page.keyboard.press("Home");
      expect(await focused.getAttribute("aria-label")).toMatch(/^Before the first step: /);
      await panel.page.keyboard.press("End");
      expect(await focused.getAttribute("aria-label")).toMatch(/^Step 3: /);
      // One stop of the Tab key for all rows: the one that was led to.
      await panel.page.keyboard.press("Tab");
      expect(await focused.evaluateAll((all) => all.filter((one) => one.closest(".fall-rows")).length)).toBe(0);
    }));

  test("asked from outside it explains the last turn that has ended, and takes the keyboard; a later turn stays folded", () =>
    withPanel([{ type: "why" }], async (panel) => {
      await panel.send(slow);
      await expect.poll(() => section(panel).evaluate((one) => one === document.activeElement)).toBe(true);
      const next = "t2" as typeof turnId;
      const updates = say.numbered([say.started("And now?", false, next), { ...ended, turnId: next }], 100);
      await panel.send({ type: "updates", sessionId, updates });
      expect(await section(panel).count()).toBe(1);
      await panel.send({ type: "why", turnId: next });
      expect(await section(panel).count()).toBe(2);
      await section(panel).last().getByText("the model and an answer from before were looked for").waitFor();
    }));

  test("drawing is measured for a turn that ended on this page, and of an old turn it is said what was not recorded", () =>
    withPanel([], async (panel) => {
      const events = say.slowTurn();
      await panel.send({ type: "session", sessionId, events: events.slice(0, -1), live: [] });
      await panel.send({ type: "updates", sessionId, updates: events.slice(-1) });
      await button(panel, "Where the time went").click();
      await section(panel)
        .getByRole("button", { name: /^Drawing the end: .* slowest update of the turn/ })
        .waitFor();
      const old = events.map((event) => {
        const { phases: _, ...rest } = event as typeof event & { phases?: unknown };
        return rest;
      });
      await panel.send({ type: "session", sessionId, events: old, live: [] });
      await section(panel)
        .getByText(/were not recorded when this turn ran/)
        .waitFor();
      expect(
        await section(panel)
          .getByRole("button", { name: /Drawing the end/ })
          .count(),
      ).toBe(0);
    }));
});

describe("the context meter", () => {
  const meter = (panel: PanelPage) => button(panel, /^Context window/);
  const full: ToPanel = { ...slow, events: slow.events.map(nearlyFull) };

  test("is not there before the first request, and says its parts to keyboard and pointer", () =>
    withPanel([], async (panel) => {
      expect(await meter(panel).count()).toBe(0);
      await panel.send(slow);
      expect(await meter(panel).getAttribute("aria-label")).toBe("Context window 52 % full: 88.1k of 200.0k tokens");
      const table = panel.page.getByRole("table", { name: "88.1k of 200.0k tokens, full at 168.0k" });
      await meter(panel).focus();
      expect(await table.getByRole("row").allInnerTexts()).toEqual([
        "Part\tTokens\tShare",
        "Tools\t5.9k\t3 %",
        "System prompt\t1.8k\t1 %",
        "Project instructions\t1.3k\t1 %",
        "Conversation\t78.7k\t39 %",
        "Attachments\t400\t< 1 %",
        "Kept for the answer\t32.0k\t16 %",
        "Free\t79.9k\t40 %",
      ]);
      await panel.page.keyboard.press("Escape");
      expect(await table.count()).toBe(0);
      await meter(panel).hover();
      await table.waitFor();
      await meter(panel).click();
      await box(panel).hover();
      await table.waitFor();
      await box(panel).click();
      expect(await table.count()).toBe(0);
      expect(await panel.page.getByText(/context window is/).count()).toBe(0);
    }));

  test("from 80 % on it warns, and offers what to do", () =>
    withPanel([full], async (panel) => {
      await panel.page.getByRole("status").getByText("The context window is 84 % full.").waitFor();
      await button(panel, "Compact").click();
      expect(await panel.posted()).toEqual([{ type: "compact" }]);
      await panel.page.getByRole("status").getByRole("button", { name: "New session" }).click();
      expect(await panel.posted()).toEqual([{ type: "new_session" }]);
    }));
});
