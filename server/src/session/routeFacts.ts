/**
 * What is known of a turn before it begins, for the choice of its model.
 *
 * Not here: choosing (`model/router.ts`). Easily got wrong: what references hold is not the user's own words, so it counts
 * to the size of the prompt and says nothing about how hard the task is.
 */
import { estimateTokens, holdsImages, type RouteFacts } from "../model/router.ts";
import type { TaskName } from "../protocol/tasks.ts";
import type { PromptPart, SessionId } from "../protocol/types.ts";
import { messagesOf, type SessionState } from "./reduce.ts";

/** The facts of a prompt that is about to be given to a session. */
export function routeFacts(
  state: SessionState,
  turn: { readonly sessionId: SessionId; readonly prompt: readonly PromptPart[]; readonly task?: TaskName },
): RouteFacts {
  const { sessionId, prompt, task = "prompt" } = turn;
  const messages = [...messagesOf(state), { role: "user", parts: prompt } as const];
  const previous = state.turns.findLast(({ gone, recorded }) => !gone && !recorded)?.model;
  return {
    sessionId,
    task,
    text: prompt.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n"),
    references: prompt.filter(({ type }) => type === "reference").length,
    images: holdsImages(messages),
    promptTokens: estimateTokens([{ text: state.system ?? "" }, ...messages]),
    ...(previous === undefined ? {} : { previous }),
  };
}
