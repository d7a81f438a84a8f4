/**
 * One turn over a real SDK and our whole model stack, without a socket: a scripted `fetch` answers, a fault strikes once or
 * always, and what must hold after any fault is checked.
 *
 * Not here: the faults (`faultTable.ts`). Easily got wrong: time only moves when something sleeps, and the silence timer goes
 * off when a body stalls; a run that would wait for real time hangs instead of passing.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../server/src/base/async.ts";
import { createAnthropicProvider } from "../../server/src/model/anthropic.ts";
import { Breaker, withBreaker } from "../../server/src/model/breaker.ts";
import { findModel } from "../../server/src/model/catalog.ts";
import type { ConnectionOptions } from "../../server/src/model/connection.ts";
import { Limiter, withLimiter } from "../../server/src/model/limiter.ts";
import { createOpenAIChatProvider } from "../../server/src/model/openaiChat.ts";
import { createOpenAIResponsesProvider } from "../../server/src/model/openaiResponses.ts";
import { compose, type Provider } from "../../server/src/model/provider.ts";
import { withRetry } from "../../server/src/model/retry.ts";
import { TokenCounts } from "../../server/src/model/tokens.ts";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import type { SessionId, ToolCallPart, ToolSpec, TurnId } from "../../server/src/protocol/types.ts";
import type { TurnModel } from "../../server/src/session/fallback.ts";
import { initialState, reduceAll } from "../../server/src/session/reduce.ts";
import { createSession, type Session } from "../../server/src/session/session.ts";
import { runTurn, type StepScheduler, type TurnEnd } from "../../server/src/session/turn.ts";
import { createMemoryStore } from "../../server/src/storage/memory.ts";
import { started } from "./events.ts";
import { type Attempt, eventsOf, type PlacedFault, whole, wires } from "./faultTable.ts";
import { type WireFormat, wireFormats } from "./play.ts";

/** How a run goes. */
export interface FaultRun {
  readonly format: WireFormat;
  /** What the n-th request of the first model gets, from 0; `undefined` for the answer that a model would give. */
  readonly strike: (request: number, events: readonly string[]) => Attempt | undefined;
  /** The wire formats of the models to go on with. */
  readonly fallbacks?: readonly WireFormat[];
  /** Whether calls may say something else than what was sent. */
  readonly corrupts?: boolean;
}

/** What came of it. */
export interface FaultOutcome {
  readonly end: TurnEnd;
  readonly events: readonly SessionEvent[];
  /** What the tools did, in order, by the path each was given. */
  readonly effects: readonly string[];
  /** Everything that must hold after any fault and does not. */
  readonly broken: readonly string[];
}

const create = {
  "anthropic-messages": createAnthropicProvider,
  "openai-responses": createOpenAIResponsesProvider,
  "openai-chat": createOpenAIChatProvider,
} as const;
const tools: readonly ToolSpec[] = [{ name: "edit", description: "Edits.", inputSchema: { type: "object" } }];
/** A stream that is always cut after a call goes on a few times; more requests than this are a loop. */
const maxRequests = 40;

const callOf = (path: string) => ({ name: "edit", input: { path } });
const firstAnswer = {
  think: "Both need it, one by one.",
  say: "I change “α” and β.",
  calls: [callOf("alpha"), callOf("beta")],
};
const cache = new Map<string, readonly string[]>();

/**
 * The events that a model would answer its n-th request with: the calls that the request does not have the result of, else
 * an end. No two answers share an id.
 */
export function answerTo(format: WireFormat, body: string, request: number): readonly string[] {
  const open = ["alpha", "beta"].filter((path) => !body.includes(`changed ${path}`));
  const name = `${format} ${request} ${open.join()}`;
  const step =
    open.length === 2 ? firstAnswer : open.length === 1 ? { calls: open.map(callOf) } : { say: "Both are changed." };
  const events = cache.get(name) ?? eventsOf(format, step, name);
  cache.set(name, events);
  return events;
}

/** Runs one turn. */
export async function runFaulty(run: FaultRun): Promise<FaultOutcome> {
  const world = new World();
  const events: SessionEvent[] = [];
  const store = createMemoryStore({ clock: world.clock });
  const session = await createSession(
    { store, onUpdate: (_, update) => "seq" in update && events.push(update) },
    "s1" as SessionId,
    "/w",
  );
  await session.append(started("t1", "Change both."));
  const tool = new CountingTools(session);
  const fallbacks = (run.fallbacks ?? []).map((format) => world.model(format, `${format} again`, () => undefined));
  const end = await runTurn(
    {
      session,
      model: world.model(run.format, wireFormats[run.format], run.strike),
      fallbacks: async () => fallbacks,
      tools,
      createScheduler: () => tool.scheduler(),
      tokens: new TokenCounts(),
      clock: world.clock,
      maxSteps: 20,
    },
    "t1" as TurnId,
    new AbortController().signal,
  );
  await session.append({ type: "turn_finished", turnId: "t1" as TurnId, ...end });
  const broken = [
    ...(await world.leaks()),
    ...tool.repeats(),
    ...(await brokenJournal(session, events, async () => (await store.read(session.id)).events)),
    ...brokenEnd(end, tool.effects),
    ...(run.corrupts ? [] : tool.strangers()),
  ];
  return { end, events, effects: tool.effects, broken };
}

/** Lets a fault strike the first answer, at each place in a turn of its own. Gives what went wrong, and at which places. */
export async function strikeAt(
  places: readonly number[],
  format: WireFormat,
  { strike, corrupts = false }: PlacedFault,
): Promise<{ readonly [what: string]: readonly number[] }> {
  const wrong = new Map<string, number[]>();
  for (const at of places) {
    const { end, broken } = await runFaulty({
      format,
      corrupts,
      strike: (request, events) => (request === 0 ? strike(events, at, wires[format]) : undefined),
    });
    // It struck once, so the turn must have got over it.
    for (const what of [...broken, ...(end.stopReason === "end_turn" ? [] : [`${end.failure?.code}`])])
      wrong.set(what, [...(wrong.get(what) ?? []), at]);
  }
  return Object.fromEntries(wrong);
}

/** The outside: time, network. */
class World {
  #now = 1_000_000;
  #armed = new Map<object, () => void>();
  #openBodies = 0;

  readonly clock: Clock = {
    now: () => this.#now,
    sleep: async (ms, signal) => {
      signal.throwIfAborted();
      this.#now += ms;
    },
  };

  model(format: WireFormat, id: string, strike: FaultRun["strike"]): TurnModel {
    let requests = 0;
    const limiter = new Limiter({ clock: this.clock, concurrency: 2 });
    const options: ConnectionOptions & { readonly apiKey: string; readonly baseUrl: string } = {
      apiKey: "test-key",
      baseUrl: "http://model.test/v1",
      now: this.clock.now,
      after: (_ms, fire) => {
        const timer = {};
        this.#armed.set(timer, fire);
        return () => this.#armed.delete(timer);
      },
      onHeaders: limiter.heard,
      fetch: async (_input, init) => {
        const number = requests++;
        if (number >= maxRequests) throw new Error("The turn asks without end.");
        const normal = answerTo(format, String(init?.body), number);
        return this.#answer(strike(number, normal) ?? whole(normal), init?.signal ?? undefined);
      },
    };
    const provider: Provider = compose(
      create[format](options),
      withRetry({ clock: this.clock, random: () => 0, maxAttempts: 4, maxTotalMs: 180_000, patient: false }),
      withBreaker(new Breaker({ clock: this.clock })),
      withLimiter(limiter),
    );
    return { spec: { ...findModel(wireFormats[format]), id, api: format }, provider, costOf: () => undefined };
  }

  /** What is still open once all that was under way has had its turns. */
  async leaks(): Promise<readonly string[]> {
    for (let turns = 0; turns < 50 && this.#armed.size + this.#openBodies > 0; turns++) await nextTurn();
    return [
      ...(this.#armed.size > 0 ? [`${this.#armed.size} timers are armed`] : []),
      ...(this.#openBodies > 0 ? [`${this.#openBodies} bodies are open`] : []),
    ];
  }

  #answer(attempt: Attempt, signal: AbortSignal | undefined): Response {
    if (attempt.end === "refused")
      throw new TypeError("fetch failed", { cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) });
    this.#openBodies += 1;
    const { status = 200, headers = { "content-type": "text/event-stream" } } = attempt;
    return new Response(this.#body(attempt, signal), { status, headers });
  }

  #body({ body, end }: Attempt, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
    let isOpen = true;
    const close = () => {
      if (isOpen) this.#openBodies -= 1;
      isOpen = false;
    };
    let sent = false;
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          if (!sent && body && body.length > 0) {
            sent = true;
            controller.enqueue(body);
            return undefined;
          }
          if (end === "stall") {
            signal?.addEventListener("abort", () => {
              close();
              controller.error(signal.reason);
            });
            setImmediate(() => this.#fire());
            // Kept pending, as a socket on which nothing comes.
            return new Promise<void>(() => {});
          }
          close();
          if (end === "cut") controller.error(new TypeError("terminated"));
          else controller.close();
          return undefined;
        },
        cancel: close,
      },
      { highWaterMark: 0 },
    );
  }

  #fire(): void {
    for (const [timer, fire] of [...this.#armed]) {
      this.#armed.delete(timer);
      fire();
    }
  }
}

/** Tools whose every effect is counted. */
class CountingTools {
  readonly effects: string[] = [];
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  scheduler(): StepScheduler {
    const running: Promise<void>[] = [];
    return {
      submit: (call) => void running.push(this.#run(call)),
      drain: async () => void (await Promise.all(running)),
    };
  }

  strangers(): readonly string[] {
    return this.effects.filter((path) => path !== "alpha" && path !== "beta").map((path) => `nobody asked for ${path}`);
  }

  repeats(): readonly string[] {
    return this.effects.length === new Set(this.effects).size ? [] : [`a tool ran twice: ${this.effects.join()}`];
  }

  async #run({ callId, input, malformed }: ToolCallPart): Promise<void> {
    const path = typeof input === "object" && input !== null && "path" in input ? String(input.path) : undefined;
    const isError = malformed !== undefined || path === undefined;
    if (!isError) this.effects.push(path);
    const text = isError ? "Give a path." : `changed ${path}`;
    await this.#session.append({ type: "tool_result", callId, text, isError, durationMs: 0 });
  }
}

async function brokenJournal(
  session: Session,
  events: readonly SessionEvent[],
  read: () => Promise<readonly SessionEvent[]>,
): Promise<readonly string[]> {
  const stored = await read();
  const calls = stored.flatMap((event) =>
    event.type === "assistant_block" && event.block.part.type === "tool_call" ? [event.block.part.callId] : [],
  );
  const results = stored.flatMap((event) => (event.type === "tool_result" ? [event.callId] : []));
  return [
    ...(isDeepStrictEqual(calls.toSorted(), results.toSorted()) ? [] : [`calls ${calls} have the results ${results}`]),
    ...(new Set(calls).size === calls.length ? [] : [`a call is stored twice: ${calls}`]),
    ...(isDeepStrictEqual(stored.slice(1), events.slice(1)) ? [] : ["what was told is not what was stored"]),
    ...(isDeepStrictEqual(reduceAll(initialState, stored), session.state) ? [] : ["the journal gives another state"]),
  ];
}

function brokenEnd({ stopReason, failure }: TurnEnd, effects: readonly string[]): readonly string[] {
  if (stopReason === "end_turn")
    return ["alpha", "beta"].every((path) => effects.includes(path)) ? [] : [`it ended well after only: ${effects}`];
  return stopReason === "error" && failure && failure.code !== "bug" && failure.message.length > 20
    ? []
    : [`it ended with ${stopReason} ${failure?.code}: ${failure?.message}`];
}
