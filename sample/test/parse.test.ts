import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parse, SpanSyntaxError } from "../src/index.ts";

const hour = 3_600_000;

describe("parse", () => {
  test("reads numbers with units", () => {
    assert.equal(parse("90s"), 90_000);
    assert.equal(parse("1h 30m"), 1.5 * hour);
    assert.equal(parse("1.5 Hours"), 1.5 * hour);
    assert.equal(parse("250ms"), 250);
  });

  test("lets commas and the word and stand between them", () => {
    assert.equal(parse("2 days, 4 hours"), 52 * hour);
    assert.equal(parse("1 week and 1 day"), 8 * 24 * hour);
  });

  test("reads clock times", () => {
    assert.equal(parse("12:30"), 750_000);
    assert.equal(parse("1:02:03.5"), 3_723_500);
  });

  test("reads negative spans", () => {
    assert.equal(parse("-1h"), -hour);
    assert.equal(parse("-0s"), 0);
  });

  test("points at the character that does not fit", () => {
    assert.throws(() => parse("1h 30"), /Expected a unit after the number/);
    assert.throws(() => parse("5 parsecs"), /Unknown unit "parsecs"\n {2}5 parsecs\n {4}\^/);
    assert.throws(() => parse("1:75"), /Expected a number below 60/);
    assert.throws(() => parse(""), { name: "SpanSyntaxError", at: 0 });
    assert.throws(() => parse("1h !"), SpanSyntaxError);
  });
});
