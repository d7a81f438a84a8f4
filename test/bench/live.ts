/**
 * `live`: in a real VS Code, from the model's token to the frame that shows it, in the panel and in the open editor; and
 * what a 3,000-line edit holds up while it streams.
 *
 * Not here: what runs inside the pages (`livePage.ts`). Easily got wrong: the time of a token begins when the model double
 * hands it to its socket, not when it was due; and every token has its own text, so that none is taken for another.
 */
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, watch as watchFolder } from "node:fs";
import { join } from "node:path";
import { closeSharedBrowser } from "../host/support/browser.ts";
import { openWorkbench, type Workbench } from "../host/support/workbench.ts";
import { root } from "../rig/bootstrap.mjs";
import { installRig, isRigReady } from "../rig/install.ts";
import { step } from "../rig/progress.mjs";
import type { Script, Timing } from "../support/modelDouble.ts";
import { type DoubleProcess, startDouble } from "./doubleProcess.ts";
import { askProbe, type LoopDelay, writeProbe } from "./hostProbe.ts";
import { type Seen, stopWatching, untilCalm, watch } from "./livePage.ts";
import { type BenchContext, type Findings, percentile, quartiles, type Row } from "./measure.ts";

/** How often everything is done, each time in a VS Code of its own. */
const runs = 3;
/** Tokens of the prose and of the edit. One is 4 characters and takes 20 ms. */
const tokens = 400;
const slow: Timing = { firstTokenMs: 100, tokensPerSecond: 50 };
/** Lines of the long edit; it is written at 16 characters in 4 ms, in about 30 s. */
const longLines = 3_000;
const fast: Timing = { firstTokenMs: 100, tokensPerSecond: 1_000 };

const token = (at: number) => `q${at.toString(36).padStart(2, "0")} `;
const path = "src/values.ts";
const lineOf = (at: number) => `export const value${at} = ${at};\n`;
const before = Array.from({ length: 60 }, (_, at) => lineOf(at + 1)).join("");

/** The edit whose new text is the tokens, eight to a line; `first` is the number of tokens before them. */
function slowEdit(): {
  readonly call: { readonly name: string; readonly input: { path: string; old: string; new: string } };
  readonly first: number;
} {
  // A line break is a token of its own, as long as the others in JSON.
  const text = Array.from({ length: tokens }, (_, at) => (at % 8 === 7 ? `${token(at)}  \n` : token(at))).join("");
  for (let from = 5; from < 20; from += 1) {
    const input = { path, old: lineOf(from) + lineOf(from + 1).slice(0, -from % 4 || undefined), new: text };
    const head = JSON.stringify(input).indexOf(token(0));
    if (head % 4 === 0) return { call: { name: "edit", input }, first: head / 4 };
  }
  throw new Error("No edit begins its text at a whole token.");
}

/** Measures the live view. Needs the bundles of `npm run build` and VS Code for the browser. */
export async function live({ work, seed }: BenchContext): Promise<Findings> {
  if (!existsSync(join(root, "dist/extension.cjs")))
    throw new Error("There is nothing to measure yet: run `npm run build` first.");
  if (!isRigReady()) await step("Getting VS Code for the browser", installRig);
  const prose: Sample[] = [];
  const edit: Sample[] = [];
  const long: LongRun[] = [];
  try {
    for (let run = 0; run < runs; run += 1) {
      const one = await slowRun(join(work, `slow-${run}`), seed);
      prose.push(one.prose);
      edit.push(one.edit);
      long.push(await longRun(join(work, `long-${run}`), seed));
    }
  } finally {
    await closeSharedBrowser();
  }
  return {
    rows: [
      ...latencyRows("prose in the panel", prose),
      ...latencyRows("an edit in the open editor", edit),
      ...longRows(long),
    ],
    notes: notesOf(prose, edit, long),
  };
}

interface Sample {
  readonly delays: readonly number[];
  readonly seen: Seen;
}

interface LongRun {
  readonly editor: Seen;
  readonly panel: Seen;
  readonly host: LoopDelay;
}

interface Stage {
  readonly workbench: Workbench;
  readonly double: DoubleProcess;
  readonly probe: number;
}

async function slowRun(folder: string, seed: string): Promise<{ readonly prose: Sample; readonly edit: Sample }> {
  const { call, first } = slowEdit();
  const say = Array.from({ length: tokens }, (_, at) => (at % 50 === 49 ? `${token(at).trim()}\n` : token(at))).join(
    "",
  );
  const look = { name: "read", input: { files: [{ path }] } };
  const steps = [{ say, calls: [look], deltaChars: 4 }, { calls: [call], deltaChars: 4 }, { say: "Done." }];
  return withStage({ folder, seed, script: { steps }, timing: slow }, async ({ workbench, double }) => {
    const { page, panel } = workbench;
    const log = panel.getByRole("log");
    const main = panel.locator("main");
    await main.evaluate(watch);
    await page.evaluate(watch);
    await send(workbench);
    await panel.getByRole("button", { name: "Allow for this session" }).click({ timeout: 90_000 });
    await log.getByText("Done.").waitFor();
    const [inPanel, inEditor] = [await main.evaluate(stopWatching), await page.evaluate(stopWatching)];
    const [said, written] = await double.journal();
    if (!said || !written) throw new Error("The model was not asked twice.");
    // In the edit every eighth token is followed by that of a line break.
    const place = (at: number) => first + at + Math.floor(at / 8);
    return {
      prose: { seen: inPanel, delays: delaysOf(inPanel, (at) => said.sentAt[at]) },
      edit: { seen: inEditor, delays: delaysOf(inEditor, (at) => written.sentAt[place(at)]) },
    };
  });
}

async function longRun(folder: string, seed: string): Promise<LongRun> {
  const text = Array.from(
    { length: longLines },
    (_, at) => `export const fresh${at} = compute(${at}, "fresh");\n`,
  ).join("");
  const call = { name: "edit", input: { path, old: lineOf(20), new: text } };
  const script: Script = { steps: [{ calls: [call] }, { say: "Done." }] };
  return withStage({ folder, seed, script, timing: fast }, async ({ workbench, probe }) => {
    const { page, panel, readFile } = workbench;
    const log = panel.getByRole("log");
    const main = panel.locator("main");
    await main.evaluate(watch);
    await page.evaluate(watch);
    await askProbe(probe);
    await send(workbench);
    await panel.getByRole("button", { name: "Allow for this session" }).click({ timeout: 90_000 });
    await log.getByText("Done.").waitFor();
    await page.locator(".statusbar-item", { hasText: "1 pending" }).waitFor();
    if (!(await readFile(path)).includes(text)) throw new Error("The long edit was not made.");
    return {
      host: await askProbe(probe),
      panel: await main.evaluate(stopWatching),
      editor: await page.evaluate(stopWatching),
    };
  });
}

async function withStage<T>(
  { folder, seed, script, timing }: { folder: string; seed: string; script: Script; timing: Timing },
  body: (stage: Stage) => Promise<T>,
): Promise<T> {
  mkdirSync(folder, { recursive: true });
  await using double = await startDouble({ work: folder, seed, script, timing });
  const { testsPath, portFile } = writeProbe(folder);
  const workbench = await openWorkbench({
    name: "bench",
    workspace: { [path]: before },
    testsPath,
    env: { ANTHROPIC_API_KEY: seed, ANTHROPIC_BASE_URL: double.url },
    settings: {
      "hermes.model.name": "anthropic/claude-sonnet-5-5",
      "hermes.localModels.detect": false,
      "files.autoSave": "off",
      "editor.minimap.enabled": false,
    },
  });
  try {
    await workbench.openPanel();
    await workbench.openFile(path);
    await workbench.page.evaluate(untilCalm);
    return await body({ workbench, double, probe: await portIn(portFile) });
  } finally {
    await workbench.close();
  }
}

async function portIn(file: string): Promise<number> {
  const watcher = watchFolder(join(file, ".."));
  try {
    while (!existsSync(file)) await once(watcher, "change", { signal: AbortSignal.timeout(30_000) });
    return Number(readFileSync(file, "utf8"));
  } finally {
    watcher.close();
  }
}

async function send({ panel }: Workbench): Promise<void> {
  await panel.getByRole("textbox").first().fill("Change the values");
  await panel.getByRole("button", { name: "Send" }).click();
}

/** Milliseconds from each token to the frame after which it, or a later one, was on screen. */
function delaysOf({ tokens: shown }: Seen, sentAt: (token: number) => number | undefined): readonly number[] {
  const delays: number[] = [];
  let next = 0;
  for (const { token, at } of shown) {
    for (; next <= token && next < tokens; next += 1) {
      const sent = sentAt(next);
      if (sent === undefined) throw new Error(`Token ${next} was shown and never sent.`);
      delays.push(at - sent);
    }
  }
  // The last ones may be replaced by what the finished block shows.
  if (next < tokens * 0.95) throw new Error(`Only ${next} of ${tokens} tokens were shown.`);
  return delays;
}

function latencyRows(what: string, samples: readonly Sample[]): readonly Row[] {
  return [0.5, 0.95, 1].map((share) => ({
    what: `token to pixels, ${what}, ${share === 1 ? "longest" : `p${share * 100}`}`,
    value: quartiles(samples.map(({ delays }) => percentile(delays, share))),
    unit: "ms",
  }));
}

function longRows(long: readonly LongRun[]): readonly Row[] {
  const longest = (values: readonly number[]) => Math.max(0, ...values);
  const row = (what: string, values: readonly number[]): Row => ({
    what: `${longLines}-line edit: ${what}`,
    value: quartiles(values),
    unit: "ms",
  });
  return [
    row(
      "longest task over 50 ms in the page",
      long.map(({ editor }) => longest(editor.longTasks)),
    ),
    row(
      "longest task over 50 ms in the panel",
      long.map(({ panel }) => longest(panel.longTasks)),
    ),
    row(
      "frame to frame in the page, p95",
      long.map(({ editor }) => percentile(editor.frames, 0.95)),
    ),
    row(
      "frame to frame in the page, longest",
      long.map(({ editor }) => longest(editor.frames)),
    ),
    row(
      "longest hold-up of the extension host",
      long.map(({ host }) => host.max),
    ),
    row(
      "hold-up of the extension host, p99",
      long.map(({ host }) => host.p99),
    ),
  ];
}

function notesOf(prose: readonly Sample[], edit: readonly Sample[], long: readonly LongRun[]): readonly string[] {
  const shifts = prose.flatMap(({ seen }) =>
    seen.shifts.map((shift) => ({ ...shift, streams: streams(seen, shift.at) })),
  );
  const scores = (those: readonly { readonly score: number }[]) =>
    those.reduce((sum, { score }) => sum + score, 0).toFixed(4);
  const moved = edit.flatMap(({ seen }) => seen.moved.map((at) => streams(seen, at)));
  const tasks = long.map(({ editor, panel }) => `${editor.longTasks.length} and ${panel.longTasks.length}`).join("; ");
  return [
    `${runs} runs of ${tokens} tokens each; the numbers are medians over the runs. Layout shifts of the panel: ${scores(shifts.filter((shift) => shift.streams))} while its text streamed, ${scores(shifts.filter((shift) => !shift.streams))} before and after. Frames in which a line of the editor was not where it had been: ${moved.filter(Boolean).length} while the edit was written, ${moved.filter((one) => !one).length} before and after. Tasks over 50 ms in the page and in the panel: ${tasks}.`,
  ];
}

/** Whether a moment lies between the first token on screen and the last. */
function streams({ tokens: shown }: Seen, at: number): boolean {
  return at >= (shown[0]?.at ?? Number.POSITIVE_INFINITY) && at <= (shown.at(-1)?.at ?? 0);
}
