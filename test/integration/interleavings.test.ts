/** A typist and an agent on the same files: a few of the interleavings that `npm run test:interleavings` plays by the thousand. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Action, interleavings } from "../support/interleave/actions.ts";
import { Oracle } from "../support/interleave/oracle.ts";
import { createFolder, playInterleaving } from "../support/interleave/stage.ts";

test("30 interleavings: no typed word is lost, saved by force, or called the agent's", async () => {
  using folder = createFolder();
  const property = fc.asyncProperty(interleavings(30), (interleaving) => playInterleaving(folder, interleaving));
  await fc.assert(property, { seed: 7, numRuns: 30 });
}, 60_000);

/** Interleavings that once went wrong. */
const found: readonly (readonly [string, readonly Action[]])[] = [
  [
    "a whole file is not written over what was typed between the agent's read and its own edit",
    [
      { do: "read", file: 1 },
      { do: "type", file: 1, at: 0, how: "line" },
      { do: "edit", file: 1, at: 0, how: "change" },
      { do: "go_on", picks: [0, 0, 0, 0, 0] },
      { do: "write", file: 1, at: 0 },
      { do: "rewrite", file: 1, how: "delete" },
      { do: "type", file: 1, at: 415, how: "split" },
    ],
  ],
  [
    "undoing a turn leaves what was typed between two of its edits",
    [
      { do: "edit", file: 1, at: 0, how: "change" },
      { do: "edit", file: 1, at: 0, how: "change" },
      { do: "edit", file: 1, at: 0, how: "change" },
      { do: "type", file: 1, at: 0, how: "line" },
      { do: "end_turn" },
      { do: "go_on", picks: [51, 37, 49] },
      { do: "go_on", picks: [3] },
      { do: "go_on", picks: [37, 0] },
      { do: "go_on", picks: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
      { do: "go_on", picks: [0, 0] },
      { do: "undo_turn" },
      { do: "go_on", picks: [35, 74, 21, 65, 73, 70, 6, 21, 89, 20, 34] },
      { do: "undo_turn" },
      { do: "close", file: 1, save: false },
    ],
  ],
  [
    "an edit of a document is not made in the one that was opened after it was closed",
    [
      { do: "type", file: 0, at: 0, how: "line" },
      { do: "edit", file: 0, at: 0, how: "change" },
      { do: "write", file: 0, at: 0 },
      { do: "go_on", picks: [0, 0, 0, 0, 0, 0, 0] },
      { do: "close", file: 0, save: false },
      { do: "type", file: 0, at: 0, how: "line" },
      { do: "type", file: 1, at: 0, how: "line" },
      { do: "go_on", picks: [0] },
      { do: "edit", file: 0, at: 0, how: "change" },
      { do: "type", file: 1, at: 0, how: "line" },
    ],
  ],
  [
    "words typed in the line above the agent's stay when its change is undone",
    [
      { do: "read", file: 1 },
      { do: "edit", file: 1, at: 112, how: "change" },
      { do: "go_on", picks: [0] },
      { do: "go_on", picks: [0, 0, 0, 0, 0] },
      { do: "type", file: 1, at: 0, how: "word" },
      { do: "go_on", picks: [0] },
    ],
  ],
];

test.each(found)("%s", async (_, actions) => {
  using folder = createFolder();
  await playInterleaving(folder, { actions, formatOnSave: true });
});

test("the oracle sees a lost word, a forced save, a wrong author and what is left after an undo", () => {
  const uri = "file:///a.txt";
  const at = (buffer: string | undefined, disk: string) => ({ buffer, disk, dirty: buffer !== undefined });
  const begun = () => {
    const oracle = new Oracle();
    oracle.look(uri, at("one\n", "one\n"), "hand");
    oracle.look(uri, at("one\n‹T1›\n", "one\n"), "hand");
    return oracle;
  };
  expect(() => begun().look(uri, at("one\n", "one\n"), "agent")).toThrow(/‹T1› in a.txt is lost by agent/);
  expect(() => begun().savedForHost(uri, "one\n‹T1›\n")).toThrow(/its typist had not saved it/);
  const oracle = begun();
  oracle.look(uri, at("one\n‹A1›\ntwo\n‹T1›\n", "one\n"), "agent");
  const hunk = { id: "h", fromLine: 4, lineCount: 1, before: [], turnIds: [] };
  const file = { uri, status: "modified", addedLines: 1, removedLines: 0, shadow: null } as const;
  expect(() => oracle.attributed([{ ...file, hunks: [hunk] }])).toThrow(/"‹T1›" in a.txt is in a hunk of the agent/);
  expect(() => oracle.attributed([])).toThrow(/‹A1› in a.txt is in no hunk/);
  expect(() => oracle.attributed([{ ...file, hunks: [{ ...hunk, fromLine: 2 }] }])).not.toThrow();
  expect(() => oracle.undone([])).toThrow(/‹A1› is left/);
  expect(() => oracle.failed("‹A1›")).toThrow(/A refused edit left ‹A1›/);
});
