/**
 * A tool call: one line that says what it does and how it is, its output when unfolded, and the question when it asks.
 *
 * Not here: the answer's way to the host. Easily got wrong: nothing here takes the keyboard's focus by itself, so that a
 * key meant for the prompt box can never approve anything.
 */
import { useId, useRef, useState } from "preact/hooks";
import type { ApprovalChoice, Json, PermissionRequest, ToolKind } from "../server/src/protocol/types.ts";
import { duration } from "../server/src/report/numbers.ts";
import type { Page } from "./page.ts";
import { Button, Icon, IconButton, memo, useNow } from "./parts.tsx";
import type { CallState, CallView } from "./turnState.ts";

const kindIcons: { readonly [kind in ToolKind]: string } = {
  read: "book",
  edit: "edit",
  delete: "trash",
  move: "arrow-right",
  search: "search",
  execute: "terminal",
  fetch: "globe",
  think: "lightbulb",
  other: "tools",
};

const stateIcons: { readonly [state in CallState]: { readonly icon: string; readonly label: string } } = {
  queued: { icon: "ellipsis", label: "Waiting for its turn" },
  running: { icon: "loading", label: "Running" },
  waiting: { icon: "question", label: "Needs your approval" },
  done: { icon: "check", label: "Done" },
  failed: { icon: "error", label: "Failed" },
  denied: { icon: "circle-slash", label: "Denied" },
  stopped: { icon: "debug-stop", label: "Stopped" },
};

interface ToolCardProps {
  readonly call: CallView;
  /** What it has printed so far, while it runs. */
  readonly live: string | undefined;
  readonly root: string | undefined;
  readonly page: Page;
}

/** The card of a call. */
export const ToolCard = memo(function ToolCard({ call, live, page }: ToolCardProps) {
  const [chosen, setChosen] = useState<boolean>();
  const bodyId = useId();
  const isOpen = chosen ?? (call.state === "running" && live !== undefined);
  const location = call.locations[0];
  const { label } = stateIcons[call.state];
  return (
    <div class={`card ${call.state}`}>
      <div class="card-line">
        <button
          type="button"
          class="fold"
          aria-expanded={isOpen}
          aria-controls={bodyId}
          title={titleOf(call)}
          onClick={() => setChosen(!isOpen)}
        >
          <Icon name={kindIcons[call.kind]} />
          <Icon name={isOpen ? "chevron-down" : "chevron-right"} />
          <span class="card-title">{titleOf(call)}</span>
          <span class="for-screen-readers">{label}</span>
        </button>
        <Outcome call={call} />
        {location && call.kind !== "delete" ? (
          <IconButton
            icon="go-to-file"
            label="Open the file"
            class="card-link"
            onClick={() =>
              page.post({
                type: "open_file",
                path: location.uri,
                ...(location.fromLine === undefined ? {} : { line: location.fromLine }),
              })
            }
          />
        ) : null}
      </div>
      {call.request ? <Approval request={call.request} page={page} /> : null}
      <div id={bodyId} class="card-body" hidden={!isOpen}>
        {isOpen ? <Body call={call} live={live} /> : null}
      </div>
    </div>
  );
});

/** A call whose arguments are still being streamed. */
export const DraftCard = memo(function DraftCard({ name, json }: { readonly name: string; readonly json: string }) {
  const [, path] = /"path"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(json.slice(0, 2000)) ?? [];
  const lines = useLineCount(json);
  return (
    <p class="progress">
      <Icon name="loading" spin />
      <span class="shimmer">
        {verbOf(name)} {path ?? ""} {lines > 3 ? `(${lines} lines)` : ""}
      </span>
    </p>
  );
});

/** How many lines a JSON text that grows has in its strings so far; only what is new is looked at. */
function useLineCount(json: string): number {
  const counted = useRef({ upTo: 0, breaks: 0 });
  const isShorter = counted.current.upTo > json.length;
  let [next, breaks] = isShorter ? [0, 0] : [counted.current.upTo, counted.current.breaks];
  for (let at = json.indexOf("\\n", next); at !== -1; at = json.indexOf("\\n", next)) {
    breaks += 1;
    next = at + 2;
  }
  // A backslash at the end may be the first half of a break.
  counted.current = { upTo: Math.max(next, json.length - 1), breaks };
  return breaks + 1;
}

function Outcome({ call }: { readonly call: CallView }) {
  const isRunning = call.state === "running";
  const now = useNow(isRunning);
  const { icon, label } = stateIcons[call.state];
  const ms = call.durationMs ?? (call.startedAt === undefined ? 0 : now - call.startedAt);
  return (
    <span class={`outcome ${call.state}`} title={label}>
      {ms >= 1000 || (call.state === "done" && ms >= 100) ? <span class="muted">{duration(ms)}</span> : null}
      <Icon name={icon} spin={isRunning} />
    </span>
  );
}

const choices: readonly { readonly choice: ApprovalChoice; readonly label: string }[] = [
  { choice: "allow_once", label: "Allow once" },
  { choice: "allow_session", label: "Allow for this session" },
  { choice: "allow_always", label: "Always allow" },
  { choice: "deny", label: "Deny" },
];

function Approval({ request, page }: { readonly request: PermissionRequest; readonly page: Page }) {
  const { sessionId, callId, title, detail, rule, tool } = request;
  const [answered, setAnswered] = useState(false);
  const answer = (choice: ApprovalChoice) => {
    if (answered) return;
    setAnswered(true);
    page.post({ type: "answer", sessionId, callId, choice });
  };
  return (
    <fieldset class="approval" disabled={answered}>
      <legend class="for-screen-readers">{`Approval: ${title}`}</legend>
      {detail === "" ? null : <Preview text={detail} isDiff={tool === "edit"} />}
      <div class="buttons">
        {choices.map(({ choice, label }) => (
          <Button
            key={choice}
            primary={choice === "allow_once"}
            onClick={() => answer(choice)}
            {...(choice === "allow_session" || choice === "allow_always" ? { title: `Allows ${rule}` } : {})}
          >
            {label}
          </Button>
        ))}
      </div>
      <p class="rule">
        For the session and always: <code>{rule}</code>
      </p>
    </fieldset>
  );
}

function Body({ call, live }: { readonly call: CallView; readonly live: string | undefined }) {
  const output = call.output ?? live ?? "";
  const { before, after, command } = argumentsOf(call.input);
  return (
    <>
      {command === undefined ? null : <Preview text={`$ ${command}`} isDiff={false} />}
      {before === undefined || after === undefined ? null : <Preview text={toDiff(before, after)} isDiff />}
      {output === "" ? null : <Preview text={output} isDiff={false} />}
      {output === "" && command === undefined && before === undefined ? <p class="muted">Nothing to show yet</p> : null}
    </>
  );
}

/** Lines of a preview that are drawn; the rest is said to be there. */
const previewLines = 400;

function Preview({ text, isDiff }: { readonly text: string; readonly isDiff: boolean }) {
  const lines = text.split("\n");
  const shown = lines.slice(-previewLines);
  const hidden = lines.length - shown.length;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <pre class="preview" tabIndex={0}>
      {hidden > 0 ? <span class="muted">{`${hidden} earlier lines are not shown\n`}</span> : null}
      {isDiff
        ? shown.map((line, index) => (
            <span key={index} class={line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : ""}>
              {`${line}\n`}
            </span>
          ))
        : shown.join("\n")}
    </pre>
  );
}

function toDiff(before: string, after: string): string {
  const mark = (text: string, sign: string) => text.replace(/\n$/, "").replace(/^/gm, sign);
  return [before && mark(before, "-"), after && mark(after, "+")].filter(Boolean).join("\n");
}

function argumentsOf(input: Json): {
  readonly path?: string;
  readonly before?: string;
  readonly after?: string;
  readonly command?: string;
} {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return {};
  const fields = new Map(Object.entries(input));
  const get = (name: string) => {
    const value = fields.get(name);
    return typeof value === "string" ? value : undefined;
  };
  const [path, before, after, text, command] = ["path", "old", "new", "text", "command"].map(get);
  return {
    ...(path === undefined ? {} : { path }),
    ...(before === undefined && text === undefined ? {} : { before: before ?? "" }),
    ...(after === undefined && text === undefined ? {} : { after: after ?? text ?? "" }),
    ...(command === undefined ? {} : { command }),
  };
}

/** A call that never began to run has no title but its name and what it was about. */
function titleOf({ title, name, input }: CallView): string {
  if (title !== name) return title;
  const { path, command } = argumentsOf(input);
  return `${name} ${path ?? command ?? placesOf(input)}`.trim();
}

/** What a call of `delete` or `move` is about. */
function placesOf(input: Json): string {
  if (typeof input !== "object" || input === null) return "";
  const { paths, from, to } = Object.fromEntries(Object.entries(input));
  if (Array.isArray(paths)) return paths.join(", ");
  return typeof from === "string" && typeof to === "string" ? `${from} to ${to}` : "";
}

const verbs: { readonly [tool: string]: string } = {
  edit: "Writing an edit",
  write: "Writing",
  shell: "Writing a command",
  move: "Choosing what to move",
  delete: "Choosing what to delete",
  read: "Choosing what to read",
  search: "Writing a search",
};

function verbOf(tool: string): string {
  return verbs[tool] ?? `Preparing ${tool}`;
}
