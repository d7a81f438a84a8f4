/**
 * Where the user writes: references, text, model, send and stop.
 *
 * Not here: what sending does. Easily got wrong: Enter that ends an input method's composition is not a send.
 */
import { useEffect, useRef } from "preact/hooks";
import type { ReferenceChip } from "../server/src/protocol/panel.ts";
import type { ModelChoice } from "../server/src/protocol/types.ts";
import { aboutTokens } from "./format.ts";
import type { Page } from "./page.ts";
import { Icon, IconButton } from "./parts.tsx";
import { isRunning, type PanelState, selectedModel } from "./state.ts";

interface PromptBoxProps {
  readonly state: PanelState;
  readonly page: Page;
  readonly draft: string;
  readonly onDraft: (text: string) => void;
  readonly onSend: () => void;
}

/** The prompt box at the bottom of the page. */
export function PromptBox({ state, page, draft, onDraft, onSend }: PromptBoxProps) {
  const box = useRef<HTMLTextAreaElement>(null);
  const running = isRunning(state);
  const noFolder = state.host.state === "no_folder";
  const bytesPerToken = selectedModel(state)?.bytesPerToken;
  useEffect(() => {
    if (state.focus > 0) box.current?.focus();
  }, [state.focus]);
  useEffect(() => {
    // A page that is not in use must not take the keyboard away from an editor.
    if (document.hasFocus()) box.current?.focus();
  }, [state.session.sessionId]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    onSend();
  };
  return (
    <form
      class="prompt"
      aria-label="Prompt"
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      <Chips chips={state.chips} bytesPerToken={bytesPerToken} page={page} />
      <textarea
        ref={box}
        rows={1}
        value={draft}
        placeholder={placeholder(state)}
        title="/compact, with or without a hint, replaces a long conversation by a summary"
        aria-label="What should be done? Enter sends, Shift+Enter starts a new line, /compact shortens the conversation."
        disabled={noFolder}
        onInput={(event) => onDraft(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <div class="prompt-bar">
        <ModelPicker models={state.models} selected={state.selected} page={page} />
        <PromptCost bytes={promptBytes(draft, state.chips)} bytesPerToken={bytesPerToken} />
        {running ? (
          <IconButton icon="stop-circle" label="Stop" class="stop" onClick={() => page.post({ type: "stop" })} />
        ) : (
          <IconButton
            icon="send"
            label="Send"
            class="send"
            disabled={noFolder || draft.trim() === ""}
            onClick={onSend}
          />
        )}
      </div>
    </form>
  );
}

function placeholder(state: PanelState): string {
  if (state.host.state === "no_folder") return "Open a folder first";
  return state.session.current ? "Ask for the next step" : "Describe a task";
}

/** Prompts of fewer bytes cost next to nothing beside what every request has: nothing is said of them. */
const leastBytesShown = 400;

const encoder = new TextEncoder();

/** Bytes of what would be sent now. */
function promptBytes(draft: string, chips: readonly ReferenceChip[]): number {
  const included = chips.filter((chip) => chip.included);
  return included.reduce((sum, { bytes }) => sum + bytes, encoder.encode(draft).length);
}

/** What the prompt adds to the request, text and references together. */
function PromptCost({ bytes, bytesPerToken }: { readonly bytes: number; readonly bytesPerToken: number | undefined }) {
  if (bytesPerToken === undefined || bytes < leastBytesShown) return null;
  const tokens = aboutTokens(bytes, bytesPerToken);
  return (
    <span class="prompt-cost muted" title={`This prompt with its references takes ${tokens} of the context window`}>
      {tokens}
    </span>
  );
}

interface ChipsProps {
  readonly chips: readonly ReferenceChip[];
  readonly bytesPerToken: number | undefined;
  readonly page: Page;
}

function Chips({ chips, bytesPerToken, page }: ChipsProps) {
  if (chips.length === 0) return null;
  return (
    <ul class="chips" aria-label="References">
      {chips.map(({ id, label, kind, included, bytes }) => {
        const tokens = bytesPerToken === undefined ? undefined : aboutTokens(bytes, bytesPerToken);
        return (
          <li key={id}>
            <button
              type="button"
              class={included ? "chip" : "chip offered"}
              title={included ? `Remove ${label} from the prompt` : `Add ${label} to the prompt`}
              aria-pressed={included}
              aria-label={`Reference ${label}`}
              aria-description={tokens}
              onClick={() => page.post({ type: "toggle_reference", id })}
            >
              <Icon name={kind === "selection" ? "selection" : "file"} />
              <span>{label}</span>
              {tokens === undefined ? null : <span class="chip-tokens muted">{tokens}</span>}
              <Icon name={included ? "close" : "add"} />
            </button>
          </li>
        );
      })}
    </ul>
  );
}

const groups: readonly { readonly state: ModelChoice["state"]; readonly label: string }[] = [
  { state: "ready", label: "Ready" },
  { state: "recording", label: "Recording" },
  { state: "needs_key", label: "Needs a key" },
];

function ModelPicker(props: {
  readonly models: readonly ModelChoice[];
  readonly selected: string;
  readonly page: Page;
}) {
  const { models, selected, page } = props;
  const choose = (select: HTMLSelectElement) => {
    const model = models.find(({ id }) => id === select.value);
    // What is shown is what the host says; until then nothing has changed.
    select.value = selected;
    if (!model || model.id === selected) return;
    if (model.state !== "needs_key") page.post({ type: "select_model", model: model.id });
    else page.post({ type: "set_api_key", model: model.id, ...(model.credential ? { name: model.credential } : {}) });
  };
  if (models.length === 0) return <span class="picker muted">Looking for models</span>;
  return (
    <label class="picker" title="Model">
      <select aria-label="Model" value={selected} onChange={(event) => choose(event.currentTarget)}>
        {models.some(({ id }) => id === selected) ? null : (
          <option value={selected} disabled>{`${selected} (not there)`}</option>
        )}
        {groups.map(({ state, label }) => {
          const members = models.filter((model) => model.state === state);
          return members.length === 0 ? null : (
            <optgroup key={state} label={label}>
              {members.map(({ id, label: name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </optgroup>
          );
        })}
      </select>
      <Icon name="chevron-down" />
    </label>
  );
}
