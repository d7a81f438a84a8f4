/**
 * What the tests of the panel's page share: one browser for a file, a page that has been set up, and the sessions that it is
 * shown.
 *
 * Easily got wrong: importing this opens the browser before the file's first test and closes it after its last.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import type { SessionEvent, SessionEventBody } from "../../server/src/protocol/events.ts";
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import { buildPanel, openBrowser, openPanelPage, type PanelPage, type PanelPageOptions } from "./panelHarness.ts";
import * as say from "./panelMessages.ts";

const { sessionId, turnId } = say;

let browser: Browser;
let files: ReadonlyMap<string, Uint8Array>;

beforeAll(async () => {
  [browser, files] = await Promise.all([openBrowser(), buildPanel()]);
}, 60_000);
afterAll(() => browser?.close());

/** Opens a page that has been told `messages` after the set-up, runs `body`, and closes it. */
export async function withPanel(
  messages: readonly ToPanel[],
  body: (panel: PanelPage) => Promise<void>,
  options: PanelPageOptions = {},
): Promise<void> {
  const panel = await openPanelPage(browser, files, options);
  try {
    await panel.send(...say.setUp(), ...messages);
    await panel.posted();
    await body(panel);
  } finally {
    await panel.close();
  }
}

/** A session of these events, loaded whole. */
export function session(...events: readonly SessionEventBody[]): ToPanel {
  return { type: "session", sessionId, events: say.numbered(events), live: [] };
}

/** A turn that has begun its first step. */
export const begun: readonly SessionEventBody[] = [say.started("Fix it"), { type: "step_started", turnId, step: 1 }];
/** How it ends well. */
export const ended = { type: "turn_finished", turnId, stopReason: "end_turn" } as const satisfies SessionEventBody;
/** A session with one answer. */
export const answer = (text: string) => session(...begun, say.block(1, 0, { type: "text", text }), ended);
/** A button by its name. */
export const button = ({ page }: PanelPage, name: string | RegExp) => page.getByRole("button", { name });
/** The prompt box. */
export const box = ({ page }: PanelPage) => page.getByRole("textbox", { name: /Enter sends/ });

/** A session with one slow turn, loaded whole. */
export const slow: Extract<ToPanel, { type: "session" }> = {
  type: "session",
  sessionId,
  events: say.slowTurn(),
  live: [],
};

/** An event as it would be if little of the context window were left. */
export const nearlyFull = (event: SessionEvent): SessionEvent =>
  event.type === "step_finished" ? { ...event, context: say.contextOf(131_000) } : event;
