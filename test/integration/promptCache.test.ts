/**
 * The prompt-cache contract over random turns of a conversation, through the real host: requests only ever append, every
 * break is planned and named, and the request ledger names the first block of one that is not.
 *
 * Not here: ten thousand turns (`test/exhaustive/promptCache.test.ts`), what a task costs (`cacheCost.test.ts`).
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { onLog } from "../../server/src/base/trace.ts";
import { createBuiltinTools } from "../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../server/src/tools/registry.ts";
import { playConversation, storedBlocks } from "../support/promptCache/play.ts";
import { models, Stage, type StageOptions } from "../support/promptCache/stage.ts";
import { conversation, plainConversation } from "../support/promptCache/turns.ts";

/** On a machine that does other things besides. */
const patienceMs = 120_000;

test(
  "random turns: every break of the prompt cache is planned and named",
  async () => {
    const property = fc.asyncProperty(conversation, async (given) => {
      expect((await playConversation(given)).wrong).toEqual([]);
    });
    await fc.assert(property, { numRuns: 15, seed: 7, endOnFailure: true });
  },
  patienceMs,
);

test(
  "a block that changes by itself is named by the ledger, whichever it is",
  async () => {
    const named = new Set<string>();
    const property = fc.asyncProperty(plainConversation, fc.nat(), async (given, pick) => {
      const stage = new Stage();
      stage.use(models[given.model]);
      for (const turn of given.turns) expect(await stage.play(turn)).toEqual([]);
      const { name, options } = injected(stage, pick);
      await stage.restart(options);
      const seen = stage.events.length;
      const lines: string[] = [];
      const stop = onLog(({ level, message }) => level === "warn" && lines.push(message));
      await stage.prompt([{ type: "text", text: "And now?" }]);
      stop();
      await stage.close();
      const [step] = stage.events.slice(seen).filter((event) => event.type === "step_finished");
      expect(step?.cache?.break).toMatchObject({ cause: "request_changed", planned: false, block: name });
      expect(lines).toEqual([expect.stringContaining(`first in ${name}:`)]);
      named.add(kindOf({ name }));
    });
    await fc.assert(property, { numRuns: 40, seed: 11, endOnFailure: true });
    expect([...named].sort()).toEqual([
      "message #, block # (answer)",
      "message #, block # (call of read)",
      "message #, block # (picture)",
      "message #, block # (prompt)",
      "message #, block # (result of read)",
      "system",
      "tools: read",
    ]);
  },
  patienceMs,
);

test("after the first pause that 5 minutes do not outlive, the conversation outlives pauses of up to an hour", async () => {
  const stage = new Stage();
  const minute = 60_000;
  const reads = (from: number) =>
    [0, 1, 2].map((at) => ({ name: "read", input: { files: [{ path: `src/file${from + at}.ts` }] } }));
  const after = async (pauseMs: number, from: number) => {
    const steps = [{ step: { calls: reads(from) } }, { step: { say: "Read." } }];
    const plain = { restart: true, instructions: undefined, model: -1, restoreTo: undefined, compact: false };
    const seen = stage.events.length;
    const wrong = await stage.play({ ...plain, pauseMs, warmUp: false, picture: false, words: "files", steps });
    expect(wrong).toEqual([]);
    const [first] = stage.events.slice(seen).filter((event) => event.type === "step_finished");
    return { cause: first?.cache?.break?.cause, read: first?.usage.cacheReadTokens ?? 0, usage: first?.usage };
  };
  const begun = await after(0, 0);
  expect((await after(10 * minute, 3)).cause).toBe("expired");
  const long = await after(40 * minute, 6);
  // All but the steps of the turn before it, whose entries live for 5 minutes.
  expect(long.read).toBeGreaterThan(begun.usage?.cacheWriteTokens ?? Number.NaN);
  expect(long.usage?.longCacheWriteTokens).toBeGreaterThan(0);
  expect((await after(90 * minute, 9)).read).toBe(0);
  await stage.close();
});

/** A change of one block, chosen by `pick`, that a new host finds, and the block's name. */
function injected(stage: Stage, pick: number): { readonly name: string; readonly options: StageOptions } {
  const [last] = stage.vendor.asked.slice(-1);
  const sent = last?.request.messages.length ?? 0;
  // What was answered last was never sent.
  const blocks = storedBlocks(stage.events).filter(({ name }) => Number(/message (\d+)/.exec(name)?.[1] ?? 0) <= sent);
  // Each kind of block as often as any other; a tool where none is left over.
  const kinds = [...new Set(blocks.map(kindOf)), "tools"];
  const ofKind = blocks.filter((one) => kindOf(one) === kinds[pick % kinds.length]);
  const block = ofKind[Math.floor(pick / kinds.length) % Math.max(1, ofKind.length)];
  if (block) {
    const read: StageOptions["store"] = (store) => ({
      ...store,
      read: async (id) => {
        const record = await store.read(id);
        return { ...record, events: block.changed(record.events) };
      },
    });
    return { name: block.name, options: { store: read } };
  }
  const tools = createBuiltinTools({ clock: stage.clock });
  const changed = tools.map((tool) =>
    tool.name === "read" ? { ...tool, spec: { ...tool.spec, description: "Reads." } } : tool,
  );
  return { name: "tools: read", options: { registry: () => createRegistry(changed) } };
}

/** A block's name without its place. */
function kindOf({ name }: { readonly name: string }): string {
  return name.replace(/\d+/g, "#");
}
