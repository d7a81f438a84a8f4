/**
 * `npm run test:interleavings`: plays random interleavings of a typist and an agent on fifty files, in two processes.
 *
 * `--count N` how many (10,000), `--seed S` which (a number; the same seed plays the same ones), `--path P` only the one
 * that a failure named. With `--counts FILE`, writes `{passed, failed, skipped}` there. Needs an installed `node_modules`.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = resolve(import.meta.dirname, "..");
const node = join(root, "node_modules/node/bin", process.platform === "win32" ? "node.exe" : "node");
const { values } = parseArgs({
  options: {
    count: { type: "string", default: "10000" },
    seed: { type: "string", default: "20261121" },
    path: { type: "string" },
    counts: { type: "string" },
  },
});
const processes = values.path === undefined ? 2 : 1;

function play(index) {
  const seed = Number(values.seed) + index;
  const count = Math.ceil(Number(values.count) / processes);
  const args = [String(seed), String(count), ...(values.path === undefined ? [] : [values.path])];
  return new Promise((done) => {
    const child = spawn(node, [join(root, "test/support/interleave/main.ts"), ...args], { stdio: "inherit" });
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("error", () => done(false));
    child.on("close", (code) => done(code === 0));
  });
}

const outcomes = await Promise.all(Array.from({ length: processes }, (_, index) => play(index)));
const passed = outcomes.filter(Boolean).length;
if (values.counts) {
  mkdirSync(dirname(values.counts), { recursive: true });
  writeFileSync(values.counts, JSON.stringify({ passed, failed: processes - passed, skipped: 0 }));
}
process.exitCode = passed === processes ? 0 : 1;
