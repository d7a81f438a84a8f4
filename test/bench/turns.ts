/**
 * `turns`: ten thousand real turns, each with an edit of a real file, in a home whose before-images may take 4 MB: what a
 * turn costs at the beginning and at the end, and that the images never take more than their quota.
 *
 * Easily got wrong: it is checked that the newest turn is undone to the byte, and that undoing the oldest, whose images have
 * given way and whose lines have all been replaced since, changes nothing and says so.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { RequestError } from "../../server/src/base/errors.ts";
import { AgentHost } from "../../server/src/host.ts";
import type { Provider } from "../../server/src/model/provider.ts";
import { TokenCounts } from "../../server/src/model/tokens.ts";
import type { ModelSpec, SessionId, TurnId } from "../../server/src/protocol/types.ts";
import { createJournalStore } from "../../server/src/storage/journal.ts";
import { createBuiltinTools } from "../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../server/src/tools/registry.ts";
import { createDiskWorkspace } from "../../server/src/workspace/disk.ts";
import { seededRandom } from "../support/double/timing.ts";
import { callBlock, done, textBlock } from "../support/scriptedProvider.ts";
import { type BenchContext, type Findings, quartiles, timed } from "./measure.ts";

const quota = 4 * 1024 * 1024;
const count = 10_000;
/** Sessions at work at once, each on a file of its own. */
const lanes = 20;
/** A session gets no longer than this. */
const turnsOfSession = 100;
const block = 4096;

const model: ModelSpec = {
  id: "test/model",
  label: "Test",
  api: "openai-chat",
  wireId: "model",
  contextTokens: 1_000_000,
  maxOutputTokens: 1_000,
  images: false,
  thinking: "none",
  local: true,
};

/** Measures turns, and checks that the quota holds. */
export async function turns({ work, seed }: BenchContext): Promise<Findings> {
  const [root, home] = [join(work, "project"), join(work, "home")];
  mkdirSync(root);
  const random = seededRandom(seed);
  /** About 3 KB that do not compress to less than half. */
  const newText = () => Array.from({ length: 50 }, () => `${random()} ${random()} ${random()}\n`).join("");
  // A minute from turn to turn: images used in the last ten minutes stay, whatever the quota says.
  let now = Date.now();
  const clock = { now: () => now, sleep: () => Promise.reject(new Error("Nothing waits here.")) };
  let ids = 0;
  const createId = () => `id${++ids}`;
  let changes = 0;
  const provider: Provider = {
    async *stream({ messages }) {
      const last = messages.at(-1);
      const prompt = last?.role === "user" && last.parts[0]?.type === "text" ? last.parts[0].text : undefined;
      if (prompt === undefined) yield* [...textBlock(0, "Done."), done("end_turn")];
      else yield* [...callBlock(0, createId(), "write", { path: prompt, text: newText() }), done("tool_calls")];
    },
  };
  const host = new AgentHost({
    store: createJournalStore({ dir: home, clock, blobQuota: () => quota }),
    workspace: createDiskWorkspace({ root, outputDir: join(home, "output"), environment: {}, createId }),
    createRegistry: () => createRegistry(createBuiltinTools({ clock })),
    models: {
      list: async () => ({ models: [], selected: "" }),
      known: async () => [model],
      ready: async () => [],
      resolve: async () => ({ spec: model, provider, costOf: () => undefined }),
      select: async () => undefined,
      setCredential: () => undefined,
    },
    permissions: { rules: () => [], add: async () => undefined },
    ask: async () => "allow_once",
    onUpdate: (_, { type }) => {
      if (type === "file_changed") changes += 1;
    },
    trusted: () => true,
    tokens: new TokenCounts(),
    compaction: () => ({ strategy: "none", maxSteps: 0, pruneSimilar: false }),
    maxSteps: () => 10,
    concurrency: () => 4,
    clock,
    createId,
    platform: "linux",
    pid: process.pid,
    isAlive: () => false,
  });
  const bytesOnDisk = () =>
    readdirSync(join(home, "blobs"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(
        (entry) =>
          Math.ceil((statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0) / block) *
          block,
      )
      .reduce((sum, size) => sum + size, 0);
  const state = () => Array.from({ length: lanes }, (_, lane) => readFileSync(pathOf(lane), "utf8"));
  const pathOf = (lane: number) => join(root, `file${lane}.txt`);
  const play = async (lane: number, sessionId: SessionId) => {
    now += 60_000;
    const { turnId, stopReason } = await host.prompt(
      { sessionId, prompt: [{ type: "text", text: `file${lane}.txt` }], origin: "panel" },
      new AbortController().signal,
    );
    if (stopReason !== "end_turn") throw new Error(`A turn ended with ${stopReason}.`);
    return { sessionId, turnId };
  };
  const within = () => {
    const bytes = bytesOnDisk();
    if (bytes > quota) throw new Error(`The images take ${bytes} bytes, more than their quota of ${quota}.`);
    most = Math.max(most, bytes);
  };
  let most = 0;
  const times: number[][] = [[], []];
  const played = await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      const all: { readonly sessionId: SessionId; readonly turnId: TurnId }[] = [];
      let { sessionId } = await host.newSession({});
      for (let turn = 1; turn <= count / lanes; turn++) {
        if (turn % turnsOfSession === 0) sessionId = (await host.newSession({})).sessionId;
        const ms = await timed(async () => all.push(await play(lane, sessionId)));
        // The first and the last tenth.
        if (turn <= count / lanes / 10) times[0]?.push(ms);
        else if (turn > (count / lanes) * 0.9) times[1]?.push(ms);
        if (turn % 50 === 0) within();
      }
      return all;
    }),
  );
  if (changes !== count) throw new Error(`${changes} files were changed in ${count} turns.`);
  const before = state();
  const [oldest, latest] = [played[0]?.[0], played[0]?.at(-1)];
  if (!oldest || !latest) throw new Error("No turn was played.");
  await host.undo(await play(0, latest.sessionId));
  const outcome = await host.undo(oldest).then(
    ({ files }) => files.map((file) => file.outcome).join(),
    (error: unknown) => (error instanceof RequestError ? error.code : String(error)),
  );
  if (outcome !== "image_gone" && outcome !== "conflict") throw new Error(`Undoing the oldest turn said ${outcome}.`);
  if (state().join() !== before.join()) throw new Error("Undo did not bring back the bytes from before.");
  await host.close();
  const [early, late] = [quartiles(times[0] ?? []), quartiles(times[1] ?? [])];
  return {
    rows: [
      {
        what: `a turn with an edit, ${lanes} sessions at once, the first tenth of ${count}`,
        value: early,
        unit: "ms",
        ratio: 1,
      },
      { what: "the same, the last tenth", value: late, unit: "ms", ratio: late.mid / early.mid },
    ],
    notes: [`At most ${most} of ${quota} bytes of images.`],
  };
}
