/**
 * Counting what ran inside VS Code: a run that broke off is a failure.
 */
import { EventEmitter } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { countRun, followRun, type RunOutcome, readRun, writeRun } from "../../host/support/results.ts";

const named = (title: string, duration?: number) => ({
  fullTitle: () => title,
  ...(duration === undefined ? {} : { duration }),
});

test("a run is followed test by test, and counted as broken off until it ends", () => {
  const runner = new EventEmitter();
  const seen: RunOutcome[] = [];
  followRun(runner, (run) => seen.push(structuredClone(run)));
  runner.emit("pass", named("a", 3));
  runner.emit("fail", named("b"), new Error("no"));
  runner.emit("pending", named("c"));
  expect(seen.map(countRun)).toEqual([
    { passed: 1, failed: 1, skipped: 0 },
    { passed: 1, failed: 2, skipped: 0 },
    { passed: 1, failed: 2, skipped: 1 },
  ]);
  runner.emit("end");
  expect(countRun(seen.at(-1) ?? { tests: [], finished: false })).toEqual({ passed: 1, failed: 1, skipped: 1 });
  expect(seen.at(-1)?.tests[1]?.error).toContain("Error: no");
});

test("what is written is read again, and a run that never started is one failure", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "hermes-results-"));
  try {
    const run: RunOutcome = { tests: [{ title: "a", state: "passed", ms: 1 }], finished: true };
    writeRun(path.join(folder, "below", "run.json"), run);
    expect(readRun(path.join(folder, "below", "run.json"))).toEqual(run);
    expect(countRun(readRun(path.join(folder, "none.json")))).toEqual({ passed: 0, failed: 1, skipped: 0 });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
