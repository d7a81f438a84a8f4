/**
 * The faults of a stream at every byte; those that are of the same kind as another one, at every seventeenth. Part of `npm test`, not of `npm run check`, which strikes at a sample.
 */
import { expect, test } from "vitest";
import { placedFaults } from "../support/faultTable.ts";
import { answerTo, strikeAt } from "../support/faultTurn.ts";
import { type WireFormat, wireFormats } from "../support/play.ts";

const everywhere = new Set(["the socket is cut", "an event that is no JSON"]);

const rows = (Object.keys(wireFormats) as readonly WireFormat[]).flatMap((format) =>
  placedFaults
    .filter(({ unit }) => unit === "bytes")
    .map((fault) => ({ format, name: fault.name, fault, stride: everywhere.has(fault.name) ? 1 : 17 })),
);

test.each(rows)("$format: $name, at every place", async ({ format, fault, stride }) => {
  const size = Buffer.byteLength(answerTo(format, "", 0).join(""));
  const places = Array.from({ length: Math.floor(size / stride) + 1 }, (_, index) => index * stride);
  expect(await strikeAt(places, format, fault)).toEqual({});
});
