/** Compaction through a real host, on all three APIs: what survives, what a failing provider cannot stop, and going back. */
import { expect, test } from "vitest";
import type { Compacted } from "../../server/src/protocol/types.ts";
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
