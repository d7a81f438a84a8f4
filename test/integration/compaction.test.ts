/** Compaction through a real host, on all three APIs: what survives, what a failing provider cannot stop, and going back. */
import { expect, test } from "vitest";
import type { Compacted } from "../../server/src/protocol/events.ts";
import { startLocal } from "../support/localModel.ts";
import type { Fault, Script, Step, StepSource } from "../support/modelDouble.ts";
import { type Play, startPlay, type WireFormat, wireFormats } from "../support/play.ts";

const signal = new AbortController().signal;
const wires = Object.keys(wireFormats) as readonly WireFormat[];

/** Rules as a user might write them, each unlike the others. */
const rules = Array.from(
  { length: 40 },
  (_, index) =>
    `Rule ${index + 1}: name test ${index * 7} as "it ${"~".repeat(index % 5)} №${index + 1}", never “${index}”.`,
);
const todo = "- [ ] parse  the header\n- [x] read\tthe file\n- [ ] „quote“ the rest\n  - [ ] and its tail";

const compactions = (play: Play) =>
  play.events().filter((event): event is Compacted & { seq: number; at: number } => event.type === "compacted");

/** What the newest request that is no request for a summary holds. */
function lastRequest(play: Play): string {
  const body = play.double.requests.findLast(({ aside, conversation }) => !aside && !conversation.includes("/0:main/"));
  return JSON.stringify(body?.json);
}

function spoken(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** A conversation of that many turns, and how each kind of request for a summary is answered. */
function scripts(turns: number, summary: StepSource): readonly Script[] {
  const steps: readonly Step[] = Array.from({ length: turns }, (_, index) => ({ say: `Answer ${index + 1}.` }));
  return [
    { name: "main", steps },
    { name: "own", matchLast: "Stop here: do not go on", steps: [summary], repeatLast: true },
    { name: "vendor", compacts: true, steps: [summary], repeatLast: true },
  ];
}

async function compactTenTimes(play: Play): Promise<void> {
  const text = `Do as follows.\n${rules.join("\n")}\n\nTodo:\n${todo}`;
  const { sessionId, stopReason } = await play.prompt(text);
  expect(stopReason).toBe("end_turn");
  for (let round = 1; round <= 10; round++) {
    expect(await play.local.host.compact({ sessionId }, signal)).toEqual({ compacted: true });
    const result = await play.prompt(`Go on, ${round}`, { sessionId });
    expect(result).toMatchObject({ stopReason: "end_turn" });
    const body = lastRequest(play);
    for (const words of [...rules, todo, ...Array.from({ length: round }, (_, at) => `Go on, ${at + 1}`)]) {
      expect(body).toContain(spoken(words));
    }
  }
}

const always = 10_000;
const http = (error: Extract<Fault, { kind: "http" }>["error"]): Step => ({
  say: "x",
  fault: { kind: "http", error, times: always },
});
const troubles: readonly { readonly what: string; readonly step: Step }[] = [
  { what: "refuses the request", step: http("badRequest") },
  { what: "says that it is too long", step: http("contextOverflow") },
  { what: "has no such model", step: http("notFound") },
  {
    what: "cuts the answer",
    step: { say: "Half a summary. ".repeat(9), fault: { kind: "end", at: { events: 3 }, times: always } },
  },
  {
    what: "sends garbage",
    step: { say: "Half a summary. ".repeat(9), fault: { kind: "garbage", at: { events: 3 }, times: always } },
  },
  { what: "answers too long", step: { say: "On and on. ".repeat(200), stop: "max_tokens" } },
  { what: "answers nothing", step: { say: " " } },
  { what: "refuses to answer", step: { say: "I would rather not.", stop: "refusal" } },
  { what: "calls a tool instead", step: { say: "Let me look.", calls: [{ name: "list", input: {} }] } },
];

test.each(wires)("40 rules and a todo list survive 10 compactions word for word (%s)", async (wire) => {
  await using play = await startPlay({ wire, script: scripts(11, { say: "What was done, in short." }) });
  await compactTenTimes(play);
  const done = compactions(play);
  expect(new Set(done.map(({ means }) => means))).toEqual(new Set([wire === "openai-chat" ? "summary" : "vendor"]));
  expect(done.every(({ usage, cost }) => usage.outputTokens > 0 && (cost ?? 0) > 0)).toBe(true);
  // The request for a summary reads what the turn before it has written to the vendor's cache.
  for (const { inputTokens, cacheReadTokens, cacheWriteTokens } of done.map(({ usage }) => usage)) {
    expect(cacheReadTokens / (inputTokens + cacheReadTokens + cacheWriteTokens)).toBeGreaterThan(0.8);
  }
});

for (const { what, step } of troubles) {
  test.each(wires)(
    `the conversation goes on, and keeps them, when the provider ${what} at every compaction (%s)`,
    async (wire) => {
      await using play = await startPlay({ wire, script: scripts(11, step), settings: { "model.retrySeconds": 0 } });
      await compactTenTimes(play);
      expect(compactions(play).map(({ means }) => means)).toEqual(Array(10).fill("extract"));
      // No tool of an answer that was to be a summary has run.
      expect(play.events().some(({ type }) => type === "tool_started")).toBe(false);
    },
  );
}

/** A turn that reads a file more with each step, until the window has been full many times over. */
function readingTurn(steps: number, summary: Step): readonly Script[] {
  const reads: readonly Step[] = Array.from({ length: steps }, (_, index) => ({
    calls: [{ name: "read", input: { files: [{ path: `part${index}.txt` }] } }],
  }));
  return [
    { name: "main", steps: [{ say: "I will." }, ...reads, { say: "Read them all." }] },
    { name: "own", matchLast: "Stop here: do not go on", steps: [summary], repeatLast: true },
  ];
}

const parts = Object.fromEntries(
  Array.from({ length: 60 }, (_, index) => [`part${index}.txt`, `${`Part ${index}. `.repeat(200)}\n`]),
);

test.each([
  { what: "by summaries", summary: { say: "Read some parts." }, means: "summary" },
  { what: "by rule, with a provider that fails at each", summary: http("badRequest"), means: "extract" },
])("a turn of 61 steps in a window of 8,192 tokens is compacted in its midst, $what", async ({ summary, means }) => {
  await using play = await startLocal(8_192, {
    script: readingTurn(60, summary),
    files: parts,
    // Sent a longer prompt, the double refuses it.
    double: { contextWindow: 8_192 },
    settings: { "model.retrySeconds": 0 },
  });
  const { sessionId } = await play.prompt(`Mind these.\n${rules.join("\n")}\n${todo}`);
  const prompt = "Read all parts,  one\tby one.";
  expect(await play.prompt(prompt, { sessionId })).toMatchObject({ stopReason: "end_turn" });
  const done = compactions(play);
  expect(done.length).toBeGreaterThan(3);
  expect(new Set(done.map((one) => one.means))).toEqual(new Set([means]));
  expect(done.every(({ turnId, tokensAfter, tokensBefore }) => turnId && tokensAfter < tokensBefore)).toBe(true);
  expect(play.events().filter(({ type }) => type === "tool_result")).toHaveLength(60);
  const body = lastRequest(play);
  for (const words of [...rules, todo, prompt]) expect(body).toContain(spoken(words));
});

test.each(wires)(
  "a vendor that finds a conversation too long is sent a shorter one, and the turn goes on (%s)",
  async (wire) => {
    await using play = await startPlay({
      wire,
      script: [
        {
          name: "main",
          steps: [
            { calls: [{ name: "read", input: { files: [{ path: "part1.txt" }, { path: "part2.txt" }] } }] },
            { say: "Read." },
            { say: "Second." },
          ],
        },
        { name: "own", matchLast: "Stop here: do not go on", steps: [{ say: "x" }], repeatLast: true },
      ],
      // Less than the catalogue says; the vendor's own count is what decides.
      double: { contextWindow: 6_500 },
      files: { "part1.txt": "one\n".repeat(5_000), "part2.txt": "two\n".repeat(5_000) },
      settings: { "model.retrySeconds": 0 },
    });
    const { sessionId } = await play.prompt("Read both parts.");
    const end = await play.prompt(`And think of this: ${"three ".repeat(2_000)}`, { sessionId });
    expect(end).toMatchObject({ stopReason: "end_turn" });
    expect(compactions(play)).toMatchObject([{ reason: "overflow" }]);
  },
);

test.each(wires)(
  "a compaction can be undone until something follows, and a restore takes it back (%s)",
  async (wire) => {
    await using play = await startPlay({ wire, script: scripts(6, { say: "What was done, in short." }) });
    const { host } = play.local;
    const { sessionId } = await play.prompt("First prompt");
    const second = await play.prompt("Second prompt", { sessionId });
    await host.compact({ sessionId }, signal);
    const [first] = compactions(play);
    const compactionId = first?.compactionId as Compacted["compactionId"];
    await host.undoCompaction({ sessionId, compactionId });
    play.double.announceReturn();
    // The double checks that the request begins with every byte from before the compaction.
    expect((await play.prompt("Third prompt", { sessionId })).stopReason).toBe("end_turn");
    await host.compact({ sessionId, hint: "the third prompt" }, signal);
    await play.prompt("Fourth prompt", { sessionId });
    await expect(host.undoCompaction({ sessionId, compactionId })).rejects.toMatchObject({ code: "not_undoable" });
    const last = compactions(play).at(-1)?.compactionId as Compacted["compactionId"];
    await expect(host.undoCompaction({ sessionId, compactionId: last })).rejects.toMatchObject({
      code: "not_undoable",
    });
    await host.restore({ sessionId, turnId: second.turnId, files: false, conversation: true });
    play.double.announceRewind("Second prompt");
    expect((await play.prompt("Another second prompt", { sessionId })).stopReason).toBe("end_turn");
    const body = lastRequest(play);
    expect([body.includes("First prompt"), body.includes("Third prompt")]).toEqual([true, false]);
  },
);

test("a hint goes into the request for a summary", async () => {
  await using play = await startPlay({ script: scripts(2, { say: "In short." }) });
  const { sessionId } = await play.prompt("First");
  await play.local.host.compact({ sessionId, hint: "the names of the tests" }, signal);
  const asked = play.double.requests.find(({ json }) => json?.compaction !== undefined);
  expect(JSON.stringify(asked?.json?.compaction)).toContain("the names of the tests");
});

test("a prompt ends a compaction in the background and is not kept waiting", async () => {
  await using play = await startPlay({
    script: [
      { steps: [{ say: "A long answer. ".repeat(1_000) }, { say: "Second." }] },
      { compacts: true, steps: [{ say: "In short.", hold: "summary" }] },
    ],
    settings: { "context.summaryStrategy": "always" },
  });
  const { sessionId } = await play.prompt("First");
  await play.double.reached("summary");
  expect((await play.prompt("Second", { sessionId })).stopReason).toBe("end_turn");
  expect(compactions(play)).toEqual([]);
});

test("in the background it is done at the end of a turn, told while it runs, and counted in the ledger", async () => {
  await using play = await startPlay({
    script: [{ steps: [{ say: "A long answer. ".repeat(1_000) }] }, { compacts: true, steps: [{ say: "In short." }] }],
    settings: { "context.summaryStrategy": "always" },
  });
  const { turnId } = await play.prompt("First");
  await play.until(({ type }) => type === "compacted");
  expect(compactions(play)).toMatchObject([{ reason: "boundary", means: "vendor" }]);
  const told = play.updates.flatMap((update) => (update.type === "compaction_delta" ? [update.isRunning] : []));
  expect(told[0]).toBe(true);
  expect(turnId).toBeDefined();
  const [row] = await play.local.spending.rows(1);
  expect(row).toMatchObject({ requests: 2, estimated: 0 });
});

test("no request for a summary passes a limit on spending; it is then cut by rule", async () => {
  await using play = await startPlay({
    script: scripts(1, { say: "In short." }),
    settings: { "budget.session.requests": 1 },
  });
  const { sessionId } = await play.prompt("First");
  expect(await play.local.host.compact({ sessionId }, signal)).toEqual({ compacted: true });
  expect(compactions(play)).toMatchObject([{ means: "extract" }]);
  expect(play.double.requests).toHaveLength(1);
});

test("a compaction that the user cancels changes nothing", async () => {
  await using play = await startPlay({ script: scripts(2, { say: "In short.", hold: "summary" }) });
  const { host } = play.local;
  const { sessionId } = await play.prompt("First");
  const compacting = host.compact({ sessionId }, signal);
  await play.double.reached("summary");
  await expect(play.prompt("Second", { sessionId })).rejects.toMatchObject({ code: "turn_running" });
  await host.cancel(sessionId);
  expect(await compacting).toEqual({ compacted: false });
  expect((await play.prompt("Second", { sessionId })).stopReason).toBe("end_turn");
});

test("after the vendor's own compaction a model of another vendor has what can be read of it", async () => {
  await using play = await startPlay({ script: scripts(2, { say: "The vendor's words." }) });
  const { sessionId } = await play.prompt("First");
  await play.local.host.compact({ sessionId }, signal);
  await play.prompt("Second", { sessionId, model: "openai/gpt-6.1-sol" });
  const body = lastRequest(play);
  expect([body.includes("The vendor's words."), body.includes("First")]).toEqual([true, true]);
});

test("a session without a conversation has nothing to compact", async () => {
  await using play = await startPlay({ script: { steps: [] } });
  const { sessionId } = await play.local.host.newSession({});
  await expect(play.local.host.compact({ sessionId }, signal)).rejects.toMatchObject({ code: "nothing_to_compact" });
});
