/**
 * The turns on screen: the newest ones, kept in view while they grow, and told to screen readers.
 *
 * Not here: one turn (`turn.tsx`). Easily got wrong: it follows the end only while the user is there; and a screen
 * reader is told an answer once, when it is complete, not letter by letter.
 */
import { Fragment } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Page } from "./page.ts";
import { Button, Icon, IconButton } from "./parts.tsx";
import { RestoreDivider } from "./restoreDivider.tsx";
import { dividersAfter, goneTurns, isUndoable } from "./restoreState.ts";
import { isRunning, type PanelState, pendingFiles, turnsOf, usdPerToken } from "./state.ts";
import { Turn } from "./turn.tsx";
import type { TurnView } from "./turnState.ts";

/** Blocks that are drawn at most, and how many more "Show earlier" adds. */
const pageOfBlocks = 200;
/** Pixels from the end within which the view follows it. */
const nearEnd = 32;

/** The conversation. */
export function Transcript({ state, page }: { readonly state: PanelState; readonly page: Page }) {
  const [limit, setLimit] = useState(pageOfBlocks);
  const scroller = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const [away, setAway] = useState(false);
  const toEnd = () => {
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  useLayoutEffect(() => {
    follows.current = true;
    setAway(false);
    setLimit(pageOfBlocks);
  }, [state.session.sessionId, state.sending !== undefined]);
  useLayoutEffect(() => {
    if (follows.current) toEnd();
  });
  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < nearEnd;
    setAway(!follows.current);
  };
  const turns = turnsOf(state.session);
  const pending = new Set(pendingFiles(state).flatMap(({ turnIds }) => turnIds));
  const { from, skipped, hidden } = visible(turns, limit);
  const showEarlier = () => {
    setLimit(limit + pageOfBlocks);
    if (hidden === 0) page.post({ type: "show_earlier", turns: turns.length });
  };
  const { restores } = state.session;
  const gone = goneTurns(restores);
  const drawTurn = (turn: TurnView, skip: number) => (
    <Turn
      key={turn.turnId}
      turn={turn}
      skip={skip}
      isLast={turn === state.session.current}
      canUndo={!isRunning(state)}
      isGone={gone.has(turn.turnId)}
      pendingIn={pending.has(turn.turnId) ? state.session.sessionId : undefined}
      asked={turn.turnId === state.why.turnId ? state.why.count : 0}
      models={state.models}
      usdPerToken={usdPerToken(state)}
      root={state.workspace?.root}
      page={page}
    />
  );
  return (
    <div class="transcript-frame">
      <div class="transcript" ref={scroller} onScroll={onScroll} role="log" aria-live="off" aria-label="Conversation">
        {hidden > 0 || state.session.hasEarlier ? (
          <div class="show-earlier">
            <Button onClick={showEarlier}>Show earlier</Button>
          </div>
        ) : null}
        {turns.slice(from).map((turn, index) => (
          <Fragment key={turn.turnId}>
            {gone.has(turn.turnId) ? null : drawTurn(turn, index === 0 ? skipped : 0)}
            {dividersAfter(restores, turn.turnId).map((restore) => (
              <RestoreDivider
                key={restore.restoreId}
                restore={restore}
                turns={turns}
                isUndoable={!isRunning(state) && isUndoable(restores, restore, state.session.current?.turnId)}
                root={state.workspace?.root}
                page={page}
                drawTurn={(one) => drawTurn(one, 0)}
              />
            ))}
          </Fragment>
        ))}
        {state.session.compacting ? <Compacting state={state} page={page} /> : null}
        {state.sending === undefined ? null : <Sending text={state.sending} />}
      </div>
      {away ? <IconButton icon="arrow-down" label="Go to the end" class="to-end" onClick={toEnd} /> : null}
      <Announcements current={state.session.current} />
    </div>
  );
}

/** While a turn runs, stopping that is what ends it. */
function Compacting({ state, page }: { readonly state: PanelState; readonly page: Page }) {
  const isBetweenTurns = state.session.current?.end !== undefined;
  return (
    <p class="progress" role="status">
      <Icon name="loading" spin />
      <span class="shimmer">Compacting the conversation</span>
      {isBetweenTurns ? (
        <button type="button" class="button small" onClick={() => page.post({ type: "stop" })}>
          Cancel
        </button>
      ) : null}
    </p>
  );
}

function Sending({ text }: { readonly text: string }) {
  return (
    <article class="turn">
      <div class="request">
        <p class="request-text">{text}</p>
      </div>
      <p class="progress">
        <Icon name="loading" spin />
        Starting
      </p>
    </article>
  );
}

function Announcements({ current }: { readonly current: TurnView | undefined }) {
  const waiting = current ? [...current.calls.values()].find(({ request }) => request)?.request : undefined;
  const last = current?.end ? current.blocks.findLast((block) => block.kind === "text") : undefined;
  const answer = last?.kind === "text" ? last.text : "";
  return (
    <>
      <div class="for-screen-readers" aria-live="polite">
        {current?.end ? (current.end.failure?.message ?? `Hermes: ${answer.slice(0, 2000)}`) : ""}
      </div>
      <div class="for-screen-readers" aria-live="assertive">
        {waiting ? `Hermes asks for approval: ${waiting.title}` : ""}
        {current?.limit ? `Hermes waits at a limit: ${current.limit.message}` : ""}
      </div>
    </>
  );
}

/** Which turns and blocks are drawn: the last `limit` blocks. A turn counts one for its prompt. */
function visible(turns: readonly TurnView[], limit: number) {
  let rest = limit;
  for (let index = turns.length - 1; index >= 0; index--) {
    const blocks = turns[index]?.blocks.length ?? 0;
    if (blocks + 1 > rest) {
      const isLast = index === turns.length - 1;
      // The last turn is always there, at least in part.
      return isLast ? { from: index, skipped: blocks - rest, hidden: 1 } : { from: index + 1, skipped: 0, hidden: 1 };
    }
    rest -= blocks + 1;
  }
  return { from: 0, skipped: 0, hidden: 0 };
}
