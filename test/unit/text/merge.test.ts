/**
 * Three-way merge: a table, and the property that matters: no line that someone wrote is lost unless a conflict is told.
 */
import { describe, expect, it } from "vitest";
import { mergeTexts } from "../../../server/src/text/merge.ts";
import { type Seeded, seeded } from "../workspace/seeded.ts";

const clean: readonly (readonly [name: string, base: string, ours: string, theirs: string, want: string])[] = [
  ["only ours", "a\nb\n", "a\nB\n", "a\nb\n", "a\nB\n"],
  ["only theirs", "a\nb\n", "a\nb\n", "a\nB\n", "a\nB\n"],
  ["apart", "a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n"],
  ["the same change", "a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n", "a\nX\nc\n"],
  ["the same change and one more", "a\nb\nc\nd\ne\n", "a\nX\nc\nd\ne\n", "a\nX\nc\nd\nE\n", "a\nX\nc\nd\nE\n"],
  ["no final newline kept", "a\nb\nc", "A\nb\nc", "a\nb\nc\nd", "A\nb\nc\nd"],
  ["theirs became CRLF", "a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\r\nb\r\nc\r\nD\r\n", "A\r\nb\r\nc\r\nD\r\n"],
  ["ours became CRLF", "a\nb\nc\n", "a\r\nb\r\nC\r\n", "A\nb\nc\n", "A\r\nb\r\nC\r\n"],
  ["theirs gained a byte order mark", "a\nb\nc\n", "a\nb\nC\n", "\uFEFFa\nb\nc\n", "\uFEFFa\nb\nC\n"],
  ["mixed endings stay", "a\r\nb\nc\nd\n", "a\r\nb\nc\nD\n", "A\r\nb\nc\nd\n", "A\r\nb\nc\nD\n"],
];

function edit(random: Seeded, lines: readonly string[], writer: string, round: number): string[] {
  const result = [...lines];
  for (let i = 0; i <= random.below(4); i += 1) {
    const at = random.below(result.length + 1);
    result.splice(
      at,
      random.below(3),
      ...Array.from({ length: random.below(3) }, (_, n) => `${writer}${round}.${i}.${n}\n`),
    );
  }
  return result;
}

describe("mergeTexts", () => {
  it.each(clean)("merges %s", (_name, base, ours, theirs, want) => {
    expect(mergeTexts(base, ours, theirs)).toEqual({ clean: true, text: want });
  });

  it("reports both sides of an overlap", () => {
    expect(mergeTexts("a\nb\nc\n", "a\nours\nc\n", "0\na\ntheirs\nc\n")).toEqual({
      clean: false,
      conflicts: [{ base: "b\n", ours: "ours\n", theirs: "theirs\n", theirsLine: 3 }],
    });
  });

  it("loses no line of either writer, and revives none, unless it reports a conflict", () => {
    const random = seeded(11);
    let merged = 0;
    let conflicts = 0;
    for (let round = 0; round < 3_000; round += 1) {
      const base = Array.from({ length: random.below(30) }, (_, i) => (random.below(4) === 0 ? "}\n" : `line${i}\n`));
      const ours = edit(random, base, "o", round);
      const theirs = edit(random, base, "t", round);
      const outcome = mergeTexts(base.join(""), ours.join(""), theirs.join(""));
      if (!outcome.clean) {
        conflicts += 1;
        continue;
      }
      merged += 1;
      const lines = outcome.text.split("\n").slice(0, -1);
      const own = (line: string, writer: string) => line.startsWith(writer);
      const written = (from: readonly string[], writer: string) =>
        from.map((line) => line.slice(0, -1)).filter((line) => own(line, writer));
      expect(lines.filter((line) => own(line, "o"))).toEqual(written(ours, "o"));
      expect(lines.filter((line) => own(line, "t"))).toEqual(written(theirs, "t"));
      const kept = base.filter((line) => line !== "}\n" && ours.includes(line) && theirs.includes(line));
      expect(lines.filter((line) => line.startsWith("line")).map((line) => `${line}\n`)).toEqual(kept);
    }
    expect({ merged: merged > 500, conflicts: conflicts > 100 }).toEqual({ merged: true, conflicts: true });
  });

  it("merges distant edits of a 200,000-line file in bounded time", () => {
    const base = Array.from({ length: 200_000 }, (_, i) => (i % 3 === 0 ? "}\n" : `line ${i}\n`));
    const started = performance.now();
    const outcome = mergeTexts(
      base.join(""),
      base.with(10, "ours\n").join(""),
      base.with(199_000, "theirs\n").join(""),
    );
    expect(outcome).toEqual({ clean: true, text: base.with(10, "ours\n").with(199_000, "theirs\n").join("") });
    expect(performance.now() - started).toBeLessThan(4_000);
  });
});
