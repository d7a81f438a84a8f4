/** Phases of the work at hand: one at a time, none lost, and nothing to do where nobody records. */
import { setImmediate as soon } from "node:timers/promises";
import { expect, test } from "vitest";
import { inPhase, PhaseRecorder, phaseRecorder } from "../../../server/src/base/trace.ts";

function standing() {
  let now = 500;
  const add = (ms: number) => {
    now += ms;
  };
  return { now: () => now, add };
}

test("phases follow each other, empty ones are left out, and equal neighbours are one", () => {
  const clock = standing();
  const recorder = new PhaseRecorder(clock.now);
  recorder.enter("build");
  recorder.enter("connect");
  clock.add(30);
  recorder.enter("first_token");
  clock.add(5);
  recorder.enter("first_token");
  clock.add(5);
  recorder.end();
  clock.add(100);
  recorder.enter("wait", "x".repeat(500));
  clock.add(7);
  recorder.end();
  expect(recorder.phases).toEqual([
    { name: "connect", fromMs: 0, ms: 30 },
    { name: "first_token", fromMs: 30, ms: 10 },
    { name: "wait", fromMs: 140, ms: 7, reason: "x".repeat(200) },
  ]);
});

test("a hundred are kept, and the time of all others counts to the last", () => {
  const clock = standing();
  const recorder = new PhaseRecorder(clock.now);
  for (let index = 0; index < 400; index++) {
    recorder.enter(index % 2 === 0 ? "wait" : "build");
    clock.add(1);
  }
  recorder.end();
  expect(recorder.phases.length).toBe(100);
  expect(recorder.phases.reduce((sum, { ms }) => sum + ms, 0)).toBe(400);
});

test("a phase within another gives it back, also when two overlap or one fails", async () => {
  const clock = standing();
  const recorder = new PhaseRecorder(clock.now);
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  await recorder.run(async () => {
    const settle = inPhase("settle", async () => {
      clock.add(2);
      await inPhase("apply", async () => {
        clock.add(3);
        await gates[0].promise;
      });
      clock.add(4);
    });
    const other = inPhase("apply", () => gates[1].promise);
    clock.add(5);
    gates[0].resolve();
    await settle;
    clock.add(6);
    gates[1].reject(new Error("it could not be written"));
    await expect(other).rejects.toThrow("could not be written");
  });
  clock.add(50);
  recorder.end();
  expect(recorder.phases.reduce((sum, { ms }) => sum + ms, 0)).toBe(20);
  expect(recorder.phases[0]).toEqual({ name: "settle", fromMs: 0, ms: 2 });
  expect(recorder.phases.at(-1)).toMatchObject({ name: "apply", fromMs: expect.any(Number) });
});

test("the recorder is that of the work, however deep and late, and elsewhere there is none", async () => {
  const recorder = new PhaseRecorder(() => 0);
  expect(phaseRecorder()).toBeUndefined();
  await expect(inPhase("apply", async () => 7)).resolves.toBe(7);
  const inner = new PhaseRecorder(() => 0);
  await recorder.run(async () => {
    await soon();
    expect(phaseRecorder()).toBe(recorder);
    await inner.run(async () => {
      await soon();
      expect(phaseRecorder()).toBe(inner);
    });
    expect(phaseRecorder()).toBe(recorder);
  });
  expect(phaseRecorder()).toBeUndefined();
});
