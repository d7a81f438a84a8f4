/** A typist and an agent on one text: every line keeps its author, whatever the two do in whatever order. */
import { describe, expect, test } from "vitest";
import { splitLines } from "../../../server/src/text/diff.ts";
import { toLf } from "../../../server/src/text/lineEndings.ts";
import {
  agentChanged,
  hunksOf,
  isSettled,
  keepHunks,
  linesOfHunks,
  type PendingText,
  pendingBetween,
  settled,
  undoHunks,
  userChanged,
  withoutAuthors,
} from "../../../server/src/text/pending.ts";
import { type Seeded, seeded } from "../workspace/seeded.ts";

const interleavings = 2_000;

const join = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");
const text = (...lines: string[]) => join(lines);
const all = (pending: PendingText<string>) => new Set(hunksOf(pending).keys());
/** Shadow and text of each hunk. */
const shown = (pending: PendingText<string>) =>
  linesOfHunks(pending).map(({ before, after }) => `${before.join(",")} > ${after.join(",")}`);
const edited = (before: string, after: string) => agentChanged(settled<string>(before), before, after, "t1");

/** Lines that nobody else has, so that whose a line is can be read off it. */
function unique(prefix: string): () => string {
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}${count}`;
  };
}

/** Replaces a random stretch of `lines` by new ones. */
function spliced(lines: readonly string[], random: Seeded, make: () => string, limit = 3) {
  const at = random.below(lines.length + 1);
  const removed = Math.min(random.below(limit), lines.length - at);
  const added = Array.from({ length: removed === 0 ? 1 + random.below(limit) : random.below(limit) }, make);
  return { at, removed, added, lines: lines.toSpliced(at, removed, ...added) };
}

/** The lines, each with an ending: one that was the last gets it when another comes behind it. */
const ended = (whole: string) => splitLines(toLf(whole)).map((line) => (line.endsWith("\n") ? line : `${line}\n`));

/** What must hold of every state: outside of the hunks, shadow and text are the same lines. */
function expectWhole(pending: PendingText<string>): void {
  const hunks = hunksOf(pending);
  if (pending.shadow === null || pending.text === null) return;
  const shadow = ended(pending.shadow);
  const present = ended(pending.text);
  const outside = (lines: readonly string[], side: "old" | "new") =>
    hunks
      .reduceRight((left, hunk) => left.toSpliced(hunk[`${side}Start`], hunk[`${side}Count`], "·"), [...lines])
      .join("");
  expect(outside(present, "new")).toBe(outside(shadow, "old"));
  for (const [at, hunk] of hunks.entries()) {
    const previous = hunks[at - 1];
    if (previous) expect(hunk.newStart).toBeGreaterThan(previous.newStart + previous.newCount);
  }
  expect(keepHunks(pending, all(pending))).toEqual(settled(pending.text));
  expect(undoHunks(pending, all(pending))).toEqual(settled(pending.shadow));
}

/** Undoing or keeping one hunk leaves every line outside of it, and every other hunk. */
function expectApart(pending: PendingText<string>, at: number): void {
  const hunk = hunksOf(pending)[at];
  if (!hunk || pending.text === null || pending.shadow === null || pending.lineHunks.length === 0) return;
  const others = shown(pending).toSpliced(at, 1);
  const undone = undoHunks(pending, new Set([at]));
  const expected = ended(pending.text).toSpliced(
    hunk.newStart,
    hunk.newCount,
    ...ended(pending.shadow).slice(hunk.oldStart, hunk.oldStart + hunk.oldCount),
  );
  expect(ended(undone.text ?? "")).toEqual(expected);
  // Two hunks can together be the same text as none.
  if (!isSettled(undone)) expect(shown(undone)).toEqual(others);
  expect(undone.shadow).toBe(pending.shadow);
  const kept = keepHunks(pending, new Set([at]));
  expect(kept.text).toBe(pending.text);
  if (!isSettled(kept)) expect(shown(kept)).toEqual(others);
}

describe("a typist and an agent", () => {
  test(`${interleavings} interleavings: no line is lost and no hunk is the typist's alone`, () => {
    let seen = 0;
    for (let seed = 0; seed < interleavings; seed++) {
      const random = seeded(seed);
      const typed = unique("u");
      const written = unique("a");
      const removedByAgent = new Set<string>();
      let present = Array.from({ length: random.below(14) }, unique("o"));
      const past = [present];
      let state = settled<string>(text(...present));
      for (let step = 0; step < 12; step++) {
        const act = random.below(10);
        if (act < 4) {
          present = spliced(present, random, typed).lines;
        } else if (act < 5) {
          present = past[random.below(past.length)] ?? present;
        } else if (act < 8) {
          const change = spliced(present, random, written);
          for (const line of present.slice(change.at, change.at + change.removed)) removedByAgent.add(line);
          state = agentChanged(state, text(...present), text(...change.lines), `t${step}`);
          present = change.lines;
        } else {
          const view = userChanged(state, text(...present));
          const at = random.below(hunksOf(view).length + 1);
          state = (act === 8 ? keepHunks : undoHunks)(view, new Set([at]));
          present = splitLines(state.text ?? "").map((line) => line.slice(0, -1));
        }
        past.push(present);
        const view = userChanged(state, text(...present));
        expect(view.text).toBe(text(...present));
        expectWhole(view);
        for (const { before, after } of linesOfHunks(view)) {
          seen += 1;
          const isAgents =
            after.some((line) => line.startsWith("a")) || before.some((line) => removedByAgent.has(line));
          expect(isAgents, `seed ${seed}: ${before.join()} > ${after.join()}`).toBe(true);
        }
        expectApart(view, random.below(4));
      }
    }
    expect(seen).toBeGreaterThan(interleavings);
  });

  test(`${interleavings} interleavings apart from each other: undoing all leaves exactly what was typed`, () => {
    for (let seed = 0; seed < interleavings; seed++) {
      const random = seeded(seed + 1_000_000);
      const typed = unique("u");
      const written = unique("a");
      let present = Array.from({ length: 6 + random.below(14) }, unique("o"));
      let typistOnly = present;
      let state = settled<string>(text(...present));
      for (let step = 0; step < 14; step++) {
        if (random.below(2) === 0) {
          const change = spliced(present, random, written);
          state = agentChanged(state, text(...present), text(...change.lines), "t1");
          present = change.lines;
          continue;
        }
        const hunks = hunksOf(userChanged(state, text(...present)));
        const { at, removed, added, lines } = spliced(present, random, typed);
        const touches = hunks.some((hunk) => hunk.newStart <= at + removed && at <= hunk.newStart + hunk.newCount);
        if (touches) continue;
        // Found by the neighbours, which are in both: no hunk touches the place.
        const old = present.slice(at, at + removed);
        const anchor = old[0] ?? present[at];
        const place = anchor === undefined ? typistOnly.length : typistOnly.indexOf(anchor);
        typistOnly = typistOnly.toSpliced(place, removed, ...added);
        present = lines;
      }
      const view = userChanged(state, text(...present));
      expect(undoHunks(view, all(view)).text, `seed ${seed}`).toBe(text(...typistOnly));
    }
  });

  test("texts of few different lines, in any style: shadow and text stay the same outside of the hunks", () => {
    for (let seed = 0; seed < interleavings; seed++) {
      const random = seeded(seed + 2_000_000);
      const any = () => random.pick(["", "}", "{", "x"]);
      const styles = [
        (lf: string) => lf,
        (lf: string) => lf.replaceAll("\n", "\r\n"),
        (lf: string) => `\uFEFF${lf}`,
        (lf: string) => lf.replace(/\n$/, ""),
      ] as const;
      let style: (lf: string) => string = styles[0];
      let present = Array.from({ length: random.below(12) }, any);
      let state = settled<string>(text(...present));
      for (let step = 0; step < 10; step++) {
        const isAgent = random.below(2) === 0;
        const before = style(text(...present));
        if (random.below(4) === 0) style = random.pick(styles);
        present = spliced(present, random, any).lines;
        const after = style(text(...present));
        if (isAgent) state = agentChanged(state, before, after, "t1");
        const view = userChanged(state, after);
        expect(view.text).toBe(after);
        expectWhole(view);
        expectApart(view, random.below(3));
        if (random.below(3) === 0) {
          const at = new Set([random.below(3)]);
          state = keepHunks(view, at);
        }
      }
    }
  });
});

describe("what is pending", () => {
  const before = text("one", "two", "three", "four", "five", "six", "seven");

  test("typing beside a hunk moves it and is not part of it", () => {
    const pending = edited(before, text("one", "two", "three", "FOUR", "five", "six", "seven"));
    const next = text("zero", "one", "two", "three", "FOUR", "five", "six", "seven", "eight");
    const view = userChanged(pending, next);
    expect(view.shadow).toBe(text("zero", "one", "two", "three", "four", "five", "six", "seven", "eight"));
    expect(view.lineHunks).toMatchObject([{ oldStart: 4, oldCount: 1, newStart: 4, newCount: 1, by: ["t1"] }]);
  });

  test("lines and words put beside the agent's lines, or between them, are not the agent's", () => {
    const added = edited(before, text("one", "two", "new", "newer", "three", "four", "five", "six", "seven"));
    const beside = userChanged(
      added,
      text("one", "two, mine", "mine", "new", "mine too", "newer", "and mine", "three", "four", "five", "six", "seven"),
    );
    expect(shown(beside)).toEqual([" > new", " > newer"]);
    const undone = text("one", "two, mine", "mine", "mine too", "and mine", "three", "four", "five", "six", "seven");
    expect(undoHunks(beside, all(beside)).text).toBe(undone);
    expect(shown(userChanged(beside, added.text))).toEqual([" > new,newer"]);
    const changed = edited(before, before.replace("two", "TWO"));
    const mine = userChanged(changed, before.replace("one\ntwo\n", "one, mine\nTWO\nmine\n"));
    expect(undoHunks(mine, all(mine)).text).toBe(before.replace("one\ntwo\n", "one, mine\ntwo\nmine\n"));
  });

  test("formatting changes no line's author", () => {
    const pending = edited(before, text("one", "two", "new", "three", "FOUR", "five", "six", "seven"));
    const view = userChanged(pending, text("one", "  two", "  new", "  three", "  FOUR", "five", "six", "seven"));
    expect(shown(view)).toEqual([" >   new", "four >   FOUR"]);
    const undone = text("one", "  two", "  three", "four", "five", "six", "seven");
    expect(undoHunks(view, all(view)).text).toBe(undone);
  });

  test("a file that the agent deleted and that is back has the hunks from before", () => {
    const pending = edited(before, before.replace("two", "TWO"));
    const deleted = agentChanged(pending, pending.text, null, "t2");
    expect(shown(userChanged(deleted, pending.text))).toEqual(["two > TWO"]);
    expect(undoHunks(deleted, all(deleted)).text).toBe(before);
  });

  test("typing in a hunk stays in it, and undo gives the lines from before", () => {
    const pending = edited(before, text("one", "two", "three", "FOUR", "five", "six", "seven"));
    const view = userChanged(pending, text("one", "two", "three", "FOUR and more", "five", "six", "seven"));
    expect(shown(view)).toEqual(["four > FOUR and more"]);
    expect(undoHunks(view, all(view)).text).toBe(before);
  });

  test("a hunk of which the user has left nothing is gone", () => {
    const pending = edited(before, text("one", "two", "new", "three", "four", "five", "six", "seven"));
    expect(isSettled(userChanged(pending, before))).toBe(true);
    expect(isSettled(userChanged(pending, before.replace("two\n", "two\nmine\n")))).toBe(true);
    expect(isSettled(userChanged(pending, null))).toBe(true);
  });

  test("a rewrite of the whole file by the user leaves the agent only what is still its own", () => {
    const pending = edited(before, text("one", "TWO", "three", "four", "five", "SIX", "seven"));
    const view = userChanged(pending, text("1", "2", "three", "four", "five", "SIX", "seven"));
    expect(shown(view)).toEqual(["two > ", "six > SIX"]);
    expect(undoHunks(view, all(view)).text).toBe(text("1", "2", "two", "three", "four", "five", "six", "seven"));
  });

  test("a text that goes back to an earlier one of the agent's has what was pending then", () => {
    const first = edited(before, before.replace("three", "three again"));
    const second = agentChanged(first, first.text, before.replace("three", "three\nnew again"), "second");
    expect(shown(second)).toEqual([" > new again"]);
    const reverted = userChanged(second, `mine\n${first.text}`);
    expect(shown(reverted)).toEqual(["three > three again"]);
    expect(undoHunks(reverted, all(reverted)).text).toBe(`mine\n${before}`);
    expect(shown(userChanged(reverted, second.text))).toEqual([" > new again"]);
  });

  test("a text that goes back to that of a turn which was undone has nothing of it", () => {
    const first = agentChanged(settled<string>(before), before, before.replace("three", "three again"), "first");
    const second = agentChanged(first, first.text, first.text?.replace("six", "SIX") ?? "", "second");
    const undone = withoutAuthors(userChanged(second, before.replace("six", "SIX")), new Set(["first"]));
    expect(shown(undone)).toEqual(["six > SIX"]);
    expect(isSettled(userChanged(undone, first.text))).toBe(true);
  });

  test("a line put between lines that are formatted at the same time is the user's", () => {
    const pending = edited(before, before.replace("three", "first\nthird one"));
    const view = userChanged(pending, before.replace("three", "first\nmine\n  third one"));
    expect(shown(view)).toEqual(["three > first", " >   third one"]);
    expect(undoHunks(view, all(view)).text).toBe(before.replace("three", "three\nmine"));
  });

  test("words typed on both sides of a line that the agent took away are not in its hunk", () => {
    const pending = edited(before, before.replace("three\n", ""));
    const view = userChanged(pending, before.replace("two\nthree\nfour\n", "two and mine\nfour and mine\n"));
    expect(shown(view)).toEqual(["three > "]);
    expect(undoHunks(view, all(view)).text).toBe(
      before.replace("two\nthree\nfour\n", "two and mine\nthree\nfour and mine\n"),
    );
  });

  test("other words in the place of the agent's line are the user's, and stay when it is undone", () => {
    const pending = edited(before, before.replace("three", "the third one"));
    const view = userChanged(pending, before.replace("three", "mine"));
    expect(shown(view)).toEqual(["three > "]);
    expect(undoHunks(view, all(view)).text).toBe(before.replace("three", "mine\nthree"));
    expect(shown(userChanged(pending, before.replace("three", "the last one")))).toEqual(["three > the last one"]);
    expect(shown(userChanged(pending, before.replace("three", "three, mine")))).toEqual(["three > three, mine"]);
    expect(shown(userChanged(pending, before.replace("three", "")))).toEqual(["three > "]);
  });

  test("each hunk has the turns that made it", () => {
    const first = edited(before, before.replace("two", "TWO").replace("six", "SIX"));
    const second = agentChanged(
      first,
      first.text,
      first.text?.replace("SIX", "sixth").replace("four", "4") ?? "",
      "t2",
    );
    expect(hunksOf(second).map(({ by }) => by)).toEqual([["t1"], ["t2"], ["t1", "t2"]]);
    const without = withoutAuthors(second, new Set(["t1"]));
    expect(shown(without)).toEqual(["four > 4", "six > sixth"]);
    expect(hunksOf(without).map(({ by }) => by)).toEqual([["t2"], ["t2"]]);
  });

  test.each([
    [30, 10],
    [900, 300],
  ])("of %i rewritten lines the user takes back every third: %i hunks", (count, hunks) => {
    const lines = (word: (at: number) => string) => join(Array.from({ length: count }, (_, at) => `${word(at)} ${at}`));
    const original = lines(() => "line");
    const pending = edited(
      original,
      lines(() => "rewritten"),
    );
    const view = userChanged(
      pending,
      lines((at) => (at % 3 === 0 ? "line" : "rewritten")),
    );
    expect(hunksOf(view)).toHaveLength(hunks);
    expect(undoHunks(view, all(view)).text).toBe(original);
  });

  test("an agent that goes back on its change leaves nothing pending", () => {
    const pending = edited(before, before.replace("two", "TWO"));
    expect(isSettled(agentChanged(pending, pending.text, before, "t2"))).toBe(true);
  });

  test("a new file is one hunk; undone, it is gone", () => {
    const made = agentChanged(settled<string>(null), null, "x\ny\n", "t1");
    expect(hunksOf(made)).toMatchObject([{ oldStart: 0, oldCount: 0, newStart: 0, newCount: 2, by: ["t1"] }]);
    expect(undoHunks(made, all(made))).toEqual(settled(null));
    expect(userChanged(made, "x\n  y\n").edited).toBe(false);
    expect(userChanged(made, "x\ny\nmine\n").edited).toBe(true);
    expect(hunksOf(agentChanged(settled<string>(null), null, "", "t1"))).toHaveLength(1);
  });

  test("a deleted file is one hunk; undone, it is back; made anew by the user, it is theirs", () => {
    const pending = agentChanged(settled<string>(before), before, null, "t1");
    expect(hunksOf(pending)).toMatchObject([{ oldStart: 0, oldCount: 7, newStart: 0, newCount: 0, by: ["t1"] }]);
    expect(undoHunks(pending, all(pending)).text).toBe(before);
    expect(isSettled(userChanged(pending, "mine\n"))).toBe(true);
    expect(shown(agentChanged(pending, null, before.replace("two", "TWO"), "t2"))).toEqual(["two > TWO"]);
  });

  test("line endings that the user changes are theirs; those that the agent changes are one hunk", () => {
    const crlf = before.replaceAll("\n", "\r\n");
    const pending = edited(before, before.replace("two", "TWO"));
    const view = userChanged(pending, crlf.replace("two", "TWO"));
    expect(shown(view)).toEqual(["two > TWO"]);
    expect(undoHunks(view, all(view)).text).toBe(crlf);
    const restyled = edited(before, crlf);
    expect(hunksOf(restyled)).toMatchObject([{ oldStart: 0, oldCount: 7, newStart: 0, newCount: 7, by: ["t1"] }]);
    expect(undoHunks(restyled, all(restyled)).text).toBe(before);
    const both = edited(before, crlf.replace("two", "TWO"));
    expect(shown(both)).toEqual(["two > TWO"]);
    expect(undoHunks(both, all(both)).text).toBe(before);
  });

  test("a byte order mark that an editor takes off is nobody's change", () => {
    const pending = edited(`\uFEFF${before}`, `\uFEFF${before.replace("two", "TWO")}`);
    const view = userChanged(pending, before.replace("two", "TWO"));
    expect(shown(view)).toEqual(["two > TWO"]);
    expect(undoHunks(view, all(view)).text).toBe(before);
  });

  test("found anew, the hunks are those of a diff", () => {
    expect(shown(pendingBetween(before, before.replace("two", "TWO"), ["t1"]))).toEqual(["two > TWO"]);
  });
});

test("200,000 lines", () => {
  const lines = Array.from({ length: 200_000 }, (_, index) => `line ${index} of a long file with some words in it`);
  const before = join(lines);
  const after = join(lines.map((line, index) => (index % 2_000 === 7 ? `${line}, changed` : line)));
  const times: { [what: string]: number } = {};
  const timed = <T>(what: string, run: () => T): T => {
    const start = performance.now();
    const result = run();
    times[what] = Math.round(performance.now() - start);
    return result;
  };
  timed("split", () => splitLines(before));
  const pending = timed("agentChanged", () => edited(before, after));
  const view = timed("userChanged", () =>
    userChanged(pending, after.replace("line 100000 of", "line 100000, mine, of")),
  );
  timed("linesOfHunks", () => linesOfHunks(view));
  const undone = timed("undoHunks", () => undoHunks(view, new Set([50])));
  console.log("200,000 lines, 100 hunks, in ms:", times);
  expect(hunksOf(view)).toHaveLength(100);
  expect(hunksOf(undone)).toHaveLength(99);
});
