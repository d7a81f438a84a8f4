/**
 * Where the user writes: references, text, model, send and stop.
 *
 * Not here: what sending does. Easily got wrong: Enter that ends an input method's composition is not a send.
 */
import { useEffect, useRef } from "preact/hooks";
import type { ReferenceChip } from "../server/src/protocol/panel.ts";
import type { CacheForecast, ModelChoice } from "../server/src/protocol/types.ts";
import { aboutTokens, count, dollars } from "../server/src/report/numbers.ts";
import { ContextMeter, FullWarning } from "./contextMeter.tsx";
import type { Page } from "./page.ts";
import { Icon, IconButton, useNow } from "./parts.tsx";
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
      <FullWarning context={state.session.context} disabled={running} page={page} />
      <Chips chips={state.chips} bytesPerToken={bytesPerToken} page={page} />
      <textarea
        ref={box}
        rows={1}
        value={draft}
        placeholder={placeholder(state)}
        title="/compact, with or without a hint, replaces a long conversation by a summary"
        aria-label="What should be done? Enter sends, Shift+Enter starts a new line, /compact shortens the conversation."
        disabled={noFolder}
        onFocus={() => page.post({ type: "warm_up", intent: "focus" })}
        onInput={(event) => {
          if (draft === "") page.post({ type: "warm_up", intent: "typing" });
          onDraft(event.currentTarget.value);
        }}
        onKeyDown={onKeyDown}
      />
      {running ? null : <ColdCache forecast={state.forecast} selected={state.selected} />}
      <div class="prompt-bar">
        <ModelPicker models={state.models} selected={state.selected} forecast={state.forecast} page={page} />
        <PromptCost bytes={promptBytes(draft, state.chips)} bytesPerToken={bytesPerToken} />
        <ContextMeter context={state.session.context} />
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

/** Tokens below which nobody is told what sending them again costs: less than a cent with most models. */
const leastTold = 4_096;

/** Says so when the selected model's vendor has forgotten the conversation. */
function ColdCache({
  forecast,
  selected,
}: {
  readonly forecast: CacheForecast | undefined;
  readonly selected: string;
}) {
  const words = anewWords(forecast, selected);
  const until = forecast?.warmUntilAt ?? 0;
  const now = useNow(words !== undefined && Date.now() < until);
  if (words === undefined || now < until) return null;
  return (
    <p class="cold-cache muted" title="The vendor's prompt cache has forgotten this conversation.">
      Cache is cold: the next request sends {words}.
    </p>
  );
}

/** What it means that a model is sent the whole conversation; `undefined` where that is next to nothing, or not known. */
function anewWords(forecast: CacheForecast | undefined, model: string): string | undefined {
  if (!forecast || forecast.tokens < leastTold) return undefined;
  const usd = forecast.anewUsd[model];
  return `${count(forecast.tokens)} tokens anew${usd === undefined ? "" : `, about ${dollars(usd)}`}`;
}

const groups: readonly { readonly state: ModelChoice["state"]; readonly label: string }[] = [
  { state: "ready", label: "Ready" },
  { state: "recording", label: "Recording" },
  { state: "needs_key", label: "Needs a key" },
];

function ModelPicker(props: {
  readonly models: readonly ModelChoice[];
  readonly selected: string;
  readonly forecast: CacheForecast | undefined;
  readonly page: Page;
}) {
  const { models, selected, forecast, page } = props;
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
                  {id === selected || state === "recording"
                    ? name
                    : [name, anewWords(forecast, id)].filter(Boolean).join(" · ")}
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
