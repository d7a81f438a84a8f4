/**
 * When the prompt cache is warmed, for whom, and what a prompt does that is sent meanwhile.
 *
 * Not here: the wire and what it saves (`test/integration/cacheCost.test.ts`). Easily got wrong: time stands still here
 * unless a test moves it; a sleep lasts until the test ends it.
 */
import { describe, expect, test } from "vitest";
import { withBudget } from "../../../server/src/model/budget.ts";
import { findModel } from "../../../server/src/model/catalog.ts";
import { longLifeMs, shortLifeMs } from "../../../server/src/model/promptCache.ts";
import type { ModelEvent, ModelRequest, Provider } from "../../../server/src/model/provider.ts";
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import type { ModelSpec, SessionId, TurnId, Usage } from "../../../server/src/protocol/types.ts";
import { buildRequest } from "../../../server/src/session/context.ts";
import { judgeRequest } from "../../../server/src/session/requestLedger.ts";
import { createSession, type Session } from "../../../server/src/session/session.ts";
import { forecastOf, WarmUps } from "../../../server/src/session/warmUp.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { says, started } from "../../support/events.ts";

const sonnet = findModel("anthropic/claude-sonnet-5-5");
const account = { sessionId: "s1" as SessionId, turnId: "t1" as TurnId, purpose: "turn" } as const;

/** A session with its provider, warm-ups and clock in hand. */
class World {
  now = 1_000_000_000;
  readonly events: SessionEvent[] = [];
  readonly requests: ModelRequest[] = [];
  readonly sleeps: (() => void)[] = [];
  readonly closing = new AbortController();
  readonly clock = {
    now: () => this.now,
    sleep: (_ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        this.sleeps.push(resolve);
      }),
  };
  readonly warmUps = new WarmUps({ clock: this.clock, createId: () => "w1", closing: this.closing.signal });
  session!: Session;
  #turns = 0;
  /** Holds the answer of the vendor. */
  gate: Promise<void> = Promise.resolve();
  readonly provider: Provider = { stream: (request, signal) => this.#stream(request, signal) };

  static async create(): Promise<World> {
    const world = new World();
    world.session = await createSession(
      {
        store: createMemoryStore({ clock: world.clock }),
        onUpdate: (_, update) => "seq" in update && world.events.push(update),
      },
      "s1" as SessionId,
      "/w",
    );
    return world;
  }

  /** A turn whose prompt and answer have so many tokens, all of them in the cache after it. */
  async turn(tokens = 20_000, model: ModelSpec = sonnet): Promise<void> {
    const turnId = `t${++this.#turns}`;
    const step = { turnId: turnId as TurnId, step: 1 };
    await this.session.append(started(turnId, `Prompt ${turnId}`), { type: "step_started", ...step });
    const { state } = this.session;
    const request = buildRequest(state, model, [], account);
    const usage = usageOf(0, tokens);
    const judged = judgeRequest(state.ledger, { request, at: this.now, usage });
    await this.session.append(
      says(turnId, 1, 0, "Yes."),
      { type: "step_finished", ...step, usage, firstEventMs: 1, totalMs: 1, ...judged },
      { type: "turn_finished", turnId: step.turnId, stopReason: "end_turn" },
    );
  }

  target(spec: ModelSpec = sonnet, provider: Provider = this.provider) {
    return { session: this.session, model: { spec, provider, costOf: () => 0.05 }, tools: [] };
  }

  get warmed(): readonly SessionEvent[] {
    return this.events.filter(({ type }) => type === "cache_warmed");
  }

  async *#stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent> {
    this.requests.push(request);
    await Promise.race([
      this.gate,
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true })),
    ]);
    yield { type: "done", stop: "max_tokens", usage: usageOf(0, 20_000), responseId: "msg_warm" };
  }
}

function usageOf(cacheReadTokens: number, cacheWriteTokens: number): Usage {
  return { inputTokens: 0, cacheReadTokens, cacheWriteTokens, outputTokens: 0, thinkingTokens: 0 };
}

describe("a conversation is warmed", () => {
  test("when its cache has expired: what was sent last is sent again, for no answer", async () => {
    const world = await World.create();
    await world.turn();
    world.now += shortLifeMs + 1;
    await world.warmUps.begin(world.target());
    const [request] = world.requests;
    expect(request).toMatchObject({ maxOutputTokens: 0, account: { sessionId: "s1", purpose: "warm_up" } });
    expect(request?.messages.map(({ role }) => role)).toEqual(["user"]);
    expect(world.warmed).toMatchObject([
      { cost: 0.05, responseId: "msg_warm", sent: { cachedTokens: 20_000, blocks: [] } },
    ]);
  });

  test("for another model, which has nothing of it", async () => {
    const world = await World.create();
    await world.turn();
    await world.warmUps.begin(world.target(findModel("openai/gpt-6.1-sol")));
    expect(world.requests).toHaveLength(1);
  });

  test("and is warm then: once for each life of an entry", async () => {
    const world = await World.create();
    await world.turn();
    world.now += shortLifeMs + 1;
    await world.warmUps.begin(world.target());
    world.now += shortLifeMs / 2;
    await world.warmUps.begin(world.target());
    expect(world.requests).toHaveLength(1);
  });

  test.each<[string, (world: World) => Promise<ModelSpec>]>([
    ["warm", async (world) => world.turn().then(() => sonnet)],
    [
      "short",
      async (world) => {
        await world.turn(3_000);
        world.now += longLifeMs;
        return sonnet;
      },
    ],
    ["new", async () => sonnet],
    ["of a model on this machine", async (world) => world.turn().then(() => ({ ...sonnet, id: "x", local: true }))],
    [
      "of a wire format that cannot",
      async (world) => world.turn().then(() => ({ ...sonnet, api: "openai-chat" }) as const),
    ],
  ])("not when it is %s", async (_name, prepare) => {
    const world = await World.create();
    await world.warmUps.begin(world.target(await prepare(world)));
    expect(world.requests).toEqual([]);
  });

  test("not for prompts that never come: twice in a row at most", async () => {
    const world = await World.create();
    await world.turn();
    for (let time = 0; time < 5; time++) {
      world.now += 2 * shortLifeMs;
      await world.warmUps.begin(world.target());
    }
    expect(world.requests).toHaveLength(2);
    await world.turn();
    world.now += 2 * longLifeMs;
    await world.warmUps.begin(world.target());
    expect(world.requests).toHaveLength(3);
  });

  test("within the limits on spending: nothing is sent that could go beyond one, and what is sent counts", async () => {
    const world = await World.create();
    await world.turn();
    world.now += shortLifeMs + 1;
    const nothing = { requests: 0, tokens: 0, nano: 0 };
    const spent: { purpose: string; nano: number | undefined }[] = [];
    const budget = (nano: number) =>
      withBudget({
        ledger: {
          reserve: async ({ purpose }) => ({
            purpose,
            before: { turn: nothing, session: nothing, day: nothing, month: nothing },
            raises: [],
          }),
          settle: async ({ purpose }, used) => void spent.push({ purpose, nano: used.nano }),
          release: async () => undefined,
        },
        limits: () => ({ day: { nano } }),
      })(world.provider);
    await world.warmUps.begin(world.target(sonnet, budget(1_000)));
    expect([world.requests.length, spent]).toEqual([0, []]);
    world.now += shortLifeMs;
    await world.warmUps.begin(world.target(sonnet, budget(1_000_000_000)));
    expect([world.requests.length, spent]).toEqual([1, [{ purpose: "warm_up", nano: 50_000_000 }]]);
  });
});

describe("a prompt that is sent meanwhile", () => {
  async function warming() {
    const world = await World.create();
    await world.turn();
    world.now += shortLifeMs + 1;
    let open = () => {};
    world.gate = new Promise((resolve) => {
      open = resolve;
    });
    const done = world.warmUps.begin(world.target());
    return { world, open, done };
  }

  test("waits, and then finds the cache warm", async () => {
    const { world, open, done } = await warming();
    const order: string[] = [];
    const sent = world.warmUps.settled(world.session.id, new AbortController().signal).then(() => order.push("sent"));
    open();
    await done.then(() => order.push("warm"));
    await sent;
    expect(order).toEqual(["warm", "sent"]);
    expect(world.warmed).toHaveLength(1);
  });

  test("does not wait for one that hangs", async () => {
    const { world, done } = await warming();
    const sent = world.warmUps.settled(world.session.id, new AbortController().signal);
    world.sleeps[0]?.();
    await Promise.all([sent, done]);
    expect(world.warmed).toEqual([]);
  });

  test("can be taken back", async () => {
    const { world, open, done } = await warming();
    const controller = new AbortController();
    const sent = world.warmUps.settled(world.session.id, controller.signal);
    controller.abort(new DOMException("Stopped.", "AbortError"));
    await expect(sent).rejects.toMatchObject({ name: "AbortError" });
    open();
    await done;
  });
});

test("the forecast says when the cache forgets, and what each model costs anew", async () => {
  const world = await World.create();
  const models = [sonnet, findModel("openai/gpt-6.1-sol"), { ...sonnet, id: "x/free", price: undefined } as never];
  const turnId = "t" as TurnId;
  expect(forecastOf(world.target(), models, turnId)).toBeNull();
  await world.turn(80_000);
  const forecast = forecastOf(world.target(), models, turnId);
  expect(forecast).toEqual({
    tokens: 80_000,
    warmUntilAt: world.now + shortLifeMs,
    anewUsd: { "anthropic/claude-sonnet-5-5": 0.2, "openai/gpt-6.1-sol": 0.2 },
  });
  expect(forecastOf(world.target(findModel("openai/gpt-6.1-sol")), models, turnId)).toMatchObject({ warmUntilAt: 0 });
});
