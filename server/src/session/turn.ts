/**
 * The agent loop: build a request, stream the answer, run its calls, repeat. It knows no tool, vendor or feature by name.
 *
 * Not here: retries before the first event (`model/retry.ts`), which model is next (`fallback.ts`), waiting at a limit
 * (`turnLimits.ts`), permission and order of calls (`tools/scheduler.ts`).
 * Easily got wrong: calls run while the answer still streams, so a stream that dies is closed at its last complete block
 * and never asked again once it holds a call.
 */
import type { Clock } from "../base/async.ts";
import { isAbort, messageOf, ProviderError } from "../base/errors.ts";
import { log, PhaseRecorder } from "../base/trace.ts";
import { BudgetError } from "../model/budget.ts";
import type { ModelEvent, ModelRequest, ModelStop } from "../model/provider.ts";
import type { TokenCounts } from "../model/tokens.ts";
import type { Failure, ModelSpec, StopReason, ToolCallPart, ToolSpec, TurnId, Usage } from "../protocol/types.ts";
import { type FittedRequest, fitRequest, sizeAsCounted } from "./context.ts";
import { cutPromptEvents } from "./cutPrompt.ts";
import { type FallbackDeps, Fallbacks, type TurnModel } from "./fallback.ts";
import { judgeRequest, promptTokens, type RequestLedger, warningOf } from "./requestLedger.ts";
import type { Session } from "./session.ts";
import { type TurnLimitDeps, TurnLimits } from "./turnLimits.ts";

/** Runs the calls of one step. */
export interface StepScheduler {
  /** Takes a call, in the model's order; its result is stored when it settles. */
  submit(call: ToolCallPart): void;
  /** Resolves when every submitted call has settled and its result is stored; rejects when one could not be. */
  drain(): Promise<void>;
}

/** What a turn needs. */
export interface TurnDeps extends FallbackDeps, TurnLimitDeps {
  readonly session: Session;
  /** In a stable order. */
  readonly tools: readonly ToolSpec[];
  readonly createScheduler: (signal: AbortSignal) => StepScheduler;
  /**
   * Shortens the conversation where the next request needs it; true when it did. `refused`: the vendor has said that the
   * request is too long. Absent where conversations are left as they are.
   */
  readonly makeRoom?: (model: TurnModel, when: "step" | "refused", signal: AbortSignal) => Promise<boolean>;
  /** Shared by all turns of a host: it learns from each. */
  readonly tokens: TokenCounts;
  readonly clock: Clock;
}

/** How a turn ended. */
export interface TurnEnd {
  readonly stopReason: StopReason;
  readonly failure?: Failure;
  readonly unfinished?: string;
}

/** How often in a row an answer may be cut and still be gone on from. */
const maxCuts = 3;

/**
 * Runs steps until the model has answered without asking for a tool. Never throws for what a model or a tool does;
 * throws when events cannot be stored.
 */
export async function runTurn(deps: TurnDeps, turnId: TurnId, signal: AbortSignal): Promise<TurnEnd> {
  const fallbacks = new Fallbacks(deps);
  const limits = new TurnLimits(deps, turnId, fallbacks);
  let cuts = 0;
  for (let step = 1; ; step++) {
    const over = await limits.beforeStep(step, signal);
    if (over) return over;
    await deps.makeRoom?.(fallbacks.model, "step", signal);
    if (signal.aborted) return { stopReason: "cancelled" };
    const phases = new PhaseRecorder(deps.clock.now);
    phases.enter("build");
    await deps.session.append({ type: "step_started", turnId, step });
    const ask = () => runWithinLimits(deps, { fallbacks, limits, phases }, turnId, step, signal);
    let answer = await ask();
    if (answer.error && canAskAgain(answer)) {
      const reason = messageOf(answer.error);
      await deps.session.append({ type: "step_restarted", turnId, step, reason });
      answer = await ask();
    }
    const finished = { ...stepFinished(fallbacks.model, turnId, step, answer), phases: phases.phases };
    await deps.session.append(...promptEvents(deps, turnId, step, answer), finished);
    if (signal.aborted) return { stopReason: "cancelled", ...unfinishedOf(answer) };
    if (isTooLong(answer) && (await deps.makeRoom?.(fallbacks.model, "refused", signal))) continue;
    if (answer.error) {
      cuts += 1;
      if (answer.calls === 0 || cuts >= maxCuts) {
        const change = await fallbacks.next(answer.error);
        if (!change) return failed(answer.error, answer);
        await deps.session.append({ type: "model_changed", turnId, step, ...change });
        cuts = 0;
        continue;
      }
      await deps.session.append({
        type: "notice",
        level: "warning",
        message: `The answer was cut (${messageOf(answer.error)}). Going on from its last complete block.`,
      });
      continue;
    }
    cuts = 0;
    const end = endOf(answer);
    if (end) return end;
  }
}

/** What came of one request and its calls. */
interface Answer {
  /** What was sent, or was too long to be. */
  fitted: FittedRequest | undefined;
  events: number;
  blocks: number;
  calls: number;
  stop: ModelStop | undefined;
  detail: string | undefined;
  usage: Usage;
  responseId: string | undefined;
  cacheMiss: string | undefined;
  /** What was sent, when, and what was known of the requests before it. */
  asked: { readonly request: ModelRequest; readonly ledger: RequestLedger; readonly at: number } | undefined;
  error: unknown;
  /** Text of the block that was being streamed. */
  tail: string;
  firstEventMs: number;
  totalMs: number;
}

const noUsage: Usage = { inputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 0, thinkingTokens: 0 };

/** What a step is asked with, however often. */
interface AskedStep {
  readonly fallbacks: Fallbacks;
  readonly limits: TurnLimits;
  readonly phases: PhaseRecorder;
}

/** A step that a limit refuses is asked again for as long as the user says so. */
async function runWithinLimits(
  deps: TurnDeps,
  { fallbacks, limits, phases }: AskedStep,
  turnId: TurnId,
  step: number,
  signal: AbortSignal,
): Promise<Answer> {
  const requestFor = (spec: ModelSpec) => fittedFor(deps, spec, turnId).request;
  for (;;) {
    const answer = await runStep(deps, fallbacks.model, turnId, step, phases, signal);
    if (!(await limits.mayAskAgain(answer.error, step, requestFor, signal))) return answer;
    phases.enter("build");
  }
}

async function runStep(
  deps: TurnDeps,
  model: TurnModel,
  turnId: TurnId,
  step: number,
  phases: PhaseRecorder,
  signal: AbortSignal,
): Promise<Answer> {
  const startedAt = deps.clock.now();
  phases.enter("build");
  const scheduler = deps.createScheduler(signal);
  const answer: Answer = {
    fitted: undefined,
    events: 0,
    blocks: 0,
    calls: 0,
    stop: undefined,
    detail: undefined,
    usage: noUsage,
    responseId: undefined,
    cacheMiss: undefined,
    asked: undefined,
    error: undefined,
    tail: "",
    firstEventMs: 0,
    totalMs: 0,
  };
  let storeFailed = false;
  try {
    const { ledger } = deps.session.state;
    answer.fitted = fittedFor(deps, model.spec, turnId);
    // The one place where it is known before it is sent that a conversation has grown too long.
    if (answer.fitted.tooLong) throw answer.fitted.tooLong;
    const { request } = answer.fitted;
    answer.asked = { request, ledger, at: startedAt };
    await phases.run(async () => {
      for await (const event of model.provider.stream(request, signal)) {
        if (event.type !== "retry" && answer.events++ === 0) {
          answer.firstEventMs = deps.clock.now() - startedAt;
          phases.enter("generation");
        }
        await receive({ deps, model, turnId, step, answer, scheduler }, event).catch((error: unknown) => {
          storeFailed = true;
          throw error;
        });
      }
    });
  } catch (error) {
    answer.error = error;
  }
  phases.end();
  answer.totalMs = deps.clock.now() - startedAt;
  await scheduler.drain();
  if (storeFailed) throw answer.error;
  return answer;
}

function fittedFor({ session, tools, tokens }: TurnDeps, spec: ModelSpec, turnId: TurnId): FittedRequest {
  const account = { sessionId: session.id, turnId, purpose: "turn" } as const;
  return fitRequest(session.state, spec, tools, account, tokens);
}

interface OpenAnswer {
  readonly deps: TurnDeps;
  readonly model: TurnModel;
  readonly turnId: TurnId;
  readonly step: number;
  readonly answer: Answer;
  readonly scheduler: StepScheduler;
}

async function receive(open: OpenAnswer, event: ModelEvent): Promise<void> {
  const { deps, model, turnId, step, answer, scheduler } = open;
  const { session } = deps;
  switch (event.type) {
    case "text_delta":
      answer.tail += event.text;
      return session.stream({ ...event, turnId });
    case "thinking_delta":
    case "tool_call_delta":
      return session.stream({ ...event, turnId });
    case "retry":
      return session.stream({
        type: "retry_delta",
        turnId,
        attempt: event.attempt,
        untilAt: event.untilAt,
        reason: event.reason,
      });
    case "block_done": {
      const { index, block } = event;
      await session.append({ type: "assistant_block", turnId, step, index, api: model.spec.api, block });
      answer.blocks += 1;
      answer.tail = "";
      if (block.part.type === "tool_call") {
        answer.calls += 1;
        scheduler.submit(block.part);
      }
      return;
    }
    case "done":
      answer.stop = event.stop;
      answer.usage = event.usage;
      answer.responseId = event.responseId;
      answer.cacheMiss = event.cacheMiss;
      answer.detail = event.detail;
  }
}

/** The request did not fit the window, or the answer ran out of it. */
function isTooLong({ error, stop, calls }: Answer): boolean {
  if (error instanceof ProviderError) return error.kind === "contextOverflow" && calls === 0;
  return stop === "context_overflow";
}

function canAskAgain(answer: Answer): boolean {
  if (answer.calls > 0 || isAbort(answer.error) || !(answer.error instanceof ProviderError)) return false;
  // What passes by itself was already tried again if nothing had come.
  return answer.events === 0
    ? answer.error.kind === "protocol"
    : ["network", "protocol", "overloaded", "server"].includes(answer.error.kind);
}

/** Learns from what was counted of the prompt; what is to be stored when that shows that it was cut. */
function promptEvents({ session, tokens }: TurnDeps, turnId: TurnId, step: number, { fitted, usage }: Answer) {
  if (!fitted) return [];
  const events = cutPromptEvents(session.state, fitted, usage, { turnId, step });
  if (events.length === 0) tokens.learn(fitted.request, usage);
  return events;
}

function stepFinished(model: TurnModel, turnId: TurnId, step: number, answer: Answer) {
  const cost = model.costOf(answer.usage);
  const { inputTokens, cacheReadTokens, cacheWriteTokens } = answer.usage;
  const priceStepTokens = model.spec.price?.cliff?.aboveTokens ?? Number.POSITIVE_INFINITY;
  const isAbovePriceStep = inputTokens + cacheReadTokens + cacheWriteTokens > priceStepTokens;
  return {
    type: "step_finished",
    turnId,
    step,
    usage: answer.usage,
    ...(cost === undefined ? {} : { cost }),
    ...(answer.fitted ? { context: sizeAsCounted(answer.fitted.size, answer.usage) } : {}),
    firstEventMs: answer.firstEventMs,
    totalMs: answer.totalMs,
    ...(isAbovePriceStep ? { priceStepTokens } : {}),
    ...(answer.responseId === undefined ? {} : { responseId: answer.responseId }),
    ...cacheOf(answer),
  } as const;
}

/** What the prompt cache did. Nothing is known where nobody counted: a recording, a kept answer, a failed request. */
function cacheOf({ asked, usage, cacheMiss, firstEventMs }: Answer) {
  if (!asked || promptTokens(usage) === 0) return {};
  const at = asked.at + firstEventMs;
  const judged = judgeRequest(asked.ledger, { request: asked.request, at, usage, cacheMiss });
  const warning = warningOf(judged.cache);
  if (warning !== undefined) log("warn", warning);
  else if (cacheMiss !== undefined) log("info", `The vendor says of the prompt cache: ${cacheMiss}.`);
  return judged;
}

function endOf(answer: Answer): TurnEnd | undefined {
  switch (answer.stop) {
    case "refusal":
      return {
        stopReason: "refusal",
        failure: { code: "refusal", message: answer.detail || "The model declined to answer. Rephrase the request." },
      };
    case "context_overflow":
      return {
        stopReason: "error",
        failure: {
          code: "contextOverflow",
          message:
            "The conversation no longer fits the model's context window. Start a new session, or choose a model with a larger window.",
        },
      };
    case "pause":
      return undefined;
    default:
      if (answer.calls > 0) return undefined;
      return answer.stop === "max_tokens"
        ? {
            stopReason: "max_tokens",
            failure: {
              code: "max_tokens",
              message: "The answer reached the model's length limit. Send “continue” to go on.",
            },
          }
        : { stopReason: "end_turn" };
  }
}

function failed(error: unknown, answer: Answer): TurnEnd {
  if (error instanceof BudgetError) {
    return { stopReason: "budget", failure: { code: "budget", message: error.message }, ...unfinishedOf(answer) };
  }
  if (error instanceof ProviderError) {
    return { stopReason: "error", failure: { code: error.kind, message: error.message }, ...unfinishedOf(answer) };
  }
  log("error", "A turn failed on something that is not a provider error", error);
  return {
    stopReason: "error",
    failure: {
      code: "bug",
      message: `Hermes failed: ${messageOf(error)}. Nothing was lost; see “Hermes: Show Log” and send the message again.`,
    },
    ...unfinishedOf(answer),
  };
}

function unfinishedOf(answer: Answer): { readonly unfinished?: string } {
  return answer.tail ? { unfinished: answer.tail } : {};
}
