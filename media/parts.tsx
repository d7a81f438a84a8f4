/**
 * The small parts that every view is made of: icons, buttons, markdown, bars, ticking time, and a component that skips
 * work.
 *
 * Not here: anything that knows a session. Easily got wrong: icons are decoration and hidden from screen readers, so a
 * button without text needs its `label`.
 */
import { Component, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { createMarkdownStream } from "./markdown.ts";

/** A codicon by its name without the prefix. */
export function Icon({ name, spin = false }: { readonly name: string; readonly spin?: boolean }) {
  return <span class={`codicon codicon-${name}${spin ? " codicon-modifier-spin" : ""}`} aria-hidden="true" />;
}

/** A button that is only an icon. */
export function IconButton(props: {
  readonly icon: string;
  readonly label: string;
  readonly onClick: () => void;
  readonly disabled?: boolean;
  readonly class?: string;
  /** For a button that stays on or off. */
  readonly pressed?: boolean;
}) {
  const { icon, label, onClick, disabled = false } = props;
  return (
    <button
      type="button"
      class={`icon-button codicon codicon-${icon} ${props.class ?? ""}`}
      title={label}
      aria-label={label}
      {...(props.pressed === undefined ? {} : { "aria-pressed": props.pressed })}
      disabled={disabled}
      onClick={onClick}
    />
  );
}

/** A button with text; one of a group is `primary`. */
export function Button(props: {
  readonly children: ComponentChildren;
  readonly onClick: () => void;
  readonly primary?: boolean;
  readonly title?: string;
}) {
  return (
    <button
      type="button"
      class={props.primary ? "button primary" : "button"}
      {...(props.title === undefined ? {} : { title: props.title })}
      onClick={props.onClick}
    >
      {props.children}
    </button>
  );
}

/** How many lines came and went. */
export function Counts({ added, removed }: { readonly added: number; readonly removed: number }) {
  return (
    <span class="counts" role="img" aria-label={`${added} lines added, ${removed} removed`}>
      <span class="added">+{added}</span> <span class="removed">−{removed}</span>
    </span>
  );
}

/**
 * A bar of parts side by side; `width` is in the same units as theirs, and each part has a class of its own. Hidden from
 * screen readers: a table beside it says the same.
 */
export function PartsBar(props: {
  readonly width: number;
  readonly parts: readonly { readonly class: string; readonly width: number }[];
}) {
  let at = 0;
  return (
    <svg class="fall-whole" preserveAspectRatio="none" viewBox={`0 0 ${props.width} 1`} aria-hidden="true">
      {props.parts.map((part) => {
        const x = at;
        at += part.width;
        return <rect key={part.class} class={part.class} x={x} width={at - x} height="1" />;
      })}
    </svg>
  );
}

/** Wraps a component so that it is drawn again only when one of its properties is another value. */
export function memo<Props extends object>(Inner: ComponentType<Props>): ComponentType<Props> {
  return class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Readonly<Props>): boolean {
      const [before, after] = [Object.entries(this.props), Object.entries(next)];
      const known = new Map(before);
      return before.length !== after.length || after.some(([name, value]) => known.get(name) !== value);
    }
    override render(props: Readonly<Props>) {
      return <Inner {...props} />;
    }
  };
}

const Html = memo(function Html({ html }: { readonly html: string }) {
  // Safe: `markdown.ts` has sanitised it.
  return <div dangerouslySetInnerHTML={{ __html: html }} />;
});

/** Markdown that may grow until it is `complete`; what is finished is neither parsed nor drawn again. */
export const Markdown = memo(function Markdown(props: { readonly text: string; readonly complete: boolean }) {
  const stream = useMemo(createMarkdownStream, []);
  const pieces = stream.update(props.text, props.complete);
  return (
    <div class="markdown">
      {pieces.map((html, index) => (
        <Html key={index} html={html} />
      ))}
    </div>
  );
});

/** The current time in ms since the epoch, drawn again every second while `active`. */
export function useNow(active: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [active]);
  return active ? Math.max(now, 0) : Date.now();
}
