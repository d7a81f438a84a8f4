/**
 * The scheduler by single cases for each state a call can be in, and by thousands of random batches whose every wait is
 * a promise that the test settles itself.
 */
import { describe, expect, test } from "vitest";
import { type Deferred, deferred } from "../../../server/src/base/async.ts";
import { ToolError } from "../../../server/src/base/errors.ts";
import type { CallId, ToolCallPart, TurnId } from "../../../server/src/protocol/types.ts";
import { conflicts } from "../../../server/src/tools/access.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import {
  createScheduler,
  type SchedulerDeps,
  type SchedulerEvent,
  type Verdict,
} from "../../../server/src/tools/scheduler.ts";
import type { Access, Tool, ToolContext, ToolOutput } from "../../../server/src/tools/tool.ts";
import { createMemoryWorkspace } from "../../support/memoryWorkspace.ts";
import { seeded } from "../workspace/seeded.ts";

/** A call whose every step the test controls. */
interface Scripted {
  readonly access: () => Promise<Access>;
  readonly run: (context: ToolContext) => Promise<ToolOutput>;
}

/** Everything that is ready to go on has gone on once this resolves. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

const id = (at: number) => `call-${at}` as CallId;

const call = (at: number, name = "scripted"): ToolCallPart => ({
  type: "tool_call",
  callId: id(at),
  name,
  input: at,
});

function setUp(scripts: readonly Partial<Scripted>[], overrides: Partial<SchedulerDeps> = {}) {
  const controller = new AbortController();
  const events: SchedulerEvent[] = [];
  const bugs: unknown[] = [];
  const tool: Tool = {
    name: "scripted",
    kind: "other",
    spec: { name: "scripted", description: "", inputSchema: { type: "object" } },
    parse: (input) => {
      const script = scripts[Number(input)];
      if (!script) return { ok: false, message: `Invalid arguments: ${JSON.stringify(input)}` };
      return {
        ok: true,
        call: {
          title: `Call ${input}`,
          detail: "",
          subjects: async () => [],
          locations: async () => [],
          access: script.access ?? (async () => ({ reads: [], writes: [] })),
          run: script.run ?? (async () => ({ text: `done ${input}` })),
        },
      };
    },
  };
  const scheduler = createScheduler(
    {
      registry: createRegistry([tool]),
      workspace: createMemoryWorkspace(),
      clock: { now: () => 0, sleep: () => new Promise(() => undefined) },
      decide: async () => "run",
      emit: async (event) => void events.push(event),
      portsFor: () => ({
        turnId: "turn-1" as TurnId,
        report: () => undefined,
        lastSeen: () => undefined,
        saw: () => undefined,
        remove: async () => true,
        move: async () => "moved" as const,
        change: async () => ({ applied: true, version: null }),
      }),
      onBug: (error) => void bugs.push(error),
      ...overrides,
    },
    controller.signal,
  );
  return { scheduler, controller, events, bugs };
}

const writes =
  (...uris: string[]) =>
  async (): Promise<Access> => ({ reads: [], writes: uris });
const abortError = () => new DOMException("aborted", "AbortError");
/** Runs until the signal aborts. */
const untilAborted = ({ signal }: ToolContext) =>
  new Promise<ToolOutput>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

describe("results", () => {
  test("come in call order, whatever order the calls finish in", async () => {
    const gates = [deferred<ToolOutput>(), deferred<ToolOutput>()];
    const { scheduler, events } = setUp(gates.map((gate) => ({ run: () => gate.promise })));
    void scheduler.submit(call(0));
    void scheduler.submit(call(1));
    await settled();
    gates[1]?.resolve({ text: "second" });
    await settled();
    gates[0]?.resolve({ text: "first", isError: true });
    expect(await scheduler.drain()).toEqual([
      { callId: id(0), text: "first", isError: true },
      { callId: id(1), text: "second", isError: false },
    ]);
    expect(events.map(({ type, callId }) => `${type} ${callId}`)).toEqual([
      "tool_started call-0",
      "tool_started call-1",
      "tool_result call-1",
      "tool_result call-0",
    ]);
  });

  test("of an unknown tool list the tools", async () => {
    const { scheduler, events } = setUp([]);
    expect(await scheduler.submit(call(0, "read_file"))).toEqual({
      callId: id(0),
      text: 'There is no tool "read_file". The tools are: scripted.',
      isError: true,
    });
    expect(events.map(({ type }) => type)).toEqual(["tool_result"]);
  });

  test("of malformed JSON show the parse problem and ask for it again", async () => {
    const { scheduler } = setUp([{}]);
    const result = await scheduler.submit({ ...call(0), input: null, malformed: '{"path": "src/a.ts", "old": "x' });
    expect(result.isError).toBe(true);
    expect(result.text).toMatch(
      /not valid JSON \(Unterminated string.*\); they ended with: .*"old": "x\n.*Send the call/s,
    );
  });

  test("of invalid arguments are the tool's own message", async () => {
    const { scheduler } = setUp([]);
    expect(await scheduler.submit(call(3))).toMatchObject({ text: "Invalid arguments: 3", isError: true });
  });

  test("of a tool error are its text", async () => {
    const run = () => Promise.reject(new ToolError("There is no file a.ts."));
    const { scheduler, bugs } = setUp([{ run }]);
    expect(await scheduler.submit(call(0))).toMatchObject({ text: "There is no file a.ts.", isError: true });
    expect(bugs).toEqual([]);
  });

  test("of a bug are short, and the bug is reported", async () => {
    const bug = new TypeError("x is not a function");
    const { scheduler, bugs } = setUp([{ run: () => Promise.reject(bug) }]);
    const result = await scheduler.submit(call(0));
    expect(result).toMatchObject({ isError: true });
    expect(result.text).toContain("a fault in Hermes, not of your call: x is not a function");
    expect(bugs).toEqual([bug]);
  });

  test("of a call whose access cannot be told are errors, and it is in nobody's way", async () => {
    const access = () => Promise.reject(new ToolError("A path cannot contain a NUL character."));
    const { scheduler } = setUp([{ access }, { access: writes("*") }]);
    void scheduler.submit(call(0));
    void scheduler.submit(call(1));
    expect(await scheduler.drain()).toMatchObject([
      { text: "A path cannot contain a NUL character.", isError: true },
      { text: "done 1", isError: false },
    ]);
  });

  test("still exist when they cannot be stored, and no call has effects before its start is stored", async () => {
    let ran = false;
    const run = async () => {
      ran = true;
      return { text: "" };
    };
    const full = new Error("the disk is full");
    const { scheduler, bugs } = setUp([{ run }], { emit: () => Promise.reject(full) });
    expect(await scheduler.submit(call(0))).toMatchObject({ isError: true });
    expect({ ran, bugs }).toEqual({ ran: false, bugs: [full, full] });
  });
});

describe("approvals", () => {
  test("hold neither a slot nor later calls that do not conflict", async () => {
    const answer = deferred<Verdict>();
    const { scheduler, events } = setUp([{ access: writes("file:///a") }, { access: writes("file:///b") }], {
      concurrency: 1,
      decide: ({ callId }) => (callId === id(0) ? answer.promise : Promise.resolve("run")),
    });
    void scheduler.submit(call(0));
    expect(await scheduler.submit(call(1))).toMatchObject({ text: "done 1" });
    answer.resolve({ denied: "The user denied it." });
    expect(await scheduler.drain()).toMatchObject([{ text: "The user denied it.", isError: true }, { isError: false }]);
    expect(events.filter(({ type }) => type === "tool_started")).toHaveLength(1);
  });

  test("are asked only once earlier conflicting calls have settled", async () => {
    const gate = deferred<ToolOutput>();
    const asked: CallId[] = [];
    const { scheduler } = setUp(
      [{ access: writes("file:///a"), run: () => gate.promise }, { access: writes("file:///a") }],
      {
        decide: async ({ callId }) => {
          asked.push(callId);
          return "run";
        },
      },
    );
    void scheduler.submit(call(0));
    void scheduler.submit(call(1));
    await settled();
    expect(asked).toEqual([id(0)]);
    gate.resolve({ text: "" });
    await scheduler.drain();
    expect(asked).toEqual([id(0), id(1)]);
  });
});

describe("an abort", () => {
  const cancelled = { text: "Cancelled by the user before it finished.", isError: true };

  test("ends calls that wait for others, for approval, for a slot, and that run", async () => {
    const { scheduler, controller, events } = setUp(
      [{ access: writes("file:///a"), run: untilAborted }, { access: writes("file:///a") }, {}, {}],
      {
        concurrency: 1,
        decide: ({ callId }) => (callId === id(2) ? new Promise(() => undefined) : Promise.resolve("run")),
      },
    );
    for (const at of [0, 1, 2, 3]) void scheduler.submit(call(at));
    await settled();
    controller.abort();
    expect(await scheduler.drain()).toEqual([0, 1, 2, 3].map((at) => ({ callId: id(at), ...cancelled })));
    expect(events.filter(({ type }) => type === "tool_started").map(({ callId }) => callId)).toEqual([id(0)]);
  });

  test("before a call is submitted gives its result all the same", async () => {
    const { scheduler, controller } = setUp([{}]);
    controller.abort("stop");
    expect(await scheduler.submit(call(0))).toMatchObject(cancelled);
  });

  test("does not take away the result of a call that finishes nevertheless", async () => {
    const gate = deferred<ToolOutput>();
    const { scheduler, controller } = setUp([{ run: () => gate.promise }]);
    void scheduler.submit(call(0));
    await settled();
    controller.abort();
    gate.resolve({ text: "written" });
    expect(await scheduler.drain()).toMatchObject([{ text: "written", isError: false }]);
  });

  test("does not wait for ever for a call that ignores it", async () => {
    const over = deferred<void>();
    const { scheduler, controller } = setUp([{ run: () => new Promise(() => undefined) }], {
      clock: { now: () => 0, sleep: () => over.promise },
    });
    void scheduler.submit(call(0));
    await settled();
    controller.abort();
    over.resolve();
    const [result] = await scheduler.drain();
    expect(result?.text).toContain("did not stop in time and may still have effects");
  });

  test("inside a tool, without one of the turn, is not called a cancellation by the user", async () => {
    const { scheduler, bugs } = setUp([{ run: () => Promise.reject(abortError()) }]);
    expect((await scheduler.submit(call(0))).text).toBe(
      "Interrupted before it finished. Call it again if it is needed.",
    );
    expect(bugs).toEqual([]);
  });
});

// ------------------------------------------------------------------------------------------------ random batches

type Fate = "done" | "error" | "bug";

interface Running {
  readonly at: number;
  readonly gate: Deferred<ToolOutput>;
}

const resources = ["file:///a", "file:///b", "file:///src/a", "file:///src/**", "*"] as const;

/** Plays one random batch to its end; throws on the first thing that must not be. */
async function playBatch(
  seed: number,
): Promise<{ readonly most: number; readonly started: number; readonly aborted: boolean }> {
  const random = seeded(seed);
  const next = () => random.below(1_000_000) / 1_000_000;
  const count = 2 + Math.floor(next() * 8);
  const concurrency = 1 + Math.floor(next() * 4);
  const accesses = Array.from({ length: count }, (): Access => {
    const some = () => (next() < 0.4 ? [random.pick(resources)] : []);
    return { reads: some(), writes: some() };
  });
  const denied = accesses.map(() => next() < 0.08);
  const ignoresAbort = accesses.map(() => next() < 0.3);
  const abortAfter = next() < 0.15 ? Math.floor(next() * count * 2) : Number.POSITIVE_INFINITY;

  const running: Running[] = [];
  const approvals: { readonly at: number; readonly gate: Deferred<Verdict> }[] = [];
  const over = new Set<number>();
  let most = 0;
  let started = 0;
  const problem = (what: string) => new Error(`Seed ${seed}: ${what}`);
  const violations: Error[] = [];

  const start = (at: number, { signal }: ToolContext): Promise<ToolOutput> => {
    started += 1;
    const gate = deferred<ToolOutput>();
    const own = accesses[at] ?? { reads: [], writes: [] };
    for (const [other, access] of accesses.entries()) {
      if (other === at || !conflicts(own, access)) continue;
      if (running.some((entry) => entry.at === other)) violations.push(problem(`${at} runs beside ${other}`));
      if (other < at && !over.has(other)) violations.push(problem(`${at} runs before ${other} is over`));
      if (other > at && over.has(other) && !signal.aborted) violations.push(problem(`${at} runs after ${other}`));
    }
    running.push({ at, gate });
    most = Math.max(most, running.length);
    if (running.length > concurrency) violations.push(problem(`${running.length} calls run at once`));
    if (!ignoresAbort[at]) signal.addEventListener("abort", () => gate.reject(signal.reason), { once: true });
    return gate.promise.finally(() =>
      running.splice(
        running.findIndex((entry) => entry.at === at),
        1,
      ),
    );
  };

  const scripts = accesses.map((access, at) => ({
    access: async () => access,
    run: (context: ToolContext) => start(at, context),
  }));
  const { scheduler, controller, events } = setUp(scripts, {
    concurrency,
    decide: ({ callId }) => {
      const at = Number(callId.slice("call-".length));
      if (next() < 0.7) return Promise.resolve(denied[at] ? { denied: "no" } : "run");
      const gate = deferred<Verdict>();
      approvals.push({ at, gate });
      return gate.promise;
    },
    onBug: () => undefined,
  });

  let submitted = 0;
  for (let steps = 0; over.size < count; steps++) {
    if (steps > count * 6) throw problem(`does not end: ${over.size} of ${count} calls are over`);
    while (submitted < count && next() < 0.6) {
      const at = submitted++;
      void scheduler.submit(call(at)).then(() => over.add(at));
    }
    await settled();
    if (steps === abortAfter) controller.abort();
    const waitsForNothing = (at: number) =>
      accesses.every((access, other) => other >= at || over.has(other) || !conflicts(access, accesses[at] ?? access));
    const idle = Array.from({ length: submitted }, (_, at) => at).filter(
      (at) => !over.has(at) && !running.some((entry) => entry.at === at) && !approvals.some((entry) => entry.at === at),
    );
    if (!controller.signal.aborted && running.length < concurrency && idle.some(waitsForNothing)) {
      throw problem(
        `calls ${idle.filter(waitsForNothing)} wait for nothing with ${running.length} of ${concurrency} running`,
      );
    }
    const answer = next() < 0.5 ? approvals.shift() : undefined;
    answer?.gate.resolve(denied[answer.at] ? { denied: "no" } : "run");
    const chosen = running[random.below(running.length)];
    if (chosen && (submitted === count || next() < 0.5)) {
      const { gate } = chosen;
      const fate: Fate = next() < 0.9 ? "done" : next() < 0.7 ? "error" : "bug";
      if (fate === "done") gate.resolve({ text: "ok" });
      else gate.reject(fate === "error" ? new ToolError("failed") : new Error("bug"));
    }
    await settled();
  }
  if (violations[0]) throw violations[0];
  const results = await scheduler.drain();
  const told = (type: SchedulerEvent["type"]) => events.flatMap((event) => (event.type === type ? [event.callId] : []));
  const order = accesses.map((_, at) => id(at));
  expect(results.map(({ callId }) => callId)).toEqual(order);
  expect(told("tool_result").sort()).toEqual(order);
  expect(new Set(told("tool_started")).size).toBe(told("tool_started").length);
  return { most, started, aborted: controller.signal.aborted };
}

test("3,000 random batches: no deadlock, no ordering violation, no idle slot, one result for each call", async () => {
  let overlapping = 0;
  let started = 0;
  let aborted = 0;
  for (let seed = 1; seed <= 3_000; seed++) {
    const batch = await playBatch(seed);
    if (batch.most > 1) overlapping += 1;
    if (batch.aborted) aborted += 1;
    started += batch.started;
  }
  expect({ overlap: overlapping > 1_000, ran: started > 9_000, aborts: aborted > 200 }).toEqual({
    overlap: true,
    ran: true,
    aborts: true,
  });
}, 60_000);
