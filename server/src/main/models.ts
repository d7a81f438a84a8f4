/**
 * The models that can be used on this machine now, and which of them is meant: the list, the user's choice, fallbacks.
 *
 * Not here: a provider for each (`providers.ts`), the choice by rules (`routing.ts`). Easily got wrong: local servers are
 * looked for only when a list is asked for or nothing else is ready, so that a session with a key never waits for them.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/async.ts";
import { errorCode, messageOf, RequestError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { type Config, keyVariables } from "../config.ts";
import type { Models } from "../host.ts";
import { findModel, mergeModels } from "../model/catalog.ts";
import { detectLocalModels } from "../model/detect.ts";
import type { RouteFacts } from "../model/router.ts";
import type { TokenCounts } from "../model/tokens.ts";
import type { ListModelsResult } from "../protocol/methods.ts";
import type { CredentialName, ModelChoice, ModelSpec, RouteStrategy, SessionId } from "../protocol/types.ts";
import type { TurnModel } from "../session/fallback.ts";
import type { ReadyModel } from "../session/turns.ts";
import type { Speeds } from "../storage/speeds.ts";
import { credentialOf, Providers, type ProvidersOptions } from "./providers.ts";
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
export interface LocalModelsOptions extends ProvidersOptions {
  readonly onDidChange?: (list: ListModelsResult) => void;
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
  readonly #providers: Providers;
  readonly #speeds: LocalModelsOptions["speeds"];
  readonly #moneyLeft: LocalModelsOptions["moneyLeft"];
  readonly #clock: Clock;
  readonly #tokens: TokenCounts;
  #config: Config;
  #credentials: Config["credentials"];
  #selected: string | undefined;
  #known: Promise<readonly ModelSpec[]> | undefined;
  #local: Promise<readonly ModelSpec[]> | undefined;
  readonly #onProblem: (problem: string) => void;

  constructor({ config, clock, onDidChange, budget, speeds, moneyLeft, tokens, onProblem }: LocalModelsOptions) {
    this.#providers = new Providers({ config, clock, budget, speeds });
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
    const known = (await this.#knownModels()).filter((spec) => this.#providers.missingKey(spec) === undefined);
    // Local servers only if they have been found already: looking for them takes time.
    const local = this.#local ? await this.#local : [];
    return [...known, ...local]
      .filter((spec) => this.#providers.isUp(spec))
      .map((spec) => this.#providers.model(spec, true));
  }

  #routing(): Parameters<typeof chooseModel>[0] {
    return {
      settings: this.#config.settings,
      known: async () => (await this.#knownModels()).filter((spec) => this.#providers.missingKey(spec) === undefined),
      local: () => this.#localModels(),
      find: async (name) => {
        const spec = await this.#find(name);
        return this.#providers.missingKey(spec) === undefined && spec.api !== "recorded" ? spec : undefined;
      },
      isUp: (spec) => this.#providers.isUp(spec),
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
    const connect = (signal: AbortSignal) => this.#providers.connect(spec, signal);
    if (chain.length === 0 || spec.api === "recorded") return { ...this.#providers.model(spec, true), connect };
    return { ...this.#providers.model(spec, false), fallbacks: () => this.#fallbacks(spec, chain), connect };
  }

  async #fallbacks(first: ModelSpec, chain: readonly string[]): Promise<readonly TurnModel[]> {
    const specs = new Map<string, ModelSpec>();
    for (const name of chain) {
      const spec = await this.#fallback(name);
      if (spec && spec.id !== first.id) specs.set(spec.id, spec);
    }
    return [...specs.values()].map((spec, index) => this.#providers.model(spec, index === specs.size - 1));
  }

  async #fallback(name: string): Promise<ModelSpec | undefined> {
    const leftOut = (why: string) =>
      this.#onProblem(`The fallback ${name} in hermes.model.fallbacks is left out: ${why}`);
    try {
      const spec = await this.#find(name);
      const missing = this.#providers.missingKey(spec);
      if (missing) leftOut(`there is no key for ${vendorNames[missing]}.`);
      else if (spec.api === "recorded") leftOut("a recording answers nothing but its own prompts.");
      else return spec;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      leftOut(error.message);
    }
    return undefined;
  }

  /** The model for an id, or the first that is ready when nobody has chosen one. */
  async #pick(
    id: string | undefined,
  ): Promise<{ readonly spec: ModelSpec; readonly missing: CredentialName | undefined }> {
    const wanted = id ?? this.#wanted();
    if (wanted !== auto && wanted !== "") {
      const spec = await this.#find(wanted);
      return { spec, missing: this.#providers.missingKey(spec) };
    }
    const known = await this.#knownModels();
    const ready =
      known.find((spec) => this.#providers.missingKey(spec) === undefined) ?? (await this.#localModels())[0];
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

  #toChoice(spec: ModelSpec): ModelChoice {
    const credential = credentialOf[spec.api];
    const state = spec.api === "recorded" ? "recording" : this.#providers.missingKey(spec) ? "needs_key" : "ready";
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

  #changed(): void {
    this.#providers.configure(this.#config, this.#credentials);
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
const vendorNames: { readonly [name in CredentialName]: string } = { anthropic: "Anthropic", openai: "OpenAI" };

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
