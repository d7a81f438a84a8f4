/**
 * The line that stands for a compaction: how much shorter the conversation became and how, and, unfolded, what models are
 * given in its place.
 *
 * Not here: the turns before it, which stay as they are. Easily got wrong: the summary is the model's and may hold markup,
 * so it is drawn as its answers are; what is carried word for word is plain text.
 */
import { useState } from "preact/hooks";
import type { CompactionMeans, CompactionReason } from "../server/src/protocol/events.ts";
import { dollars, duration } from "../server/src/report/numbers.ts";
import type { Page } from "./page.ts";
import { Icon, Markdown } from "./parts.tsx";
import type { Block } from "./turnState.ts";

/** A compaction between the blocks of a turn, or at its end. */
export function CompactionDivider(props: {
  readonly block: Extract<Block, { kind: "compaction" }>;
  readonly isUndoable: boolean;
  readonly page: Page;
}) {
  const { block, isUndoable, page } = props;
  const { event, isUndone } = block;
  const [isOpen, setOpen] = useState(false);
  const { tokensBefore, tokensAfter, cost, summary, carried, compactionId } = event;
  const price = cost === undefined ? "" : `, ${dollars(cost)}`;
  const what = `Conversation compacted: ${thousands(tokensBefore)} → ${thousands(tokensAfter)} tokens${price}`;
  return (
    <section class="restored" aria-label="Compaction">
      <header>
        <button type="button" class="fold restored-title" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name={isOpen ? "chevron-down" : "chevron-right"} />
          {isUndone ? `${what} (undone)` : what}
        </button>
        {isUndoable && !isUndone ? (
          <button
            type="button"
            class="button small"
            onClick={() => page.post({ type: "undo_compaction", compactionId })}
          >
            Undo compaction
          </button>
        ) : null}
      </header>
      {isOpen ? (
        <div class="compacted">
          <p class="muted">
            {reasons[event.reason]}; {means[event.means]}, in {duration(event.durationMs)}. What was said before it can
            still be read above.
          </p>
          {summary === "" ? null : <Markdown text={summary} complete />}
          <details>
            <summary>What models are given in its place, word for word</summary>
            <pre>{carried}</pre>
          </details>
        </div>
      ) : null}
    </section>
  );
}

const means: { readonly [name in CompactionMeans]: string } = {
  vendor: "by the vendor's own compaction",
  summary: "by a summary that the model wrote",
  extract: "by rule, without a model",
};

const reasons: { readonly [name in CompactionReason]: string } = {
  window: "Little of the model's window was left",
  price: "The price was about to rise with the length",
  overflow: "The next request would not have fitted",
  steps: "It had more steps than you allow",
  boundary: "The turn had ended and the conversation was long",
  manual: "You asked for it",
};

function thousands(tokens: number): string {
  return tokens < 1000 ? String(tokens) : `${Math.round(tokens / 1000)}k`;
}
