/**
 * What every wire format must do, run over all three against the model double and through the official SDKs.
 *
 * Not here: pure parts (`test/unit/model`). Easily got wrong: nothing here waits for time. The double stops at named
 * holds, and the silence timer is fired by hand.
 */
import { afterEach, describe, expect, test } from "vitest";
import { isAbort, ProviderError, type ProviderErrorKind } from "../../server/src/base/errors.ts";
import { createAnthropicProvider } from "../../server/src/model/anthropic.ts";
import { findModel } from "../../server/src/model/catalog.ts";
import type { After, ConnectionOptions } from "../../server/src/model/connection.ts";
import { createOpenAIChatProvider } from "../../server/src/model/openaiChat.ts";
import { createOpenAIResponsesProvider } from "../../server/src/model/openaiResponses.ts";
import type { ModelEvent, ModelMessage, ModelRequest, Provider } from "../../server/src/model/provider.ts";
import type {
  AssistantBlock,
  AssistantPart,
  ModelApi,
  ModelSpec,
  ToolResult,
} from "../../server/src/protocol/types.ts";
import { type Fault, type ModelDouble, type Script, type Step, startModelDouble } from "../support/modelDouble.ts";
import { requestAccount } from "../unit/model/support.ts";

interface Options extends ConnectionOptions {
  readonly apiKey?: string;
  readonly baseUrl?: string;
}

interface Format {
  readonly api: ModelApi;
  readonly model: ModelSpec;
  readonly create: (options: Options) => Provider;
  readonly baseUrl: (double: ModelDouble) => string;
  /** How thinking arrives: with a vendor's own block, or as plain text. */
  readonly redactedThinking: boolean;
}

const sol = findModel("openai/gpt-6.1-sol");
const formats: readonly Format[] = [
  {
    api: "anthropic-messages",
    model: findModel("anthropic/claude-sonnet-5-5"),
    create: createAnthropicProvider,
    baseUrl: (double) => double.anthropicBaseUrl,
    redactedThinking: true,
  },
  {
    api: "openai-responses",
    model: sol,
    create: createOpenAIResponsesProvider,
    baseUrl: (double) => double.openaiBaseUrl,
    redactedThinking: true,
  },
  {
    api: "openai-chat",
    model: { ...sol, api: "openai-chat" },
    create: createOpenAIChatProvider,
    baseUrl: (double) => double.openaiBaseUrl,
    redactedThinking: false,
  },
];

const key = "sk-test-0123456789abcdef";
const tools: ModelRequest["tools"] = ["edit", "read"].map((name) => ({
  name,
  description: `Use it to ${name}.`,
  inputSchema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
}));
const prompt: ModelMessage = { role: "user", parts: [{ type: "text", text: "Fix it, please." }] };

const doubles: ModelDouble[] = [];
afterEach(async () => {
  for (const double of doubles.splice(0)) await double.close();
});

describe.each(formats)("$api", (format) => {
  async function start(steps: readonly Step[], script: Partial<Script> = {}): Promise<ModelDouble> {
    const double = await startModelDouble({ script: { ...script, steps }, key, strict: true });
    doubles.push(double);
    return double;
  }

  function providerOf(double: ModelDouble, options: Options = {}): Provider {
    return format.create({ apiKey: key, baseUrl: format.baseUrl(double), ...options });
  }

  function requestOf(messages: readonly ModelMessage[] = [prompt]): ModelRequest {
    return {
      model: format.model,
      system: "You edit files.",
      tools,
      messages,
      maxOutputTokens: 4_000,
      cacheKey: "conversation-1",
      account: requestAccount,
    };
  }

  async function ask(double: ModelDouble, messages?: readonly ModelMessage[], options?: Options): Promise<Heard> {
    const heard = new Heard();
    const events = providerOf(double, options).stream(requestOf(messages), new AbortController().signal);
    for await (const event of events) heard.take(event);
    return heard;
  }

  async function failureOf(
    step: Step,
    options?: Options,
  ): Promise<{ readonly error: ProviderError; readonly heard: Heard }> {
    const double = await start([step]);
    return failed(double, options);
  }

  async function failed(double: ModelDouble, options?: Options) {
    const heard = new Heard();
    const events = providerOf(double, options).stream(requestOf(), new AbortController().signal);
    try {
      for await (const event of events) heard.take(event);
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      expect(error.message).not.toContain(key);
      return { error, heard };
    }
    throw new Error("The stream ended well.");
  }

  describe("an answer", () => {
    test("arrives as deltas that add up to its blocks, in order", async () => {
      const double = await start([{ think: "First I look.", say: "Grüße 👋 to you.", deltaChars: 3, chunkBytes: 5 }]);
      const heard = await ask(double);
      expect(heard.parts).toEqual([
        { type: "thinking", text: "First I look." },
        { type: "text", text: "Grüße 👋 to you." },
      ]);
      expect(heard.streamed).toEqual(["First I look.", "Grüße 👋 to you."]);
      expect(heard.done).toMatchObject({ stop: "end_turn" });
      double.assertClean();
    });

    test("has calls that are complete while the model still talks", async () => {
      const calls = [
        { name: "read", input: { path: "a" } },
        { name: "read", input: { path: "b" } },
      ];
      const double = await start([
        { say: "Reading.", calls, hold: { name: "talking", at: { call: 1, arguments: 4 } } },
      ]);
      const heard = new Heard();
      for await (const event of providerOf(double).stream(requestOf(), new AbortController().signal)) {
        heard.take(event);
        if (event.type !== "block_done" || event.block.part.type !== "tool_call") continue;
        double.release("talking");
        if (heard.calls.length === 1) expect(double.requests[0]?.outcome).toBe("pending");
      }
      expect(heard.calls.map(({ name, input }) => ({ name, input }))).toEqual(calls);
      expect(heard.calls.map(({ callId }) => callId)).toEqual([...new Set(heard.announced)]);
      expect(heard.done).toMatchObject({ stop: "tool_calls" });
      double.assertClean();
    });

    test("keeps malformed arguments raw and takes none as none", async () => {
      const calls = ['{"path": "a', "", "[1]"].map((rawArguments) => ({ name: "read", rawArguments }));
      const heard = await ask(await start([{ calls }]));
      expect(heard.calls.map(({ input, malformed }) => ({ input, malformed }))).toEqual([
        { input: null, malformed: '{"path": "a' },
        { input: {}, malformed: undefined },
        { input: null, malformed: "[1]" },
      ]);
    });

    test("counts tokens in one meaning", async () => {
      const usage = { input: 100, cacheRead: 40, cacheWrite: 10, output: 25, thinking: 5 };
      const heard = await ask(await start([{ say: "Hi.", usage }]));
      expect(heard.done?.usage).toEqual({
        inputTokens: 100,
        cacheReadTokens: 40,
        cacheWriteTokens: 10,
        outputTokens: 25,
        thinkingTokens: 5,
      });
    });

    test("stops for the length limit", async () => {
      const heard = await ask(await start([{ say: "Long", stop: "max_tokens" }]));
      expect(heard.done?.stop).toBe("max_tokens");
      expect(heard.parts).toEqual([{ type: "text", text: "Long" }]);
    });

    test("stops for a refusal", async () => {
      const heard = await ask(await start([{ say: "I cannot.", stop: "refusal", explanation: "Policy." }]));
      expect(heard.done?.stop).toBe("refusal");
    });

    test("is not disturbed by keep-alives and events of unknown kinds", async () => {
      const fault: Fault[] = [
        { kind: "ping", at: { events: 1 } },
        { kind: "unknown", at: { events: 2 } },
        { kind: "unknown", at: "end" },
      ];
      const heard = await ask(await start([{ say: "Still here.", fault }]));
      expect(heard.parts).toEqual([{ type: "text", text: "Still here." }]);
    });
  });

  describe("a conversation", () => {
    const steps: Step[] = [
      {
        think: "Where is it?",
        ...(format.redactedThinking ? { redactedThinking: true as const } : {}),
        say: "Reading two files.",
        calls: [
          { name: "read", input: { path: "ünï", "10": 1, "2": [null, true] } },
          { name: "read", input: {} },
        ],
      },
      {
        calls: [
          { name: "edit", rawArguments: '{"path": "a' },
          { name: "read", rawArguments: "" },
        ],
      },
      { say: "Done." },
    ];

    async function converse(double: ModelDouble, count: number): Promise<ModelMessage[]> {
      const messages: ModelMessage[] = [prompt];
      for (let step = 0; step < count; step++) {
        const heard = await ask(double, messages);
        messages.push({ role: "assistant", api: format.api, blocks: heard.blocks });
        if (heard.calls.length > 0) messages.push({ role: "tool", results: heard.calls.map(resultOf) });
      }
      return messages;
    }

    test("only grows, and echoes every answer as it came", async () => {
      const double = await start(steps);
      await converse(double, steps.length);
      double.assertClean();
      expect(double.requests.map(({ outcome }) => outcome)).toEqual(["complete", "complete", "complete"]);
    });

    test("gives the same bytes for the same request", async () => {
      const double = await start([...steps, { say: "Again." }], { repeatLast: true });
      const messages = await converse(double, 2);
      await ask(double, messages);
      await ask(double, structuredClone(messages));
      const [first, second] = double.requests.slice(-2).map(({ body }) => body.toString());
      expect(first).toBe(second);
    });

    test("goes on from a cut answer's complete blocks", async () => {
      const cut: Step = { ...steps[0], fault: { kind: "cut", at: { call: 1, arguments: 1 } } };
      const double = await startModelDouble({ script: { steps: [cut, { say: "Done." }] }, key });
      doubles.push(double);
      const { heard } = await failed(double);
      expect(heard.calls.map(({ input }) => input)).toEqual([{ path: "ünï", "10": 1, "2": [null, true] }]);
      const answer: ModelMessage = { role: "assistant", api: format.api, blocks: heard.blocks };
      const results: ModelMessage = { role: "tool", results: heard.calls.map(resultOf) };
      const next = await ask(double, [prompt, answer, results]);
      expect(next.done).toBeDefined();
    });

    test("is understood by the other formats", async () => {
      const messages = await converse(await start(steps), 2);
      for (const other of formats.filter(({ api }) => api !== format.api)) {
        const double = await start([{ say: "Read." }]);
        const provider = other.create({ apiKey: key, baseUrl: other.baseUrl(double) });
        const heard = new Heard();
        const request = { ...requestOf(messages), model: other.model };
        for await (const event of provider.stream(request, new AbortController().signal)) heard.take(event);
        expect(heard.parts).toEqual([{ type: "text", text: "Read." }]);
        expect(
          double.requests[0]?.view?.turns.flatMap((turn) => (turn.role === "user" ? turn.results : [])),
        ).toHaveLength(4);
      }
    });
  });

  describe("a failure", () => {
    type HttpFault = Extract<Fault, { kind: "http" }>;
    test.each<{ fault: Omit<HttpFault, "kind">; kind: ProviderErrorKind; status: number; says: string }>([
      { fault: { error: "rateLimit", retryAfter: 7 }, kind: "rateLimit", status: 429, says: "Try again in 7 s" },
      {
        fault: { error: "overloaded" },
        kind: "overloaded",
        status: format.api === "anthropic-messages" ? 529 : 503,
        says: "overloaded",
      },
      { fault: { error: "server" }, kind: "server", status: 500, says: "failed while answering (500)" },
      { fault: { error: "badGateway" }, kind: "server", status: 502, says: "(502)" },
      { fault: { error: "permission" }, kind: "auth", status: 403, says: "does not let this key use" },
      { fault: { error: "notFound" }, kind: "notFound", status: 404, says: format.model.wireId },
      { fault: { error: "contextOverflow" }, kind: "contextOverflow", status: 400, says: "Start a new session" },
      { fault: { error: "tooLarge" }, kind: "contextOverflow", status: 413, says: "Start a new session" },
      {
        fault: { error: "badRequest", message: "tools.0 is odd" },
        kind: "badRequest",
        status: 400,
        says: "tools.0 is odd",
      },
    ])("$kind $status is named, and not repeated here", async ({ fault, kind, status, says }) => {
      const double = await start([{ say: "Hi.", fault: { kind: "http", ...fault } }]);
      const { error } = await failed(double);
      expect(error).toMatchObject({ kind, status });
      expect(error.message).toContain(says);
      expect(double.requests).toHaveLength(1);
    });

    test("a wait in ms is passed on", async () => {
      const fault: Fault = { kind: "http", error: "rateLimit", retryAfterMs: 1_234 };
      expect((await failureOf({ say: "Hi.", fault })).error.retryAfterMs).toBe(1_234);
    });

    test("a wrong key is named and never shown", async () => {
      const wrong = "sk-wrong-0123456789abcdef";
      const { error } = await failureOf({ say: "Hi." }, { apiKey: wrong });
      expect(error).toMatchObject({ kind: "auth", status: 401 });
      expect(error.message).toContain("Hermes: Set API Key");
      expect(error.message).not.toContain(wrong.slice(-8));
    });

    test("a missing key is noticed before anything is sent", async () => {
      const provider = format.create({ fetch: () => Promise.reject(new Error("sent")) });
      const run = collect(provider.stream(requestOf(), new AbortController().signal));
      await expect(run).rejects.toMatchObject({ kind: "auth", message: expect.stringContaining("There is no key") });
    });

    test("a server that is not there is named by its address", async () => {
      const double = await start([]);
      await double.close();
      const { error } = await failed(double);
      expect(error.kind).toBe("network");
      expect(error.message).toContain(`127.0.0.1`);
    });

    test.each([0, 1, 40, 200, 600, 900])("a stream cut at byte %i leaves only complete blocks", async (bytes) => {
      const step: Step = { say: "One two three.", calls: [{ name: "read", input: { path: "a" } }] };
      const { error, heard } = await failureOf({ ...step, fault: { kind: "cut", at: { bytes } } });
      expect(error.kind).toBe("network");
      expect(heard.done).toBeUndefined();
      const whole = (await ask(await start([step]))).parts.map(withoutId);
      expect(heard.parts.map(withoutId)).toEqual(whole.slice(0, heard.parts.length));
    });

    test("a stream that ends too soon is not taken for an answer", async () => {
      const { error, heard } = await failureOf({ say: "Half.", fault: { kind: "end", at: { text: 3 } } });
      expect(error.kind).toBe("network");
      expect(error.message).toContain("before it was complete");
      expect(heard.streamed).toEqual(["Hal"]);
      expect(heard.blocks).toEqual([]);
    });

    test("garbage in the stream is said to be garbage", async () => {
      const { error } = await failureOf({ say: "Hi there.", fault: { kind: "garbage", at: { text: 2 } } });
      expect(error.kind).toBe("protocol");
    });

    test("an error event in the stream is named like any other", async () => {
      const { error, heard } = await failureOf({ say: "Hi there.", fault: { kind: "error", at: { text: 2 } } });
      expect(error.kind).toBe("overloaded");
      expect(heard.streamed).toEqual(["Hi"]);
    });

    test("an answer beyond the limit is given up", async () => {
      const { error } = await failureOf({ say: "x".repeat(5_000) }, { maxAnswerBytes: 2_000 });
      expect(error).toMatchObject({ kind: "protocol", message: expect.stringContaining("longer than 2000 bytes") });
    });

    test.each([
      { at: "start" as const, ms: 120_000, says: "nothing for 120 s" },
      { at: "headers" as const, ms: 120_000, says: "nothing for 120 s after it was asked" },
      { at: { text: 3 }, ms: 60_000, says: "nothing for 60 s in the middle of its answer" },
    ])("silence at $at ends the request", async ({ at, ms, says }) => {
      const timers = new Timers();
      const double = await start([{ say: "Hello.", hold: { name: "silent", at } }]);
      const run = failed(double, { after: timers.after, gapMs: 60_000 });
      await double.reached("silent");
      await timers.fire(ms);
      const { error } = await run;
      expect(error).toMatchObject({ kind: "network", message: expect.stringContaining(says) });
      await closedByClient(double);
    });
  });

  describe("leaving", () => {
    test("before the request sends nothing", async () => {
      const double = await start([{ say: "Hi." }]);
      const signal = AbortSignal.abort();
      await expect(collect(providerOf(double).stream(requestOf(), signal))).rejects.toSatisfy(isAbort);
      expect(double.requests).toEqual([]);
    });

    test.each([{ at: "start" as const }, { at: "headers" as const }, { at: { text: 3 } }])(
      "by an abort at $at ends with an abort error and closes the socket",
      async ({ at }) => {
        const double = await start([{ say: "Hello.", hold: { name: "here", at } }]);
        const controller = new AbortController();
        const run = collect(providerOf(double).stream(requestOf(), controller.signal));
        await double.reached("here");
        controller.abort(new Error("the user pressed stop"));
        await expect(run).rejects.toSatisfy(isAbort);
        await closedByClient(double);
      },
    );

    test("by leaving the loop closes the socket", async () => {
      const double = await start([{ say: "Hello.", hold: { name: "here", at: { text: 3 } } }]);
      for await (const event of providerOf(double).stream(requestOf(), new AbortController().signal)) {
        if (event.type === "text_delta") break;
      }
      await closedByClient(double);
    });
  });
});

describe("Responses alone", () => {
  test("items go back exactly as the stream closed them", async () => {
    const double = await startModelDouble({
      script: {
        steps: [{ think: "Hm.", say: "Reading.", calls: [{ name: "read", input: { path: "a" } }] }, { say: "Ok." }],
      },
    });
    doubles.push(double);
    const streams: Promise<string>[] = [];
    const provider = createOpenAIResponsesProvider({
      apiKey: key,
      baseUrl: double.openaiBaseUrl,
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        streams.push(response.clone().text());
        return response;
      },
    });
    const request: ModelRequest = {
      model: sol,
      system: "",
      tools,
      messages: [prompt],
      maxOutputTokens: 100,
      cacheKey: "c",
      account: requestAccount,
    };
    const heard = new Heard();
    for await (const event of provider.stream(request, new AbortController().signal)) heard.take(event);
    const messages: ModelMessage[] = [
      prompt,
      { role: "assistant", api: "openai-responses", blocks: heard.blocks },
      { role: "tool", results: heard.calls.map(resultOf) },
    ];
    await collect(provider.stream({ ...request, messages }, new AbortController().signal));
    const sent = ((await streams[0]) ?? "")
      .split("\n")
      .filter((line) => line.startsWith('data: {"type":"response.output_item.done"'))
      .map((line) => JSON.parse(line.slice(6)).item);
    expect(sent.map(({ type }) => type)).toEqual(["reasoning", "message", "function_call"]);
    expect(double.requests[1]?.json?.input).toEqual([expect.anything(), ...sent, expect.anything()]);
  });
});

describe("Anthropic alone", () => {
  test("a pause is passed on", async () => {
    const double = await startModelDouble({ script: { steps: [{ say: "Wait.", stop: "pause_turn" }] } });
    doubles.push(double);
    const provider = createAnthropicProvider({ apiKey: key, baseUrl: double.anthropicBaseUrl });
    const request: ModelRequest = {
      model: findModel("claude-sonnet-5-5"),
      system: "",
      tools,
      messages: [prompt],
      maxOutputTokens: 100,
      cacheKey: "c",
      account: requestAccount,
    };
    const events = await collect(provider.stream(request, new AbortController().signal));
    expect(events.at(-1)).toMatchObject({ type: "done", stop: "pause" });
  });
});

/** What a stream has said so far. */
class Heard {
  readonly blocks: AssistantBlock[] = [];
  readonly announced: string[] = [];
  done: Extract<ModelEvent, { type: "done" }> | undefined;
  readonly #deltas = new Map<number, string>();

  take(event: ModelEvent): void {
    expect(this.done, "events after done").toBeUndefined();
    if (event.type === "text_delta" || event.type === "thinking_delta")
      this.#deltas.set(event.index, (this.#deltas.get(event.index) ?? "") + event.text);
    if (event.type === "tool_call_delta") this.announced.push(event.callId);
    if (event.type === "block_done") this.blocks.push(event.block);
    if (event.type === "done") this.done = event;
  }

  get parts(): AssistantPart[] {
    return this.blocks.map(({ part }) => part);
  }

  get calls() {
    return this.parts.filter((part) => part.type === "tool_call");
  }

  get streamed(): string[] {
    return [...this.#deltas.values()];
  }
}

/** Timers that a test fires by hand. */
class Timers {
  readonly #armed = new Map<object, { readonly ms: number; readonly run: () => void }>();
  #waiting: { readonly ms: number; readonly resolve: () => void } | undefined;

  readonly after: After = (ms, run) => {
    const id = {};
    this.#armed.set(id, { ms, run });
    this.#check();
    return () => this.#armed.delete(id);
  };

  /** Runs the timer of that length as soon as one is armed. */
  async fire(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting = { ms, resolve };
      this.#check();
    });
  }

  #check(): void {
    const waiting = this.#waiting;
    const found = [...this.#armed.values()].find((timer) => timer.ms === waiting?.ms);
    if (!waiting || !found) return;
    this.#waiting = undefined;
    queueMicrotask(found.run);
    waiting.resolve();
  }
}

/** Resolves when the double has seen that the client is gone. */
async function closedByClient(double: ModelDouble): Promise<void> {
  await expect.poll(() => double.requests.at(-1)?.outcome, { interval: 1, timeout: 5_000 }).toBe("aborted");
}

function resultOf({ callId }: { readonly callId: ToolResult["callId"] }): ToolResult {
  return { callId, text: `Result of ${callId}.`, isError: false };
}

function withoutId(part: AssistantPart): object {
  return part.type === "tool_call" ? { ...part, callId: "any" } : part;
}

async function collect(events: AsyncIterable<ModelEvent>): Promise<ModelEvent[]> {
  const all: ModelEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
