import { equal, throws } from "node:assert/strict";
import { describe, test } from "node:test";
import { roundTo, truncateTo } from "../src/index.ts";

describe("rounding", () => {
  test("rounds to the nearest step, halves away from zero", () => {
    equal(roundTo(1499, 1000), 1000);
    equal(roundTo(1500, 1000), 2000);
    equal(roundTo(-1500, 1000), -2000);
    equal(roundTo(-1, 1000), 0);
  });

  test("truncates towards zero", () => {
    equal(truncateTo(1999, 1000), 1000);
    equal(truncateTo(-1999, 1000), -1000);
  });

  test("refuses a step that is not positive", () => {
    throws(() => roundTo(1, 0), RangeError);
    throws(() => truncateTo(1, Number.NaN), RangeError);
  });
});
