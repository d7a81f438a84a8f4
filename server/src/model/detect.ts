/**
 * Finds OpenAI-compatible model servers that run on this machine, on the ports they usually have.
 *
 * Not here: asking them anything (`openaiChat.ts`). Easily got wrong: those ports are popular, so whatever answers must
 * prove to be a model server; and nothing here fails, a server that is not there is the normal case.
 */
import type { ModelSpec } from "../protocol/types.ts";
import { type LocalProvider, localDefaults, localProviders } from "./catalog.ts";
import { type After, afterTimeout } from "./connection.ts";
import { isRecord, type JsonRecord, numberOf, textOf } from "./json.ts";

/** A place to look at. */
export interface LocalServer {
  readonly provider: LocalProvider;
  /** Ends in `/v1`. */
  readonly baseUrl: string;
}

/** What looking needs; all have defaults. */
export interface DetectDeps {
  readonly fetch?: typeof globalThis.fetch;
  readonly servers?: readonly LocalServer[];
  /** Milliseconds that one request may take. */
  readonly timeoutMs?: number;
  readonly after?: After;
}

/** The usual ports of Ollama, LM Studio, llama.cpp and vLLM. */
const usualServers: readonly LocalServer[] = [
  { provider: "ollama", baseUrl: localProviders.ollama },
  { provider: "lmstudio", baseUrl: localProviders.lmstudio },
  { provider: "llamacpp", baseUrl: localProviders.llamacpp },
  { provider: "vllm", baseUrl: localProviders.vllm },
];

const defaultTimeoutMs = 300;
const maxBytes = 1024 * 1024;
const maxModels = 50;
/** Bounds of what is believed of a context window, in tokens. */
const contextBounds = { from: 1_024, to: 10_000_000 };

/**
 * The chat models of every server found, in the order of the servers. Looks everywhere at once and takes at most two
 * timeouts. Throws only when `signal` is aborted.
 */
export async function detectLocalModels(deps: DetectDeps, signal: AbortSignal): Promise<readonly ModelSpec[]> {
  const servers = deps.servers ?? usualServers;
  const found = await Promise.all(servers.map((server) => detectServer(server, deps, signal)));
  signal.throwIfAborted();
  return found.flat();
}

async function detectServer(server: LocalServer, deps: DetectDeps, signal: AbortSignal): Promise<readonly ModelSpec[]> {
  const answer = await tryJson(`${server.baseUrl}/models`, {}, deps, signal);
  const rows = readModelList(answer).slice(0, maxModels);
  return Promise.all(
    rows.map(async (row) => {
      const context =
        server.provider === "ollama" ? await ollamaContext(server, row.id, deps, signal) : contextOf(row.entry);
      return toSpec(server, row.id, context);
    }),
  );
}

interface ListedModel {
  readonly id: string;
  readonly entry: JsonRecord;
}

/** Only the exact shape of the models list is believed; models that make vectors are left out. */
function readModelList(answer: unknown): readonly ListedModel[] {
  if (!isRecord(answer) || answer.object !== "list" || !Array.isArray(answer.data)) return [];
  return answer.data.flatMap((entry: unknown) => {
    const id = isRecord(entry) ? textOf(entry.id) : undefined;
    return isRecord(entry) && id !== undefined && id.length <= 300 && !/embed|rerank/i.test(id) ? [{ id, entry }] : [];
  });
}

function toSpec({ provider, baseUrl }: LocalServer, wireId: string, context: number | undefined): ModelSpec {
  // llama.cpp names a model by the path of its file.
  const name = wireId.replace(/^.*[\\/](?=[^\\/]+\.gguf$)/i, "").replace(/\.gguf$/i, "");
  const contextTokens = context ?? localDefaults.contextTokens;
  return {
    ...localDefaults,
    id: `${provider}/${name}`,
    label: `${name} (${labels[provider]})`,
    wireId,
    baseUrl,
    contextTokens,
    maxOutputTokens: Math.min(localDefaults.maxOutputTokens, Math.floor(contextTokens / 2)),
  };
}

const labels: { readonly [provider in LocalProvider]: string } = {
  ollama: "Ollama",
  lmstudio: "LM Studio",
  llamacpp: "llama.cpp",
  vllm: "vLLM",
};

/** What servers call the window in their list: vLLM, LM Studio, llama.cpp (in `meta`), others. */
function contextOf(entry: JsonRecord): number | undefined {
  const meta = isRecord(entry.meta) ? entry.meta : {};
  return believable(
    entry.max_model_len,
    entry.loaded_context_length,
    entry.context_length,
    entry.max_context_length,
    meta.n_ctx,
    meta.n_ctx_train,
  );
}

/**
 * The window that Ollama gives a model: its `num_ctx` where it is set. What the model was trained with is only an upper
 * bound, as Ollama cuts prompts at its own default without a word.
 */
async function ollamaContext(
  { baseUrl }: LocalServer,
  model: string,
  deps: DetectDeps,
  signal: AbortSignal,
): Promise<number | undefined> {
  const url = `${baseUrl.replace(/\/v1\/?$/, "")}/api/show`;
  const body = JSON.stringify({ model });
  const answer = await tryJson(
    url,
    { method: "POST", body, headers: { "content-type": "application/json" } },
    deps,
    signal,
  );
  if (!isRecord(answer)) return undefined;
  const set = /(?:^|\n)\s*num_ctx\s+(\d+)/.exec(textOf(answer.parameters) ?? "")?.[1];
  if (set !== undefined) return believable(Number(set));
  const trained = Object.entries(isRecord(answer.model_info) ? answer.model_info : {}).find(([key]) =>
    key.endsWith(".context_length"),
  )?.[1];
  const bound = believable(trained);
  return bound === undefined ? undefined : Math.min(bound, localDefaults.contextTokens);
}

function believable(...values: readonly unknown[]): number | undefined {
  return values
    .map(numberOf)
    .find((value) => value !== undefined && value >= contextBounds.from && value <= contextBounds.to);
}

/** The JSON at a URL, or `undefined` for anything else: no server, an error, too slow, too long, not JSON. */
async function tryJson(url: string, init: RequestInit, deps: DetectDeps, signal: AbortSignal): Promise<unknown> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  signal.addEventListener("abort", stop, { once: true });
  const disarm = (deps.after ?? afterTimeout)(deps.timeoutMs ?? defaultTimeoutMs, stop);
  try {
    const get = deps.fetch ?? globalThis.fetch;
    const response = await get(url, { ...init, signal: controller.signal, redirect: "error" });
    if (!response.ok || response.body === null) return undefined;
    return JSON.parse(await readText(response.body));
  } catch {
    return undefined;
  } finally {
    disarm();
    signal.removeEventListener("abort", stop);
    stop();
  }
}

async function readText(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxBytes) throw new Error("The answer is too long to be a list of models.");
  }
  return text + decoder.decode();
}
