/**
 * When a host that stopped is started again: as a list of times at which it stopped, and what was decided.
 */
import { expect, test } from "vitest";
import { createRestartPolicy } from "../../../client/src/restartPolicy.ts";

function decisions(times: readonly number[]): readonly (number | "given up")[] {
  let now = 0;
  const decide = createRestartPolicy(() => now);
  return times.map((time) => {
    now = time;
    const decision = decide();
    return decision.restart ? decision.delayMs : "given up";
  });
}

test("the first restart is at once, each further one waits longer, and the sixth stop is the last", () => {
  expect(decisions([0, 1, 2, 3, 4, 5])).toEqual([0, 250, 500, 1000, 2000, "given up"]);
});

test("stops that are long ago do not count", () => {
  expect(decisions([0, 1, 2, 3, 4, 180_004])).toEqual([0, 250, 500, 1000, 2000, 0]);
});
