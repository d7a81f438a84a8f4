/**
 * The panel's page in Chromium: what a person sees, clicks and types, and what the page then says to the extension.
 *
 * Not here: VS Code around it (`test/host`). Easily got wrong: the page is found by roles and names, as a screen reader
 * finds it, so these tests hold those too.
 */
import type { Locator } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import type { PanelPage } from "../support/panelHarness.ts";
import * as say from "../support/panelMessages.ts";
import { answer, begun, box, button, ended, nearlyFull, session, slow, withPanel } from "../support/panelTest.ts";

const { sessionId, turnId } = say;

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
