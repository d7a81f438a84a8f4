/**
 * Notices that a server has cut a prompt without a word, and works out how much it really takes.
 *
 * Not here: prompts that are known to be too long before they are sent (`context.ts`). Easily got wrong: a server may
 * count little because a chat template left something out; only a count that no whole prompt can have is an accusation.
 */
import { promptTokensOf } from "../model/tokens.ts";
import type { SessionEventBody } from "../protocol/events.ts";
import type { TurnId, Usage } from "../protocol/types.ts";
import type { FittedRequest } from "./context.ts";
import type { SessionState } from "./reduce.ts";

/** Windows are set in multiples of this as a rule (Ollama's defaults: 2,048, then 4,096), in tokens. */
const windowStep = 2_048;
/** Share of what it must have been at least below which a count is not believed: templates differ by a few tokens. */
const tolerance = 0.98;
/** Share of the window assumed before that is assumed when a prompt is cut again. */
const lessEachTime = 0.75;

/** What to store when the prompt was cut: nothing when it was not, or when nobody can tell. Only servers on this machine do so. */
export function cutPromptEvents(
  state: SessionState,
  { request, size, atLeast }: FittedRequest,
  usage: Usage,
  at: { readonly turnId: TurnId; readonly step: number },
): readonly SessionEventBody[] {
  const { model } = request;
  const promptTokens = promptTokensOf(usage);
  if (!model.local || promptTokens === 0 || promptTokens >= atLeast * tolerance) return [];
  const rounded = Math.ceil(promptTokens / windowStep) * windowStep;
  const contextTokens = Math.min(rounded, Math.floor(size.window * lessEachTime));
  const cut = { type: "prompt_cut", ...at, model: model.id, promptTokens, contextTokens } as const;
  if (state.windows.has(model.id)) return [cut];
  const words = (tokens: number) => tokens.toLocaleString("en");
  const message =
    `The server of ${model.label} has cut the prompt: it read ${words(promptTokens)} tokens of at least ${words(atLeast)}, so this answer may miss what was said before. ` +
    `From now on this session sends it at most ${words(contextTokens)} tokens. To give it more, raise the server's context length (Ollama: num_ctx of the model or OLLAMA_CONTEXT_LENGTH; llama.cpp: -c; LM Studio: the model's context length), then start a new session.`;
  return [cut, { type: "notice", level: "warning", message }];
}
