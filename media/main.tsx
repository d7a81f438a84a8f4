/**
 * Wires the page: messages in, once a frame; intents out.
 *
 * Not here: what messages do to the page (`state.ts`) or how it looks (`view.tsx`). Easily got wrong: a hidden page gets
 * no frames, so then messages are taken at once.
 */
import { render } from "preact";
import type { ToPanel } from "../server/src/protocol/panel.ts";
import { connectPage } from "./page.ts";
import { createPaintMeter } from "./paintMeter.ts";
import "./panel.css";
import "./transcript.css";
import "./cards.css";
import "./markdown.css";
import "./prompt.css";
import "./cost.css";
import "./waterfall.css";
import { initialState, type PageAction, reduce } from "./state.ts";
import { App } from "./view.tsx";

const page = connectPage();
const root = document.body.appendChild(document.createElement("main"));
let state = initialState;
let waiting: (ToPanel | PageAction)[] = [];
let waitingSince = 0;
const paints = createPaintMeter();

function flush(): void {
  const messages = waiting;
  waiting = [];
  const before = state;
  state = messages.reduce(reduce, state);
  if (state === before) return;
  draw();
  if (!document.hidden) measurePaint(messages);
}

/** A task that a frame queues runs when the frame is on the screen. */
function measurePaint(messages: readonly (ToPanel | PageAction)[]): void {
  const since = waitingSince;
  setTimeout(() => {
    const painted = paints.drawn(messages, performance.now() - since);
    if (painted) dispatch(painted);
  });
}

function dispatch(message: ToPanel | PageAction): void {
  waiting.push(message);
  if (waiting.length > 1) return;
  waitingSince = performance.now();
  if (document.hidden) queueMicrotask(flush);
  else requestAnimationFrame(flush);
}

function draw(): void {
  render(<App state={state} page={page} dispatch={dispatch} />, root);
}

page.listen(dispatch);
draw();
page.post({ type: "ready" });
