/**
 * Measures how long updates of a turn take from their arrival on the page to the screen.
 *
 * Not here: the clock and the frames (`main.tsx`). Easily got wrong: it is measured on the page alone, because its clock and
 * the host's may be of two machines.
 */
import type { ToPanel } from "../server/src/protocol/panel.ts";
import type { PageAction } from "./state.ts";

/** Takes what was drawn in one frame. */
export interface PaintMeter {
  /** `ms` from the arrival of the first of the messages to the screen. Answers with the end of a turn, where it is among them. */
  drawn(messages: readonly (ToPanel | PageAction)[], ms: number): Extract<PageAction, { type: "painted" }> | undefined;
}

/** Makes a meter for one page. */
export function createPaintMeter(): PaintMeter {
  let longestMs = 0;
  return {
    drawn: (messages, ms) => {
      const updates = messages.flatMap((message) => (message.type === "updates" ? message.updates : []));
      if (updates.length === 0) return undefined;
      if (updates.some(({ type }) => type === "turn_started")) longestMs = 0;
      longestMs = Math.max(longestMs, ms);
      const end = updates.findLast((update) => update.type === "turn_finished");
      return end?.type === "turn_finished"
        ? { type: "painted", turnId: end.turnId, paint: { endMs: ms, longestMs } }
        : undefined;
    },
  };
}
