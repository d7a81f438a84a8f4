/**
 * The only reader of settings and environment: one table of settings with defaults, checked by hand-sized parsers.
 *
 * Not here: models (`model/catalog.ts`), permission rules' meaning (`tools/permission.ts`), the syntax of configuration
 * files (`configFile.ts`). The manifest's `contributes.configuration` and the JSON Schema of configuration files are
 * generated from `settings` below. Easily got wrong: a bad value never stops the host; it is reported as a problem and
 * what counts next holds.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import type { CredentialName, Json } from "./protocol/types.ts";

interface SettingBase {
  readonly description: string;
  /** `user`: a workspace must not set it, because it grants something or sends keys somewhere. */
  readonly scope?: "user";
}

/** One setting: its type, its default, and what it may be. */
export type SettingSpec = SettingBase &
  (
    | { readonly type: "string"; readonly default: string; readonly enum?: readonly string[] }
    | {
        readonly type: "number";
        readonly default: number;
        readonly minimum: number;
        readonly maximum: number;
        /** Set where parts count; otherwise values are rounded down. */
        readonly fraction?: true;
      }
    | { readonly type: "boolean"; readonly default: boolean }
    | { readonly type: "strings"; readonly default: readonly string[] }
  );

/** A limit on what requests may spend. The most that a request can cost is set aside before it is sent. */
function limitOf(unit: string, period: string, options: { readonly fraction?: true } = {}) {
  return {
    type: "number",
    scope: "user",
    default: 0,
    minimum: 0,
    maximum: 1e9,
    description: `The most ${unit} that ${period} may use, in all windows and terminals together; 0 is no limit. The most that a request could use is set aside before it is sent, so the limit is not passed. At the limit a turn waits and asks: raise it, go on with a cheaper model, or stop.`,
    ...options,
  } as const;
}

/** The model that `adaptive` takes for some tasks. */
function namedModel(part: "provider" | "name", tasks: string) {
  return {
    type: "string",
    default: "",
    description:
      part === "provider"
        ? `The provider of the model that \`model.strategy: adaptive\` takes for ${tasks} tasks, for example \`anthropic\` or \`ollama\`.`
        : `The name of that model at its provider, for example \`claude-haiku-5-5\`. Empty: one is chosen by our ranking, up to four times as dear as the first that is ready, and by what was measured.`,
  } as const;
}

const namedModelTokens = {
  type: "number",
  default: 0,
  minimum: 0,
  maximum: 1_000_000,
  description: "Tokens that this model may answer at most in one request; 0 is its own limit.",
} as const;

/** Every setting, by its name below `hermes.`; the one source of the manifest, the defaults and the checks. */
export const settings = {
  "model.name": {
    type: "string",
    default: "auto",
    description:
      "The model to use, as `provider/model`, for example `anthropic/claude-sonnet-5-5`, `openai/gpt-6.1-sol` or `ollama/qwen3`. `auto` takes the first that is ready: Anthropic, OpenAI, a local server, then the recorded tour.",
  },
  "model.strategy": {
    type: "string",
    default: "fixed",
    enum: ["fixed", "adaptive", "cost", "latency"],
    description:
      "Who chooses the model where `model.name` is `auto` and you have chosen none: `fixed` takes the first that is ready; `adaptive` one that fits the task, by its kind, words and size; `cost` the cheapest and `latency` the fastest that is able enough. A conversation keeps its model until that cannot go on. Each choice is shown with its reason.",
  },
  "model.maxLatencySeconds": {
    type: "number",
    default: 0,
    minimum: 0,
    maximum: 3600,
    description:
      "How long an ordinary answer of a model may be expected to take, as measured, for `model.strategy` to choose it, in seconds; 0 is no limit.",
  },
  "model.models.complex.provider": namedModel("provider", "hard and ordinary"),
  "model.models.complex.name": namedModel("name", "hard and ordinary"),
  "model.models.complex.maxTokens": namedModelTokens,
  "model.models.simple.provider": namedModel("provider", "easy"),
  "model.models.simple.name": namedModel("name", "easy"),
  "model.models.simple.maxTokens": namedModelTokens,
  "model.fallbacks": {
    type: "strings",
    scope: "user",
    default: [],
    description:
      "Models that go on with a turn when the one before has failed for good, in this order, for example `openai/gpt-6.1-sol`. The conversation is then sent to that model's vendor. The next turn begins with your own choice again.",
  },
  "model.concurrency": {
    type: "number",
    default: 8,
    minimum: 1,
    maximum: 64,
    description: "How many requests of one key may be open at once, over all sessions of a window.",
  },
  "model.retrySeconds": {
    type: "number",
    default: 180,
    minimum: 0,
    maximum: 3600,
    description:
      "For how long a request that fails before its answer begins is tried again, in seconds. `0` never tries again.",
  },
  "model.connectSeconds": {
    type: "number",
    default: 10,
    minimum: 1,
    maximum: 10,
    description: "How long a connection to a model may take to come about, in seconds.",
  },
  "model.firstByteSeconds": {
    type: "number",
    default: 120,
    minimum: 1,
    maximum: 290,
    description:
      "How long a model may take to begin its answer, in seconds. Local servers, which read the whole prompt first, always get 290.",
  },
  "model.gapSeconds": {
    type: "number",
    default: 120,
    minimum: 1,
    maximum: 290,
    description:
      "How long a model may be silent in the middle of its answer, in seconds. Keep-alives of the vendor count as life, so long thinking is not silence.",
  },
  "anthropic.baseUrl": {
    type: "string",
    scope: "user",
    default: "",
    description: "Base URL of the Anthropic Messages API, when it is not Anthropic's own. Also: `ANTHROPIC_BASE_URL`.",
  },
  "openai.baseUrl": {
    type: "string",
    scope: "user",
    default: "",
    description: "Base URL of the OpenAI API or of any compatible server, ending in `/v1`. Also: `OPENAI_BASE_URL`.",
  },
  "openai.api": {
    type: "string",
    default: "responses",
    enum: ["responses", "chat"],
    description:
      "Which OpenAI wire format to speak: `responses`, or `chat` for servers that only know Chat Completions.",
  },
  "promptCache.warmUp": {
    type: "string",
    default: "conversation",
    enum: ["conversation", "connection", "off"],
    description:
      "What is done while you write a prompt, so that the answer begins sooner. `conversation`: opens the connection, and when the model's vendor has forgotten a long conversation, sends it again without asking for an answer; that is charged when you begin to write, and then not with the prompt. `connection`: only opens the connection. `off`: nothing.",
  },
  "permissions.rules": {
    type: "strings",
    scope: "user",
    default: [],
    description:
      "Rules that answer approvals: `allow shell(npm test)`, `ask edit(src/**)`, `deny read(secrets/**)`. Deny beats everything; otherwise the more specific rule counts, and ask beats allow where two are equally specific.",
  },
  "turn.maxSteps": {
    type: "number",
    default: 100,
    minimum: 1,
    maximum: 1000,
    description:
      "How many steps, each a request to the model with the tool calls it asks for, one turn may take before it asks whether to go on.",
  },
  "context.summaryStrategy": {
    type: "string",
    default: "auto",
    enum: ["auto", "none", "always", "extractive"],
    description:
      "How a long conversation is shortened. `auto`: replaced by a summary when little of the model's window is left, before its price rises, or at the end of a turn that made it long. `always`: after every turn. `extractive`: as `auto`, but cut by rule, without asking a model. `none`: only when you ask for it; a conversation that outgrows the window then ends. What you said and which files were changed is kept word for word.",
  },
  "context.maxHistorySteps": {
    type: "number",
    default: 0,
    minimum: 0,
    maximum: 10_000,
    description:
      "How many steps (requests to the model with their tool calls) a conversation may have before it is shortened; 0 is any number. Each shortening costs a request and what the vendor had cached, so a small number is rarely cheaper.",
  },
  "context.pruneSimilarResults": {
    type: "boolean",
    default: true,
    description:
      "When a conversation is shortened by rule, leave out results of tools that a later one repeats, with a note in their place.",
  },
  "execution.parallel.enabled": {
    type: "boolean",
    default: true,
    description: "Run tool calls at the same time where none of them changes what another one touches.",
  },
  "execution.parallel.maxConcurrentTools": {
    type: "number",
    default: 8,
    minimum: 1,
    maximum: 64,
    description: "How many tool calls may run at once.",
  },
  "budget.turn.usd": limitOf("US dollars", "one turn", { fraction: true }),
  "budget.turn.tokens": limitOf("tokens, of prompts and answers,", "one turn"),
  "budget.turn.requests": limitOf("model requests", "one turn"),
  "budget.turn.minutes": {
    type: "number",
    scope: "user",
    default: 0,
    minimum: 0,
    maximum: 10_000,
    fraction: true,
    description:
      "Minutes that one turn may work before it asks whether to go on, looked at before each of its steps; the time in which it waits for you does not count. 0 is no limit.",
  },
  "budget.session.usd": limitOf("US dollars", "one session, in this month and the last", { fraction: true }),
  "budget.session.tokens": limitOf("tokens, of prompts and answers,", "one session, in this month and the last"),
  "budget.session.requests": limitOf("model requests", "one session, in this month and the last"),
  "budget.day.usd": limitOf("US dollars", "one day", { fraction: true }),
  "budget.day.tokens": limitOf("tokens, of prompts and answers,", "one day"),
  "budget.day.requests": limitOf("model requests", "one day"),
  "budget.month.usd": limitOf("US dollars", "one calendar month", { fraction: true }),
  "budget.month.tokens": limitOf("tokens, of prompts and answers,", "one calendar month"),
  "budget.month.requests": limitOf("model requests", "one calendar month"),
  "edits.diagnosticsWaitMs": {
    type: "number",
    default: 500,
    minimum: 0,
    maximum: 5000,
    description:
      "Milliseconds that the edits of one step wait for the editor's errors and warnings, which then go to the model with the edit's result. 0: they are not asked for.",
  },
  "checkpoints.diskSpace": {
    type: "number",
    default: 2048,
    minimum: 16,
    maximum: 1_048_576,
    description:
      "Megabytes that the former contents of changed files may take, for undo and restore. Beyond that, those used least recently are removed; what is pending or being changed stays.",
  },
  "cache.enabled": {
    type: "boolean",
    default: true,
    description:
      "Give an answer again when the same is asked and everything that it rests on is unchanged. Such an answer is marked, and “Ask again” asks the model. Off: no answer is kept or given again.",
  },
  "cache.type": {
    type: "string",
    default: "exact",
    enum: ["exact", "semantic", "off"],
    description:
      "`exact`: only for exactly the same request. `semantic`: also for a question that asks the same in other words, where you have set an embedding server; questions that are only alike are shown as a hint.",
  },
  "cache.chat": {
    type: "boolean",
    default: false,
    description:
      "Let questions that begin a session take part, and not only “Explain”. They always do where `cache.type` is `semantic`.",
  },
  "cache.ttl": {
    type: "number",
    default: 3600,
    minimum: 1,
    maximum: 2_592_000,
    description: "Seconds for which an answer may be given again.",
  },
  "cache.maxSize": {
    type: "number",
    default: 500,
    minimum: 1,
    maximum: 5000,
    description: "How many answers are kept; the least recently used ones go first.",
  },
  "cache.similarThreshold": {
    type: "number",
    default: 0.95,
    minimum: 0,
    maximum: 1,
    fraction: true,
    description:
      "How alike (cosine of their vectors) two questions must be for `semantic`. It is never enough by itself: the words must ask the same as well.",
  },
  "cache.embedder.baseUrl": {
    type: "string",
    scope: "user",
    default: "",
    description:
      "Base URL of a server with OpenAI's `/embeddings`, ending in `/v1`, for example `http://127.0.0.1:11434/v1`. Questions are sent to it. The OpenAI key is sent only where it is OpenAI's own address or that of `openai.baseUrl`.",
  },
  "cache.embedder.model": {
    type: "string",
    default: "nomic-embed-text",
    description: "The embedding model on that server.",
  },
  "localModels.detect": {
    type: "boolean",
    default: true,
    description: "Look for local model servers (Ollama, LM Studio, llama.cpp, vLLM) on their usual loopback ports.",
  },
} as const satisfies { readonly [name: string]: SettingSpec };

type ValueOf<S extends SettingSpec> = S extends { type: "number" }
  ? number
  : S extends { type: "boolean" }
    ? boolean
    : S extends { type: "strings" }
      ? readonly string[]
      : string;

/** The name of a setting below `hermes.`. */
export type SettingName = keyof typeof settings;

/** The value of every setting. */
export type Settings = { readonly [Name in keyof typeof settings]: ValueOf<(typeof settings)[Name]> };

/** Everything that varies by user and machine. */
export interface Config {
  readonly settings: Settings;
  /** What was wrong in the given settings, for the log and the user. */
  readonly problems: readonly string[];
  readonly credentials: { readonly [name in CredentialName]?: string };
  readonly baseUrls: { readonly [name in CredentialName]?: string };
  /** Folder of sessions, blobs, rules: `$HERMES_HOME`, or `.hermes` in the home folder. */
  readonly home: string;
}

/** Environment variables as Node gives them. */
export type Environment = { readonly [name: string]: string | undefined };

/** Values of settings by name, as one source gives them. */
export type SettingValues = ReadonlyMap<string, Json>;

/**
 * Builds the configuration. `given` is what the user has set in the editor or on the command line (nested or dotted) or
 * `undefined`, and wins over `files`, the checked values of configuration files, of which the first wins; credentials
 * given by the editor win over the environment.
 */
export function readConfig(
  environment: Environment,
  given?: Json,
  credentials: { readonly [name in CredentialName]?: string } = {},
  files: readonly SettingValues[] = [],
): Config {
  const problems: string[] = [];
  const flat = flatten(given ?? {});
  const fallback = (name: string, spec: SettingSpec): Json =>
    files.find((values) => values.has(name))?.get(name) ?? spec.default;
  const values = Object.fromEntries(
    Object.entries(settings).map(([name, spec]) => {
      const value = flat.get(name);
      if (value === undefined || value === null) return [name, fallback(name, spec)];
      const checked = checkSetting(spec, value);
      if (checked.ok) return [name, checked.value];
      problems.push(`hermes.${name} must be ${checked.expected}; it is ${JSON.stringify(value)}. It is left out.`);
      return [name, fallback(name, spec)];
    }),
  ) as Settings;
  const anthropicUrl = values["anthropic.baseUrl"] || environment.ANTHROPIC_BASE_URL;
  const openaiUrl = values["openai.baseUrl"] || environment.OPENAI_BASE_URL;
  const anthropic = credentials.anthropic ?? environment[keyVariables.anthropic];
  const openai = credentials.openai ?? environment[keyVariables.openai];
  return {
    settings: values,
    problems,
    credentials: { ...(anthropic ? { anthropic } : {}), ...(openai ? { openai } : {}) },
    baseUrls: { ...(anthropicUrl ? { anthropic: anthropicUrl } : {}), ...(openaiUrl ? { openai: openaiUrl } : {}) },
    home: homeFolder(environment),
  };
}

/** The folder of everything that Hermes keeps for the user. */
export function homeFolder(environment: Environment): string {
  return environment.HERMES_HOME || join(homedir(), ".hermes");
}

/** The environment variable that holds each key. Commands that the agent runs do not get them. */
export const keyVariables: { readonly [name in CredentialName]: string } = {
  anthropic: "ANTHROPIC_API_KEY",
  openai: "OPENAI_API_KEY",
};

/** The environment for commands that the agent runs: ours, less the secrets. */
export function commandEnvironment(environment: Environment): Environment {
  const secrets = new Set(Object.values(keyVariables));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !secrets.has(name)));
}

/** The process's own environment; nothing else in the server reads it. */
export function processEnvironment(): Environment {
  return process.env;
}

/** The setting of that name, or `undefined` when there is none. */
export function findSetting(name: string): SettingSpec | undefined {
  return Object.hasOwn(settings, name) ? settings[name as SettingName] : undefined;
}

/** Checks a value: `expected` says in words what it should be. */
export function checkSetting(
  spec: SettingSpec,
  value: Json,
): { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly expected: string } {
  const wrong = (expected: string) => ({ ok: false, expected }) as const;
  switch (spec.type) {
    case "string":
      if (typeof value !== "string") return wrong("a string");
      return spec.enum && !spec.enum.includes(value)
        ? wrong(`one of ${spec.enum.join(", ")}`)
        : { ok: true, value: value.trim() };
    case "number":
      return typeof value === "number" && value >= spec.minimum && value <= spec.maximum
        ? { ok: true, value: spec.fraction ? value : Math.floor(value) }
        : wrong(`a number from ${spec.minimum} to ${spec.maximum}`);
    case "boolean":
      return typeof value === "boolean" ? { ok: true, value } : wrong("true or false");
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string")
        ? { ok: true, value }
        : wrong("a list of strings");
  }
}

/** The manifest's `contributes.configuration`, generated from `settings`. */
export function manifestConfiguration(): Json {
  const properties = Object.entries<SettingSpec>(settings).map(([name, spec], order) => {
    const scope = spec.scope === "user" ? "machine" : "machine-overridable";
    return [`hermes.${name}`, { ...schemaOf(spec), markdownDescription: spec.description, scope, order }];
  });
  return { title: "Hermes", properties: Object.fromEntries(properties) as Json };
}

/** The JSON Schema of one setting's value, with its default. */
export function schemaOf(spec: SettingSpec): { readonly [key: string]: Json } {
  const { default: value } = spec;
  switch (spec.type) {
    case "string":
      return { type: "string", default: value, ...(spec.enum ? { enum: spec.enum } : {}) };
    case "number":
      return {
        type: spec.fraction ? "number" : "integer",
        default: value,
        minimum: spec.minimum,
        maximum: spec.maximum,
      };
    case "boolean":
      return { type: "boolean", default: value };
    case "strings":
      return { type: "array", items: { type: "string" }, default: value };
  }
}

function flatten(value: Json, prefix = "", into = new Map<string, Json>()): SettingValues {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    if (prefix) into.set(prefix, value);
    return into;
  }
  for (const [key, inner] of Object.entries(value)) flatten(inner, prefix ? `${prefix}.${key}` : key, into);
  return into;
}
