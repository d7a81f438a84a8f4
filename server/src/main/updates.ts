/**
 * Joins what streams between two display frames into one `session/update`, so that a fast model does not flood the client.
 *
 * Not here: what updates mean. Easily got wrong: order is kept across deltas and events; an event goes out at once, with
 * the deltas before it, and so does a delta after a pause: only what comes within a frame of the last sending waits. Only
 * neighbouring deltas of the same block are joined.
 */
import type { SessionDelta, SessionUpdate } from "../protocol/events.ts";
import type { SessionId } from "../protocol/types.ts";

/** Milliseconds between two sendings of deltas, and that a delta may wait: one frame at 60 Hz. */
const frameMs = 16;

/** What a coalescer needs: where batches go, and a timer. */
export interface CoalescerDeps {
  readonly send: (sessionId: SessionId, updates: readonly SessionUpdate[]) => void;
  /** Runs a function after some milliseconds; the result calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/** Takes updates one by one and sends them in batches. */
export interface Coalescer {
  push(sessionId: SessionId, update: SessionUpdate): void;
  /** Sends what waits. */
  flush(): void;
}

/** Makes a coalescer. Call `flush` before the process ends. */
export function createCoalescer({ send, after }: CoalescerDeps): Coalescer {
  const waiting = new Map<SessionId, SessionUpdate[]>();
  /** Ends the frame after a sending; while there is one, deltas wait. */
  let endFrame: (() => void) | undefined;

  const flush = () => {
    endFrame?.();
    endFrame = undefined;
    for (const [sessionId, updates] of waiting) send(sessionId, updates);
    waiting.clear();
  };

  const sendNow = () => {
    const isEmpty = waiting.size === 0;
    flush();
    if (!isEmpty) endFrame = after(frameMs, sendNow);
  };

  const push = (sessionId: SessionId, update: SessionUpdate) => {
    const updates = waiting.get(sessionId) ?? [];
    const previous = updates.at(-1);
    const joined = previous && !("seq" in update) && !("seq" in previous) ? tryJoin(previous, update) : undefined;
    waiting.set(sessionId, joined ? updates.with(-1, joined) : [...updates, update]);
    if ("seq" in update || !endFrame) sendNow();
  };

  return { push, flush };
}

function tryJoin(previous: SessionDelta, next: SessionDelta): SessionDelta | undefined {
  if (previous.type === "tool_output_delta" && next.type === "tool_output_delta") {
    return previous.callId === next.callId ? { ...next, text: previous.text + next.text } : undefined;
  }
  if (previous.type === "tool_call_delta" && next.type === "tool_call_delta") {
    return previous.index === next.index ? { ...next, json: previous.json + next.json } : undefined;
  }
  if (
    (previous.type === "text_delta" || previous.type === "thinking_delta") &&
    previous.type === next.type &&
    previous.index === next.index
  ) {
    return { ...next, text: previous.text + next.text };
  }
  return undefined;
}
