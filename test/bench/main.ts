/**
 * Runs figures and prints them: `npm run bench` all of them, `npm run bench -- NAME…` those whose name has one of the
 * words, with `--json` as one object for programs.
 *
 * Not here: figures. Never part of the tests: a number from here is to be read, not to fail a build. Easily got wrong:
 * the load of the machine is part of the result, so it is printed before and after.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { closeSharedBrowser } from "../host/support/browser.ts";
import { root } from "../rig/bootstrap.mjs";
import { stopAllProcesses, stopOnSignals } from "../rig/processes.ts";
import { checkpoint } from "./checkpoint.ts";
import { edits } from "./edits.ts";
import { live } from "./live.ts";
import { long } from "./long.ts";
import type { Figure, Findings, Row } from "./measure.ts";
import { start } from "./start.ts";
import { turns } from "./turns.ts";

const figures: Readonly<Record<string, Figure>> = { start, edits, checkpoint, turns, long, live };
const seed = "bench";

function machine(): string {
  const processor = cpus()[0]?.model.trim() ?? "processor";
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${processor}, ${memory} GiB, ${process.platform}, Node ${process.version}; seed “${seed}”`;
}

const load = () => loadavg()[0]?.toFixed(2) ?? "?";

async function measure(name: string, figure: Figure): Promise<Findings & { readonly load: readonly string[] }> {
  const work = mkdtempSync(join(tmpdir(), `hermes-bench-${name}-`));
  const remove = () => rmSync(work, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  // Also when it is interrupted: a tree of 200,000 files is not left behind.
  process.once("exit", remove);
  const before = load();
  try {
    return { ...(await figure({ root, work, seed })), load: [before, load()] };
  } finally {
    process.off("exit", remove);
    remove();
  }
}

/** Three digits that count, without an exponent. */
function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function line({ what, value: { low, mid, high }, unit, ratio }: Row): string {
  const middle = low === high ? "" : ` (${digits(low)} to ${digits(high)})`;
  return `| ${what} | ${digits(mid)}${middle} ${unit} | ${ratio === undefined ? "" : digits(ratio)} |`;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } });
  const wanted = Object.entries(figures).filter(
    ([name]) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
  );
  if (wanted.length === 0) throw new Error(`There is no such figure. There are: ${Object.keys(figures).join(", ")}.`);
  const found: Record<string, unknown> = {};
  if (!values.json) console.log(`Machine: ${machine()}.`);
  for (const [name, figure] of wanted) {
    const findings = await measure(name, figure);
    found[name] = findings;
    if (values.json) continue;
    console.log(
      `\n## ${name} (load ${findings.load.join(" to ")})\n\n| What | Median (quartiles) | Ratio |\n|---|---|---|`,
    );
    for (const row of findings.rows) console.log(line(row));
    for (const note of findings.notes) console.log(`\n${note}`);
  }
  if (values.json) console.log(JSON.stringify({ machine: machine(), seed, figures: found }));
}

stopOnSignals(closeSharedBrowser);
try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
} finally {
  await stopAllProcesses();
}
