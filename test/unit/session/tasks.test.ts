/** Prompts of code actions and palette commands: what is asked, what is shown, what is refused. */
import { expect, test } from "vitest";
import type { TaskArguments } from "../../../server/src/protocol/tasks.ts";
import { composeTask } from "../../../server/src/session/tasks.ts";
import { createMemoryWorkspace } from "../../support/memoryWorkspace.ts";

const lines = Array.from({ length: 60 }, (_, index) => `line ${index + 1}`).join("\n");
const uri = "file:///project/src/a.ts";
const range = (from: number, to: number) => ({ start: { line: from, character: 0 }, end: { line: to, character: 1 } });
const compose = (task: TaskArguments) =>
  composeTask(task, createMemoryWorkspace({ "src/a.ts": lines }), AbortSignal.any([]));

test("a fix shows the problem and the lines around it", async () => {
  const [ask, place] = await compose({
    task: "fix",
    uri,
    range: range(29, 29),
    diagnostics: [{ range: range(29, 29), message: "Type 'x' is wrong", source: "ts" }],
  });
  expect(ask).toMatchObject({ text: expect.stringContaining("- line 30: Type 'x' is wrong (ts)") });
  expect(place).toMatchObject({ type: "reference", label: "src/a.ts:30" });
  expect(place).toMatchObject({ text: expect.stringMatching(/lines 18-42:[\s\S]*line 30\n/) });
});

test("a selection is shown as it is, without a line that is only touched", async () => {
  const selection = { start: { line: 4, character: 0 }, end: { line: 6, character: 0 } };
  const [ask, place] = await compose({ task: "refactor", uri, range: selection, instruction: "use a map" });
  expect(ask).toMatchObject({ text: expect.stringContaining("use a map") });
  expect(place).toMatchObject({ label: "src/a.ts:5-6", text: expect.stringContaining("line 5\nline 6\n```") });
});

test.each<[TaskArguments, string]>([
  [{ task: "fix", uri, range: range(0, 0), diagnostics: [] }, "no problems here"],
  [{ task: "write_tests" }, "needs a file"],
  [{ task: "refactor", uri, range: range(0, 1) }, "needs an instruction"],
  [{ task: "ask", instruction: "  " }, "needs a question"],
])("what is missing is said: %j", async (task, message) => {
  await expect(compose(task)).rejects.toThrow(message);
});
