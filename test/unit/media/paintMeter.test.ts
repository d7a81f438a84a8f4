/** How long the page took to draw: the slowest update of a turn, and its end. */
import { expect, test } from "vitest";
import { createPaintMeter } from "../../../media/paintMeter.ts";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { ToPanel } from "../../../server/src/protocol/panel.ts";
import * as say from "../../support/panelMessages.ts";

const updates = (...events: readonly SessionEventBody[]): ToPanel => ({
  type: "updates",
  sessionId: say.sessionId,
  updates: say.numbered(events),
});
const ended = { type: "turn_finished", turnId: say.turnId, stopReason: "end_turn" } as const;

test("a turn's end tells how long it took, and how long the slowest update of that turn did", () => {
  const meter = createPaintMeter();
  expect(meter.drawn([updates(say.started("before")), updates(ended)], 90)).toMatchObject({ paint: { longestMs: 90 } });
  expect(meter.drawn([updates(say.started("now"))], 12)).toBeUndefined();
  expect(meter.drawn([{ type: "focus" }], 500)).toBeUndefined();
  expect(meter.drawn([updates(say.block(1, 0, { type: "text", text: "a" }))], 31)).toBeUndefined();
  expect(meter.drawn([updates(ended)], 8)).toEqual({
    type: "painted",
    turnId: say.turnId,
    paint: { endMs: 8, longestMs: 31 },
  });
});
