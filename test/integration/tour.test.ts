/**
 * The tour that ships: it plays through the real host and tools to the end, and it is what recording it now would give.
 *
 * Not here: how playing decides and paces (`test/unit/model/recorded.test.ts`). Easily got wrong: when the sample or a
 * tool changes what the tour does, run `node test/support/recordTour.ts` again.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRecordedProvider } from "../../server/src/model/recorded.ts";
import { parseRecording } from "../../server/src/model/recording.ts";
import { checkTour, playTour, recordTour, withSampleCopy } from "../support/recordTour.ts";
import { tourPrompt } from "../support/tourScript.ts";

const file = await readFile(join(import.meta.dirname, "../../server/recordings/tour.jsonl"), "utf8");

test("the recording fixes the sample's failing test", async () => {
  const recording = parseRecording(file);
  expect(recording.prompt).toBe(tourPrompt);
  const clock = { sleep: () => Promise.reject(new Error("A tour at endless speed does not sleep.")) };
  const provider = createRecordedProvider(recording, { clock, speed: Infinity });
  await withSampleCopy(async (root) => {
    const results = await playTour(root, provider, "recorded");
    checkTour(results);
    expect(await readFile(join(root, "src/format.ts"), "utf8")).toContain(
      "let rest = roundTo(span, lastOf(wanted).ms);",
    );
  });
});

test("the recording is up to date", async () => {
  expect((await recordTour()).text).toBe(file);
});
