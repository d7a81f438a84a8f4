/**
 * A turn that has ended, on the panel's page in Chromium: its changes, its restores, its compaction, and how it failed.
 *
 * Not here: where its time went (`turnTimes.test.ts`).
 */
import { describe, expect, test } from "vitest";
import type { SessionEventBody } from "../../server/src/protocol/events.ts";
import type { FromPanel } from "../../server/src/protocol/panel.ts";
import type { RestoreId } from "../../server/src/protocol/types.ts";
import { compacted } from "../support/events.ts";
import * as say from "../support/panelMessages.ts";
import { answer, begun, button, ended, session, withPanel } from "../support/panelTest.ts";

const { sessionId, turnId } = say;

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
