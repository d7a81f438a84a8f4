/**
 * `npm run bench`: measures what Hermes promises, as ratios within one run (A-B-B-A), on the machine that it names.
 *
 *   npm run bench               all figures
 *   npm run bench -- start      only those whose name has this word
 *
 * Honesty: the model double is a separate process; a figure is a median with its quartiles; what is done is checked
 * before it is timed. Never part of the tests: a number from here is to be read, not to fail a build.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = resolve(import.meta.dirname, "..");
const node = join(root, "node_modules/node/bin", process.platform === "win32" ? "node.exe" : "node");
const cli = join(root, "dist/cli.js");
const seed = "bench";
const rounds = 15;

const work = mkdtempSync(join(tmpdir(), "hermes-bench-"));
mkdirSync(join(work, "src"));
for (const name of ["a", "b", "c", "d"])
  writeFileSync(join(work, "src", `${name}.ts`), `export const ${name} = 1;\n`.repeat(40));

const edits = ["a", "b", "c"].map((name) => ({
  name: "write",
  input: { path: `out/${name}.ts`, text: `export const ${name} = 2;\n` },
}));
const script = {
  steps: [
    { calls: [{ name: "search", input: { pattern: "const a", path: "src" } }] },
    { calls: ["a", "b", "c", "d"].map((name) => ({ name: "read", input: { files: [{ path: `src/${name}.ts` }] } })) },
    { calls: edits },
    { calls: [{ name: "shell", input: { command: "ls out" } }] },
    { say: "Done." },
  ],
};

/** Starts the model double as its own process and gives its address. */
async function startDouble() {
  const scriptFile = join(work, "script.json");
  writeFileSync(scriptFile, JSON.stringify(script));
  const child = spawn(node, [join(root, "test/support/modelDoubleCli.ts"), "--script", scriptFile, "--seed", seed], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(child.stdout), "line");
  return { url: JSON.parse(line).url, child };
}

const wallNow = () => performance.timeOrigin + performance.now();

/** Wall time and peak memory of a program, from its start to its end. */
async function timed(args, env = {}) {
  const startedAt = wallNow();
  const child = spawn(node, args, {
    cwd: work,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${output.slice(-500)}`);
  return { startedAt, wallMs: wallNow() - startedAt, output };
}

function quartiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { low: at(0.25), mid: at(0.5), high: at(0.75) };
}

const show = ({ low, mid, high }, digits = 1) =>
  `${mid.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;

/** `hermes run` against a bare Node: time to the first model request, and peak memory. */
async function start() {
  const { url, child } = await startDouble();
  const bare = { ms: [], bytes: [] };
  const hermes = { ms: [], bytes: [], ownMs: [] };
  const env = { HOME: work, HERMES_HOME: join(work, "home"), ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: "bench" };
  const runBare = async () => {
    const { wallMs } = await timed(["-e", "0"]);
    const memory = await timed(["-e", "process.stdout.write(String(process.resourceUsage().maxRSS * 1024))"]);
    bare.ms.push(wallMs);
    bare.bytes.push(Number(memory.output));
  };
  const runHermes = async () => {
    await fetch(`${url}/__reset`, { method: "POST" });
    const { startedAt, output } = await timed([cli, "run", "Make the files", "--yes", "--json"], env);
    const result = JSON.parse(output.trim().split("\n").at(-1));
    const journal = await (await fetch(`${url}/__journal`)).json();
    const requests = journal.requests ?? journal;
    if (result.stopReason !== "end_turn" || requests.length !== script.steps.length)
      throw new Error(`The task was not done: ${output.slice(-300)}`);
    hermes.ms.push(requests[0].receivedAt - startedAt);
    hermes.ownMs.push(result.firstRequestMs);
    hermes.bytes.push(result.peakMemoryBytes);
  };
  try {
    await runHermes();
    for (const figures of [hermes.ms, hermes.bytes, hermes.ownMs]) figures.length = 0;
    for (let round = 0; round < rounds; round += 2) {
      await runBare();
      await runHermes();
      await runHermes();
      await runBare();
    }
  } finally {
    child.stdin.end();
    await once(child, "close");
  }
  const a = quartiles(bare.ms);
  const b = quartiles(hermes.ms);
  const c = quartiles(bare.bytes.map((bytes) => bytes / 1e6));
  const d = quartiles(hermes.bytes.map((bytes) => bytes / 1e6));
  return [
    ["`node -e 0`, start to end", `${show(a)} ms`, "1"],
    ["`hermes run`, start to first model request", `${show(b)} ms`, (b.mid / a.mid).toFixed(2)],
    ["peak memory of bare Node", `${show(c, 0)} MB`, "1"],
    ["peak memory of `hermes run` (5 steps, 9 tool calls)", `${show(d, 0)} MB`, (d.mid / c.mid).toFixed(2)],
  ];
}

const figures = { start };

if (!existsSync(cli)) {
  console.error("There is nothing to measure yet: run `npm run build` first.");
  process.exit(1);
}
try {
  const wanted = process.argv.slice(2).filter((word) => !word.startsWith("-"));
  const [cpu] = cpus();
  console.log(
    `Machine: ${cpus().length} × ${cpu.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}, Node ${process.version}; seed “${seed}”, ${rounds + 1} runs each.\n`,
  );
  console.log("| What | Median (quartiles) | Ratio |\n|---|---|---|");
  for (const [name, measure] of Object.entries(figures)) {
    if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
    for (const row of await measure()) console.log(`| ${row.join(" | ")} |`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
