/**
 * The table of models: which there are by name, and how a name given by a user finds one.
 *
 * Not here: the rows (`catalog.json`, edited by hand, checked by a test), additions by users (`catalogSchema.ts`), or
 * whether a model can be used now. Easily got wrong: a vendor has models that are not in the table; any id under a
 * known provider works, with cautious defaults and no price.
 */
import { RequestError } from "../base/errors.ts";
import type { ModelPrice, ModelSpec, PriceClass } from "../protocol/types.ts";
import rows from "./catalog.json" with { type: "json" };

/**
 * The models that come with Hermes, in the picker's order; the first of each provider is its default. The test of this
 * module holds the file to the schema that users' additions must pass.
 */
export const catalog: readonly ModelSpec[] = rows.models as readonly ModelSpec[];

/** Local servers by the provider part of their models' ids, with the base URL of their usual port. */
export const localProviders = {
  ollama: "http://127.0.0.1:11434/v1",
  lmstudio: "http://127.0.0.1:1234/v1",
  llamacpp: "http://127.0.0.1:8080/v1",
  vllm: "http://127.0.0.1:8000/v1",
} as const satisfies { readonly [provider: string]: string };

/** A provider part that names a kind of local server. */
export type LocalProvider = keyof typeof localProviders;

/** `additions` before the catalogue's rows, replacing those of the same id. */
export function mergeModels(additions: readonly ModelSpec[]): readonly ModelSpec[] {
  const ids = new Set(additions.map(({ id }) => id));
  return [...additions, ...catalog.filter(({ id }) => !ids.has(id))];
}

/**
 * The model a user means: by id, by a vendor's id that only one model has, or any model of a known provider. Throws
 * `RequestError` `unknown_model` that names the nearest ids.
 */
export function findModel(name: string, models: readonly ModelSpec[] = catalog): ModelSpec {
  const wanted = name.trim();
  const byId = models.find(({ id }) => id === wanted);
  if (byId) return byId;
  const byWireId = models.filter(({ wireId }) => wireId === wanted);
  const [only] = byWireId;
  if (only && byWireId.length === 1) return only;
  const assumed = assumeModel(wanted);
  if (assumed) return assumed;
  throw new RequestError("unknown_model", describeUnknown(wanted, byWireId.length > 1 ? byWireId : models));
}

/** A model of a known provider that the table does not have: `anthropic/…`, `openai/…`, `ollama/…`, `local/…`. */
function assumeModel(id: string): ModelSpec | undefined {
  const slash = id.indexOf("/");
  const wireId = id.slice(slash + 1);
  if (slash <= 0 || wireId === "") return undefined;
  const common = { id, label: id, wireId };
  switch (id.slice(0, slash)) {
    case "anthropic":
      // Every current model accepts these; older ones answer a clear 400.
      return {
        ...common,
        api: "anthropic-messages",
        contextTokens: 200_000,
        maxOutputTokens: 32_000,
        images: true,
        thinking: "adaptive",
      };
    case "openai":
      return {
        ...common,
        api: "openai-responses",
        contextTokens: 128_000,
        maxOutputTokens: 16_000,
        images: true,
        thinking: "none",
      };
    case "local":
      return { ...common, ...localDefaults };
    default: {
      const baseUrl = localBaseUrl(id.slice(0, slash));
      return baseUrl === undefined ? undefined : { ...common, ...localDefaults, baseUrl };
    }
  }
}

/** What is assumed of a model on a local server that does not say: servers cut longer prompts without a word. */
export const localDefaults = {
  api: "openai-chat",
  contextTokens: 32_768,
  maxOutputTokens: 8_192,
  images: false,
  thinking: "none",
  local: true,
  quality: 1,
} as const satisfies Partial<ModelSpec>;

function localBaseUrl(provider: string): string | undefined {
  return Object.entries(localProviders).find(([name]) => name === provider)?.[1];
}

function describeUnknown(name: string, models: readonly ModelSpec[]): string {
  const near = nearest(name, models).map(({ id }) => id);
  const known =
    near.length > 0 ? `Did you mean ${near.join(" or ")}?` : `Known: ${models.map(({ id }) => id).join(", ")}.`;
  return `There is no model “${name}”. ${known} Any other is named by its provider: anthropic/…, openai/…, ${Object.keys(localProviders).join("/…, ")}/… or local/….`;
}

/** At most three models whose id is like `name`, the most alike first. */
function nearest(name: string, models: readonly ModelSpec[]): readonly ModelSpec[] {
  const wanted = name.toLowerCase();
  return models
    .map((model) => ({ model, distance: Math.min(distance(wanted, model.id), distance(wanted, model.wireId)) }))
    .filter(({ distance, model }) => distance <= 4 || (wanted.length > 2 && model.id.includes(wanted)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ model }) => model);
}

/** Edits between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** How dear a model is beside another, by what an agent's steps mostly are: much prompt, little answer. */
export function priceBeside(model: ModelSpec, other: ModelSpec): PriceClass {
  if (model.local) return "free";
  if (!model.price || !other.price) return "unknown";
  const ratio = stepPrice(model.price) / stepPrice(other.price);
  return ratio > 1.1 ? "dearer" : ratio < 0.9 ? "cheaper" : "similar";
}

function stepPrice({ input, output }: ModelPrice): number {
  return 20 * input + output;
}
