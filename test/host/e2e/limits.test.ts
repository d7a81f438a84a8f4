/**
 * A turn at a limit: its card outlives the page, a hidden panel asks by notification, and the cost view raises a limit.
 *
 * Easily got wrong: a hidden panel has no page at all, so after it is shown everything in it is found anew.
 */
import assert from "node:assert/strict";
import { startModelDouble } from "../../support/modelDouble.ts";
import { withWorkbench } from "../support/workbench.ts";

describe("a limit", () => {
  it("makes the turn wait, is raised in the panel and by notification, and shows what is left", async () => {
    const look = [{ name: "list", input: { path: "." } }];
    const double = await startModelDouble({
      script: { steps: [{ say: "I look.", calls: look }, { say: "Again.", calls: look }, { say: "That is all." }] },
    });
    try {
      await withWorkbench(
        {
          name: "limits",
          workspace: { "README.md": "# Nothing here\n" },
          env: { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl },
          settings: {
            "hermes.model.name": "anthropic/claude-sonnet-5-5",
            "hermes.localModels.detect": false,
            "hermes.budget.turn.requests": 1,
            "hermes.budget.day.requests": 50,
          },
        },
        async ({ page, panel, openPanel, runCommand, screenshot }) => {
          await openPanel();
          await panel.getByRole("textbox").first().fill("Look around");
          await panel.getByRole("button", { name: "Send" }).click();
          const card = panel.getByRole("group", { name: /^Limit: The limit of 1 request for this turn/ });
          await card.waitFor();
          await screenshot("waits");

          await runCommand("View: Hide Secondary Side Bar");
          await card.waitFor({ state: "detached" });
          await openPanel();
          await card.getByRole("button", { name: "Raise to 2 requests" }).click();
          const second = panel.getByRole("group", { name: /^Limit: The limit of 2 requests for this turn/ });
          await second.waitFor();

          await runCommand("View: Hide Secondary Side Bar");
          await second.waitFor({ state: "detached" });
          // Driven by tests, VS Code shows no toasts; its list of notifications has the same buttons.
          await runCommand("Notifications: Show Notifications");
          const asks = page
            .locator(".notifications-center .notification-list-item")
            .filter({ hasText: "The limit of 2 requests for this turn" });
          await asks.getByRole("button", { name: "Raise to 3 requests" }).click();
          await openPanel();
          await panel.getByRole("log").getByText("That is all.").waitFor();

          await runCommand("Hermes: Show Cost");
          const limits = panel.getByRole("region", { name: "Limits" });
          await limits.getByText("3 of 50, 47 left").waitFor();
          await limits.getByRole("button", { name: "Raise the limit: Today, requests" }).click();
          await limits.getByRole("textbox").fill("80");
          await limits.getByRole("textbox").press("Enter");
          await limits.getByText("3 of 80, 77 left (raised from 50)").waitFor();
          await screenshot("cost");
          assert.equal(double.requests.length, 3);
          double.assertClean();
        },
      );
    } finally {
      await double.close();
    }
  });
});
