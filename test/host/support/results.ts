/**
 * What a run of mocha came to: collected from its events, kept as a small JSON file, printed for people.
 *
 * Not here: running mocha. Bundled into the extension host too, so it may use nothing but Node. Easily got wrong: a
 * file without `finished` is a run that broke off, which is a failure whatever it holds.
 */
import fs from "node:fs";
import path from "node:path";

/** One test. */
export interface TestOutcome {
  readonly title: string;
  readonly state: "passed" | "failed" | "skipped";
  readonly ms: number;
  readonly error?: string;
}

/** One run of mocha. */
export interface RunOutcome {
  readonly tests: readonly TestOutcome[];
  readonly finished: boolean;
}

/** How many tests ended in which way. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of mocha's test object that is read here. */
interface MochaTest {
  fullTitle(): string;
  readonly duration?: number;
}

/** The part of mocha's runner that is read here. */
interface MochaRunner {
  on(event: "pass" | "pending", listener: (test: MochaTest) => void): unknown;
  on(
    event: "fail",
    listener: (test: MochaTest, error: { readonly stack?: string; readonly message?: string }) => void,
  ): unknown;
  on(event: "end", listener: () => void): unknown;
}

/** Follows a run and calls `onTest` after each test and `onChange` with all that is known whenever that grows. */
export function followRun(
  runner: MochaRunner,
  onChange: (run: RunOutcome) => void,
  onTest: (test: TestOutcome) => void = () => {},
): void {
  const tests: TestOutcome[] = [];
  const add = (outcome: TestOutcome) => {
    tests.push(outcome);
    onTest(outcome);
    onChange({ tests, finished: false });
  };
  runner.on("pass", (test) => add({ title: test.fullTitle(), state: "passed", ms: test.duration ?? 0 }));
  runner.on("pending", (test) => add({ title: test.fullTitle(), state: "skipped", ms: 0 }));
  runner.on("fail", (test, error) =>
    add({
      title: test.fullTitle(),
      state: "failed",
      ms: test.duration ?? 0,
      error: error.stack ?? error.message ?? String(error),
    }),
  );
  runner.on("end", () => onChange({ tests, finished: true }));
}

/** Stores a run's outcome so far. */
export function writeRun(file: string, run: RunOutcome): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.new`, JSON.stringify(run));
  fs.renameSync(`${file}.new`, file);
}

/** The stored outcome; of a run that never started, an unfinished one without tests. */
export function readRun(file: string): RunOutcome {
  if (!fs.existsSync(file)) return { tests: [], finished: false };
  return JSON.parse(fs.readFileSync(file, "utf8")) as RunOutcome;
}

/** A test as one line, with its error below. */
export function describeTest(test: TestOutcome): string {
  const mark = { passed: "✔", failed: "✘", skipped: "-" }[test.state];
  const line = `  ${mark} ${test.title} (${test.ms} ms)`;
  return test.error === undefined ? line : `${line}\n${test.error.replace(/^/gm, "      ")}`;
}

/** The counts of a run; one failure more when it broke off. */
export function countRun(run: RunOutcome): Counts {
  const of = (state: TestOutcome["state"]) => run.tests.filter((test) => test.state === state).length;
  return { passed: of("passed"), failed: of("failed") + (run.finished ? 0 : 1), skipped: of("skipped") };
}
