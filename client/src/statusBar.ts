/**
 * The status bar item: which model answers, whether a turn runs, whether it asks, and how the host is.
 *
 * Not here: deciding any of that. Easily got wrong: what needs the user goes before what merely runs.
 */
import { type Disposable, StatusBarAlignment, ThemeColor, window } from "vscode";
import type { ListModelsResult } from "../../server/src/protocol/methods.ts";
import type { HostStatus } from "./agentClient.ts";

/** What the item shows. */
export interface StatusBarState {
  readonly host: HostStatus;
  readonly models: ListModelsResult | undefined;
  readonly running: boolean;
  /** Approvals and questions at a limit that wait. */
  readonly approvals: number;
}

/** The item. A click opens the panel. */
export class StatusBar implements Disposable {
  readonly #item = window.createStatusBarItem("hermes.status", StatusBarAlignment.Right, 100);
  #state: StatusBarState = { host: { state: "starting" }, models: undefined, running: false, approvals: 0 };

  constructor() {
    this.#item.name = "Hermes";
    this.#item.command = "hermes.openPanel";
    this.#draw();
    this.#item.show();
  }

  /** Changes what it shows. */
  set(change: Partial<StatusBarState>): void {
    this.#state = { ...this.#state, ...change };
    this.#draw();
  }

  dispose(): void {
    this.#item.dispose();
  }

  #draw(): void {
    const { text, tooltip, warns } = describe(this.#state);
    this.#item.text = text;
    this.#item.tooltip = tooltip;
    this.#item.accessibilityInformation = { label: tooltip };
    this.#item.backgroundColor = warns ? new ThemeColor("statusBarItem.warningBackground") : undefined;
  }
}

function describe({ host, models, running, approvals }: StatusBarState) {
  const plain = (text: string, tooltip: string) => ({ text, tooltip, warns: false });
  if (host.state === "stopped") {
    return { text: "$(error) Hermes", tooltip: host.message ?? "Hermes: the agent host is not running", warns: true };
  }
  if (approvals > 0) return { text: "$(bell-dot) Hermes", tooltip: "Hermes waits for your answer", warns: true };
  if (host.state === "restarting" || host.state === "starting") {
    return plain("$(loading~spin) Hermes", "Hermes: the agent host is starting");
  }
  const model = models?.models.find(({ id }) => id === models.selected);
  const name = model === undefined ? "" : model.state === "recording" ? " Recording" : ` ${model.label}`;
  if (running) return plain(`$(loading~spin) Hermes${name}`, `Hermes is working.${name}`);
  if (model?.state === "recording") {
    return plain("$(record) Hermes Recording", "Hermes: no model is set up, a recording answers. Click to open");
  }
  return plain(`$(sparkle) Hermes${name}`, `Hermes:${name || " no folder is open"}. Click to open`);
}
