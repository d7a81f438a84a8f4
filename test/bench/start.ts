/**
 * `start`: how long `hermes run` takes to its first model request, and its peak memory, against a bare Node.
 *
 * Not here: the editor's start. Easily got wrong: the model double is a process of its own, and the task is checked to be
 * done before its time counts.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDouble } from "./doubleProcess.ts";
import { type BenchContext, type Findings, quartiles, type Row } from "./measure.ts";
import { runNode } from "./runNode.ts";

const rounds = 8;

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

/** Measures `hermes run`. Needs the bundles of `npm run build`. */
export async function start({ root, work, seed }: BenchContext): Promise<Findings> {
  const cli = join(root, "dist/cli.js");
  if (!existsSync(cli)) throw new Error("There is nothing to measure yet: run `npm run build` first.");
  mkdirSync(join(work, "src"));
  for (const name of ["a", "b", "c", "d"])
    writeFileSync(join(work, "src", `${name}.ts`), `export const ${name} = 1;\n`.repeat(40));
  await using double = await startDouble({ work, seed, script });
  const bare = { ms: [] as number[], megabytes: [] as number[] };
  const hermes = { ms: [] as number[], megabytes: [] as number[] };
  const env = { HOME: work, HERMES_HOME: join(work, "home"), ANTHROPIC_BASE_URL: double.url, ANTHROPIC_API_KEY: seed };
  const runBare = async () => {
    const { wallMs } = await runNode(["-e", "0"], { cwd: work });
    const memory = await runNode(["-e", "process.stdout.write(String(process.resourceUsage().maxRSS / 1e3))"], {
      cwd: work,
    });
    bare.ms.push(wallMs);
    bare.megabytes.push(Number(memory.output) * 1.024);
  };
  const runHermes = async () => {
    await double.reset();
    const { startedAt, output } = await runNode([cli, "run", "Make the files", "--yes", "--json"], { cwd: work, env });
    const result = JSON.parse(output.trim().split("\n").at(-1) ?? "");
    const requests = await double.journal();
    const [first] = requests;
    if (result.stopReason !== "end_turn" || requests.length !== script.steps.length || !first)
      throw new Error(`The task was not done: ${output.slice(-300)}`);
    hermes.ms.push(first.receivedAt - startedAt);
    hermes.megabytes.push(result.peakMemoryBytes / 1e6);
  };
  await runHermes();
  for (const samples of [hermes.ms, hermes.megabytes]) samples.length = 0;
  for (let round = 0; round < rounds; round += 1) {
    await runBare();
    await runHermes();
    await runHermes();
    await runBare();
  }
  const rows: Row[] = [];
  const add = (what: string, samples: readonly number[], unit: string, against: readonly number[]) => {
    const value = quartiles(samples);
    rows.push({ what, value, unit, ratio: value.mid / quartiles(against).mid });
  };
  add("`node -e 0`, start to end", bare.ms, "ms", bare.ms);
  add("`hermes run`, start to first model request", hermes.ms, "ms", bare.ms);
  add("peak memory of bare Node", bare.megabytes, "MB", bare.megabytes);
  add("peak memory of `hermes run` (5 steps, 9 tool calls)", hermes.megabytes, "MB", bare.megabytes);
  return { rows, notes: [`${rounds * 2} runs each.`] };
}
