/**
 * Plays many interleavings in this process: `main.ts SEED COUNT [PATH]`. Ends with code 1 when one fails, and prints it,
 * shrunk, with the seed and path that play it again.
 *
 * Not here: several processes at once (`test/interleavings.mjs`).
 */
import process from "node:process";
import fc from "fast-check";
import { interleavings } from "./actions.ts";
import { createFolder, playInterleaving } from "./stage.ts";

const [seed = 1, count = 1_000] = process.argv.slice(2, 4).map(Number);
const path = process.argv[4];
using folder = createFolder();
const startedAt = performance.now();
const property = fc.asyncProperty(interleavings(), (interleaving) => playInterleaving(folder, interleaving));
const result = await fc.check(property, { seed, numRuns: count, ...(path ? { path, endOnFailure: true } : {}) });
if (result.failed) {
  console.log(fc.defaultReportMessage(result));
  console.log(result.errorInstance instanceof Error ? result.errorInstance.message : result.errorInstance);
  process.exitCode = 1;
} else {
  const each = (performance.now() - startedAt) / count;
  console.log(`${count} interleavings with seed ${seed} (${each.toFixed(1)} ms each)`);
}
