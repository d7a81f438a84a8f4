import { equal } from "node:assert/strict";
import { describe, test } from "node:test";
import { format, parse } from "../src/index.ts";

describe("format", () => {
  test("leaves out units that are zero", () => {
    equal(format(5_400_000), "1h 30m");
    equal(format(86_400_000), "1d");
    equal(format(0), "0s");
  });

  test("writes the long style with plurals", () => {
    equal(format(5_400_000, { style: "long" }), "1 hour, 30 minutes");
    equal(format(172_861_000, { style: "long" }), "2 days, 1 minute, 1 second");
  });

  test("writes the clock style with two digits", () => {
    equal(format(3_723_000, { style: "clock" }), "1:02:03");
    equal(format(65_000, { style: "clock" }), "0:01:05");
  });

  test("stays between the largest and the smallest unit", () => {
    equal(format(90_000_000, { largest: "hour" }), "25h");
    equal(format(3_723_000, { smallest: "minute" }), "1h 2m");
  });

  test("carries into the next unit when rounding fills one up", () => {
    equal(format(59_700), "1m");
    equal(format(3_599_600), "1h");
    equal(format(86_399_500, { style: "clock" }), "24:00:00");
  });

  test("keeps the sign", () => {
    equal(format(-5_400_000), "-1h 30m");
  });

  test("is undone by parse", () => {
    for (const span of [1000, 61_000, 3_661_000, 694_861_000]) equal(parse(format(span)), span);
  });
});
