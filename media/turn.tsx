/**
 * One turn: what was asked, what was answered, what changed, and how it ended.
 *
 * Not here: tool cards (`toolCard.tsx`) and changed files (`turnChanges.tsx`). Easily got wrong: complete and open blocks are
 * siblings with the same keys, so that a block which completes stays the same element.
 */

import { useEffect, useState } from "preact/hooks";
import type { PanelAction } from "../server/src/protocol/panel.ts";
import type { ModelChoice, SessionId } from "../server/src/protocol/types.ts";
import { count, dollars, duration, percent } from "../server/src/report/numbers.ts";
import { BudgetCard } from "./budgetCard.tsx";
import { CompactionDivider } from "./compactionDivider.tsx";
import { ago } from "./format.ts";
import type { Page } from "./page.ts";
import { Button, Icon, Markdown, memo, useNow } from "./parts.tsx";
import { RestoreMenu } from "./restoreMenu.tsx";
import { DraftCard, ToolCard } from "./toolCard.tsx";
import { TurnChanges } from "./turnChanges.tsx";
import type { Block, OpenBlock, Retry, ReusedAnswer, TurnView } from "./turnState.ts";
import { WaterfallView } from "./waterfallView.tsx";

interface TurnProps {
  readonly turn: TurnView;
  /** Blocks at its beginning that are not drawn. */
  readonly skip: number;
  readonly isLast: boolean;
  readonly canUndo: boolean;
  /** True while a restore has taken it out of the conversation. */
  readonly isGone: boolean;
  /** The session, while something that this turn changed is pending. */
  readonly pendingIn: SessionId | undefined;
  /** Counts how often the user has asked why this turn was slow or expensive. */
  readonly asked: number;
  readonly models: readonly ModelChoice[];
  /** US dollars for a token of a prompt that the selected model's cache does not have, where that is known. */
  readonly usdPerToken: number | undefined;
  readonly root: string | undefined;
  readonly page: Page;
}

/** A turn of the conversation. */
export const Turn = memo(function Turn(props: TurnProps) {
  const { turn, skip, page } = props;
  return (
    <article class="turn">
      {skip > 0 ? null : <Request turn={turn} />}
      {skip > 0 || !turn.end || props.isGone ? null : (
        <RestoreMenu
          turnId={turn.turnId}
          tokens={turn.firstPromptTokens}
          usdPerToken={props.usdPerToken}
          disabled={!props.canUndo}
          page={page}
        />
      )}
      {turn.recorded ? <RecordedLabel page={page} /> : null}
      {turn.reused ? <ReusedLabel reused={turn.reused} turn={turn} page={page} /> : null}
      {[...turn.blocks.slice(skip), ...turn.open].map((block) => (
        <BlockOf
          key={block.key}
          block={block}
          turn={turn}
          canUndo={props.canUndo && props.isLast && !props.isGone}
          page={page}
          root={props.root}
        />
      ))}
      {turn.limit ? <BudgetCard question={turn.limit} page={page} /> : null}
      <Progress turn={turn} />
      <Ending {...props} />
      <TurnChanges {...props} />
      {turn.end ? <Footer turn={turn} models={props.models} asked={props.asked} /> : null}
    </article>
  );
});

function Request({ turn }: { readonly turn: TurnView }) {
  const text = turn.prompt.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n\n");
  return (
    <div class="request">
      <p class="request-text">{text}</p>
      {turn.prompt.some(({ type }) => type !== "text") ? (
        <ul class="chips" aria-label="References">
          {turn.prompt.map((part, index) =>
            part.type === "text" ? null : (
              <li key={index} class="chip">
                <Icon name={part.type === "image" ? "file-media" : "file"} />
                <span>{part.type === "image" ? "Picture" : part.label}</span>
              </li>
            ),
          )}
        </ul>
      ) : null}
    </div>
  );
}

function RecordedLabel({ page }: { readonly page: Page }) {
  return (
    <div class="recorded">
      <span class="badge">
        <Icon name="record" />
        Recording
      </span>
      <span class="muted">Recorded answer, real edits</span>
      <button type="button" class="link" onClick={() => page.post({ type: "set_api_key" })}>
        Add API key
      </button>
    </div>
  );
}

function ReusedLabel(props: { readonly reused: ReusedAnswer; readonly turn: TurnView; readonly page: Page }) {
  const { reused, turn, page } = props;
  return (
    <div class="recorded">
      <span class="badge">
        <Icon name="history" />
        Answered before
      </span>
      <span class="muted">
        {ago(reused.answeredAt, useNow(false))}
        {reused.match === "similar" ? `, to “${reused.question}”` : ""}; what it rests on is unchanged
      </span>
      <button type="button" class="link" onClick={() => page.post({ type: "ask_again", prompt: turn.prompt })}>
        Ask again
      </button>
    </div>
  );
}

interface BlockProps {
  readonly block: Block | OpenBlock;
  readonly turn: TurnView;
  /** Whether what was done to the conversation last can be taken back. */
  readonly canUndo: boolean;
  readonly page: Page;
  readonly root: string | undefined;
}

function BlockOf({ block, turn, canUndo, page, root }: BlockProps) {
  const isOpen = turn.open.some(({ key }) => key === block.key);
  switch (block.kind) {
    case "text":
      return <Markdown text={block.text} complete={!isOpen} />;
    case "thinking":
      return <Thinking text={block.text} running={isOpen} />;
    case "draft":
      return <DraftCard name={block.name} json={block.json} />;
    case "call": {
      const call = turn.calls.get(block.callId);
      return call ? <ToolCard call={call} live={turn.outputs[block.callId]} root={root} page={page} /> : null;
    }
    case "compaction":
      return <CompactionDivider block={block} isUndoable={canUndo && block === turn.blocks.at(-1)} page={page} />;
    case "notice":
      return (
        <p class="remark">
          <Icon name={block.level} />
          <span>{block.message}</span>
        </p>
      );
  }
}

const Thinking = memo(function Thinking({ text, running }: { readonly text: string; readonly running: boolean }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <div class="thinking">
      <button type="button" class="fold" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon name={isOpen ? "chevron-down" : "chevron-right"} />
        {running ? <span class="shimmer">Thinking</span> : "Thought"}
      </button>
      {isOpen ? <Markdown text={text} complete={!running} /> : null}
    </div>
  );
});

function Progress({ turn }: { readonly turn: TurnView }) {
  if (turn.end || turn.limit) return null;
  if (turn.retry) return <Countdown retry={turn.retry} />;
  const states = [...turn.calls.values()].map(({ state }) => state);
  if (turn.open.length > 0 || states.includes("waiting") || states.includes("running")) return null;
  return (
    <p class="progress">
      <Icon name="loading" spin />
      <span class="shimmer">Working</span>
    </p>
  );
}

function Countdown({ retry }: { readonly retry: Retry }) {
  const now = useNow(true);
  const seconds = Math.max(0, Math.ceil((retry.untilAt - now) / 1000));
  const reason = retry.reason.replace(/[.\s]+$/, "");
  return (
    <p class="progress" role="status">
      <Icon name="watch" />
      <span>
        {reason}, trying again {seconds > 0 ? `in ${seconds} s` : "now"}
      </span>
    </p>
  );
}

const stopped: { readonly [reason: string]: string } = {
  cancelled: "Stopped.",
  max_tokens: "The answer reached its length limit.",
  max_turn_requests: "The turn used all of its steps.",
  refusal: "The model declined to answer.",
  budget: "The budget is used up.",
  error: "The turn failed.",
};

function Ending({ turn, isLast, page }: TurnProps) {
  const { end } = turn;
  if (!end || end.stopReason === "end_turn") return null;
  const { failure } = end;
  const way = failure ? wayOut(failure.code) : undefined;
  const isFault = end.stopReason === "error" || end.stopReason === "refusal";
  return (
    <>
      {end.unfinished ? <Markdown text={end.unfinished} complete /> : null}
      <div class={isFault ? "ending error" : "ending"}>
        <Icon name={isFault ? "error" : end.stopReason === "cancelled" ? "circle-slash" : "warning"} />
        <span>{failure?.message ?? stopped[end.stopReason]}</span>
        {isLast && failure ? (
          <div class="buttons">
            {way === "set_api_key" ? (
              <Button primary onClick={() => page.post({ type: "set_api_key" })}>
                Set API key
              </Button>
            ) : null}
            {way === "new_session" ? (
              <Button primary onClick={() => page.post({ type: "new_session" })}>
                New session
              </Button>
            ) : null}
            <Button primary={way === "try_again"} onClick={() => page.post({ type: "try_again", prompt: turn.prompt })}>
              Try again
            </Button>
            {ofModel.has(failure.code) ? (
              <Button
                primary={way === "select_model"}
                onClick={() => page.post({ type: "do", action: "select_model" })}
              >
                Choose another model
              </Button>
            ) : null}
            <Button onClick={() => page.post({ type: "do", action: "show_log" })}>Show log</Button>
          </div>
        ) : null}
      </div>
    </>
  );
}

/** Failures that another model may not have. */
const ofModel: ReadonlySet<string> = new Set([
  "auth",
  "badRequest",
  "billing",
  "contextOverflow",
  "network",
  "notFound",
  "overloaded",
  "protocol",
  "rateLimit",
  "refusal",
  "server",
  "unavailable",
]);

/** What is most likely to help after a failure; the other choices are offered beside it. */
function wayOut(code: string): PanelAction | "new_session" {
  switch (code) {
    case "auth":
    case "needs_key":
      return "set_api_key";
    case "billing":
    case "notFound":
    case "unavailable":
      return "select_model";
    case "contextOverflow":
      return "new_session";
    default:
      return "try_again";
  }
}

function Footer(props: { readonly turn: TurnView; readonly models: readonly ModelChoice[]; readonly asked: number }) {
  const { turn, models, asked } = props;
  const { usage, cost, end, model, routed } = turn;
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (asked > 0) setOpen(true);
  }, [asked]);
  const prompt = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  const cached = prompt > 0 ? usage.cacheReadTokens / prompt : 0;
  const tokens = prompt + usage.outputTokens;
  const parts = [
    routed
      ? `${routed.label}: ${routed.reason}; ${routed.strategy}`
      : (models.find(({ id }) => id === model)?.label ?? model),
    ...(tokens > 0 ? [`${count(tokens)} tokens`] : []),
    ...(cost === undefined ? [] : [dollars(cost)]),
    ...(prompt > 0 ? [`${percent(cached)} cached`] : []),
    ...(end ? [duration(end.at - turn.startedAt)] : []),
  ];
  const detail = `Prompt ${count(prompt)} tokens, ${percent(cached)} of them from the cache; answer ${count(usage.outputTokens)}, of which thinking ${count(usage.thinkingTokens)}`;
  return (
    <>
      <footer class="footer">
        <span title={tokens > 0 ? detail : ""}>
          {parts.map((part, index) => (
            <span key={part} class="whole">
              {index < parts.length - 1 ? `${part} · ` : part}
            </span>
          ))}
        </span>
        <button type="button" class="fold" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name={isOpen ? "chevron-down" : "chevron-right"} />
          Where the time went
        </button>
      </footer>
      {isOpen ? <WaterfallView turn={turn} asked={asked} /> : null}
    </>
  );
}
