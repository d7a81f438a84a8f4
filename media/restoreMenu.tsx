/**
 * The menu of a turn that goes back to right before it: files, conversation, or both.
 *
 * Not here: what a restore does. Easily got wrong: Escape and leaving the menu close it, and the button has the focus again.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { TurnId } from "../server/src/protocol/types.ts";
import { count, dollars } from "../server/src/report/numbers.ts";
import type { Page } from "./page.ts";

/** What going back costs at most, when the prompt cache has none of what is sent then. */
function priceOf(props: { readonly tokens: number | undefined; readonly usdPerToken: number | undefined }) {
  const { tokens, usdPerToken } = props;
  if (tokens === undefined || tokens < leastTold) return undefined;
  const usd = usdPerToken === undefined ? "" : `, ${dollars(tokens * usdPerToken)} at most`;
  return `then sends ${count(tokens)} tokens${usd}`;
}

/** Tokens below which it is next to nothing. */
const leastTold = 4_096;

const choices = [
  { label: "Files and conversation", files: true, conversation: true },
  { label: "Files only", files: true, conversation: false },
  { label: "Conversation only", files: false, conversation: true },
] as const;

/** The button "Restore…" and its menu. */
export function RestoreMenu(props: {
  readonly turnId: TurnId;
  /** Tokens of the turn's first request. */
  readonly tokens: number | undefined;
  /** US dollars for one of them that is not in the prompt cache. */
  readonly usdPerToken: number | undefined;
  readonly disabled: boolean;
  readonly page: Page;
}) {
  const { turnId, disabled, page } = props;
  const price = priceOf(props);
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const items = () => [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  const close = () => {
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (isOpen) items()[0]?.focus();
  }, [isOpen]);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.key === "Escape") close();
    else if (step === 0) return;
    const all = items();
    const at = all.findIndex((item) => item.matches(":focus"));
    if (step !== 0) all[(at + step + all.length) % all.length]?.focus();
    event.preventDefault();
  };
  const onFocusOut = (event: FocusEvent) => {
    if (!(event.relatedTarget instanceof Node && box.current?.contains(event.relatedTarget))) setOpen(false);
  };
  return (
    <div class="restore-menu" ref={box}>
      <button
        type="button"
        class="link"
        title="Go back to right before this turn"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        disabled={disabled}
        onClick={() => setOpen(!isOpen)}
      >
        Restore…
      </button>
      {isOpen ? (
        <div
          class="menu"
          role="menu"
          aria-label="Restore to before this turn"
          onKeyDown={onKeyDown}
          onFocusOut={onFocusOut}
        >
          {choices.map(({ label, files, conversation }) => (
            <button
              key={label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                close();
                page.post({ type: "restore", turnId, files, conversation });
              }}
            >
              {label}
              {conversation && price ? <span class="muted"> · {price}</span> : null}
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}
