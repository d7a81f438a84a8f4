/**
 * Wires the page: messages in, once a frame; intents out.
 *
 * Not here: what messages do to the page (`state.ts`) or how it looks (`view.tsx`). Easily got wrong: a hidden page gets
 * no frames, so then messages are taken at once.
 */
import { render } from "preact";
import type { ToPanel } from "../server/src/protocol/panel.ts";
import { connectPage } from "./page.ts";
import "./panel.css";
import "./transcript.css";
import "./cards.css";
import "./markdown.css";
import "./prompt.css";
import "./cost.css";
import { initialState, type PageAction, reduce } from "./state.ts";
import { App } from "./view.tsx";

const page = connectPage();
const root = document.body.appendChild(document.createElement("main"));
let state = initialState;
let waiting: (ToPanel | PageAction)[] = [];

function flush(): void {
  const messages = waiting;
  waiting = [];
  const before = state;
  state = messages.reduce(reduce, state);
  if (state !== before) draw();
}

function dispatch(message: ToPanel | PageAction): void {
  waiting.push(message);
  if (waiting.length > 1) return;
  if (document.hidden) queueMicrotask(flush);
  else requestAnimationFrame(flush);
}

function draw(): void {
  render(<App state={state} page={page} dispatch={dispatch} />, root);
}

page.listen(dispatch);
draw();
page.post({ type: "ready" });
