/**
 * Runs inside the extension host: loads the test files into mocha and stores what they came to.
 *
 * Not here: which files (the bundler lists them). Easily got wrong: VS Code refuses modal dialogs while tests run, so
 * what needs one is tested from the browser's side in `e2e/`.
 */
import process from "node:process";
import { countRun, followRun, type RunOutcome, writeRun } from "./results.ts";

/** Runs the given test files; rejects when a test fails, which VS Code turns into its exit code. */
export async function runInHost(load: readonly (() => unknown)[]): Promise<void> {
  const results = process.env.HERMES_TEST_RESULTS;
  if (results === undefined) throw new Error("HERMES_TEST_RESULTS does not say where the results go.");
  const { default: Mocha } = await import("mocha");
  const grep = process.env.HERMES_TEST_GREP;
  const mocha = new Mocha({
    ui: "bdd",
    timeout: 30_000,
    reporter: Mocha.reporters.Base,
    ...(grep ? { grep: new RegExp(grep) } : {}),
  });
  mocha.suite.emit("pre-require", globalThis, "", mocha);
  for (const file of load) file();
  const run = await new Promise<RunOutcome>((resolve) => {
    let latest: RunOutcome = { tests: [], finished: false };
    const runner = mocha.run(() => resolve(latest));
    followRun(runner, (outcome) => {
      latest = outcome;
      writeRun(results, outcome);
    });
  });
  const { failed } = countRun(run);
  if (failed > 0) throw new Error(`${failed} test(s) failed`);
}
