/**
 * Runs a turn whose question may have been answered before: plays the kept answer as a turn of its own, or runs the loop
 * and keeps what it answers.
 *
 * Not here: finding answers (`cache/answerCache.ts`) and the loop (`turn.ts`). Easily got wrong: only the first turn of a
 * session takes part, and only one that ran no command and changed nothing is kept.
 */

import { isAbort } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { AnswerCache, Hit, Miss, NearQuestion } from "../cache/answerCache.ts";
import { type EvidenceDeps, gatherEvidence, type MadeCall, stillHolds } from "../cache/evidence.ts";
import { identify } from "../cache/identity.ts";
import { isQuestion } from "../cache/meaning.ts";
import type { ModelMessage, Provider } from "../model/provider.ts";
import type { TaskName } from "../protocol/tasks.ts";
import type { Json, PromptPart, ToolKind, TurnId } from "../protocol/types.ts";
import { buildRequest } from "./context.ts";
import type { Pauses } from "./pauses.ts";
import { messagesOf } from "./reduce.ts";
import { runTurn, type TurnDeps, type TurnEnd } from "./turn.ts";

/** What answering from the cache needs besides what the loop needs. */
export interface AnswerDeps extends EvidenceDeps {
  readonly cache: AnswerCache;
  /** What the settings say about servers: another one gives other answers. */
  readonly servers: () => Json;
  readonly kindOf: (tool: string) => ToolKind | undefined;
}

/** What was asked, and how. */
export interface AnswerQuestion {
  readonly prompt: readonly PromptPart[];
  /** The task that composed the prompt, where one did. */
  readonly task?: TaskName;
  /** Do not answer from the cache, and replace what is there. */
  readonly fresh?: boolean;
}

/** Runs a turn as `runTurn` does, from the cache where that has an answer that still holds. */
export async function runAnswered(
  deps: TurnDeps,
  answers: AnswerDeps | undefined,
  question: AnswerQuestion,
  turnId: TurnId,
  signal: AbortSignal,
): Promise<TurnEnd> {
  const claim = answers && (await tryClaim(deps, answers, question, turnId, signal));
  if (!claim) return runTurn(deps, turnId, signal);
  if (claim.type === "hit") {
    const { match, answer } = claim;
    const { answeredAt, question: asked } = answer;
    await deps.session.append({ type: "answer_reused", turnId, match, question: asked, answeredAt });
    const model = { ...deps.model, provider: replay(answer.answer), costOf: () => 0 };
    return runTurn({ ...deps, model }, turnId, signal);
  }
  try {
    if (claim.near) await deps.session.append({ type: "notice", level: "info", message: hintOf(claim.near) });
    let hasFallenBack = false;
    const fallbacks = async () => {
      hasFallenBack = true;
      return (await deps.fallbacks?.()) ?? [];
    };
    const { pauses } = deps;
    const pause: Pauses["pause"] | undefined =
      pauses &&
      (async (...args) => {
        const outcome = await pauses.pause(...args);
        if (outcome.type === "cheaper") hasFallenBack = true;
        return outcome;
      });
    const inner = { ...releasingOnEffects(deps, answers, claim), fallbacks, ...(pause ? { pauses: { pause } } : {}) };
    const end = await runTurn(inner, turnId, signal);
    // Another model's answer is not that of the model that was asked.
    if (end.stopReason === "end_turn" && !hasFallenBack) await keep(deps, answers, claim, signal);
    return end;
  } finally {
    claim.release();
  }
}

/** Asks the cache; `undefined` when the turn takes no part, or the cache fails: then the model is simply asked. */
async function tryClaim(
  deps: TurnDeps,
  answers: AnswerDeps,
  { prompt, task, fresh = false }: AnswerQuestion,
  turnId: TurnId,
  signal: AbortSignal,
): Promise<Hit | Miss | undefined> {
  const { cache, workspace } = answers;
  const { type, chat } = cache.policy;
  const { session, tools } = deps;
  const model = deps.model.spec;
  if (type === "off" || model.api === "recorded" || session.state.turns.length !== 1) return undefined;
  const surroundings = { root: workspace.root, servers: answers.servers() };
  const account = { sessionId: session.id, turnId, purpose: "turn" } as const;
  const identity = identify(buildRequest(session.state, model, tools, account), prompt, surroundings);
  if (!identity) return undefined;
  try {
    const isEligible = task === "explain" || ((chat || type === "semantic") && isQuestion(identity.question));
    // What was answered from the cache is kept anew when it is asked again, whichever way that is done.
    if (!isEligible && !(fresh && (await cache.has(identity)))) return undefined;
    const holds = (evidence: Parameters<typeof stillHolds>[1], inner: AbortSignal) =>
      stillHolds(answers, evidence, inner);
    return await cache.claim({ identity, root: workspace.root, model: model.id, fresh, holds }, signal);
  } catch (error) {
    if (!isAbort(error) && !signal.aborted) log("error", "The cache of answers failed; the model is asked", error);
    return undefined;
  }
}

/** Equal requests wait for an answer only while it may still become one that is kept. */
function releasingOnEffects(deps: TurnDeps, { kindOf }: AnswerDeps, { release }: Miss): TurnDeps {
  return {
    ...deps,
    createScheduler: (signal) => {
      const scheduler = deps.createScheduler(signal);
      return {
        submit: (call) => {
          if (!isReading(kindOf(call.name))) release();
          scheduler.submit(call);
        },
        drain: () => scheduler.drain(),
      };
    },
  };
}

async function keep({ session }: TurnDeps, answers: AnswerDeps, claim: Miss, signal: AbortSignal): Promise<void> {
  try {
    const messages = messagesOf(session.state);
    const calls = madeCalls(messages);
    if (session.state.turns.some(({ changes }) => changes.length > 0)) return;
    // What was read before a compaction is not in the messages any more.
    if (session.state.compactions.length > 0) return;
    if (calls.some(({ name }) => !isReading(answers.kindOf(name)))) return;
    const evidence = await gatherEvidence(answers, calls, signal);
    if (evidence) await claim.keep(answerText(messages), evidence);
  } catch (error) {
    // The turn has its answer; that it is not kept is no reason to fail it.
    if (!isAbort(error)) log("warn", "An answer was not kept for later", error);
  }
}

function isReading(kind: ToolKind | undefined): boolean {
  return kind === "read" || kind === "search";
}

/** The calls of a conversation with what the model saw of each. */
function madeCalls(messages: readonly ModelMessage[]): readonly MadeCall[] {
  const results = messages.flatMap((message) => (message.role === "tool" ? message.results : []));
  const texts = new Map(results.map(({ callId, text }) => [callId, text]));
  return messages.flatMap((message) =>
    message.role === "assistant"
      ? message.blocks.flatMap(({ part }) =>
          part.type === "tool_call" ? [{ name: part.name, input: part.input, text: texts.get(part.callId) ?? "" }] : [],
        )
      : [],
  );
}

/** The text after the last result, which is the answer: of several messages where the model paused or was cut. */
function answerText(messages: readonly ModelMessage[]): string {
  const from = messages.findLastIndex(({ role }) => role !== "assistant") + 1;
  return messages
    .slice(from)
    .flatMap((message) => (message.role === "assistant" ? message.blocks : []))
    .flatMap(({ part }) => (part.type === "text" ? [part.text] : []))
    .join("\n\n");
}

function hintOf({ question, answeredAt, hasChanged }: NearQuestion): string {
  const line = question.trim().replace(/\s+/g, " ");
  const shown = line.length > 160 ? `${line.slice(0, 159)}…` : line;
  const when = new Date(answeredAt).toISOString().slice(0, 16).replace("T", " ");
  return `You asked something like this before, at ${when} UTC: “${shown}”. Its answer is in the list of sessions${hasChanged ? ", but what it rests on has changed" : ""}; this one is new.`;
}

const noUsage = { inputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 0, thinkingTokens: 0 };

/** A provider that gives an answer that is already there. */
function replay(text: string): Provider {
  return {
    async *stream() {
      yield { type: "text_delta", index: 0, text };
      yield { type: "block_done", index: 0, block: { part: { type: "text", text } } };
      yield { type: "done", stop: "end_turn", usage: noUsage };
    },
  };
}
