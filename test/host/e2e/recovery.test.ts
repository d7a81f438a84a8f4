/**
 * The host is killed under a running turn: the panel recovers without a reload, the session is whole, nothing is left.
 *
 * Easily got wrong: the process is found by the home folder in its environment, so only this test's host is killed.
 */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import { type ModelDouble, type Script, startModelDouble } from "../../support/modelDouble.ts";
import { noneLeft, processesWith } from "../../support/processes.ts";
import { type Workbench, withWorkbench } from "../support/workbench.ts";

/** The pid of the agent host of a workbench. */
async function hostPid(hermesHome: string): Promise<number> {
  const own = new Set(await processesWith(hermesHome));
  const hosts = (await processesWith(path.join("dist", "server.js"))).filter((pid) => own.has(pid));
  assert.equal(hosts.length, 1, "one agent host runs");
  return hosts[0] ?? 0;
}

/** The only session's stored events. */
async function storedEvents(hermesHome: string): Promise<readonly SessionEvent[]> {
  const folder = path.join(hermesHome, "sessions");
  const [journal] = (await fs.readdir(folder)).filter((name) => name.endsWith(".jsonl"));
  const text = await fs.readFile(path.join(folder, journal ?? ""), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

async function withDouble(
  name: string,
  script: Script,
  body: (workbench: Workbench, double: ModelDouble) => Promise<void>,
) {
  const double = await startModelDouble({ script });
  try {
    await withWorkbench(
      {
        name,
        workspace: { "README.md": "# Nothing here\n" },
        env: { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl },
      },
      (workbench) => body(workbench, double),
    );
  } finally {
    await double.close();
  }
}

/** Kills the host, and sees the panel come back and go on in the same session. */
async function killAndGoOn({ panel, page, hermesHome, screenshot }: Workbench, mark: string): Promise<void> {
  await page.evaluate(() => Object.assign(globalThis, { hermesTestMark: true }));
  const pid = await hostPid(hermesHome);
  process.kill(pid, "SIGKILL");
  await panel.getByText("The agent host stopped and was restarted.").first().waitFor();
  await panel.getByRole("log").getByText("The agent host stopped while this turn was running.").waitFor();
  await screenshot("recovered");
  assert.equal(await page.evaluate(() => "hermesTestMark" in globalThis), true, "the window was not reloaded");
  assert.notEqual(await hostPid(hermesHome), pid);
  await noneLeft(mark);
  const events = await storedEvents(hermesHome);
  const calls = events.flatMap((event) =>
    event.type === "assistant_block" && event.block.part.type === "tool_call" ? [event.block.part.callId] : [],
  );
  const results = events.flatMap((event) => (event.type === "tool_result" ? [event.callId] : []));
  assert.deepEqual(results, calls, "every call has one result");
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  );
  await panel.getByRole("textbox").first().fill("Go on");
  await panel.getByRole("button", { name: "Send" }).click();
  await panel.getByRole("log").getByText("Here I go on.").waitFor();
}

describe("the agent host is killed", () => {
  it("while the model streams", async () => {
    const script: Script = {
      steps: [
        { say: "I begin a long answer and never end it.", hold: { name: "mid", at: { text: 20 } } },
        { say: "Here I go on." },
      ],
    };
    await withDouble("killed-stream", script, async (workbench, double) => {
      const panel = await workbench.openPanel();
      await panel.getByRole("textbox").first().fill("Talk to me");
      await panel.getByRole("button", { name: "Send" }).click();
      await panel.getByRole("log").getByText("I begin a long").waitFor();
      await killAndGoOn(workbench, "no-such-mark-anywhere");
      double.release("mid");
      double.assertClean();
    });
  });

  it("while a command runs", async () => {
    const mark = `hermes-mark-${process.pid}`;
    const script: Script = {
      steps: [
        {
          say: "I run something long.",
          calls: [{ name: "shell", input: { command: `echo ready; HERMES_MARK=${mark} sleep 1000 & sleep 1001` } }],
        },
        { say: "Here I go on." },
      ],
    };
    await withDouble("killed-command", script, async (workbench, double) => {
      const panel = await workbench.openPanel();
      await panel.getByRole("textbox").first().fill("Run it");
      await panel.getByRole("button", { name: "Send" }).click();
      await panel.getByRole("button", { name: "Allow once" }).click();
      await panel.getByRole("log").getByText("ready", { exact: true }).waitFor();
      assert.ok((await processesWith(mark)).length > 0);
      await killAndGoOn(workbench, mark);
      double.assertClean();
    });
  });
});
