/**
 * The models that can be used on this machine now, and a provider for each: keys, local servers, the recording.
 *
 * Not here: wire formats (`model/`). Easily got wrong: local servers are looked for only when a list is asked for or
 * nothing else is ready, so that a session with a key never waits for them.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/async.ts";
import { errorCode, messageOf, RequestError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { type Config, keyVariables } from "../config.ts";
import type { Models } from "../host.ts";
import { anthropicUrl, createAnthropicProvider } from "../model/anthropic.ts";
import { Breaker, withBreaker } from "../model/breaker.ts";
import { findModel, mergeModels } from "../model/catalog.ts";
import { type ConnectionOptions, openConnection } from "../model/connection.ts";
import { detectLocalModels } from "../model/detect.ts";
import { Limiter, withLimiter } from "../model/limiter.ts";
import { withMeasuring } from "../model/measured.ts";
import { createOpenAIChatProvider } from "../model/openaiChat.ts";
import { openaiUrl } from "../model/openaiClient.ts";
import { createOpenAIResponsesProvider } from "../model/openaiResponses.ts";
import { costOf, toUsd } from "../model/price.ts";
import { compose, type Provider, type ProviderDecorator } from "../model/provider.ts";
import { withRetry } from "../model/retry.ts";
import type { RouteFacts } from "../model/router.ts";
import type { TokenCounts } from "../model/tokens.ts";
import type { ListModelsResult } from "../protocol/methods.ts";
import type {
  CredentialName,
  ModelApi,
  ModelChoice,
  ModelSpec,
  RouteStrategy,
  SessionId,
  Usage,
} from "../protocol/types.ts";
import type { TurnModel } from "../session/fallback.ts";
import type { ReadyModel } from "../session/turns.ts";
import type { Speeds } from "../storage/speeds.ts";
import { chooseModel } from "./routing.ts";

/** The model that plays the recorded tour: the one that needs nothing. */
export const recordedModel: ModelSpec = {
  id: "recorded/tour",
  label: "Recorded tour",
  api: "recorded",
  wireId: "tour",
  contextTokens: 200_000,
  maxOutputTokens: 8_000,
  images: false,
  thinking: "none",
};

/** What the models of this machine depend on. */
export interface LocalModelsOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly onDidChange?: (list: ListModelsResult) => void;
  /** Writes down what requests spend, and holds them to the limits. */
  readonly budget: ProviderDecorator;
  /** How fast the models have answered; measured here, and what the router goes by. */
  readonly speeds: Pick<Speeds, "add" | "all">;
  /** Nano-dollars that a session's next request may cost; `undefined` for no limit. */
  readonly moneyLeft: (sessionId: SessionId) => Promise<number | undefined>;
  /** What is known of how models count. */
  readonly tokens: TokenCounts;
  /** Told of fallbacks that cannot be used, when one would be. */
  readonly onProblem?: (problem: string) => void;
}

/** `Models` that follow changed settings and keys. */
export interface LocalModels extends Models {
  configure(config: Config): void;
}

/** Makes them. Reads nothing until it is asked. */
export function createLocalModels(options: LocalModelsOptions): LocalModels {
  return new MachineModels(options);
}

/** The id that leaves the choice to rules. */
const auto = "auto";

class MachineModels implements LocalModels {
  readonly #onDidChange: ((list: ListModelsResult) => void) | undefined;
  readonly #budget: ProviderDecorator;
  readonly #speeds: LocalModelsOptions["speeds"];
  readonly #moneyLeft: LocalModelsOptions["moneyLeft"];
  readonly #clock: Clock;
  readonly #tokens: TokenCounts;
  #config: Config;
  #credentials: Config["credentials"];
  #selected: string | undefined;
  #known: Promise<readonly ModelSpec[]> | undefined;
  #local: Promise<readonly ModelSpec[]> | undefined;
  /** By wire format and base URL. */
  readonly #providers = new Map<string, Provider>();
  /** By base URL and key. They outlive changed settings: what a vendor wants does not change with those. */
  readonly #limiters = new Map<string, Limiter>();
  readonly #breakers = new Map<string, Breaker>();
  /** When a connection was last opened ahead of a request, by base URL. */
  readonly #connectedAt = new Map<string, number>();
  readonly #onProblem: (problem: string) => void;

  constructor({ config, clock, onDidChange, budget, speeds, moneyLeft, tokens, onProblem }: LocalModelsOptions) {
    this.#budget = budget;
    this.#speeds = speeds;
    this.#moneyLeft = moneyLeft;
    this.#clock = clock;
    this.#tokens = tokens;
    this.#onProblem = onProblem ?? ((problem) => log("warn", problem));
    this.#config = config;
    this.#credentials = config.credentials;
    this.#onDidChange = onDidChange;
  }

  configure(config: Config): void {
    // The newest choice counts, whichever way it was made.
    if (config.settings["model.name"] !== this.#config.settings["model.name"]) this.#selected = undefined;
    this.#config = config;
    this.#changed();
  }

  setCredential(name: CredentialName, value: string | undefined): void {
    const { [name]: _, ...rest } = this.#credentials;
    this.#credentials = value ? { ...rest, [name]: value } : rest;
    this.#changed();
  }

  async select(id: string): Promise<void> {
    if (id !== auto) await this.#find(id);
    this.#selected = id;
    this.#changed();
  }

  async list(): Promise<ListModelsResult> {
    // Asked for anew: a server may have been started since.
    this.#local = undefined;
    const [known, local] = await Promise.all([this.#knownModels(), this.#localModels()]);
    const each = [...known, ...local, recordedModel].map((spec) => this.#toChoice(spec));
    const strategy = this.#strategy(undefined);
    const isReady = each.some(({ state }) => state === "ready");
    const choices = isReady ? [routedChoice(strategy ?? "adaptive"), ...each] : each;
    const rank = { ready: 0, recording: 1, needs_key: 2 };
    const models = choices.toSorted((a, b) => rank[a.state] - rank[b.state]);
    if (strategy && isReady) return { models, selected: auto };
    try {
      return { models, selected: (await this.#pick(undefined)).spec.id };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      // A name that no model has (a typing error, a local server that is gone) must not hide the ones that there are.
      log("warn", error.message);
      return { models, selected: this.#wanted() };
    }
  }

  async known(): Promise<readonly ModelSpec[]> {
    return this.#knownModels();
  }

  async resolve(id: string | undefined, facts?: () => RouteFacts): Promise<ReadyModel> {
    const strategy = this.#strategy(id);
    const chosen = strategy && facts && (await chooseModel(this.#routing(), strategy, facts()));
    if (chosen) return { ...this.#withFallbacks(chosen.spec), routed: { ...chosen.route, strategy } };
    const { spec, missing } = await this.#pick(id);
    if (missing) {
      throw new RequestError(
        "needs_key",
        `${spec.label} needs a key for ${vendorNames[missing]}. Set it with “Hermes: Set API Key” or in ${keyVariables[missing]}, or choose another model.`,
      );
    }
    return this.#withFallbacks(spec);
  }

  async ready(): Promise<readonly TurnModel[]> {
    const known = (await this.#knownModels()).filter((spec) => this.#missing(spec) === undefined);
    // Local servers only if they have been found already: looking for them takes time.
    const local = this.#local ? await this.#local : [];
    return [...known, ...local].filter((spec) => this.#isUp(spec)).map((spec) => this.#turnModel(spec, true));
  }

  #routing(): Parameters<typeof chooseModel>[0] {
    return {
      settings: this.#config.settings,
      known: async () => (await this.#knownModels()).filter((spec) => this.#missing(spec) === undefined),
      local: () => this.#localModels(),
      find: async (name) => {
        const spec = await this.#find(name);
        return this.#missing(spec) === undefined && spec.api !== "recorded" ? spec : undefined;
      },
      isUp: (spec) => this.#isUp(spec),
      speeds: () => this.#speeds.all(),
      moneyLeft: this.#moneyLeft,
      now: this.#clock.now,
      onProblem: this.#onProblem,
    };
  }

  /** How to choose where the user has named no model; `undefined` where they have, or the first that is ready will do. */
  #strategy(id: string | undefined): RouteStrategy | undefined {
    const wanted = id ?? this.#wanted();
    if (wanted !== auto && wanted !== "") return undefined;
    const strategy = this.#config.settings["model.strategy"];
    if (strategy !== "fixed") return strategy as RouteStrategy;
    return id === auto || this.#selected === auto ? "adaptive" : undefined;
  }

  #withFallbacks(spec: ModelSpec): ReadyModel {
    const chain = this.#config.settings["model.fallbacks"].filter((name) => name !== spec.id);
    const connect = (signal: AbortSignal) => this.#connect(spec, signal);
    if (chain.length === 0 || spec.api === "recorded") return { ...this.#turnModel(spec, true), connect };
    return { ...this.#turnModel(spec, false), fallbacks: () => this.#fallbacks(spec, chain), connect };
  }

  async #connect({ api, baseUrl }: ModelSpec, signal: AbortSignal): Promise<void> {
    const credential = credentialOf[api];
    if (credential === undefined) return;
    const url = baseUrl ?? this.#config.baseUrls[credential] ?? vendorUrls[credential];
    const now = this.#clock.now();
    if (now - (this.#connectedAt.get(url) ?? 0) < idleConnectionMs) return;
    this.#connectedAt.set(url, now);
    await openConnection(url, signal);
  }

  async #fallbacks(first: ModelSpec, chain: readonly string[]): Promise<readonly TurnModel[]> {
    const specs = new Map<string, ModelSpec>();
    for (const name of chain) {
      const spec = await this.#fallback(name);
      if (spec && spec.id !== first.id) specs.set(spec.id, spec);
    }
    return [...specs.values()].map((spec, index) => this.#turnModel(spec, index === specs.size - 1));
  }

  async #fallback(name: string): Promise<ModelSpec | undefined> {
    const leftOut = (why: string) =>
      this.#onProblem(`The fallback ${name} in hermes.model.fallbacks is left out: ${why}`);
    try {
      const spec = await this.#find(name);
      const missing = this.#missing(spec);
      if (missing) leftOut(`there is no key for ${vendorNames[missing]}.`);
      else if (spec.api === "recorded") leftOut("a recording answers nothing but its own prompts.");
      else return spec;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      leftOut(error.message);
    }
    return undefined;
  }

  #turnModel(spec: ModelSpec, isLast: boolean): TurnModel {
    const { "model.retrySeconds": seconds } = this.#config.settings;
    const retry = withRetry({
      clock: this.#clock,
      random: Math.random,
      maxAttempts: 4,
      maxTotalMs: seconds * 1000,
      patient: isLast,
    });
    const provider = this.#provider(spec);
    return {
      spec,
      provider: spec.api === "recorded" ? provider : compose(provider, retry),
      costOf: (usage) => priceOf(spec, usage),
    };
  }

  /** The model for an id, or the first that is ready when nobody has chosen one. */
  async #pick(
    id: string | undefined,
  ): Promise<{ readonly spec: ModelSpec; readonly missing: CredentialName | undefined }> {
    const wanted = id ?? this.#wanted();
    if (wanted !== auto && wanted !== "") {
      const spec = await this.#find(wanted);
      return { spec, missing: this.#missing(spec) };
    }
    const known = await this.#knownModels();
    const ready = known.find((spec) => this.#missing(spec) === undefined) ?? (await this.#localModels())[0];
    return { spec: ready ?? recordedModel, missing: undefined };
  }

  #wanted(): string {
    return this.#selected ?? this.#config.settings["model.name"];
  }

  async #find(id: string): Promise<ModelSpec> {
    if (id === recordedModel.id) return recordedModel;
    const known = await this.#knownModels();
    const isLocal = !known.some((spec) => spec.id === id) && !/^(anthropic|openai)\//.test(id);
    const spec = findModel(id, isLocal ? [...known, ...(await this.#localModels())] : known);
    return this.#withApi(spec);
  }

  #missing(spec: ModelSpec): CredentialName | undefined {
    const name = credentialOf[spec.api];
    if (name === undefined || spec.local || spec.baseUrl !== undefined) return undefined;
    // A server of one's own may need no key; if it does, it says so.
    return this.#credentials[name] || this.#config.baseUrls[name] ? undefined : name;
  }

  #toChoice(spec: ModelSpec): ModelChoice {
    const credential = credentialOf[spec.api];
    const state = spec.api === "recorded" ? "recording" : this.#missing(spec) ? "needs_key" : "ready";
    const bytesPerToken = this.#tokens.bytesPerToken(spec);
    return {
      id: spec.id,
      label: spec.label,
      state,
      bytesPerToken,
      ...(credential && !spec.local ? { credential } : {}),
    };
  }

  #withApi(spec: ModelSpec): ModelSpec {
    const speaksChat = spec.api === "openai-responses" && this.#config.settings["openai.api"] === "chat";
    return speaksChat ? { ...spec, api: "openai-chat" } : spec;
  }

  async #knownModels(): Promise<readonly ModelSpec[]> {
    this.#known ??= readAdditions(join(this.#config.home, "models.json")).then(mergeModels);
    return (await this.#known).map((spec) => this.#withApi(spec));
  }

  async #localModels(): Promise<readonly ModelSpec[]> {
    if (!this.#config.settings["localModels.detect"]) return [];
    this.#local ??= detectLocalModels({}, new AbortController().signal);
    return this.#local;
  }

  #baseUrl({ api, baseUrl }: ModelSpec): string {
    const credential = credentialOf[api];
    return baseUrl ?? (credential && this.#config.baseUrls[credential]) ?? credential ?? "";
  }

  /** False while its endpoint is left alone, after too many failures. */
  #isUp(spec: ModelSpec): boolean {
    return !this.#breakers.get(this.#baseUrl(spec))?.isOpen;
  }

  #provider(spec: ModelSpec): Provider {
    const { api, local } = spec;
    const credential = credentialOf[api];
    const baseUrl = this.#baseUrl(spec);
    const name = JSON.stringify([api, baseUrl, local]);
    const known = this.#providers.get(name);
    if (known) return known;
    const made = credential ? this.#guarded(spec, baseUrl, credential) : this.#wire(api, {});
    this.#providers.set(name, made);
    return made;
  }

  /** A provider that shares the limits of its key, and what is known of its endpoint, with all others that use them. */
  #guarded({ api, local = false }: ModelSpec, baseUrl: string, credential: CredentialName): Provider {
    const limiter = this.#limiter(JSON.stringify([baseUrl, local ? undefined : this.#credentials[credential]]));
    return compose(
      this.#wire(api, this.#connection(limiter, local)),
      withBreaker(this.#breaker(baseUrl)),
      withLimiter(limiter),
      // Innermost: each attempt is a request of its own, and what waits is not set aside.
      this.#budget,
      withMeasuring(this.#clock, (measurement) => this.#speeds.add(measurement)),
    );
  }

  #limiter(name: string): Limiter {
    const concurrency = this.#config.settings["model.concurrency"];
    const limiter = this.#limiters.get(name) ?? new Limiter({ clock: this.#clock, concurrency });
    limiter.concurrency = concurrency;
    this.#limiters.set(name, limiter);
    return limiter;
  }

  #breaker(baseUrl: string): Breaker {
    const breaker = this.#breakers.get(baseUrl) ?? new Breaker({ clock: this.#clock });
    this.#breakers.set(baseUrl, breaker);
    return breaker;
  }

  #connection(limiter: Limiter, local: boolean): ConnectionOptions {
    const { settings } = this.#config;
    return {
      connectMs: settings["model.connectSeconds"] * 1000,
      gapMs: settings["model.gapSeconds"] * 1000,
      ...(local ? {} : { firstByteMs: settings["model.firstByteSeconds"] * 1000 }),
      onHeaders: limiter.heard,
    };
  }

  #wire(api: ModelApi, connection: ConnectionOptions): Provider {
    const { anthropic, openai } = this.#credentials;
    const urls = this.#config.baseUrls;
    const openaiOptions = {
      ...connection,
      ...(openai ? { apiKey: openai } : {}),
      ...(urls.openai ? { baseUrl: urls.openai } : {}),
    };
    switch (api) {
      case "anthropic-messages":
        return createAnthropicProvider({
          ...connection,
          ...(anthropic ? { apiKey: anthropic } : {}),
          ...(urls.anthropic ? { baseUrl: urls.anthropic } : {}),
        });
      case "openai-responses":
        return createOpenAIResponsesProvider(openaiOptions);
      case "openai-chat":
        return createOpenAIChatProvider(openaiOptions);
      case "recorded":
        return loadedLater(() => loadRecorded(this.#clock));
    }
  }

  #changed(): void {
    this.#providers.clear();
    this.#known = undefined;
    const tell = this.#onDidChange;
    if (!tell) return;
    this.list().then(tell, (error: unknown) => log("warn", `The models could not be listed: ${messageOf(error)}`));
  }
}

/** The picker's entry for rules. */
function routedChoice(strategy: RouteStrategy): ModelChoice {
  const words = { adaptive: "adaptive", cost: "lowest cost", latency: "fastest" } as const;
  return { id: auto, label: `Auto (${words[strategy]})`, state: "ready" };
}
/** How long Node's `fetch` keeps a connection that nobody uses, in ms. */
const idleConnectionMs = 4_000;

const vendorUrls: { readonly [name in CredentialName]: string } = { anthropic: anthropicUrl, openai: openaiUrl };

const vendorNames: { readonly [name in CredentialName]: string } = { anthropic: "Anthropic", openai: "OpenAI" };

/** US dollars. */
function priceOf({ price }: ModelSpec, usage: Usage): number | undefined {
  const nano = costOf(price, usage);
  return nano === undefined ? undefined : toUsd(nano);
}

/** Whose key each wire format needs. */
const credentialOf: { readonly [api in ModelApi]: CredentialName | undefined } = {
  "anthropic-messages": "anthropic",
  "openai-responses": "openai",
  "openai-chat": "openai",
  recorded: undefined,
};

async function readAdditions(path: string): Promise<readonly ModelSpec[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) !== "ENOENT") log("warn", `${path} could not be read: ${messageOf(error)}`);
    return [];
  }
  try {
    const { parseModels } = await import("../model/catalogSchema.ts");
    const { models, problems } = parseModels(JSON.parse(text));
    for (const problem of problems) log("warn", `${path}: ${problem}`);
    return models;
  } catch (error) {
    log("error", `${path} is left out: ${messageOf(error)}`);
    return [];
  }
}

/** The recording lies beside the bundle, whose chunks are a folder deeper; run from source, in `server/recordings`. */
async function readRecording(): Promise<string> {
  const folders = ["recordings", "../recordings", "../../recordings"];
  const found = await Promise.allSettled(
    folders.map((folder) => readFile(new URL(`${folder}/tour.jsonl`, import.meta.url), "utf8")),
  );
  const first = found.find((result) => result.status === "fulfilled");
  if (first) return first.value;
  throw new RequestError("no_recording", "The recorded tour is missing from this installation. Install Hermes again.");
}

/** Loaded on demand: a session with a key needs neither the recording nor its checks. */
async function loadRecorded(clock: Clock): Promise<Provider> {
  const [{ createRecordedProvider }, { parseRecording }, text] = await Promise.all([
    import("../model/recorded.ts"),
    import("../model/recording.ts"),
    readRecording(),
  ]);
  return createRecordedProvider(parseRecording(text), { clock, speed: 1 });
}

function loadedLater(load: () => Promise<Provider>): Provider {
  let provider: Promise<Provider> | undefined;
  return {
    async *stream(request, signal) {
      provider ??= load();
      yield* (await provider).stream(request, signal);
    },
  };
}
