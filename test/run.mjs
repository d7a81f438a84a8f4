/**
 * `npm test`: everything, from a bare clone. Installs, builds, runs the checks and then the tests in a real VS Code, adds
 * the counts up and ends with a plain line `N passed, N failed`.
 *
 * Plain JavaScript without dependencies for Node 18 and newer. Easily got wrong: a part that crashes or leaves no
 * counts is one failure, and the parts after it still run.
 */
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { installProject, projectNode, root } from "./rig/bootstrap.mjs";
import { step } from "./rig/progress.mjs";

const countsFolder = path.join(root, ".cache", "test-counts");
/** The child that runs now; ended with this process. */
let current;

/** Runs a program of the project in the foreground, for at most `minutes`; resolves to its exit code. */
function run(args, { minutes, output = "inherit" }) {
  return new Promise((resolve) => {
    const child = spawn(projectNode, args, { cwd: root, stdio: ["ignore", output, output] });
    current = child;
    let text = "";
    child.stdout?.on("data", (chunk) => (text += chunk));
    child.stderr?.on("data", (chunk) => (text += chunk));
    const timer = setTimeout(() => {
      console.log(`${args[0]} did not end within ${minutes} minutes and is stopped.`);
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), 10_000).unref();
    }, minutes * 60_000);
    child.on("error", (error) => (text += error.message));
    child.on("close", (code) => {
      clearTimeout(timer);
      current = undefined;
      if (code !== 0 && text) console.log(text.trim());
      resolve(code ?? 1);
    });
  });
}

/** The counts that a part left, or one failure when it left none. */
function readCounts(name) {
  try {
    const {
      passed = 0,
      failed = 0,
      skipped = 0,
    } = JSON.parse(fs.readFileSync(path.join(countsFolder, `${name}.json`), "utf8"));
    return { passed, failed, skipped };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** The counts in a report of vitest. */
function readReport(file) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(fs.readFileSync(file, "utf8"));
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** Adds one failure where a program failed although every test in it passed: a type error, a lint finding, a crash. */
function withExitCode(counts, code) {
  const failed = counts.reduce((sum, part) => sum + part.failed, 0);
  return code !== 0 && failed === 0 ? [...counts, { passed: 0, failed: 1, skipped: 0 }] : counts;
}

async function main() {
  fs.rmSync(countsFolder, { recursive: true, force: true });
  await installProject();
  fs.mkdirSync(countsFolder, { recursive: true });

  const results = [];
  const built = await step("Building Hermes", () => run(["build.mjs"], { minutes: 2, output: "pipe" }));
  if (built !== 0) {
    console.log("The build failed, so the tests in VS Code are left out.");
    results.push({ passed: 0, failed: 1, skipped: 0 });
  }

  console.log("\nTypes, lint, dead code and the tests that need no VS Code");
  const checked = await run(["test/check.mjs", "--counts", path.join(countsFolder, "check.json")], { minutes: 10 });
  results.push(...withExitCode([readCounts("check")], checked));

  console.log(
    "\nWhat takes longer: faults at every byte of a model's answer, large files, the panel's page in a browser",
  );
  const report = path.join(countsFolder, "exhaustive-vitest.json");
  const vitest = path.join("node_modules", "vitest", "vitest.mjs");
  const struck = await run(
    [
      vitest,
      "run",
      "--config",
      "test/exhaustive/vitest.config.ts",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
    ],
    { minutes: 12 },
  );
  results.push(...withExitCode([readReport(report)], struck));

  console.log("\nInterleavings of a typist and an agent");
  const counts = path.join(countsFolder, "interleavings.json");
  const played = await run(["test/interleavings.mjs", "--seed", "31", "--count", "600", "--counts", counts], {
    minutes: 6,
  });
  results.push(...withExitCode([readCounts("interleavings")], played));

  if (built === 0) {
    console.log("\nThe tests in a real VS Code");
    const hosted = await run(["test/host/run.mjs"], { minutes: 18 });
    results.push(...withExitCode([readCounts("host"), readCounts("e2e")], hosted));
  }

  const sum = (key) => results.reduce((total, counts) => total + counts[key], 0);
  if (sum("skipped") > 0) console.log(`\n${sum("skipped")} skipped`);
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed") === 0 && sum("passed") > 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    // Ctrl+C reaches the child by itself; the others are passed on. Either way its clean-up is waited for.
    if (signal !== "SIGINT") current?.kill(signal);
    if (!current) process.exit(130);
    current.on("close", () => process.exit(130));
  });
}
main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(`\n${error.message}\n\n0 passed, 1 failed`);
    process.exitCode = 1;
  },
);
