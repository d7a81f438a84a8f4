/**
 * The panel's page in Chromium: what a person sees, clicks and types, and what the page then says to the extension.
 *
 * Not here: VS Code around it (`test/host`). Easily got wrong: the page is found by roles and names, as a screen reader
 * finds it, so these tests hold those too.
 */
import type { Browser, Locator } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SessionEvent, SessionEventBody } from "../../server/src/protocol/events.ts";
import type { FromPanel, ToPanel } from "../../server/src/protocol/panel.ts";
import type { RestoreId, SessionId } from "../../server/src/protocol/types.ts";
import { compacted } from "../support/events.ts";
import {
  buildPanel,
  openBrowser,
  openPanelPage,
  type PanelPage,
  type PanelPageOptions,
} from "../support/panelHarness.ts";
import * as say from "../support/panelMessages.ts";

const { sessionId, turnId } = say;

let browser: Browser;
let files: ReadonlyMap<string, Uint8Array>;

beforeAll(async () => {
  [browser, files] = await Promise.all([openBrowser(), buildPanel()]);
}, 60_000);
afterAll(() => browser?.close());

/** Opens a page that has been told `messages` after the set-up, runs `body`, and closes it. */
async function withPanel(
  messages: readonly ToPanel[],
  body: (panel: PanelPage) => Promise<void>,
  options: PanelPageOptions = {},
): Promise<void> {
  const panel = await openPanelPage(browser, files, options);
  try {
    await panel.send(...say.setUp(), ...messages);
    await panel.posted();
    await body(panel);
  } finally {
    await panel.close();
  }
}

function session(...events: readonly SessionEventBody[]): ToPanel {
  return { type: "session", sessionId, events: say.numbered(events), live: [] };
}

const begun: readonly SessionEventBody[] = [say.started("Fix it"), { type: "step_started", turnId, step: 1 }];
const ended: SessionEventBody = { type: "turn_finished", turnId, stopReason: "end_turn" };
const answer = (text: string) => session(...begun, say.block(1, 0, { type: "text", text }), ended);
const button = ({ page }: PanelPage, name: string | RegExp) => page.getByRole("button", { name });
const box = ({ page }: PanelPage) => page.getByRole("textbox", { name: /Enter sends/ });

const reached = { period: "day", unit: "nano", limit: 1e9, spent: 9e8, needed: 2e8 } as const;
const row = { model: "anthropic/claude-sonnet-5-5", sessionId, unpriced: 0, estimated: 0 };
/** A month with a day of before, and a model whose price nobody knows. */
const spent: ToPanel = {
  type: "cost",
  today: "2026-11-21",
  titles: { [sessionId]: "Fix the parser" },
  rows: [
    {
      ...row,
      day: "2026-11-03",
      sessionId: "s0" as typeof sessionId,
      requests: 9,
      tokens: 1_650_000,
      promptTokens: 1_600_000,
      cacheReadTokens: 1_200_000,
      outputTokens: 50_000,
      nano: 3_500_000_000,
      estimated: 1,
    },
    {
      ...row,
      day: "2026-11-03",
      model: "openai/mystery",
      requests: 2,
      tokens: 10_000,
      promptTokens: 9_000,
      cacheReadTokens: 0,
      outputTokens: 1_000,
      nano: 0,
      unpriced: 2,
    },
    {
      ...row,
      day: "2026-11-21",
      requests: 25,
      tokens: 620_000,
      promptTokens: 600_000,
      cacheReadTokens: 500_000,
      outputTokens: 20_000,
      nano: 1_250_000_000,
    },
  ],
};

/** The same with two limits, one of them raised. */
const limited: ToPanel = {
  ...spent,
  limits: [
    { period: "day", unit: "nano", configured: 1e9, limit: 2e9, spent: 1.9e9 },
    { period: "month", unit: "requests", configured: 1000, limit: 1000, spent: 25 },
  ],
};
/** A session with one slow turn, loaded whole. */
const slow: Extract<ToPanel, { type: "session" }> = { type: "session", sessionId, events: say.slowTurn(), live: [] };

const nearlyFull = (event: SessionEvent): SessionEvent =>
  event.type === "step_finished" ? { ...event, context: say.contextOf(131_000) } : event;

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

describe("a running turn", () => {
  test("is stopped by a click, and only one prompt runs", () =>
    withPanel([session(...begun)], async (panel) => {
      await box(panel).fill("another");
      await box(panel).press("Enter");
      await button(panel, "Stop").click();
      expect(await panel.posted()).toEqual([{ type: "stop" }]);
    }));

  test("asks; the keyboard alone answers, once", () =>
    withPanel([session(...begun, say.called(1, 0, "c1", "shell", { command: "npm test" }))], async (panel) => {
      await box(panel).focus();
      await panel.send({ type: "updates", sessionId, updates: say.numbered([say.asks("c1", {})], 4) });
      const said = panel.page.locator("[aria-live=assertive]");
      expect(await said.textContent()).toBe("Hermes asks for approval: Run npm test");
      // The question has not taken the focus: Enter in the prompt box allows nothing.
      await panel.page.keyboard.press("Enter");
      expect(await panel.posted()).toEqual([]);
      const allow = panel.page.getByRole("group", { name: "Approval: Run npm test" }).getByRole("button");
      expect(await allow.allTextContents()).toEqual(["Allow once", "Allow for this session", "Always allow", "Deny"]);
      await tabTo(panel, allow.nth(1), "Shift+Tab");
      await panel.page.keyboard.press("Enter");
      await panel.page.keyboard.press("Enter");
      expect(await panel.posted()).toEqual([{ type: "answer", sessionId, callId: "c1", choice: "allow_session" }]);
    }));

  test("waits at a limit; it is told, the focus stays, and the first answer counts", () =>
    withPanel([session(...begun)], async (panel) => {
      await box(panel).focus();
      await panel.send({ type: "updates", sessionId, updates: say.numbered([say.atLimit()], 3) });
      const said = panel.page.locator("[aria-live=assertive]");
      expect(await said.textContent()).toBe("Hermes waits at a limit: The limit of $1.00 for today would be passed.");
      await panel.page.keyboard.press("Enter");
      expect(await panel.posted()).toEqual([]);
      const card = panel.page.getByRole("group", { name: "Limit: The limit of $1.00 for today would be passed." });
      expect(await card.getByRole("button").allTextContents()).toEqual([
        "Raise to $2.00",
        "Use Claude Haiku 5.5",
        "Stop",
        "Set",
      ]);
      await tabTo(panel, card.getByRole("button", { name: "Use Claude Haiku 5.5" }), "Shift+Tab");
      await panel.page.keyboard.press("Enter");
      await panel.page.keyboard.press("Enter");
      expect(await panel.posted()).toEqual([{ type: "answer_budget", sessionId, turnId, choice: { type: "cheaper" } }]);
      const choice = { type: "raise", limit: 2e9 } as const;
      await panel.send({
        type: "updates",
        sessionId,
        updates: say.numbered([{ type: "budget_resolved", turnId, choice, by: "user" }], 4),
      });
      await card.waitFor({ state: "detached" });
      await panel.page.getByText("You raised it.").waitFor();
    }));

  test("at a limit, another one is typed in dollars, and none that is not higher", () =>
    withPanel([session(...begun, say.atLimit({ reached: { ...reached, unit: "nano" } }))], async (panel) => {
      const field = panel.page.getByRole("textbox", { name: "New limit, US dollars" });
      await field.fill("0.5");
      await field.press("Enter");
      expect(await field.getAttribute("aria-invalid")).toBe("true");
      expect(await panel.posted()).toEqual([]);
      await field.fill("3.5");
      await field.press("Enter");
      expect(await panel.posted()).toEqual([
        { type: "answer_budget", sessionId, turnId, choice: { type: "raise", limit: 3.5e9 } },
      ]);
    }));

  test("shows output while it comes, then its outcome", () =>
    withPanel(
      [
        session(
          ...begun,
          say.called(1, 0, "c1", "shell", { command: "npm test" }),
          say.ran("c1", "execute", "Run npm test"),
        ),
      ],
      async (panel) => {
        await panel.send({
          type: "updates",
          sessionId,
          updates: [{ type: "tool_output_delta", callId: say.call("c1"), text: "✔ seconds" }],
        });
        await panel.page.getByText("✔ seconds").waitFor();
        await panel.send({
          type: "updates",
          sessionId,
          updates: say.numbered([say.result("c1", "1 failed", 2300, true)], 5),
        });
        expect(await panel.page.getByText("1 failed").count()).toBe(0);
        await button(panel, /Run npm test Failed/).click();
        await panel.page.getByText("1 failed").waitFor();
        await panel.page.getByText("2.3 s").waitFor();
      },
    ));

  test("counts down to the next try", () =>
    withPanel([session(...begun)], async (panel) => {
      const untilAt = Date.now() + 60_000;
      await panel.send({
        type: "updates",
        sessionId,
        updates: [{ type: "retry_delta", turnId, attempt: 1, untilAt, reason: "Rate limited." }],
      });
      await panel.page.getByText(/^Rate limited, trying again in (60|59) s$/).waitFor();
    }));
});

describe("streamed markdown", () => {
  const pieces = [
    "# Title\n\nFirst *par",
    "agraph*.\n\n- one\n",
    "- two\n\n```ts\nconst a",
    " = 1;\n```\n\nLast ",
    "[file](src/a.ts:3)",
  ];

  test("keeps finished blocks as they are on the page, and ends as if it had come at once", () =>
    withPanel([session(...begun)], async (panel) => {
      const stream = async (text: string) =>
        panel.send({ type: "updates", sessionId, updates: [{ type: "text_delta", turnId, index: 0, text }] });
      const markdown = panel.page.locator(".markdown");
      await stream(pieces[0] ?? "");
      await markdown.locator("h1").evaluate((element) => element.setAttribute("data-mark", "kept"));
      for (const piece of pieces.slice(1)) await stream(piece);
      expect(await markdown.locator("h1").getAttribute("data-mark")).toBe("kept");
      const text = pieces.join("");
      await panel.send({
        type: "updates",
        sessionId,
        updates: say.numbered([say.block(1, 0, { type: "text", text }), ended], 3),
      });
      expect(await markdown.locator("h1").getAttribute("data-mark")).toBe("kept");
      const streamed = (await markdown.innerHTML()).replace(' data-mark="kept"', "");
      await panel.send({ type: "session", sessionId: undefined, events: [], live: [] });
      await panel.send(answer(text));
      expect(await markdown.innerHTML()).toBe(streamed);
    }));

  const hostile = [
    '<img src=x onerror="document.title=1"><script>document.title=1</script>',
    '<a href="javascript:document.title=1" onclick="document.title=1">raw</a>',
    "[a](javascript:document.title=1) [b](  JAVASCRIPT:document.title=1) [c](data:text/html,x)",
    "[d](vscode://x) [e](command:x) [f](http://example.com) [g](//example.com/x) [h](file://example.com/x)",
    "![pic](https://example.com/track.png) ![pic](x)",
    "<style>*{display:none}</style> <iframe src=https://example.com></iframe> <form><input></form>",
    '[i](https://example.com/"onmouseover="document.title=1) `<b onclick=x>`',
    "```html\n<script>document.title=1</script>\n```",
    '```"><script>document.title=1</script>\nx\n```',
    '[j](src/a.ts"onclick="document.title=1) <https://example.com/ok>',
    "| a |\n|--:|\n| <svg/onload=document.title=1> |",
    "&lt;script&gt;document.title=1&lt;/script&gt; \u202e",
  ].join("\n\n");

  test("of a hostile answer stays text: no scripts, no pictures, no requests, no links but to https and files", () =>
    withPanel([], async (panel) => {
      const requests: string[] = [];
      panel.page.on("request", (request) => requests.push(request.url()));
      await panel.send(answer(hostile));
      const found = await panel.page.locator(".markdown").evaluate((root) => ({
        tags: [...new Set([...root.querySelectorAll("*")].map(({ tagName }) => tagName.toLowerCase()))].sort(),
        attributes: [
          ...new Set([...root.querySelectorAll("*")].flatMap((element) => element.getAttributeNames())),
        ].sort(),
        links: [...root.querySelectorAll("a")].map((link) => link.getAttribute("data-path") ?? link.href),
      }));
      expect(found.links).toEqual([
        "https://example.com/track.png",
        "x",
        "https://example.com/",
        "https://example.com/%22onmouseover=%22document.title=1",
        'src/a.ts"onclick="document.title=1',
        "https://example.com/ok",
      ]);
      expect(found.tags.filter((tag) => /script|img|svg|style|iframe|form|input|object/.test(tag))).toEqual([]);
      expect(found.attributes.filter((name) => name.startsWith("on") || name === "style" || name === "src")).toEqual(
        [],
      );
      expect(await panel.page.title()).toBe("Hermes");
      expect(requests).toEqual([]);
    }));

  test("links to files open them; code is copied whole", () =>
    withPanel(
      [answer("See [the parser](src/parse.ts:12).\n\n```ts\nconst a = 1;\nconst b = 2;\n```")],
      async (panel) => {
        await panel.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await panel.page.getByRole("link", { name: "the parser" }).click();
        expect(await panel.posted()).toEqual([{ type: "open_file", path: "src/parse.ts", line: 12 }]);
        await button(panel, "Copy code").click();
        expect(await panel.page.evaluate(() => navigator.clipboard.readText())).toBe("const a = 1;\nconst b = 2;");
      },
    ));
});

describe("a finished turn", () => {
  const edited = [...begun, say.called(1, 0, "c1", "edit", {}), say.ran("c1", "edit", "Edit src/a.ts", "src/a.ts")];
  const changed = [...edited, say.changed("c1", "src/a.ts", 5, 2), say.result("c1", "ok"), say.stepEnded(1), ended];

  test("lists what it changed, opens diffs, and undoes", () =>
    withPanel([session(...changed)], async (panel) => {
      await button(panel, /Modified: src\/a\.ts|a\.ts src/).click();
      await button(panel, "Open all diffs").click();
      await button(panel, "Undo").click();
      const kinds = (await panel.posted()).map(({ type }: FromPanel) => type);
      expect(kinds).toEqual(["open_diff", "open_all_diffs", "undo"]);
      await panel.page.getByText(/^Claude Sonnet 5\.5 · 6\.7k tokens · \$0\.0123 · \d/).waitFor();
      const uri = `${say.root}/src/a.ts`;
      const restoreId = "r1" as RestoreId;
      const target = { type: "turn", turnId } as const;
      const scope = { fileTurns: [turnId], conversationTurns: [], hostPid: 1 };
      const undone: SessionEventBody[] = [
        { type: "restore_started", restoreId, target, ...scope },
        { type: "restore_finished", restoreId, files: [{ uri, outcome: "conflict", bothSides: true }] },
      ];
      await panel.send({ type: "updates", sessionId, updates: say.numbered(undone, 20) });
      await panel.page.getByText(/Undone, except where something was changed since/).waitFor();
      expect(await button(panel, "Undo").count()).toBe(0);
      await button(panel, "Show both sides of src/a.ts").click();
      expect((await panel.posted()).at(-1)).toEqual({ type: "show_conflict", restoreId, uri });
      // Nothing was undone, so nothing can be done again.
      expect(await button(panel, "Redo").count()).toBe(0);
    }));

  test("goes back by a menu that the keyboard reaches, and is then behind a line that undoes it", () =>
    withPanel([session(...changed)], async (panel) => {
      await button(panel, "Restore…").press("Enter");
      const item = (name: string) => panel.page.getByRole("menuitem", { name });
      await item("Files and conversation").press("ArrowDown");
      await item("Files only").press("Escape");
      expect(await item("Files only").count()).toBe(0);
      await button(panel, "Restore…").press("Enter");
      await item("Files and conversation").press("Enter");
      expect((await panel.posted()).at(-1)).toEqual({ type: "restore", turnId, files: true, conversation: true });
      const restoreId = "r1" as RestoreId;
      const target = { type: "checkpoint", turnId, files: true, conversation: true } as const;
      const restored: SessionEventBody[] = [
        { type: "restore_started", restoreId, target, fileTurns: [turnId], conversationTurns: [turnId], hostPid: 1 },
        { type: "restore_finished", restoreId, files: [] },
      ];
      await panel.send({ type: "updates", sessionId, updates: say.numbered(restored, 20) });
      await panel.send({ type: "draft", text: "Fix it" });
      await panel.page.getByRole("region", { name: "Restore" }).waitFor();
      expect(await panel.page.getByRole("article").count()).toBe(0);
      expect(await panel.page.getByRole("textbox").inputValue()).toBe("Fix it");
      await button(panel, /^Files and conversation restored, 1 turn taken back/).click();
      await panel.page.getByRole("article").waitFor();
      await button(panel, "Undo restore").click();
      expect((await panel.posted()).at(-1)).toEqual({ type: "undo_restore", restoreId });
    }));

  test("is followed by the line of a compaction, which unfolds and undoes it", () =>
    withPanel(
      [session(...begun, say.block(1, 0, { type: "text", text: "Done." }), ended, compacted())],
      async (panel) => {
        const line = button(panel, "Conversation compacted: 82k → 9k tokens, $0.0296");
        await line.press("Enter");
        expect(await line.getAttribute("aria-expanded")).toBe("true");
        await panel.page.getByText("by the vendor's own compaction").waitFor();
        await panel.page.getByText("The parser was rewritten.").waitFor();
        await panel.page.getByText("What models are given in its place").click();
        await panel.page.getByText("Use tabs.").waitFor();
        await button(panel, "Undo compaction").press("Enter");
        const { compactionId } = compacted();
        expect(await panel.posted()).toEqual([{ type: "undo_compaction", compactionId }]);
        const undone: SessionEventBody = { type: "compaction_undone", compactionId };
        await panel.send({ type: "updates", sessionId, updates: say.numbered([undone], 20) });
        await button(panel, /tokens, \$0\.0296 \(undone\)/).waitFor();
        expect(await button(panel, "Undo compaction").count()).toBe(0);
      },
    ));

  test("shows that the conversation is compacted, and cancels that", () =>
    withPanel([answer("Done.")], async (panel) => {
      const updates = [{ type: "compaction_delta", isRunning: true, reason: "boundary" } as const];
      await panel.send({ type: "updates", sessionId, updates });
      await panel.page.getByRole("status").getByText("Compacting the conversation").waitFor();
      await button(panel, "Cancel").press("Enter");
      expect(await panel.posted()).toEqual([{ type: "stop" }]);
    }));

  test("with pending changes offers to keep them, by turn, by file and all", () => {
    const counts = { status: "modified", hunks: 2, addedLines: 3, removedLines: 1, turnIds: [turnId] } as const;
    const pending = { sessionId, uri: `${say.root}/src/parse.ts`, ...counts };
    const added = { ...pending, uri: `${say.root}/src/new.ts`, status: "added", hunks: 1, turnIds: [] } as const;
    return withPanel([session(...changed), { type: "pending", files: [pending, added] }], async (panel) => {
      const bar = panel.page.getByRole("region", { name: "Pending changes" });
      await bar.getByRole("button", { name: "3 pending" }).click();
      await bar.getByRole("button", { name: "Keep parse.ts" }).click();
      await bar.getByRole("button", { name: "Undo new.ts" }).click();
      await bar.getByRole("button", { name: /^parse\.ts src 2/ }).click();
      await bar.getByRole("button", { name: "Keep all pending changes" }).click();
      await bar.getByRole("button", { name: "Undo all pending changes" }).click();
      await bar.getByRole("button", { name: "Open pending changes" }).click();
      await button(panel, "Keep what is pending of this turn").click();
      expect(await panel.posted()).toEqual([
        { type: "review", action: "keep", sessionId, uri: pending.uri },
        { type: "review", action: "undo", sessionId, uri: added.uri },
        { type: "open_pending", uri: pending.uri },
        { type: "review", action: "keep", sessionId },
        { type: "review", action: "undo", sessionId },
        { type: "open_pending" },
        { type: "review", action: "keep", sessionId, turnId },
      ]);
      await panel.send({ type: "pending", files: [] });
      expect(await bar.count()).toBe(0);
      expect(await button(panel, /^Keep/).count()).toBe(0);
      const follow = panel.page.getByRole("button", { name: /^Follow/, pressed: false });
      await follow.click();
      expect(await panel.posted()).toEqual([{ type: "follow", on: true }]);
      await panel.send({ type: "follow", on: true });
      await panel.page.getByRole("button", { name: /^Follow/, pressed: true }).waitFor();
    });
  });

  test("that failed says what to do, with a button for it", () =>
    withPanel(
      [
        session(...begun, {
          type: "turn_finished",
          turnId,
          stopReason: "error",
          failure: { code: "auth", message: "The key was not accepted." },
        }),
      ],
      async (panel) => {
        for (const name of ["Set API key", "Try again", "Choose another model", "Show log"])
          await button(panel, name).click();
        expect(await panel.posted()).toEqual([
          { type: "set_api_key" },
          { type: "try_again", prompt: [{ type: "text", text: "Fix it" }] },
          { type: "do", action: "select_model" },
          { type: "do", action: "show_log" },
        ]);
      },
    ));

  test("that no longer fits the model offers a new session first", () =>
    withPanel(
      [
        session(...begun, {
          type: "turn_finished",
          turnId,
          stopReason: "error",
          failure: { code: "contextOverflow", message: "The conversation is too long." },
        }),
      ],
      async (panel) => {
        await panel.page.locator(".ending .button.primary", { hasText: "New session" }).click();
        expect(await panel.posted()).toEqual([{ type: "new_session" }]);
      },
    ));
  test("an answer from before says so, and can be asked again", () => {
    const { answeredAt, question } = { answeredAt: say.startAt - 600_000, question: "How does it work?" };
    const reused: SessionEventBody = { type: "answer_reused", turnId, match: "similar", question, answeredAt };
    const text = say.block(1, 0, { type: "text", text: "It works." });
    return withPanel([session(say.started("Tell me how it works"), reused, text, ended)], async (panel) => {
      const label = panel.page.getByText(/, to “How does it work\?”; what it rests on is unchanged/);
      expect(await label.count()).toBe(1);
      await button(panel, "Ask again").click();
      expect(await panel.posted()).toEqual([
        { type: "ask_again", prompt: [{ type: "text", text: "Tell me how it works" }] },
      ]);
    });
  });

  test("that a recording answered says so, and offers to add a key", () =>
    withPanel(
      [{ type: "models", models: say.models, selected: "recorded/tour" }, session(say.started("Fix it", true), ended)],
      async (panel) => {
        expect(await panel.page.getByText("Recording", { exact: true }).count()).toBe(2);
        await button(panel, "Add API key").click();
        expect(await panel.posted()).toEqual([{ type: "set_api_key" }]);
      },
    ));
});

describe("the page", () => {
  test("finds and opens sessions, and Escape leaves the list", () =>
    withPanel([answer("Done.")], async (panel) => {
      await button(panel, "Sessions").click();
      await panel.page.getByRole("searchbox").fill("parse");
      await expect.poll(async () => (await panel.posted()).at(-1)).toEqual({ type: "list_sessions", query: "parse" });
      const found = {
        sessionId: "s2" as SessionId,
        title: "Fix the parser",
        cwd: "",
        createdAt: 0,
        updatedAt: 0,
        turns: 1,
      };
      await panel.send({ type: "sessions", query: "parse", sessions: [found] });
      await button(panel, /Fix the parser/).click();
      expect(await panel.posted()).toEqual([{ type: "open_session", sessionId: "s2" }]);
      await panel.page.getByRole("searchbox").press("Escape");
      await panel.page.getByText("Done.").first().waitFor();
    }));

  test("says how the host is, and restarts it", () =>
    withPanel([{ type: "host", state: "stopped", message: "It stopped too often." }], async (panel) => {
      await button(panel, "Restart").click();
      expect(await panel.posted()).toEqual([{ type: "do", action: "restart_host" }]);
      await panel.send({ type: "host", state: "no_folder" });
      await button(panel, "Open folder").click();
      expect(await panel.posted()).toEqual([{ type: "do", action: "open_folder" }]);
    }));

  test("draws the newest blocks of a long session, and earlier ones on request", () => {
    const many = Array.from({ length: 1000 }, (_, index) =>
      say.block(1, index, { type: "text", text: `block ${index}` }),
    );
    return withPanel([session(...begun, ...many, ended)], async (panel) => {
      const drawn = panel.page.getByRole("log").getByText(/^block \d+$/);
      expect(await drawn.count()).toBe(200);
      await drawn.last().getByText("block 999").waitFor();
      await button(panel, "Show earlier").click();
      expect(await drawn.count()).toBe(400);
    });
  });

  const withEarlier = (hasEarlier: boolean): ToPanel =>
    ({ ...session(...begun, ended), hasEarlier }) as Extract<ToPanel, { type: "session" }>;

  test("asks for the turns before those that it was given, and draws them above", () =>
    withPanel([withEarlier(true)], async (panel) => {
      await button(panel, "Show earlier").click();
      expect(await panel.posted()).toEqual([{ type: "show_earlier", turns: 1 }]);
      await panel.send(withEarlier(false));
      expect(await button(panel, "Show earlier").count()).toBe(0);
    }));

  test("draws what was spent by day, model and session, opens and closes by keyboard, and tells what is not known", () =>
    withPanel([], async (panel) => {
      await button(panel, "Cost").click();
      expect(await panel.posted()).toEqual([{ type: "show_cost" }]);
      await panel.send({ type: "cost" });
      await panel.page.getByText("Loading").waitFor();
      await panel.send(spent);
      const cost = panel.page.getByRole("region", { name: "Cost" });
      expect(await cost.getByRole("definition").allInnerTexts()).toEqual([
        "$1.25\n620.0k tokens, 83 % from cache",
        "at most $4.75 and what 2 requests without a price cost\n2.3M tokens, 77 % from cache",
      ]);
      expect(await cost.getByRole("img").getAttribute("aria-label")).toBe(
        "Cost by day. 2026-11-03: at most $3.50 and what 2 requests without a price cost. 2026-11-21: $1.25.",
      );
      expect(await cost.getByRole("rowheader").allInnerTexts()).toEqual([
        "anthropic/claude-sonnet-5-5",
        "openai/mystery",
        "In another folder",
        "Fix the parser",
      ]);
      await button(panel, "Open as CSV").click();
      expect(await panel.posted()).toEqual([{ type: "export_cost" }]);
      await cost.press("Escape");
      await cost.waitFor({ state: "detached" });
      await panel.send({ ...spent, rows: [] });
      await panel.page.getByText(/Nothing was spent/).waitFor();
    }));

  test("draws each limit with what is left of it in words, and raises one", () =>
    withPanel([], async (panel) => {
      await panel.send(limited);
      const limits = panel.page.getByRole("region", { name: "Limits" });
      expect(await limits.getByRole("listitem").allInnerTexts()).toEqual(
        [
          "Today, US dollars\n$1.90 of $2.00, $0.10 left (raised from $1.00)\nRaise",
          "This month, requests\n25 of 1000, 975 left\nRaise",
        ].map((text) => text.replace("1000", "1.0k")),
      );
      expect(await limits.getByRole("img").first().getAttribute("aria-label")).toBe(
        "Today, US dollars: $1.90 of $2.00, $0.10 left",
      );
      await button(panel, "Raise the limit: This month, requests").press("Enter");
      const field = limits.getByRole("textbox", { name: "New limit, requests" });
      await field.fill("1000");
      await limits.getByRole("button", { name: "Set" }).click();
      expect(await panel.posted()).toEqual([]);
      await field.fill("1500");
      await limits.getByRole("button", { name: "Set" }).click();
      expect(await panel.posted()).toMatchObject([
        { type: "raise_limit", limit: 1500, standing: { period: "month", unit: "requests", limit: 1000 } },
      ]);
      expect(await field.count()).toBe(0);
    }));

  const states: readonly [string, readonly ToPanel[]][] = [
    ["empty", []],
    ["cost", [spent]],
    ["limits", [limited]],
    [
      "at a limit",
      [session(...begun, say.atLimit({ message: `The limit of ${"$1.00 ".repeat(40)} would be passed.` }))],
    ],
    ["waterfall", [slow, { type: "why" }]],
    ["nearly full", [{ ...slow, events: slow.events.map(nearlyFull) }]],
    ["asking", [session(...begun, say.called(1, 0, "c1", "shell", {}), say.asks("c1", { detail: "x".repeat(400) }))]],
    ["done", [answer(`${"word ".repeat(80)}\n\n\`\`\`ts\n${"x".repeat(300)}\n\`\`\`\n\n${"y".repeat(300)}`)]],
  ];
  test.each(states)("fits 300 pixels in every theme, with a name on every control: %s", (_name, messages) =>
    withPanel(
      messages,
      async ({ page }) => {
        for (const theme of ["dark", "light", "high-contrast", "high-contrast-light"]) {
          await page.locator("html").evaluate((root, name) => root.setAttribute("data-theme", name), theme);
          const wide = await page
            .locator(
              "html, main, .app, .transcript, .prompt, .card, .markdown, .cost, .waterfall, .meter-warning, .prompt-bar, .waterfall *:not(svg, rect, .for-screen-readers, .for-screen-readers *)",
            )
            .evaluateAll((all) => all.filter((element) => element.scrollWidth > element.clientWidth + 1).map(String));
          expect(wide, theme).toEqual([]);
        }
        const controls = (await page.getByRole("main").ariaSnapshot())
          .split("\n")
          .filter((line) => /^\s*- (button|textbox|combobox|searchbox|link)/.test(line));
        expect(controls.length).toBeGreaterThan(3);
        expect(controls.filter((line) => !/- \w+ "[^"]+"/.test(line))).toEqual([]);
      },
      { width: 300 },
    ),
  );
});

/** Presses a key until the focus is where it is wanted; fails after fifty presses. */
async function tabTo({ page }: PanelPage, target: Locator, key: string): Promise<void> {
  for (let presses = 0; presses < 50; presses++) {
    await page.keyboard.press(key);
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error("the keyboard does not get there");
}

test("what limits the workspace is said: no trust, and folders that Hermes does not work in", () =>
  withPanel([], async (panel) => {
    const banners = panel.page.locator(".banner");
    expect(await banners.count()).toBe(0);
    const workspace = { type: "workspace", name: "durations", root: "file:///w/durations" } as const;
    await panel.send({ ...workspace, folders: 3, trusted: false });
    await panel.page.getByText("Hermes works in durations, the first of your 3 folders.").waitFor();
    await panel.page.getByText("Restricted mode").waitFor();
    await panel.send({ ...workspace, folders: 1, trusted: true });
    await expect.poll(() => banners.count()).toBe(0);
  }));
