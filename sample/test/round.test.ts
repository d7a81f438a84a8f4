import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { roundTo, truncateTo } from "../src/index.ts";

describe("rounding", () => {
  test("rounds to the nearest step, halves away from zero", () => {
    assert.equal(roundTo(1499, 1000), 1000);
    assert.equal(roundTo(1500, 1000), 2000);
    assert.equal(roundTo(-1500, 1000), -2000);
    assert.equal(roundTo(-1, 1000), 0);
  });

  test("truncates towards zero", () => {
    assert.equal(truncateTo(1999, 1000), 1000);
    assert.equal(truncateTo(-1999, 1000), -1000);
  });

  test("refuses a step that is not positive", () => {
    assert.throws(() => roundTo(1, 0), RangeError);
    assert.throws(() => truncateTo(1, Number.NaN), RangeError);
  });
});
