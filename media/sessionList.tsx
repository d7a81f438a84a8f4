/**
 * The list of this workspace's sessions, with search.
 *
 * Not here: searching; the host does that. Easily got wrong: an answer to an older query must not replace a newer one,
 * which `state.ts` sees to by comparing queries.
 */
import { useEffect, useRef } from "preact/hooks";
import type { SessionId, SessionSummary } from "../server/src/protocol/types.ts";
import { ago } from "./format.ts";
import type { Page } from "./page.ts";
import { Icon } from "./parts.tsx";
import type { PageAction, PanelState } from "./state.ts";

/** Milliseconds without typing before a search is sent. */
const searchDelayMs = 150;

interface SessionListProps {
  readonly list: NonNullable<PanelState["list"]>;
  readonly current: SessionId | undefined;
  readonly page: Page;
  readonly dispatch: (action: PageAction) => void;
}

/** The sessions, newest first. Escape closes it. */
export function SessionList({ list, current, page, dispatch }: SessionListProps) {
  const search = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    search.current?.focus();
    return () => clearTimeout(timer.current);
  }, []);
  const onInput = (query: string) => {
    dispatch({ type: "list_query", query });
    clearTimeout(timer.current);
    timer.current = setTimeout(() => page.post({ type: "list_sessions", query }), searchDelayMs);
  };
  return (
    <section
      class="sessions"
      aria-label="Sessions"
      onKeyDown={(event) => {
        if (event.key === "Escape") dispatch({ type: "list_closed" });
      }}
    >
      <input
        ref={search}
        type="search"
        placeholder="Search sessions"
        aria-label="Search sessions"
        value={list.query}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <p class="hint" role="status">
        {describe(list)}
      </p>
      <ul>
        {(list.sessions ?? []).map((session) => (
          <li key={session.sessionId}>
            <SessionRow session={session} isCurrent={session.sessionId === current} page={page} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function describe({ query, sessions }: SessionListProps["list"]): string {
  if (!sessions) return "Loading";
  if (sessions.length > 0) return "";
  return query === "" ? "There are no sessions in this folder yet." : `No session mentions “${query}”.`;
}

function SessionRow(props: { readonly session: SessionSummary; readonly isCurrent: boolean; readonly page: Page }) {
  const { session, isCurrent, page } = props;
  return (
    <button
      type="button"
      class={isCurrent ? "session current" : "session"}
      aria-current={isCurrent}
      onClick={() => page.post({ type: "open_session", sessionId: session.sessionId })}
    >
      <Icon name="comment-discussion" />
      <span class="session-title">{session.title}</span>
      <span class="session-time">{ago(session.updatedAt, Date.now())}</span>
      {session.snippet ? <span class="session-snippet">{session.snippet}</span> : null}
    </button>
  );
}
