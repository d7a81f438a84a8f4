/**
 * What runs inside of the editor's page and the panel's: it notes which token is on screen after each frame, tasks that
 * took long, and what moved.
 *
 * Not here: opening the editor (`live.ts`). Easily got wrong: the function is sent to the page as text, so it may use
 * nothing from outside of itself; and it looks in the task after a frame, when everything of the frame is painted.
 */

/** What was seen since `watch` or the last reading. */
export interface Seen {
  /** The newest token on screen and when it came there, in ms since 1970. */
  readonly tokens: readonly { readonly token: number; readonly at: number }[];
  /** Milliseconds of each task longer than 50 ms. */
  readonly longTasks: readonly number[];
  /** Milliseconds between one frame and the next. */
  readonly frames: readonly number[];
  /** What the browser calls layout shifts: their scores, and when, in ms since 1970. */
  readonly shifts: readonly { readonly score: number; readonly at: number }[];
  /** The frames after which the editor's lines were not where they had been, in ms since 1970. */
  readonly moved: readonly number[];
}

interface Watching {
  stop(): Seen;
}

type Watched = typeof globalThis & { hermesBench?: Watching };

/** Begins to watch; tokens read `q00`, `q01` and so on, in base 36. */
export function watch(): void {
  const isPanel = document.querySelector(".monaco-workbench") === null;
  const tokens: { token: number; at: number }[] = [];
  const longTasks: number[] = [];
  const frames: number[] = [];
  const shifts: { score: number; at: number }[] = [];
  const moved: number[] = [];
  let places: string | undefined;
  let newest = -1;
  let before = performance.now();
  let isOver = false;
  const observers = (["longtask", "layout-shift"] as const).map((type) => {
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        if (type === "longtask") longTasks.push(entry.duration);
        else if ("value" in entry)
          shifts.push({ score: Number(entry.value), at: performance.timeOrigin + entry.startTime });
      }
    });
    observer.observe({ type });
    return observer;
  });
  const shownText = () => {
    if (isPanel) return document.querySelector('[role="log"]')?.textContent ?? "";
    return [...document.querySelectorAll('.view-line span[class*="ced-"]')]
      .map((span) => getComputedStyle(span, "::after").content)
      .join("");
  };
  const look = () => {
    const found = shownText().match(/q[0-9a-z]{2}(?![0-9a-z])/g);
    const token = found ? Number.parseInt(found.at(-1)?.slice(1) ?? "", 36) : -1;
    if (token > newest) {
      newest = token;
      tokens.push({ token, at: performance.timeOrigin + performance.now() });
    }
    if (isPanel) return;
    const now = [...document.querySelectorAll<HTMLElement>(".editor-instance .view-line")]
      .map((line) => line.style.top)
      .sort()
      .join(" ");
    places ??= now;
    if (now !== places) moved.push(performance.timeOrigin + performance.now());
    places = now;
  };
  const channel = new MessageChannel();
  channel.port1.onmessage = look;
  const frame = () => {
    if (isOver) return;
    const now = performance.now();
    frames.push(now - before);
    before = now;
    channel.port2.postMessage(0);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const watched: Watched = globalThis;
  watched.hermesBench = {
    stop: () => {
      isOver = true;
      for (const observer of observers) observer.disconnect();
      return { tokens, longTasks, frames, shifts, moved };
    },
  };
}

/** Resolves when the page has drawn a second's frames without a gap, and after 20 s at the latest. */
export function untilCalm(): Promise<void> {
  const deadline = performance.now() + 20_000;
  return new Promise((resolve) => {
    let calm = 0;
    let before = performance.now();
    const frame = () => {
      const now = performance.now();
      calm = now - before < 40 ? calm + 1 : 0;
      before = now;
      if (calm > 60 || now > deadline) resolve();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

/** Stops watching and gives what was seen. */
export function stopWatching(): Seen {
  const seen = (globalThis as Watched).hermesBench?.stop();
  if (!seen) throw new Error("Nothing is being watched.");
  return seen;
}
