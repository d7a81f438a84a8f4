/**
 * Real processes that write journals: killed at any moment, and racing each other.
 *
 * Not here: damage made by hand (`journal.test.ts`). Easily got wrong: a process is killed after it has said so many
 * events, never after so much time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import type { SessionId } from "../../../server/src/protocol/types.ts";
import { createJournalStore } from "../../../server/src/storage/journal.ts";
import { seeded } from "../workspace/seeded.ts";

const program = join(import.meta.dirname, "../../fixtures/storage/appender.ts");
const id = "s-1" as SessionId;
const clock = { now: () => 1_000 };

let dir: string;
const children = new Set<ChildProcess>();

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "hermes-kill-"));
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(dir, { recursive: true });
});

/** Starts a writer; resolves with what it said once it has ended, by itself or killed after `killAfter` events. */
async function runAppender(seed: number, options: { readonly killAfter?: number; readonly limit?: number }) {
  const { killAfter, limit } = options;
  const args = [program, dir, id, `${seed}`, ...(limit === undefined ? [] : [`${limit}`])];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const exited = once(child, "close");
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (said.length === killAfter) child.kill("SIGKILL");
  }
  const [code, signal] = await exited;
  children.delete(child);
  return { said, code, signal, errors };
}

/** The events as a writer says them, those of other kinds and half messages left out. */
function spoken(events: readonly SessionEvent[]): Set<string> {
  return new Set(
    events.flatMap((event) => {
      if (event.type !== "notice" || !event.message.endsWith(".")) return [];
      const tag = event.message.slice(0, event.message.lastIndexOf("/"));
      return [`${event.seq} ${tag} ${event.message.length}`];
    }),
  );
}

test("no append that had resolved is lost when the process is killed, 20 times over", { timeout: 60_000 }, async () => {
  const random = seeded(7);
  const promised: string[] = [];
  for (let round = 1; round <= 20; round++) {
    const { said, signal, errors } = await runAppender(round, { killAfter: 1 + random.below(40) });
    expect({ signal, errors }).toEqual({ signal: "SIGKILL", errors: "" });
    promised.push(...said);
    const store = createJournalStore({ dir, clock });
    const { events } = await store.read(id);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    const stored = spoken(events);
    expect(promised.filter((line) => !stored.has(line))).toEqual([]);
    // The next writer is not confused by what the killed one left.
    const [next] = await store.append(id, events.length, [
      { type: "notice", level: "info", message: `kill/${round}/.` },
    ]);
    promised.push(...(next ? spoken([next]) : []));
    await store.close();
  }
});

test("processes that race for one session each keep what they were promised", { timeout: 60_000 }, async () => {
  const runs = await Promise.all([1, 2, 3].map((seed) => runAppender(seed, { limit: 60 })));
  expect(runs.map(({ code, errors }) => ({ code, errors }))).toEqual(runs.map(() => ({ code: 0, errors: "" })));
  const store = createJournalStore({ dir, clock });
  const { events, damagedBytes } = await store.read(id);
  await store.close();
  const promised = runs.flatMap(({ said }) => said);
  expect(spoken(events)).toEqual(new Set(promised));
  expect(events).toHaveLength(promised.length);
  expect(damagedBytes).toBe(0);
});
