/**
 * The page as a whole: header, what is on it (empty state, transcript or list of sessions), and the prompt box.
 *
 * Not here: turns (`turn.tsx`) and cards (`toolCard.tsx`). Easily got wrong: links and copy buttons inside rendered
 * markdown are plain HTML, so one listener here serves them all.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { PanelAction, ToPanel } from "../server/src/protocol/panel.ts";
import { CostView } from "./costView.tsx";
import type { Page } from "./page.ts";
import { Button, Icon, IconButton } from "./parts.tsx";
import { PendingBar } from "./pendingBar.tsx";
import { PromptBox } from "./promptBox.tsx";
import { SessionList } from "./sessionList.tsx";
import { isRunning, type PageAction, type PanelState, pendingFiles, selectedModel, turnsOf } from "./state.ts";
import { Transcript } from "./transcript.tsx";

/** What every view is given. */
export interface ViewProps {
  readonly state: PanelState;
  readonly page: Page;
  readonly dispatch: (message: ToPanel | PageAction) => void;
}

const actionLabels: { readonly [action in PanelAction]: string } = {
  set_api_key: "Add API key",
  select_model: "Choose another model",
  try_again: "Try again",
  show_log: "Show log",
  restart_host: "Restart",
  open_folder: "Open folder",
};

/** The whole page. */
export function App(props: ViewProps) {
  const { state, page, dispatch } = props;
  const [draft, setDraft] = useState(page.saved.draft);
  const root = useRef<HTMLDivElement>(null);
  const write = (text: string) => {
    setDraft(text);
    page.save({ draft: text });
  };
  useMarkdownClicks(root, page);
  useRestoredDraft(state, draft, write);
  useEffect(() => {
    // Words of the user's that are there are not replaced.
    if (state.given && draft.trim() === "") write(state.given.text);
  }, [state.given]);
  const send = () => {
    const text = draft.trim();
    if (text === "" || isRunning(state) || state.host.state === "no_folder") return;
    const compact = /^\/compact(?:\s+(.*))?$/s.exec(text);
    if (compact) {
      page.post({ type: "compact", ...(compact[1] ? { hint: compact[1] } : {}) });
      return write("");
    }
    dispatch({ type: "sent", text });
    page.post({ type: "submit", text });
    write("");
  };
  const isEmpty = turnsOf(state.session).length === 0 && state.sending === undefined;
  return (
    <div class="app" ref={root}>
      <Header {...props} />
      <Banners {...props} />
      {state.cost ? (
        <CostView cost={state.cost} page={page} dispatch={dispatch} />
      ) : state.list ? (
        <SessionList list={state.list} current={state.session.sessionId} page={page} dispatch={dispatch} />
      ) : isEmpty ? (
        <EmptyState {...props} onExample={write} />
      ) : (
        <Transcript state={state} page={page} />
      )}
      {state.list || state.cost ? null : (
        <PendingBar files={pendingFiles(state)} root={state.workspace?.root} page={page} />
      )}
      <PromptBox state={state} page={page} draft={draft} onDraft={write} onSend={send} />
    </div>
  );
}

function Header({ state, page, dispatch }: ViewProps) {
  const title = state.cost ? "Cost" : state.list ? "Sessions" : (state.session.title ?? "New session");
  return (
    <header class="header">
      <h1 title={title}>{title}</h1>
      {selectedModel(state)?.state === "recording" ? (
        <span class="badge" title="No model is set up: a recording answers">
          <Icon name="record" />
          Recording
        </span>
      ) : null}
      <IconButton
        icon="eye"
        label="Follow: show files as they are edited"
        class={state.follow ? "checked" : ""}
        pressed={state.follow}
        onClick={() => page.post({ type: "follow", on: !state.follow })}
      />
      <IconButton
        icon="graph"
        label={state.cost ? "Close the cost view" : "Cost"}
        class={state.cost ? "checked" : ""}
        onClick={() => (state.cost ? dispatch({ type: "cost_closed" }) : page.post({ type: "show_cost" }))}
      />
      <IconButton
        icon="history"
        label={state.list ? "Close the list of sessions" : "Sessions"}
        class={state.list ? "checked" : ""}
        onClick={() => {
          if (state.list) return dispatch({ type: "list_closed" });
          dispatch({ type: "list_opened" });
          page.post({ type: "list_sessions", query: "" });
        }}
      />
      <IconButton icon="add" label="New session" onClick={() => page.post({ type: "new_session" })} />
    </header>
  );
}

function Banners({ state, page, dispatch }: ViewProps) {
  const { host, notice, failed, workspace } = state;
  const act = (action: PanelAction) => page.post({ type: "do", action });
  return (
    <div class="banners">
      {host.state === "restarting" ? (
        <p class="banner info" role="status">
          <Icon name="loading" spin />
          <span>{host.message ?? "The agent host stopped. Starting it again."}</span>
        </p>
      ) : null}
      {host.state === "stopped" ? (
        <div class="banner error" role="alert">
          <Icon name="error" />
          <span>{host.message ?? "The agent host is not running."}</span>
          <div class="buttons">
            <Button primary onClick={() => act("restart_host")}>
              Restart
            </Button>
            <Button onClick={() => act("show_log")}>Show log</Button>
          </div>
        </div>
      ) : null}
      {workspace && !workspace.trusted ? (
        <p class="banner info">
          <Icon name="shield" />
          <span>Restricted mode: Hermes reads, but edits and runs nothing, until you trust this workspace.</span>
        </p>
      ) : null}
      {workspace && workspace.folders > 1 ? (
        <p class="banner info">
          <Icon name="root-folder" />
          <span>{`Hermes works in ${workspace.name}, the first of your ${workspace.folders} folders.`}</span>
        </p>
      ) : null}
      {notice === undefined ? null : (
        <p class="banner info" role="status">
          <Icon name="info" />
          <span>{notice}</span>
          <IconButton icon="close" label="Dismiss" onClick={() => dispatch({ type: "dismissed" })} />
        </p>
      )}
      {failed ? (
        <div class="banner error" role="alert">
          <Icon name="error" />
          <span>{failed.failure.message}</span>
          <IconButton icon="close" label="Dismiss" onClick={() => dispatch({ type: "dismissed" })} />
          {failed.action ? <FailedAction action={failed.action} onClick={act} /> : null}
        </div>
      ) : null}
    </div>
  );
}

function FailedAction(props: { readonly action: PanelAction; readonly onClick: (action: PanelAction) => void }) {
  return (
    <div class="buttons">
      <Button primary onClick={() => props.onClick(props.action)}>
        {actionLabels[props.action]}
      </Button>
    </div>
  );
}

/** The first is what the recording answers; a recording is offered nothing else. */
const examples: readonly { readonly icon: string; readonly text: string }[] = [
  { icon: "beaker", text: "Run the tests and fix what fails." },
  { icon: "telescope", text: "Explain how this project is organised and where to start reading." },
  { icon: "git-compare", text: "Review my uncommitted changes and point out mistakes." },
];

function EmptyState({ state, page, onExample }: ViewProps & { readonly onExample: (text: string) => void }) {
  if (state.host.state === "no_folder") {
    return (
      <section class="empty">
        <Icon name="folder-opened" />
        <h2>Open a folder to begin</h2>
        <p>Hermes reads and edits the files of a folder, and none is open.</p>
        <Button primary onClick={() => page.post({ type: "do", action: "open_folder" })}>
          Open folder
        </Button>
      </section>
    );
  }
  const model = selectedModel(state);
  return (
    <section class="empty">
      <Icon name="sparkle" />
      <h2>What should be done?</h2>
      <p>Describe a task. Hermes reads, edits and runs things in this folder, and asks before it changes anything.</p>
      {model?.state === "recording" ? <RecordingOffer page={page} /> : null}
      <ul class="examples" aria-label="Examples">
        {(model?.state === "recording" ? examples.slice(0, 1) : examples).map(({ icon, text }) => (
          <li key={text}>
            <button type="button" class="example" onClick={() => onExample(text)}>
              <Icon name={icon} />
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function RecordingOffer({ page }: { readonly page: Page }) {
  return (
    <div class="offer">
      <p>
        <strong>No model is set up, so a recording answers.</strong> Its words were recorded; the tools, the edits and
        the test runs are real. Add a key of yours, or start a local model server, to ask a model.
      </p>
      <Button primary onClick={() => page.post({ type: "set_api_key" })}>
        Add API key
      </Button>
    </div>
  );
}

/** Gives the words back to the prompt box when they could not be sent. */
function useRestoredDraft(state: PanelState, draft: string, write: (text: string) => void): void {
  const sent = useRef<string>(undefined);
  useEffect(() => {
    if (state.sending !== undefined) sent.current = state.sending;
    else {
      const text = sent.current;
      sent.current = undefined;
      if (text !== undefined && state.failed && draft === "") write(text);
    }
  }, [state.sending]);
}

function useMarkdownClicks(root: { readonly current: HTMLElement | null }, page: Page): void {
  useEffect(() => {
    const onClick = (event: MouseEvent) => {
      const target = event.target instanceof Element ? event.target.closest("[data-path], [data-copy]") : null;
      if (!(target instanceof HTMLElement)) return;
      event.preventDefault();
      const { path, line } = target.dataset;
      if (path === undefined) return void copyCode(target);
      page.post({ type: "open_file", path, ...(line === undefined ? {} : { line: Number(line) }) });
    };
    const element = root.current;
    element?.addEventListener("click", onClick);
    return () => element?.removeEventListener("click", onClick);
  }, []);
}

async function copyCode(button: HTMLElement): Promise<void> {
  await navigator.clipboard.writeText(button.closest(".code")?.querySelector("code")?.textContent ?? "");
  button.classList.replace("codicon-copy", "codicon-check");
  setTimeout(() => button.classList.replace("codicon-check", "codicon-copy"), 1500);
}
