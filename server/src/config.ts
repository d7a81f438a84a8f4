/**
 * The only reader of settings and environment: one table of settings with defaults, checked by hand-sized parsers.
 *
 * Not here: models (`model/catalog.ts`) or permission rules' meaning (`tools/permission.ts`). The manifest's
 * `contributes.configuration` is generated from `settings` below. Easily got wrong: a bad value never stops the host; it
 * is reported as a problem and the default holds.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import type { CredentialName, Json } from "./protocol/types.ts";

type SettingSpec =
  | {
      readonly type: "string";
      readonly default: string;
      readonly description: string;
      readonly enum?: readonly string[];
    }
  | {
      readonly type: "number";
      readonly default: number;
      readonly minimum: number;
      readonly maximum: number;
      readonly description: string;
    }
  | { readonly type: "boolean"; readonly default: boolean; readonly description: string }
  | { readonly type: "strings"; readonly default: readonly string[]; readonly description: string };

/** Every setting, by its name below `hermes.`; the one source of the manifest, the defaults and the checks. */
export const settings = {
  model: {
    type: "string",
    default: "auto",
    description:
      "The model to use, as `provider/model`, for example `anthropic/claude-sonnet-5-5`, `openai/gpt-6.1-sol` or `ollama/qwen3`. `auto` takes the first that is ready: Anthropic, OpenAI, a local server, then the recorded tour.",
  },
  "anthropic.baseUrl": {
    type: "string",
    default: "",
    description: "Base URL of the Anthropic Messages API, when it is not Anthropic's own. Also: `ANTHROPIC_BASE_URL`.",
  },
  "openai.baseUrl": {
    type: "string",
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
  "permissions.rules": {
    type: "strings",
    default: [],
    description:
      "Rules that answer approvals: `allow shell(npm test)`, `ask edit(src/**)`, `deny read(secrets/**)`. Deny beats everything; otherwise the more specific rule counts, and ask beats allow where two are equally specific.",
  },
  "turn.maxSteps": {
    type: "number",
    default: 100,
    minimum: 1,
    maximum: 1000,
    description: "How many model requests one turn may take before it stops and asks.",
  },
  "tools.concurrency": {
    type: "number",
    default: 8,
    minimum: 1,
    maximum: 64,
    description: "How many tool calls may run at once.",
  },
  "checkpoints.diskSpace": {
    type: "number",
    default: 2048,
    minimum: 16,
    maximum: 1_048_576,
    description:
      "Megabytes that the former contents of changed files may take, for undo and restore. Beyond that, those used least recently are removed; what is pending or being changed stays.",
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

/**
 * Builds the configuration. `given` is the editor's `hermes` section (nested or dotted) or `undefined`; credentials
 * given by the editor win over the environment.
 */
export function readConfig(
  environment: Environment,
  given?: Json,
  credentials: { readonly [name in CredentialName]?: string } = {},
): Config {
  const problems: string[] = [];
  const flat = new Map<string, Json>();
  flatten(given ?? {}, "", flat);
  const values = Object.fromEntries(
    Object.entries(settings).map(([name, spec]) => [name, readSetting(name, spec, flat.get(name), problems)]),
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
    home: environment.HERMES_HOME || join(homedir(), ".hermes"),
  };
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

/** The manifest's `contributes.configuration`, generated from `settings`. */
export function manifestConfiguration(): Json {
  const properties = Object.entries(settings as { readonly [name: string]: SettingSpec }).map(([name, spec], order) => {
    const { type, ...rest } = spec;
    const shape =
      type === "strings"
        ? { type: "array", items: { type: "string" } }
        : type === "number"
          ? { type: "integer" }
          : { type };
    const { description, ...values } = rest;
    const scope = type === "strings" || name.endsWith("baseUrl") ? "machine" : "machine-overridable";
    return [`hermes.${name}`, { ...shape, ...values, markdownDescription: description, scope, order }];
  });
  return { title: "Hermes", properties: Object.fromEntries(properties) as Json };
}

function flatten(value: Json, prefix: string, into: Map<string, Json>): void {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    if (prefix) into.set(prefix, value);
    return;
  }
  for (const [key, inner] of Object.entries(value)) flatten(inner, prefix ? `${prefix}.${key}` : key, into);
}

function readSetting(name: string, spec: SettingSpec, value: Json | undefined, problems: string[]): Json {
  if (value === undefined || value === null) return spec.default;
  const wrong = (expected: string) => {
    problems.push(`hermes.${name} must be ${expected}; it is ${JSON.stringify(value)}. The default is used.`);
    return spec.default;
  };
  switch (spec.type) {
    case "string":
      if (typeof value !== "string") return wrong("a string");
      return spec.enum && !spec.enum.includes(value) ? wrong(`one of ${spec.enum.join(", ")}`) : value.trim();
    case "number":
      return typeof value === "number" && value >= spec.minimum && value <= spec.maximum
        ? Math.floor(value)
        : wrong(`a number from ${spec.minimum} to ${spec.maximum}`);
    case "boolean":
      return typeof value === "boolean" ? value : wrong("true or false");
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string")
        ? value
        : wrong("a list of strings");
  }
}
