/**
 * `npm run check`: types, lint, dead code and every test that needs neither VS Code nor a browser; about a minute on two cores.
 *
 * Prints each part's outcome as it ends, then the largest files and functions (which fail nothing). With
 * `--counts FILE`, writes `{passed, failed, skipped}` of the tests there. Needs an installed `node_modules`.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const node = join(root, "node_modules/node/bin", process.platform === "win32" ? "node.exe" : "node");
const countsAt = process.argv.indexOf("--counts");
const countsFile = countsAt > 0 ? process.argv[countsAt + 1] : undefined;
const report = join(root, ".cache/vitest.json");
mkdirSync(dirname(report), { recursive: true });

/** The JavaScript entry of a tool, so that it runs under the project's own Node whatever the shell's is. */
function entry(name, bin = name) {
  const folder = join(root, "node_modules", name);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(folder, typeof manifest.bin === "string" ? manifest.bin : manifest.bin[bin]);
}

function run(title, args) {
  const startedAt = performance.now();
  return new Promise((done) => {
    const child = spawn(node, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, FORCE_COLOR: "0" },
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => (output += String(error)));
    child.on("close", (code) => {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${code === 0 ? "ok    " : "FAILED"} ${title} (${seconds} s)`);
      if (code !== 0) console.log(output.trimEnd());
      done(code === 0);
    });
  });
}

const results = await Promise.all([
  (async () => {
    const types = await run("types", [entry("typescript", "tsc"), "-b"]);
    const lint = await run("lint and format", [entry("@biomejs/biome", "biome"), "check", "--error-on-warnings"]);
    const dead = await run("dead code", [entry("knip"), "--no-progress"]);
    return types && lint && dead;
  })(),
  run("tests", [entry("vitest"), "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`]),
]);

if (countsFile) {
  const { numPassedTests = 0, numFailedTests = 1, numPendingTests = 0 } = JSON.parse(readFileSync(report, "utf8"));
  writeFileSync(
    countsFile,
    JSON.stringify({ passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests }),
  );
}

/** Our sources below a folder. Packages are never entered: those of the rig hold links that lead round in circles. */
function sourcesBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : sourcesBelow(path);
    return /\.(ts|tsx|mjs)$/.test(entry.name) ? [path] : [];
  });
}

const sizes = ["server/src", "client/src", "media", "test"]
  .flatMap(sourcesBelow)
  .map((path) => ({ path, lines: readFileSync(join(root, path), "utf8").split("\n").length }))
  .sort((a, b) => b.lines - a.lines);
console.log(
  `largest files: ${sizes
    .slice(0, 5)
    .map(({ path, lines }) => `${path} ${lines}`)
    .join(", ")}`,
);
process.exitCode = results.every(Boolean) ? 0 : 1;
