/**
 * Line diff: applying the changes gives the new text for any two texts, and the unified form is what `git apply` reads.
 */
import { describe, expect, it } from "vitest";
import { countLines, diffTexts, splitLines, unifiedDiff } from "../../../server/src/text/diff.ts";
import { seeded } from "../workspace/seeded.ts";

function applied(oldText: string, newText: string): string {
  const lines = splitLines(oldText);
  const fresh = splitLines(newText);
  for (const change of diffTexts(oldText, newText).toReversed()) {
    lines.splice(change.oldStart, change.oldCount, ...fresh.slice(change.newStart, change.newStart + change.newCount));
  }
  return lines.join("");
}

describe("diffTexts", () => {
  it("gives changes that turn the one text into the other", () => {
    const random = seeded(3);
    const text = () =>
      Array.from({ length: random.below(20) }, () => `${random.below(6)}${random.pick(["\n", "\r\n"])}`).join("") +
      random.pick(["", "end"]);
    for (let round = 0; round < 1_000; round += 1) {
      const [before, after] = [text(), text()];
      expect(applied(before, after)).toBe(after);
    }
  });

  it("gives such changes where there are lines to go by, and lines that repeat, and lines that moved", () => {
    const random = seeded(4);
    const fresh = () => random.pick([`unique ${random.below(1_000_000)}`, "repeated", "", "}"]);
    for (let round = 0; round < 60; round += 1) {
      const before = Array.from({ length: 600 }, fresh);
      const after = before.flatMap((line) => random.pick([[line], [line], [line], [], [fresh()], [line, fresh()]]));
      const moved = random.below(after.length);
      after.push(...after.splice(moved, 40));
      const [old, now] = [before.join("\n"), after.join("\n")];
      expect(applied(old, now)).toBe(now);
      const changes = diffTexts(old, now);
      for (const [at, change] of changes.entries()) {
        const previous = changes[at - 1];
        if (previous) expect(change.oldStart).toBeGreaterThan(previous.oldStart + previous.oldCount);
      }
    }
  });

  it("tells 5,000 changed lines of 100,000 apart, as few changes as there are", () => {
    const lines = (isChanged: (at: number) => boolean) =>
      Array.from({ length: 100_000 }, (_, at) => `${isChanged(at) ? "changed" : "line"} ${at}\n`).join("");
    const changes = diffTexts(
      lines(() => false),
      lines((at) => at % 20 === 7),
    );
    expect(changes).toHaveLength(5_000);
    expect(changes[1]).toEqual({ oldStart: 27, oldCount: 1, newStart: 27, newCount: 1 });
  });

  it("gives one change where more differs than may be looked for and no line is there to go by", () => {
    const random = seeded(5);
    const noise = () => Array.from({ length: 20_000 }, () => `${random.below(50)}\n`).join("");
    expect(diffTexts(`a\n${noise()}a\n`, `a\n${noise()}a\n`)).toHaveLength(1);
  });

  it("counts a changed line as one added and one removed", () => {
    expect(countLines("a\nb\nc\n", "a\nB\nc\nd\n")).toEqual({ addedLines: 2, removedLines: 1 });
    expect(countLines(null, "a\nb")).toEqual({ addedLines: 2, removedLines: 0 });
    expect(countLines("a\nb", null)).toEqual({ addedLines: 0, removedLines: 2 });
  });

  it("stays bounded on two large texts that share nothing", () => {
    const many = (word: string) => Array.from({ length: 200_000 }, (_, i) => `${word}${i}\n`).join("");
    const started = performance.now();
    expect(diffTexts(`head\n${many("a")}`, `head\n${many("b")}`)).toEqual([
      { oldStart: 1, oldCount: 200_000, newStart: 1, newCount: 200_000 },
    ]);
    expect(performance.now() - started).toBeLessThan(8_000);
  });
});

describe("unifiedDiff", () => {
  it("shows context, joins near changes, parts far ones, and marks a missing final newline", () => {
    const before = Array.from({ length: 20 }, (_, i) => `${i + 1}`).join("\n");
    const after = before.replace("2\n", "two\n").replace("4\n", "").replace("\n20", "\ntwenty\n");
    expect(unifiedDiff("src/a.ts", before, after, 1)).toBe(
      [
        "--- a/src/a.ts",
        "+++ b/src/a.ts",
        "@@ -1,5 +1,4 @@",
        " 1",
        "-2",
        "+two",
        " 3",
        "-4",
        " 5",
        "@@ -19,2 +18,2 @@",
        " 19",
        "-20",
        "\\ No newline at end of file",
        "+twenty",
        "",
      ].join("\n"),
    );
  });

  it("names /dev/null for new and deleted files, and is empty when nothing differs", () => {
    expect(unifiedDiff("a", null, "x\n")).toBe("--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x\n");
    expect(unifiedDiff("a", "x\n", null)).toBe("--- a/a\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n");
    expect(unifiedDiff("a", "x\n", "x\n")).toBe("");
  });
});
