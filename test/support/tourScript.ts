/**
 * What a good agent does to fix the sample's failing test: the script that the recorded tour is made of.
 *
 * Not here: recording it (`recordTour.ts`). Easily got wrong: the edit must match the sample's file exactly; when the
 * sample changes, change this and record again.
 */
import type { Step } from "./modelDouble.ts";

/** The prompt that starts the tour. */
export const tourPrompt = "Run the tests and fix what fails.";

const before = `  const smallest = lastOf(wanted);
  let rest = span;
  return wanted.map((unit) => {
    const count = unit === smallest ? roundTo(rest, unit.ms) / unit.ms : Math.floor(rest / unit.ms);
`;
const after = `  // Rounded as a whole before it is split: a part rounded on its own could fill its unit up, as in "60s".
  let rest = roundTo(span, lastOf(wanted).ms);
  return wanted.map((unit) => {
    const count = Math.floor(rest / unit.ms);
`;

/** The steps, one for each model request. */
export const tourSteps: readonly Step[] = [
  {
    say: "I'll run the tests and look at how the library is laid out.",
    calls: [
      { name: "list", input: { path: "." } },
      { name: "read", input: { files: [{ path: "package.json" }, { path: "README.md" }] } },
      { name: "search", input: { pattern: "roundTo", path: "src" } },
    ],
  },
  { say: "Now the tests themselves.", calls: [{ name: "shell", input: { command: "npm test" } }] },
  {
    say: "One test fails: 59.7 seconds is written as `60s` instead of `1m`. The search showed that `roundTo` is used in `src/format.ts`; I'll read it with the rounding it calls and the failing test.",
    calls: [
      {
        name: "read",
        input: {
          files: [
            { path: "src/format.ts" },
            { path: "src/round.ts" },
            { path: "test/format.test.ts", from: 27, to: 31 },
          ],
        },
      },
    ],
  },
  {
    say: "`split` cuts off the larger units first and rounds only what is left for the smallest, so 59.7 s rounds up to 60 s with nowhere to carry. The span has to be rounded once, before it is split.",
    calls: [{ name: "edit", input: { path: "src/format.ts", old: before, new: after } }],
  },
  { say: "Checking with the tests.", calls: [{ name: "shell", input: { command: "npm test" } }] },
  {
    say: "All 15 tests pass now. In `src/format.ts`, `split` rounded only the smallest part, after the larger units had been taken out, so 59.7 s came out as `60s`. It now rounds the whole span to the smallest unit first and splits the result, and the carry reaches minutes, hours and days.",
  },
];
