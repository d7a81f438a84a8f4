/**
 * Where the time of a turn went, through the real host, its real SDKs and the model double: every delay is put in by an
 * amount that is known, on a clock that stands still otherwise, and must be found again under its name.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, test } from "vitest";
import { type Clock, deferred } from "../../server/src/base/async.ts";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { findingsOf } from "../../server/src/report/findings.ts";
import { turnTimes } from "../../server/src/report/turnTimes.ts";
import { type Cause, waterfallOf } from "../../server/src/report/waterfall.ts";
import type { Script } from "../support/modelDouble.ts";
import { type Play, startPlay, type WireFormat, wireFormats } from "../support/play.ts";

/** Delays in ms, each of another size, so that none can stand for another. */
const delays = {
  build: 130,
  wait: 2_000,
  connect: 310,
  firstToken: 7_100,
  generation: 5_300,
  approval: 11_000,
  tool: 3_700,
  apply: 290,
} as const;

/** Time stands still but for what is added, and for sleeping, which takes just as long as it was meant to. */
class StandingClock implements Clock {
  #now = 1_790_000_000_000;

  readonly now = () => this.#now;
  readonly sleep = async (ms: number, signal: AbortSignal) => {
    signal.throwIfAborted();
    this.add(ms);
  };

  add(ms: number): void {
    this.#now += ms;
  }
}

const script: Script = {
  steps: [
    {
      fault: { kind: "http", error: "rateLimit", retryAfter: delays.wait / 1000 },
      hold: [
        { name: "first", at: "headers" },
        { name: "writing", at: { text: 6 } },
      ],
      say: "I look at it.",
      deltaChars: 3,
      calls: [{ name: "shell", input: { command: "echo going" } }],
    },
    { calls: [{ name: "write", input: { path: "new.txt", text: "words\n" } }] },
    { say: "Done." },
  ],
};

/** Plays the turn and adds each delay while the thing that it delays is at work. */
async function playDelayed(wire: WireFormat): Promise<{ play: Play; connections: number; sessionId: SessionId }> {
  const clock = new StandingClock();
  let connections = 0;
  const onConnected = () => {
    connections += 1;
    clock.add(delays.connect);
  };
  let hasRun = false;
  const begun = deferred<void>();
  const play = await startPlay({
    wire,
    script,
    host: {
      clock,
      onUpdate: (_, update) => {
        play.updates.push(update);
        if (update.type === "step_started") clock.add(delays.build);
        if (update.type === "text_delta") begun.resolve();
        if (update.type === "file_changed") clock.add(delays.apply);
        if (update.type === "tool_output_delta" && !hasRun) {
          hasRun = true;
          clock.add(delays.tool);
        }
      },
    },
    ask: async () => {
      clock.add(delays.approval);
      return "allow_once";
    },
  });
  const hold = async (name: string, ms: number, here?: Promise<void>) => {
    await Promise.all([play.double.reached(name), here]);
    clock.add(ms);
    play.double.release(name);
  };
  subscribe("undici:client:connected", onConnected);
  try {
    const [{ sessionId, stopReason }] = await Promise.all([
      play.prompt("Make a file"),
      hold("first", delays.firstToken),
      // What the double has sent the host need not have read yet.
      hold("writing", delays.generation, begun.promise),
    ]);
    expect(stopReason).toBe("end_turn");
    return { play, connections, sessionId };
  } finally {
    unsubscribe("undici:client:connected", onConnected);
  }
}

function parts(events: readonly SessionEvent[]) {
  const [times] = turnTimes(events);
  if (!times) throw new Error("There is no turn.");
  const waterfall = waterfallOf(times);
  const of = (cause: Cause) => waterfall.parts.find((part) => part.cause === cause)?.ms ?? 0;
  return { times, waterfall, of, sum: waterfall.parts.reduce((sum, { ms }) => sum + ms, 0) };
}

describe.each(Object.keys(wireFormats) as WireFormat[])("through %s", (wire) => {
  test("every delay is found again under its name, and the parts add up to the turn", async () => {
    const { play, connections, sessionId } = await playDelayed(wire);
    await using _ = play;
    const events = play.events();
    const { of, sum, waterfall } = parts(events);
    expect(connections).toBeGreaterThan(0);
    expect({
      build: of("build"),
      wait: of("wait"),
      connect: of("connect"),
      firstToken: of("first_token"),
      generation: of("generation"),
      approval: of("approval"),
      tool: of("tool"),
      apply: of("apply"),
    }).toEqual({
      ...delays,
      build: 3 * delays.build,
      connect: connections * delays.connect,
      approval: 2 * delays.approval,
    });
    const finished = events.findLast(({ type }) => type === "turn_finished")?.at ?? 0;
    const started = events.find(({ type }) => type === "turn_started")?.at ?? 0;
    expect(sum).toBe(finished - started);
    expect(of("other")).toBeLessThan(sum / 100);
    expect(waterfall.unrecordedSteps).toBe(0);
    // It is a fold of the journal, so what is read again gives the same.
    const stored = (await play.local.host.loadSession(sessionId)).events;
    expect(parts(stored).waterfall).toEqual(waterfall);
  });
});

test("what stood out is said in words, the longest first, each with its row", async () => {
  const { play } = await playDelayed("anthropic-messages");
  await using _ = play;
  const { times, waterfall } = parts(play.events());
  const findings = findingsOf(times, waterfall);
  expect(findings.map(({ rule }) => rule)).toEqual([
    "approval",
    "slow_first_token",
    "slow_answer",
    "slow_tool",
    "retry",
  ]);
  expect(findings.map(({ text }) => text)).toEqual([
    expect.stringMatching(/^Most of the time \(5\d %, 22 s\): it waited for your approval of “.+” and 1 more\.$/),
    expect.stringMatching(/^1\d % of the time \(7\.1 s\): the model had not begun to answer in step 1\.$/),
    expect.stringMatching(/^1\d % of the time \(5\.3 s\): the model wrote \d+ tokens in step 1\.$/),
    expect.stringMatching(/^\d % of the time \(3\.7 s\): “Run echo going” ran for 3\.7 s\.$/),
    expect.stringMatching(/^\d % of the time \(2\.0 s\): one wait before asking again: .*limit/i),
  ]);
  const ids = new Set(waterfall.rows.map(({ id }) => id));
  for (const { row } of findings) expect(ids).toContain(row);
});

test("a prompt cache that another model cannot read is told with its tokens and its cause", async () => {
  await using play = await startPlay({ script: { steps: [{ say: "One." }, { say: "Two." }] } });
  const words = "Remember every one of these words. ".repeat(1_500);
  const { sessionId } = await play.prompt(words);
  await play.prompt("And now?", { sessionId, model: "anthropic/claude-opus-5-5" });
  const [, second] = turnTimes(play.events());
  if (!second) throw new Error("There is no second turn.");
  const found = findingsOf(second, waterfallOf(second)).find(({ rule }) => rule === "cache_missed");
  expect(found).toMatchObject({
    row: "step 1",
    text: expect.stringMatching(
      /^The prompt cache was missed in step 1: \d+\.\dk tokens were sent anew, because another model answered/,
    ),
  });
  // The double sees that the model is another one; it cannot know that the user has chosen it.
  expect(play.double.violations.splice(0).map(({ rule }) => rule)).toEqual(["I5"]);
});
