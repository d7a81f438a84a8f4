/**
 * Records the tour: the real host with the real tools works on a copy of the sample, and the model double is its model.
 * Run it with Node 24: `node test/support/recordTour.ts`. It writes `server/recordings/tour.jsonl`.
 *
 * Not here: what is said (`tourScript.ts`). Easily got wrong: a recording is only written when the sample's tests failed
 * before and pass after, so it cannot promise what the tools do not do.
 */
import { randomUUID } from "node:crypto";
import { cp, mkdir, mkdtemp, realpath, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { systemClock } from "../../server/src/base/async.ts";
import { AgentHost } from "../../server/src/host.ts";
import { createAnthropicProvider } from "../../server/src/model/anthropic.ts";
import { findModel } from "../../server/src/model/catalog.ts";
import type { Provider } from "../../server/src/model/provider.ts";
import { withRecording } from "../../server/src/model/recorded.ts";
import { parseRecording, type Recording } from "../../server/src/model/recording.ts";
import { TokenCounts } from "../../server/src/model/tokens.ts";
import type { SessionEventBody, SessionUpdate } from "../../server/src/protocol/events.ts";
import { createMemoryStore } from "../../server/src/storage/memory.ts";
import { createBuiltinTools } from "../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../server/src/tools/registry.ts";
import { createDiskWorkspace } from "../../server/src/workspace/disk.ts";
import { startModelDouble } from "./modelDouble.ts";
import { tourPrompt, tourSteps } from "./tourScript.ts";

const repository = resolve(import.meta.dirname, "../..");

/** How a tool call of a played tour ended. */
export interface TourResult {
  readonly tool: string;
  readonly text: string;
  readonly isError: boolean;
}

/** Plays the tour's prompt to a host on `root` with the given provider, approving everything. */
export async function playTour(root: string, provider: Provider, api: "anthropic" | "recorded"): Promise<TourResult[]> {
  // No real model said this, and the recording must not look as if one had.
  const scripted = { ...findModel("claude-sonnet-5-5"), id: "scripted/tour" };
  const spec = api === "recorded" ? { ...scripted, api } : scripted;
  const model = { spec, provider, costOf: () => undefined };
  const names = new Map<string, string>();
  const results: TourResult[] = [];
  const see = (update: SessionUpdate | SessionEventBody) => {
    if (update.type === "tool_started") names.set(update.callId, update.name);
    if (update.type === "tool_result")
      results.push({ tool: names.get(update.callId) ?? "?", text: update.text, isError: update.isError });
  };
  const host = new AgentHost({
    tokens: new TokenCounts(),
    store: createMemoryStore({ clock: systemClock }),
    workspace: createDiskWorkspace({
      root,
      outputDir: join(dirname(root), "output"),
      environment: commandEnvironment(),
      createId: randomUUID,
    }),
    createRegistry: () => createRegistry(createBuiltinTools({ clock: systemClock })),
    models: {
      list: async () => ({ models: [], selected: spec.id }),
      resolve: async () => model,
      ready: async () => [],
      known: async () => [],
      select: async () => {},
      setCredential: () => {},
    },
    permissions: { rules: () => [], add: async () => {} },
    ask: async () => "allow_once",
    onUpdate: (_, update) => see(update),
    trusted: () => true,
    compaction: () => ({ strategy: "none", maxSteps: 0, pruneSimilar: false }),
    maxSteps: () => 20,
    concurrency: () => 4,
    clock: systemClock,
    createId: randomUUID,
    platform: process.platform,
    pid: process.pid,
    isAlive: () => false,
  });
  try {
    const { sessionId } = await host.newSession({});
    const prompt = [{ type: "text" as const, text: tourPrompt }];
    const end = await host.prompt({ sessionId, prompt, origin: "cli" }, new AbortController().signal);
    if (end.stopReason !== "end_turn") throw new Error(`The tour ended with ${JSON.stringify(end)}.`);
  } finally {
    await host.close();
  }
  return results;
}

/** Copies the sample into a folder of its own, gives it to `use`, and removes it. */
export async function withSampleCopy<T>(use: (root: string) => Promise<T>): Promise<T> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "hermes-tour-")));
  try {
    const root = join(folder, "sample");
    await cp(join(repository, "sample"), root, { recursive: true });
    return await use(root);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Records the tour and checks what the tools did in it. */
export async function recordTour(): Promise<{ readonly text: string; readonly recording: Recording }> {
  // Estimated tokens depend on the folder's name; playing uses none anyway.
  const usage = { input: 0, output: 0, thinking: 0, cacheRead: 0, cacheWrite: 0 };
  const steps = tourSteps.map((step) => ({ ...step, usage }));
  await using double = await startModelDouble({ script: { steps }, strict: true });
  const lines: string[] = [];
  const wire = createAnthropicProvider({ apiKey: "none", baseUrl: double.anthropicBaseUrl });
  // Without times: they would differ on every machine, and playing has a pace of its own.
  const provider = withRecording({ sink: (line) => lines.push(line), clock: { now: () => 0 } })(wire);
  const results = await withSampleCopy((root) => playTour(root, provider, "anthropic"));
  double.assertClean();
  checkTour(results);
  const text = `${lines.join("\n")}\n`;
  return { text, recording: parseRecording(text) };
}

/** Throws unless everything went well but the first run of the tests. */
export function checkTour(results: readonly TourResult[]): void {
  const tests = results.filter(({ tool }) => tool === "shell");
  const failed = results.filter(({ isError }) => isError);
  const [first, last] = tests;
  if (tests.length !== 2 || !first?.isError || !last || last.isError || failed.length !== 1)
    throw new Error(`The tour's tools did something else:\n${JSON.stringify(results, undefined, 2)}`);
}

/** Commands get this Node first, because the sample's tests need its type stripping. */
function commandEnvironment(): { [name: string]: string } {
  const { PATH = "", HOME = "" } = process.env;
  return { PATH: `${dirname(process.execPath)}:${PATH}`, HOME, NO_COLOR: "1" };
}

if (import.meta.main) {
  const path = join(repository, "server/recordings/tour.jsonl");
  const { text, recording } = await recordTour();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
  process.stdout.write(`Recorded ${recording.steps.length} steps into ${path}.\n`);
}
