/**
 * How full the model's context window is: a ring beside the prompt box, its parts on request, and what to do when it is
 * nearly full.
 *
 * Not here: counting (`server/src/session/context.ts`). Easily got wrong: what is kept free for the answer cannot be used by
 * the conversation, so the window is full before the prompt alone is as long as it.
 */
import { useState } from "preact/hooks";
import type { ContextSection, ContextSize } from "../server/src/protocol/types.ts";
import { count, percent } from "../server/src/report/numbers.ts";
import type { Page } from "./page.ts";
import { Button, Icon, PartsBar } from "./parts.tsx";

/** The share of its room from which on a conversation is called nearly full. */
const warnFrom = 0.8;
/** Units of the ring's and the bar's length. */
const whole = 100;

const sectionNames: { readonly [section in ContextSection]: string } = {
  tools: "Tools",
  system: "System prompt",
  instructions: "Project instructions",
  summary: "Summary",
  history: "Conversation",
  attached: "Attachments",
};
const sections = Object.keys(sectionNames) as readonly ContextSection[];

/** The tokens of the prompt, and the share of the room for it that they take, from 0 to 1. */
function fullness({ window, reserve, parts }: ContextSize): { readonly tokens: number; readonly share: number } {
  const tokens = sections.reduce((sum, section) => sum + parts[section], 0);
  return { tokens, share: Math.min(1, tokens / Math.max(1, window - reserve)) };
}

/** The ring. Pointing at it or focusing it shows the parts; a click keeps them, Escape takes them away. */
export function ContextMeter({ context }: { readonly context: ContextSize | undefined }) {
  const [isKept, setKept] = useState(false);
  const [isPeeked, setPeeked] = useState(false);
  if (!context) return null;
  const { tokens, share } = fullness(context);
  const close = () => {
    setKept(false);
    setPeeked(false);
  };
  const isOpen = isKept || isPeeked;
  return (
    <div class={share >= warnFrom ? "meter warning" : "meter"}>
      <button
        type="button"
        class="meter-button"
        aria-expanded={isOpen}
        aria-label={`Context window ${percent(share)} full: ${count(tokens)} of ${count(context.window)} tokens`}
        onClick={() => (isKept ? close() : setKept(true))}
        onMouseEnter={() => setPeeked(true)}
        onMouseLeave={() => setPeeked(false)}
        onFocus={() => setPeeked(true)}
        onBlur={close}
        onKeyDown={(event) => {
          if (event.key === "Escape") close();
        }}
      >
        <svg viewBox="0 0 36 36" aria-hidden="true">
          <circle class="meter-track" cx="18" cy="18" r="15" />
          <circle
            class="meter-fill"
            cx="18"
            cy="18"
            r="15"
            pathLength={whole}
            stroke-dasharray={`${share * whole} ${whole}`}
            transform="rotate(-90 18 18)"
          />
        </svg>
        {percent(share)}
      </button>
      {isOpen ? <Parts context={context} tokens={tokens} /> : null}
    </div>
  );
}

function Parts({ context, tokens }: { readonly context: ContextSize; readonly tokens: number }) {
  const { window, reserve, parts } = context;
  const taken = sections.map((name) => ({ name, label: sectionNames[name], size: parts[name] }));
  const rows = [
    ...taken.filter(({ size }) => size > 0),
    { name: "reserve", label: "Kept for the answer", size: reserve },
    { name: "free", label: "Free", size: Math.max(0, window - reserve - tokens) },
  ];
  const scale = whole / Math.max(window, tokens + reserve);
  return (
    <div class="meter-parts">
      <PartsBar
        width={whole}
        parts={rows.map(({ name, size }) => ({ class: `section-${name}`, width: size * scale }))}
      />
      <table class="fall-parts">
        <caption>{`${count(tokens)} of ${count(window)} tokens, full at ${count(window - reserve)}`}</caption>
        <thead class="for-screen-readers">
          <tr>
            <th scope="col">Part</th>
            <th scope="col">Tokens</th>
            <th scope="col">Share</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, label, size }) => (
            <tr key={name}>
              <th scope="row">
                <svg class="fall-swatch" viewBox="0 0 1 1" aria-hidden="true">
                  <rect class={`section-${name}`} width="1" height="1" />
                </svg>
                {label}
              </th>
              <td>{count(size)}</td>
              <td>{percent(size / window)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface FullWarningProps {
  readonly context: ContextSize | undefined;
  /** While something runs nothing can be done about it. */
  readonly disabled: boolean;
  readonly page: Page;
}

/** A line above the prompt box once the window is nearly full, with what can be done. */
export function FullWarning({ context, disabled, page }: FullWarningProps) {
  const share = context ? fullness(context).share : 0;
  if (share < warnFrom) return null;
  return (
    <div class="meter-warning" role="status">
      <Icon name="warning" />
      <span>{`The context window is ${percent(share)} full. Compact the conversation, or go on in a new session.`}</span>
      {disabled ? null : (
        <div class="buttons">
          <Button primary onClick={() => page.post({ type: "compact" })}>
            Compact
          </Button>
          <Button onClick={() => page.post({ type: "new_session" })}>New session</Button>
        </div>
      )}
    </div>
  );
}
