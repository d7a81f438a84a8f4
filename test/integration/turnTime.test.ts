/** The time of a turn in a whole host, by a clock of the test's: what counts to it, and what does not. */
import { expect, test } from "vitest";
import { AgentHost } from "../../server/src/host.ts";
import { TokenCounts } from "../../server/src/model/tokens.ts";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import type { BudgetQuestion } from "../../server/src/protocol/types.ts";
import { createMemoryStore } from "../../server/src/storage/memory.ts";
import { createBuiltinTools } from "../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../server/src/tools/registry.ts";
import { createMemoryWorkspace } from "../support/memoryWorkspace.ts";
import { callBlock, createScriptedProvider, done, textBlock } from "../support/scriptedProvider.ts";
import { modelSpec } from "../unit/model/support.ts";

const minute = 60_000;

test("requests and tools count to a turn's minutes; an approval and the wait at the limit itself do not", async () => {
  let now = 0;
  let ids = 0;
  const clock = { now: () => now, sleep: async () => undefined };
  /** Each request takes a minute. */
  const gate = async () => {
    now += minute;
  };
  const write = (path: string) => callBlock(0, path, "write", { path, text: "x\n" });
  const provider = createScriptedProvider([
    { events: [...write("a.txt"), done("tool_calls")], gate },
    { events: [...write("b.txt"), done("tool_calls")], gate },
    { events: [...write("c.txt"), done("tool_calls")], gate },
    { events: [...textBlock(0, "Done."), done("end_turn")] },
  ]);
  const questions: BudgetQuestion[] = [];
  const events: SessionEvent[] = [];
  const spec = modelSpec();
  const host = new AgentHost({
    store: createMemoryStore({ clock }),
    workspace: createMemoryWorkspace(),
    createRegistry: () => createRegistry(createBuiltinTools({ clock })),
    models: {
      list: async () => ({ models: [], selected: spec.id }),
      resolve: async () => ({ spec, provider, costOf: () => undefined }),
      ready: async () => [],
      known: async () => [],
      select: async () => undefined,
      setCredential: () => undefined,
    },
    tokens: new TokenCounts(),
    compaction: () => ({ strategy: "none", maxSteps: 0, pruneSimilar: false }),
    permissions: { rules: () => [], add: async () => undefined },
    // The user takes an hour for each approval, and for each limit.
    ask: async () => {
      now += 60 * minute;
      return "allow_once";
    },
    budget: {
      ask: async (question) => {
        questions.push(question);
        now += 60 * minute;
        return { type: "raise", limit: question.proposed };
      },
      raise: async () => undefined,
    },
    maxTurnMs: () => 2 * minute,
    onUpdate: (_, update) => "seq" in update && events.push(update),
    trusted: () => true,
    maxSteps: () => 10,
    concurrency: () => 1,
    clock,
    createId: () => `id-${ids++}`,
    platform: "linux",
    pid: 1,
    isAlive: () => false,
  });
  const { sessionId } = await host.newSession({});
  const prompt = { sessionId, prompt: [{ type: "text" as const, text: "Write three files." }], origin: "cli" as const };
  expect(await host.prompt(prompt, new AbortController().signal)).toMatchObject({ stopReason: "end_turn" });
  expect(questions.map(({ reached, message }) => [reached.limit, reached.spent, message])).toEqual([
    [2 * minute, 2 * minute, "The turn has used its 2 minutes."],
  ]);
  expect(questions[0]?.proposed).toBe(4 * minute);
  expect(events.filter(({ type }) => type === "permission_requested")).toHaveLength(3);
  expect(provider.requests).toHaveLength(4);
  await host.close();
});
