/**
 * A provider for each endpoint of this machine's models: its key, the limits of that key, its breaker, its connections.
 *
 * Not here: which models there are (`models.ts`), wire formats and decorators (`model/`). Easily got wrong: providers are
 * made anew when a setting or a key changes; what is known of a key's limits and of an endpoint's health is kept.
 */
import { readFile } from "node:fs/promises";
import type { Clock } from "../base/async.ts";
import { RequestError } from "../base/errors.ts";
import type { Config } from "../config.ts";
import { anthropicUrl, createAnthropicProvider } from "../model/anthropic.ts";
import { Breaker, withBreaker } from "../model/breaker.ts";
import { type ConnectionOptions, openConnection } from "../model/connection.ts";
import { Limiter, withLimiter } from "../model/limiter.ts";
import { withMeasuring } from "../model/measured.ts";
import { createOpenAIChatProvider } from "../model/openaiChat.ts";
import { openaiUrl } from "../model/openaiClient.ts";
import { createOpenAIResponsesProvider } from "../model/openaiResponses.ts";
import { costOf, toUsd } from "../model/price.ts";
import { compose, type Provider, type ProviderDecorator } from "../model/provider.ts";
import { withRetry } from "../model/retry.ts";
import type { CredentialName, ModelApi, ModelSpec, Usage } from "../protocol/types.ts";
import type { TurnModel } from "../session/fallback.ts";
import type { Speeds } from "../storage/speeds.ts";

/** What the providers of this machine depend on. */
export interface ProvidersOptions {
  readonly config: Config;
  readonly clock: Clock;
  /** Writes down what requests spend, and holds them to the limits. */
  readonly budget: ProviderDecorator;
  /** Takes what is measured of each answer. */
  readonly speeds: Pick<Speeds, "add">;
}

/** How long Node's `fetch` keeps a connection that nobody uses, in ms. */
const idleConnectionMs = 4_000;

const vendorUrls: { readonly [name in CredentialName]: string } = { anthropic: anthropicUrl, openai: openaiUrl };

/** Whose key each wire format needs. */
export const credentialOf: { readonly [api in ModelApi]: CredentialName | undefined } = {
  "anthropic-messages": "anthropic",
  "openai-responses": "openai",
  "openai-chat": "openai",
  recorded: undefined,
};

/** The providers of one host. Makes none until one is needed. */
export class Providers {
  readonly #clock: Clock;
  readonly #budget: ProviderDecorator;
  readonly #speeds: ProvidersOptions["speeds"];
  #config: Config;
  #credentials: Config["credentials"];
  /** By wire format and base URL. */
  readonly #providers = new Map<string, Provider>();
  /** By base URL and key. They outlive changed settings: what a vendor wants does not change with those. */
  readonly #limiters = new Map<string, Limiter>();
  readonly #breakers = new Map<string, Breaker>();
  /** When a connection was last opened ahead of a request, by base URL. */
  readonly #connectedAt = new Map<string, number>();

  constructor({ config, clock, budget, speeds }: ProvidersOptions) {
    this.#clock = clock;
    this.#budget = budget;
    this.#speeds = speeds;
    this.#config = config;
    this.#credentials = config.credentials;
  }

  /** Later requests go by these settings and keys. */
  configure(config: Config, credentials: Config["credentials"]): void {
    this.#config = config;
    this.#credentials = credentials;
    this.#providers.clear();
  }

  /** The model, ready to be asked. `isLast`: no other can go on for it, so its endpoint is waited for while that is left alone. */
  model(spec: ModelSpec, isLast: boolean): TurnModel {
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

  /** Whose key has to be set before the model can be asked; `undefined` when it can be. */
  missingKey(spec: ModelSpec): CredentialName | undefined {
    const name = credentialOf[spec.api];
    if (name === undefined || spec.local || spec.baseUrl !== undefined) return undefined;
    // A server of one's own may need no key; if it does, it says so.
    return this.#credentials[name] || this.#config.baseUrls[name] ? undefined : name;
  }

  /** False while its endpoint is left alone, after too many failures. */
  isUp(spec: ModelSpec): boolean {
    return !this.#breakers.get(this.#baseUrl(spec))?.isOpen;
  }

  /** Opens a connection to the endpoint of a model, unless one was opened just now. Never rejects. */
  async connect({ api, baseUrl }: ModelSpec, signal: AbortSignal): Promise<void> {
    const credential = credentialOf[api];
    if (credential === undefined) return;
    const url = baseUrl ?? this.#config.baseUrls[credential] ?? vendorUrls[credential];
    const now = this.#clock.now();
    if (now - (this.#connectedAt.get(url) ?? 0) < idleConnectionMs) return;
    this.#connectedAt.set(url, now);
    await openConnection(url, signal);
  }

  #baseUrl({ api, baseUrl }: ModelSpec): string {
    const credential = credentialOf[api];
    return baseUrl ?? (credential && this.#config.baseUrls[credential]) ?? credential ?? "";
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
}

/** US dollars. */
function priceOf({ price }: ModelSpec, usage: Usage): number | undefined {
  const nano = costOf(price, usage);
  return nano === undefined ? undefined : toUsd(nano);
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
