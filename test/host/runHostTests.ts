/**
 * Runs every test that needs a real VS Code: first those inside its extension host, then those that drive the page.
 *
 * Not here: the tests, and building the extension. Arguments: `--part host|e2e` runs one part, `--grep PATTERN` the
 * tests whose title matches; `--interleavings N` plays N interleavings of a typist and the agent, and nothing else.
 * Easily got wrong: one deadline covers the whole run, and everything started is ended
 * before this process exits, however it exits.
 */
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import Mocha from "mocha";
import { root } from "../rig/bootstrap.mjs";
import { findDesktopCode } from "../rig/desktopCode.ts";
import { installRig, isRigReady } from "../rig/install.ts";
import { stopAllProcesses, stopOnSignals } from "../rig/processes.ts";
import { step } from "../rig/progress.mjs";
import { closeSharedBrowser, sharedBrowser } from "./support/browser.ts";
import { bundleHostTests } from "./support/bundle.ts";
import { findDesktopProgram, runOnDesktop } from "./support/desktop.ts";
import {
  type Counts,
  countRun,
  describeTest,
  followRun,
  type RunOutcome,
  readRun,
  writeRun,
} from "./support/results.ts";
import { openWorkbench } from "./support/workbench.ts";

/** The whole run, in ms; without what is asked for in interleavings. */
const deadlineMs = 15 * 60_000;
/** The tests inside the extension host, in ms. */
const hostDeadlineMs = 6 * 60_000;
/** One interleaving, in ms. */
const interleavingMs = 6_000;

const { values } = parseArgs({
  options: { part: { type: "string" }, grep: { type: "string" }, interleavings: { type: "string" } },
});
const extraMs = interleavingMs * Number(values.interleavings ?? 0);

const here = import.meta.dirname;
const countsFolder = path.join(root, ".cache", "test-counts");

/** Which VS Code runs the tests inside the host, and why. */
function chooseEditor(): { readonly editor: "desktop" | "web"; readonly why: string; readonly forced: boolean } {
  const wanted = process.env.HERMES_VSCODE;
  if (wanted === "desktop" || wanted === "web") return { editor: wanted, why: `HERMES_VSCODE=${wanted}`, forced: true };
  if (wanted) throw new Error(`HERMES_VSCODE is "${wanted}"; it may be "desktop" or "web".`);
  if (findDesktopCode() !== undefined)
    return { editor: "desktop", why: "a desktop VS Code and a display are here", forced: false };
  return { editor: "web", why: "there is no desktop VS Code with a display", forced: false };
}

interface Wanted {
  readonly grep?: string | undefined;
  readonly interleavings?: string | undefined;
}

async function runHostPart({ grep, interleavings }: Wanted): Promise<RunOutcome> {
  const results = path.join(root, ".cache", "host-tests", "results.json");
  fs.rmSync(results, { force: true });
  const testsPath = await step("Bundling the tests inside VS Code", () => bundleHostTests(here));
  const env = {
    HERMES_TEST_RESULTS: results,
    ...(grep === undefined ? {} : { HERMES_TEST_GREP: grep }),
    ...(interleavings === undefined ? {} : { HERMES_TEST_INTERLEAVINGS: interleavings }),
  };
  const { editor, why, forced } = chooseEditor();
  const program =
    editor === "desktop"
      ? await findDesktopProgram().catch((error: unknown) => giveUpDesktop(error, forced))
      : undefined;
  if (program !== undefined) {
    console.log(`\nInside VS Code, on the desktop (${why}): ${program}`);
    await runOnDesktop(program, testsPath, env);
  } else {
    console.log(`\nInside VS Code, in headless Chromium (${why})`);
    await runInBrowser(testsPath, env);
  }
  const run = readRun(results);
  for (const test of run.tests) console.log(describeTest(test));
  if (!run.finished)
    console.log(
      "  ✘ VS Code ended, or did not answer in time, before all tests had run; see test-results/host-log.txt",
    );
  return run;
}

function giveUpDesktop(error: unknown, forced: boolean): undefined {
  const reason = error instanceof Error ? error.message : String(error);
  if (forced)
    throw new Error(`HERMES_VSCODE=desktop, but no desktop VS Code could be had: ${reason}`, { cause: error });
  console.log(`No desktop VS Code could be had (${reason}); using the browser.`);
  return undefined;
}

async function runInBrowser(testsPath: string, env: Readonly<Record<string, string>>): Promise<void> {
  const workbench = await openWorkbench({ name: "host", env, testsPath });
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), hostDeadlineMs + extraMs);
    });
    const code = await Promise.race([workbench.exit, late]);
    fs.mkdirSync(path.join(root, "test-results"), { recursive: true });
    fs.writeFileSync(path.join(root, "test-results", "host-log.txt"), workbench.log.join("\n"));
    if (code === undefined) await workbench.screenshot("late");
  } finally {
    clearTimeout(timer);
    await workbench.close();
  }
}

async function runPagePart(grep: string | undefined): Promise<RunOutcome> {
  const folder = path.join(here, "e2e");
  console.log("\nDriving the page, in headless Chromium");
  const mocha = new Mocha({
    ui: "bdd",
    timeout: 90_000,
    reporter: Mocha.reporters.Base,
    ...(grep === undefined ? {} : { grep: new RegExp(grep) }),
  });
  for (const name of fs.readdirSync(folder).sort())
    if (name.endsWith(".test.ts")) mocha.addFile(path.join(folder, name));
  await mocha.loadFilesAsync();
  return new Promise((resolve) => {
    let latest: RunOutcome = { tests: [], finished: false };
    const runner = mocha.run(() => resolve(latest));
    followRun(
      runner,
      (run) => {
        latest = run;
        writeRun(path.join(root, ".cache", "host-tests", "e2e.json"), run);
      },
      (test) => console.log(describeTest(test)),
    );
  });
}

/** Runs one part; what it throws counts as one failure. Its counts are stored as soon as they are known. */
async function runPart(name: string, part: () => Promise<RunOutcome>): Promise<Counts> {
  let counts: Counts = { passed: 0, failed: 1, skipped: 0 };
  try {
    counts = countRun(await part());
  } catch (error) {
    console.log(`  ✘ ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  fs.writeFileSync(path.join(countsFolder, `${name}.json`), JSON.stringify(counts));
  return counts;
}

async function main(): Promise<number> {
  const { interleavings } = values;
  const wanted: Wanted = { grep: interleavings === undefined ? values.grep : "a typist and the agent", interleavings };
  const only = interleavings === undefined ? values.part : "host";
  const parts = ["host", "e2e"].filter((part) => only === undefined || only === part);
  if (parts.length === 0) throw new Error(`--part is "${values.part}"; it may be "host" or "e2e".`);
  fs.mkdirSync(countsFolder, { recursive: true });
  for (const name of ["host", "e2e"]) fs.rmSync(path.join(countsFolder, `${name}.json`), { force: true });
  if (!isRigReady()) await step("Getting VS Code for the browser", installRig);
  await sharedBrowser();
  const all: Counts[] = [];
  if (parts.includes("host")) all.push(await runPart("host", () => runHostPart(wanted)));
  if (parts.includes("e2e")) all.push(await runPart("e2e", () => runPagePart(values.grep)));
  const sum = (key: keyof Counts) => all.reduce((total, counts) => total + counts[key], 0);
  console.log(
    `\nin VS Code: ${sum("passed")} passed, ${sum("failed")} failed${sum("skipped") > 0 ? `, ${sum("skipped")} skipped` : ""}`,
  );
  return sum("failed") === 0 && sum("passed") > 0 ? 0 : 1;
}

async function end(code: number): Promise<never> {
  await closeSharedBrowser().catch(() => {});
  await stopAllProcesses();
  process.exit(code);
}

stopOnSignals(closeSharedBrowser);
setTimeout(() => {
  console.log(`\nThe tests in VS Code did not end within ${(deadlineMs + extraMs) / 60_000} minutes and were stopped.`);
  void end(1);
}, deadlineMs + extraMs).unref();
main().then(end, (error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  return end(1);
});
