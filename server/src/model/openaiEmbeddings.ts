/**
 * An `Embedder` on a server that speaks OpenAI's `/v1/embeddings`: Ollama, LM Studio, vLLM, OpenAI itself.
 *
 * Not here: who is asked (settings). Easily got wrong: many servers know no `base64`, which the SDK asks for by itself; and
 * a slow server must not hold up the question that it is asked about.
 */
import { isAbort, ProviderError } from "../base/errors.ts";
import { assertBaseUrl, hostOf } from "./connection.ts";
import type { Embedder } from "./embedder.ts";

/** Where to embed. */
export interface EmbeddingsOptions {
  /** Ends in `/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Sent only when given. */
  readonly apiKey?: string;
  readonly fetch?: typeof globalThis.fetch;
}

/** Milliseconds after which a question is asked without a vector. */
const timeoutMs = 3_000;
/** Characters of a text that are embedded; questions are shorter. */
const maxCharacters = 8_000;
const maxDimensions = 8_192;

/** Makes the embedder. Loads and asks nothing before the first text. */
export function createOpenAIEmbedder(options: EmbeddingsOptions): Embedder {
  const { baseUrl, model, apiKey } = options;
  const failed = (what: string, cause?: unknown) =>
    new ProviderError(`The embedding model “${model}” at ${hostOf(baseUrl)} ${what}.`, { kind: "server", cause });
  return {
    id: `${baseUrl}#${model}`,
    embed: async (text, signal) => {
      assertBaseUrl(baseUrl);
      const { OpenAI } = await import("openai/client");
      const client = new OpenAI({
        apiKey: apiKey ?? "none",
        adminAPIKey: null,
        baseURL: baseUrl,
        maxRetries: 0,
        timeout: timeoutMs,
        logLevel: "off",
        ...(options.fetch ? { fetch: options.fetch } : {}),
        ...(apiKey === undefined ? { defaultHeaders: { Authorization: null } } : {}),
      });
      try {
        const input = text.slice(0, maxCharacters).toWellFormed();
        const { data } = await client.embeddings.create({ model, input, encoding_format: "float" }, { signal });
        const vector: unknown = data[0]?.embedding;
        if (!isVector(vector)) throw failed("answered with no vector");
        return Float32Array.from(vector);
      } catch (error) {
        if (error instanceof ProviderError) throw error;
        signal.throwIfAborted();
        throw isAbort(error) ? failed("did not answer in time") : failed("could not be asked", error);
      }
    },
  };
}

function isVector(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= maxDimensions &&
    value.every((number) => typeof number === "number" && Number.isFinite(number))
  );
}
