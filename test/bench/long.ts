/**
 * `long`: a session of 10,000 messages against one of 10: resuming it, building its next request, the memory it takes.
 *
 * Not here: sending (the body's JSON is as long as the conversation, whatever is remembered). Easily got wrong: a request is
 * timed after a step has been added to the one before it, as in a turn; and a session is resumed by a host that has never
 * seen it, from a file that the system has in memory.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { readConfig } from "../../server/src/config.ts";
import { createLocalHost, type LocalHost } from "../../server/src/main/local.ts";
import { toAnthropicRequest } from "../../server/src/model/anthropicRequest.ts";
import { findModel } from "../../server/src/model/catalog.ts";
import { toChatRequest } from "../../server/src/model/openaiChat.ts";
import { toResponsesRequest } from "../../server/src/model/openaiResponses.ts";
import type { ModelRequest } from "../../server/src/model/provider.ts";
import { TokenCounts } from "../../server/src/model/tokens.ts";
import type { SessionEvent, SessionEventBody } from "../../server/src/protocol/events.ts";
import type { CallId, SessionId, TurnId, Usage } from "../../server/src/protocol/types.ts";
import { fitRequest } from "../../server/src/session/context.ts";
import { initialState, messagesOf, reduceAll, type SessionState } from "../../server/src/session/reduce.ts";
import { createJournalStore } from "../../server/src/storage/journal.ts";
import { seededRandom } from "../support/double/timing.ts";
import { abba, type BenchContext, type Findings, growth, quartiles, type Row, timed } from "./measure.ts";

const rounds = 10;
const sizes = [10, 1_000, 10_000] as const;
/** A prompt, four steps of an answer with a call and its result, and an answer. */
const messagesPerTurn = 10;
const resultBytes = 2_000;
/** What is resumed: as many turns as the panel asks for, and what the next prompt needs. */
const loads = [
  ["its newest 5 turns", 5],
  ["all of it", undefined],
] as const;
const model = findModel("anthropic/claude-sonnet-5-5");
const wireFormats: Readonly<Record<string, (request: ModelRequest) => unknown>> = {
  Messages: toAnthropicRequest,
  Responses: toResponsesRequest,
  Chat: toChatRequest,
};

/** Measures sessions of each length. */
export async function long({ work, seed }: BenchContext): Promise<Findings> {
  const homes = new Map<number, { readonly home: string; readonly bytes: number }>();
  for (const size of sizes) {
    const home = join(work, `home-${size}`);
    homes.set(size, { home, bytes: await writeSession(home, size, seed) });
  }
  const rootFolder = join(work, "root");
  mkdirSync(rootFolder);
  const rows: Row[] = [];
  const resumes = new Map<number, number>();
  for (const [what, turns] of loads) {
    const resume = (size: number) => resumed(homes.get(size)?.home ?? "", rootFolder, size, turns);
    for (const size of sizes) {
      const { a, b } = await abba(
        rounds,
        () => resume(10),
        () => resume(size),
      );
      const value = quartiles(b);
      resumes.set(size, value.mid);
      rows.push({ what: `resuming ${name(size)}, ${what}`, value, unit: "ms", ratio: value.mid / quartiles(a).mid });
    }
  }
  for (const [format, toRequest] of Object.entries(wireFormats)) {
    const few = createBuilder(10, seed, toRequest);
    const many = createBuilder(10_000, seed, toRequest);
    const { a, b } = await abba(rounds, few, many);
    rows.push({ what: `the next request (${format}), 10 messages`, value: quartiles(a), unit: "ms" });
    rows.push({ what: `the next request (${format}), 10,000 messages`, value: quartiles(b), unit: "ms" });
  }
  const memory = memoryOf(seed);
  rows.push({ what: "memory for the state of 10,000 messages", value: quartiles([memory]), unit: "MB" });
  const from = { size: 1_000, cost: resumes.get(1_000) ?? 0 };
  const to = { size: 10_000, cost: resumes.get(10_000) ?? 0 };
  const bytes = sizes.map((size) => `${name(size)}: ${((homes.get(size)?.bytes ?? 0) / 1e6).toFixed(2)} MB`).join(", ");
  return {
    rows,
    notes: [
      `Journals: ${bytes}. Growth of reading all of it from 1,000 to 10,000 messages: ${growth(from, to).toFixed(2)} (1 is linear).`,
    ],
  };
}

const name = (size: number) => `${size.toLocaleString("en")} messages`;

/** Milliseconds from nothing until a new host has given out what a client shows. */
async function resumed(home: string, folder: string, size: number, turns: number | undefined): Promise<number> {
  const environment = { PATH: process.env.PATH, HOME: home, HERMES_HOME: home };
  let local: LocalHost | undefined;
  try {
    let last: SessionEvent | undefined;
    const ms = await timed(async () => {
      local = await createLocalHost({
        config: readConfig(environment, { "localModels.detect": false }),
        environment,
        root: folder,
        trusted: () => true,
        ask: async () => "deny",
        onUpdate: () => undefined,
      });
      const { events } = await local.host.loadSession(sessionId, turns);
      // What is given out goes to another process.
      if (JSON.stringify(events).length === 0) throw new Error("Nothing was loaded.");
      last = events.at(-1);
    });
    if (last?.seq !== eventsOf(size)) throw new Error(`Not all of ${name(size)} are there.`);
    return ms;
  } finally {
    await local?.close();
  }
}

const sessionId = "long" as SessionId;
const account = { sessionId, turnId: "t1" as TurnId, purpose: "turn" } as const;

/** Milliseconds for a request after one more step. */
function createBuilder(size: number, seed: string, toRequest: (request: ModelRequest) => unknown) {
  const counts = new TokenCounts();
  let state: SessionState = reduceAll(initialState, numbered(bodiesOf(size, seed)));
  let step = 1_000_000;
  const build = () => {
    const { request } = fitRequest(state, { ...model, contextTokens: 100_000_000 }, [], account, counts);
    toRequest(request);
    return request;
  };
  counts.learn(build(), usage(1_000));
  return async () => {
    step += 1;
    const turnId = state.turns.at(-1)?.turnId ?? ("t" as TurnId);
    state = reduceAll(
      state,
      numbered([...stepBodies(turnId, step, "x".repeat(resultBytes)), began(turnId, step + 1)], state.seq),
    );
    let request: ModelRequest | undefined;
    const ms = await timed(() => {
      request = build();
    });
    if (request?.messages.length !== messagesOf(state).length) throw new Error("A message is missing.");
    counts.learn(request, usage(request.messages.length * 300));
    return ms;
  };
}

/** Megabytes of heap that the folded state of 10,000 messages holds. */
function memoryOf(seed: string): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("Garbage cannot be collected here.");
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = used();
  const state = reduceAll(initialState, numbered(bodiesOf(10_000, seed)));
  const after = used();
  if (messagesOf(state).length < 10_000) throw new Error("Messages are missing.");
  return (after - before) / 1e6;
}

async function writeSession(home: string, messages: number, seed: string): Promise<number> {
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "models.json"), "[]");
  const store = createJournalStore({ dir: home, clock: { now: () => 1 } });
  const bodies = bodiesOf(messages, seed);
  // One append for each event as in a turn would take a flush each; the format is the same.
  for (let at = 0; at < bodies.length; at += 50) await store.append(sessionId, at, bodies.slice(at, at + 50));
  await store.close();
  return (await stat(join(home, "sessions", `${sessionId}.jsonl`))).size;
}

function numbered(bodies: readonly SessionEventBody[], from = 0): readonly SessionEvent[] {
  return bodies.map((body, at) => ({ ...body, seq: from + at + 1, at: 1 }));
}

function usage(tokens: number): Usage {
  return { inputTokens: tokens, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 50, thinkingTokens: 0 };
}

function bodiesOf(messages: number, seed: string): readonly SessionEventBody[] {
  const random = seededRandom(seed);
  const text = (bytes: number) => {
    let made = "";
    while (made.length < bytes) made += `const value${Math.floor(random() * 1e6)} = compute(${made.length});\n`;
    return made.slice(0, bytes);
  };
  const turns = Array.from({ length: messages / messagesPerTurn }, (_, at) => turnBodies(`t${at}` as TurnId, text));
  return [
    { type: "session_created", sessionId, cwd: "/w", version: 1 },
    { type: "system_set", text: text(2_000) },
    { type: "title_set", title: "A long session" },
    ...turns.flat(),
  ];
}

/** How many events the bodies of so many messages are. */
function eventsOf(messages: number): number {
  return 3 + (messages / messagesPerTurn) * turnBodies("t" as TurnId, () => "").length;
}

function turnBodies(turnId: TurnId, text: (bytes: number) => string): readonly SessionEventBody[] {
  const steps = [1, 2, 3, 4].flatMap((step) => stepBodies(turnId, step, text(resultBytes)));
  const answer = { type: "text", text: text(400) } as const;
  return [
    {
      type: "turn_started",
      turnId,
      prompt: [{ type: "text", text: text(200) }],
      origin: "panel",
      context: "",
      model: model.id,
      recorded: false,
      hostPid: 1,
    },
    ...steps,
    began(turnId, 5),
    { type: "assistant_block", turnId, step: 5, index: 0, api: model.api, block: { part: answer, wire: answer } },
    finished(turnId, 5),
    { type: "turn_finished", turnId, stopReason: "end_turn" },
  ];
}

function stepBodies(turnId: TurnId, step: number, result: string): readonly SessionEventBody[] {
  const callId = `call-${turnId}-${step}` as CallId;
  const input = { files: [{ path: `src/file${step}.ts`, from: 1, to: 100 }] };
  const part = { type: "tool_call", callId, name: "read", input } as const;
  const wire = { type: "tool_use", id: callId, name: "read", input } as const;
  return [
    began(turnId, step),
    { type: "assistant_block", turnId, step, index: 0, api: model.api, block: { part, wire } },
    { type: "tool_started", callId, name: "read", kind: "read", title: "Read src/file.ts", locations: [] },
    { type: "tool_result", callId, text: result, isError: false, durationMs: 3 },
    finished(turnId, step),
  ];
}

function began(turnId: TurnId, step: number): SessionEventBody {
  return { type: "step_started", turnId, step };
}

function finished(turnId: TurnId, step: number): SessionEventBody {
  return { type: "step_finished", turnId, step, usage: usage(1_000), firstEventMs: 500, totalMs: 2_000 };
}
