/**
 * Builds a model request from session state: sections in order of stability (tools, system prompt, instructions, history,
 * what goes with the newest prompt), and says what each takes of the model's window.
 *
 * Not here: where the vendor's cache breakpoints go (each provider places them) or compaction. Easily got wrong: the
 * same state must give the same request, byte for byte, and a later state must only append to it.
 */
import { ProviderError } from "../base/errors.ts";
import type { ModelMessage, ModelRequest, RequestAccount } from "../model/provider.ts";
import { promptTokensOf, type TokenCounts } from "../model/tokens.ts";
import type { ContextSection, ContextSize, ModelSpec, PromptPart, ToolSpec, Usage } from "../protocol/types.ts";
import { splitSystemPrompt } from "./prompt.ts";
import { messagesOf, type SessionState } from "./reduce.ts";
import { previousResponse } from "./requestLedger.ts";

/** The request for the next step. `tools` must be in a stable order. */
export function buildRequest(
  state: SessionState,
  model: ModelSpec,
  tools: readonly ToolSpec[],
  account: RequestAccount,
): ModelRequest {
  const messages = readableBy(model, state);
  return {
    model,
    system: state.system ?? "",
    tools,
    messages,
    maxOutputTokens: outputReserve(model),
    cacheKey: `hermes-${state.sessionId ?? "none"}`,
    previousResponseId: previousResponse(state.ledger, { model, messages }),
    ...(state.ledger.pauses ? { pauses: true } : {}),
    account,
  };
}

/** A request, and how it fits into the window of its model. */
export interface FittedRequest {
  readonly request: ModelRequest;
  readonly size: ContextSize;
  /** Tokens that the model counts at least when it is given the whole prompt. */
  readonly atLeast: number;
  /** Set when it does not fit: sent, it would be refused, or cut without a word. */
  readonly tooLong?: ProviderError;
}

/** Tokens of answer below which a request is not worth sending, in windows that have so many to spare. */
const leastAnswer = 1_024;

/**
 * The request for the next step, with as much room for the answer as the prompt leaves. Models on this machine are held to
 * the estimate, since their servers cut prompts that are too long; other vendors refuse them and know better, so these are
 * held back only when no estimate could be so wrong.
 */
export function fitRequest(
  state: SessionState,
  spec: ModelSpec,
  tools: readonly ToolSpec[],
  account: RequestAccount,
  counts: TokenCounts,
): FittedRequest {
  const model = withSeenWindow(state, spec);
  const request = buildRequest(state, model, tools, account);
  const prompt = counts.ofPrompt(request);
  const window = model.contextTokens;
  const reserve = request.maxOutputTokens;
  const least = Math.min(leastAnswer, Math.floor(window / 8), reserve);
  const isTooLong = (model.local ? prompt.tokens : prompt.atLeast) + least > window;
  const parts = scaled(partsOf(state, request, counts), prompt.tokens);
  return {
    request: { ...request, maxOutputTokens: Math.max(least, Math.min(reserve, window - prompt.tokens)) },
    size: { window, reserve, parts },
    atLeast: prompt.atLeast,
    ...(isTooLong ? { tooLong: tooLong(model, prompt.tokens) } : {}),
  };
}

/** Bytes of text to a token as tool results are taken to have them: fewer than any model was measured with. */
const resultBytesPerToken = 3;

/** Bytes that one tool result should have at most: an eighth of the window. */
export function resultLimit(state: SessionState, model: ModelSpec): number {
  return Math.floor(withSeenWindow(state, model).contextTokens / 8) * resultBytesPerToken;
}

/** The size with parts that sum up to what the vendor has counted; as it is where it has not. */
export function sizeAsCounted(size: ContextSize, usage: Usage): ContextSize {
  const promptTokens = promptTokensOf(usage);
  return promptTokens === 0 ? size : { ...size, parts: scaled(size.parts, promptTokens) };
}

/** The model with the window that its server was seen to have. */
export function withSeenWindow({ windows }: SessionState, model: ModelSpec): ModelSpec {
  const seen = windows.get(model.id);
  return seen === undefined || seen >= model.contextTokens ? model : { ...model, contextTokens: seen };
}

/** Tokens kept free for an answer: all that the model can answer, but at most a quarter of its window. */
function outputReserve({ maxOutputTokens, contextTokens }: ModelSpec): number {
  return Math.min(maxOutputTokens, Math.floor(contextTokens / 4));
}

function tooLong({ label, contextTokens }: ModelSpec, promptTokens: number): ProviderError {
  const words = (tokens: number) => tokens.toLocaleString("en");
  return new ProviderError(
    `The conversation has about ${words(promptTokens)} tokens, and ${label} takes ${words(contextTokens)} together with its answer. Start a new session, or choose a model with a larger window.`,
    { kind: "contextOverflow" },
  );
}

function partsOf(state: SessionState, request: ModelRequest, counts: TokenCounts): ContextSize["parts"] {
  const { model, tools, messages } = request;
  const { role, instructions } = splitSystemPrompt(request.system);
  const head = messages.slice(0, state.compactions.at(-1)?.length ?? 0);
  const since = messages.slice(head.length);
  const summary = counts.of(model, head);
  const attached = counts.of(model, attachedTo(since, state.turns.at(-1)?.prompt.length ?? 0));
  return {
    tools: counts.of(model, tools),
    system: counts.ofText(model, role),
    instructions: counts.ofText(model, instructions),
    summary,
    history: Math.max(0, counts.of(model, since) - attached),
    attached,
  };
}

/** Parts of the newest prompt that nobody typed: what is no text, and what follows the prompt's own parts. */
function attachedTo(messages: readonly ModelMessage[], promptParts: number): readonly PromptPart[] {
  const newest = messages.findLast(({ role }) => role === "user");
  if (newest?.role !== "user") return [];
  return newest.parts.filter(({ type }, index) => type !== "text" || index >= promptParts);
}

/** The same shares of another sum, in whole tokens; what rounding leaves over goes to the history. */
function scaled(parts: ContextSize["parts"], sum: number): ContextSize["parts"] {
  const names = Object.keys(parts) as ContextSection[];
  const before = names.reduce((tokens, name) => tokens + parts[name], 0);
  if (before === 0) return { ...parts, history: sum };
  const next = { ...parts };
  for (const name of names) next[name] = Math.floor((parts[name] * sum) / before);
  next.history += sum - names.reduce((tokens, name) => tokens + next[name], 0);
  return next;
}

/** A model that knows nothing of its vendor's compaction is given what can be read of one. */
function readableBy(model: ModelSpec, state: SessionState): readonly ModelMessage[] {
  const messages = messagesOf(state);
  const [first, ...rest] = messages;
  if (model.compacts || state.compactions.length === 0 || first?.role !== "assistant") return messages;
  return [{ ...first, blocks: first.blocks.map(({ part }) => ({ part })) }, ...rest];
}
