import { equal, throws } from "node:assert/strict";
import { describe, test } from "node:test";
import { parse, SpanSyntaxError } from "../src/index.ts";

const hour = 3_600_000;

describe("parse", () => {
  test("reads numbers with units", () => {
    equal(parse("90s"), 90_000);
    equal(parse("1h 30m"), 1.5 * hour);
    equal(parse("1.5 Hours"), 1.5 * hour);
    equal(parse("250ms"), 250);
  });

  test("lets commas and the word and stand between them", () => {
    equal(parse("2 days, 4 hours"), 52 * hour);
    equal(parse("1 week and 1 day"), 8 * 24 * hour);
  });

  test("reads clock times", () => {
    equal(parse("12:30"), 750_000);
    equal(parse("1:02:03.5"), 3_723_500);
  });

  test("reads negative spans", () => {
    equal(parse("-1h"), -hour);
    equal(parse("-0s"), 0);
  });

  test("points at the character that does not fit", () => {
    throws(() => parse("1h 30"), /Expected a unit after the number/);
    throws(() => parse("5 parsecs"), /Unknown unit "parsecs"\n {2}5 parsecs\n {4}\^/);
    throws(() => parse("1:75"), /Expected a number below 60/);
    throws(() => parse(""), { name: "SpanSyntaxError", at: 0 });
    throws(() => parse("1h !"), SpanSyntaxError);
  });
});
