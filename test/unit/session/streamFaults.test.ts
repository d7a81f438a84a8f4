/**
 * Every fault of `faultTable.ts` in every wire format, at a sample of the places where it can strike: the turn ends, no tool
 * ran twice, every call has one result. `test/exhaustive` strikes at every place.
 */
import { describe, expect, test } from "vitest";
import { placedFaults, requestFaults, whole } from "../../support/faultTable.ts";
import { answerTo, type FaultRun, runFaulty, strikeAt } from "../../support/faultTurn.ts";
import { type WireFormat, wireFormats } from "../../support/play.ts";

const formats = Object.keys(wireFormats) as readonly WireFormat[];
const passing = new Set(["rateLimit", "overloaded", "network", "server", "protocol"]);

describe.each(formats)("%s", (format) => {
  const events = answerTo(format, "", 0);

  test("without a fault both tools run", async () => {
    const { end, effects, broken } = await runFaulty({ format, strike: () => undefined });
    expect({ end, effects, broken }).toEqual({
      end: { stopReason: "end_turn" },
      effects: ["alpha", "beta"],
      broken: [],
    });
  });

  describe("a request that fails", () => {
    test.each(requestFaults)("$name, once", async ({ name, attempt, code }) => {
      const { end, broken } = await runFaulty({
        format,
        strike: (request) => (request === 0 ? attempt(format) : undefined),
      });
      const passes = passing.has(code) && !name.includes("beyond a minute");
      expect({ code: end.failure?.code, broken }).toEqual({ code: passes ? undefined : code, broken: [] });
    });

    test.each(requestFaults)("$name, always", async ({ attempt, code }) => {
      const { end, effects, broken } = await runFaulty({ format, strike: () => attempt(format) });
      expect({ code: end.failure?.code, effects, broken }).toEqual({ code, effects: [], broken: [] });
    });

    test.each(requestFaults)("$name, after the tools have run: another model goes on", async ({ attempt, code }) => {
      const others = formats.filter((other) => other !== format);
      const { end, effects, events, broken } = await runFaulty({
        format,
        strike: (request) => (request > 0 ? attempt(format) : undefined),
        fallbacks: others,
      });
      // A conversation that is too long goes to a model with a larger window alone: here Anthropic's.
      const passed = code === "contextOverflow" ? format !== "anthropic-messages" : code !== "badRequest";
      expect({ code: end.failure?.code, effects, broken }).toEqual({
        code: passed ? undefined : code,
        effects: ["alpha", "beta"],
        broken: [],
      });
      expect(events.filter(({ type }) => type === "model_changed")).toHaveLength(passed ? 1 : 0);
    });
  });

  describe("a stream that fails", () => {
    test.each(placedFaults)("$name", async (fault) => {
      const places = fault.unit === "events" ? [...events.keys(), events.length] : sampleOf(events);
      expect(await strikeAt(places, format, fault)).toEqual({});
    });
  });
});

test.each(formats)(
  "%s: an answer that is whole but for the end of its socket is not asked for again",
  async (format) => {
    const { end, events } = await runFaulty({
      format,
      strike: (_request, normal) => ({ ...whole(normal), end: "cut" }),
    });
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(events.filter(({ type }) => type === "step_restarted" || type === "notice")).toEqual([]);
    expect(events.filter(({ type }) => type === "step_started")).toHaveLength(2);
  },
);

test("openai-responses: an item that is closed twice is one block", async () => {
  const format = "openai-responses";
  const blocksOf = async (strike: FaultRun["strike"]) =>
    (await runFaulty({ format, strike })).events.flatMap((event) =>
      event.type === "assistant_block" && event.step === 1 ? [event.block] : [],
    );
  const blocks = await blocksOf(() => undefined);
  const twice = (events: readonly string[]) =>
    events.flatMap((event) => (event.includes('"type":"response.output_item.done"') ? [event, event] : [event]));
  expect(await blocksOf((request, events) => (request === 0 ? whole(twice(events)) : undefined))).toEqual(blocks);
});

test("anthropic-messages: a block that begins again in its middle loses nothing of it unnoticed", async () => {
  const again = (events: readonly string[]) => {
    const begins = events.findIndex((event) => event.includes("content_block_start"));
    return events.toSpliced(begins + 2, 0, events[begins] ?? "");
  };
  const { end, events } = await runFaulty({
    format: "anthropic-messages",
    strike: (request, normal) => (request === 0 ? whole(again(normal)) : undefined),
  });
  expect(end).toEqual({ stopReason: "end_turn" });
  expect(events.find(({ type }) => type === "step_restarted")).toMatchObject({
    reason: expect.stringContaining("begins twice"),
  });
});

/** By turns the end of an event, one byte before it, and its middle; and within what a call says. */
function sampleOf(events: readonly string[]): readonly number[] {
  let start = 0;
  const places = events.map((event, index) => {
    const size = Buffer.byteLength(event);
    start += size;
    return start - ([0, 1, Math.floor(size / 2)][index % 3] ?? 0);
  });
  return [
    ...new Set([
      0,
      ...places.filter((_, index) => index % 2 === 0),
      Buffer.from(events.join("")).indexOf("alpha") + 2,
      start,
    ]),
  ];
}
