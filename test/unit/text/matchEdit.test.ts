/**
 * The match ladder: a table of edits that fit, one of edits that must be refused, and properties over generated files.
 */
import { describe, expect, it } from "vitest";
import { type MatchOutcome, type MatchRung, matchEdit } from "../../../server/src/text/matchEdit.ts";
import { seeded } from "../workspace/seeded.ts";

function reasonOf(outcome: MatchOutcome): string {
  return outcome.ok ? `ok:${outcome.rung}` : outcome.reason;
}

const fits: readonly (readonly [
  name: string,
  rung: MatchRung,
  text: string,
  old: string,
  fresh: string,
  want: string,
])[] = [
  ["a word", "exact", "one two three\n", "two", "2", "one 2 three\n"],
  ["several lines", "exact", "a\nb\nc\n", "b\nc\n", "B\n", "a\nB\n"],
  ["a deletion", "exact", "a\nb\nc\n", "b\n", "", "a\nc\n"],
  ["an empty file", "exact", "", "", "new\n", "new\n"],
  ["an empty file with a byte order mark", "exact", "\uFEFF", "", "new\n", "\uFEFFnew\n"],
  ["CRLF in the file only", "exact", "a\r\nb\r\nc\r\n", "a\nb", "a\nx\nb", "a\r\nx\r\nb\r\nc\r\n"],
  ["CRLF in the edit only", "exact", "a\nb\nc\n", "a\r\nb", "a\r\nx", "a\nx\nc\n"],
  ["CRLF with a byte order mark", "exact", "\uFEFFa\r\nb\r\n", "b", "c", "\uFEFFa\r\nc\r\n"],
  ["mixed endings elsewhere stay", "exact", "a\nb\r\nc\r\nd\n", "c", "c\nC", "a\nb\r\nc\r\nC\r\nd\n"],
  ["the start of a file with a byte order mark", "exact", "\uFEFFa\nb\n", "a\n", "x\n", "\uFEFFx\nb\n"],
  ["a dollar sign in the new text", "exact", "a\n", "a", "$& $1", "$& $1\n"],
  [
    "trailing spaces in the file",
    "trailingSpace",
    "if (a) {  \n  b();\t\n}\n",
    "if (a) {\n  b();\n",
    "if (c) {\n",
    "if (c) {\n}\n",
  ],
  ["trailing spaces in the edit", "trailingSpace", "a\nb\nc\n", "a  \nb ", "x\ny", "x\ny\nc\n"],
  ["no final newline in the file", "trailingSpace", "a\nlast", "last\n", "end\n", "a\nend"],
  ["blank lines around", "outerSpace", "a\nb\nc\n", "\n\na\nb\n\n", "\n\na\nB\n\n", "a\nB\nc\n"],
  [
    "less indentation of the first line",
    "exact",
    "    f() {\n        g();\n",
    "  f() {\n        g();\n",
    "  f(x) {\n        g();\n",
    "    f(x) {\n        g();\n",
  ],
  [
    "more indentation of the first line",
    "outerSpace",
    "  f() {\n        g();\n",
    "    f() {\n        g();\n",
    "    f(x) {\n        g();\n",
    "  f(x) {\n        g();\n",
  ],
  [
    "typographic quotes",
    "typography",
    "say(\u201Chi\u201D); // it\u2019s\n",
    'say("hi"); // it\'s',
    "say(1);",
    "say(1);\n",
  ],
  ["no-break space and dash", "typography", "a\u00A0\u2013 b\nnext\n", "a - b\nnext", "c", "c\n"],
  [
    "deeper in the file",
    "indentation",
    "class A {\n    f() {\n        g();\n    }\n}\n",
    "f() {\n    g();\n}",
    "f() {\n    if (x) {\n        g();\n    }\n}",
    "class A {\n    f() {\n        if (x) {\n            g();\n        }\n    }\n}\n",
  ],
  [
    "deeper in the edit",
    "indentation",
    "f() {\n  g();\n}\n",
    "    f() {\n      g();\n    }\n",
    "    f() {\n      h();\n    }\n",
    "f() {\n  h();\n}\n",
  ],
  [
    "tabs in the file, spaces in the edit",
    "indentation",
    "\tf() {\n\t\tg();\n\t}\n",
    "  f() {\n    g();\n  }\n",
    "  f() {\n    h();\n  }\n",
    "\tf() {\n\t\th();\n\t}\n",
  ],
  [
    "spaces in the file, tabs in the edit",
    "indentation",
    "    f() {\n        g();\n    }\n",
    "\tf() {\n\t\tg();\n\t}\n",
    "\tf() {\n\t\th();\n\t}\n",
    "    f() {\n        h();\n    }\n",
  ],
  [
    "one line cut inside its indentation",
    "indentation",
    "        x = 1\n",
    "    x = 1",
    "    if c:\n        x = 1",
    "        if c:\n            x = 1\n",
  ],
  [
    "CRLF and shifted indentation",
    "indentation",
    "{\r\n  a\r\n    b\r\n}\r\n",
    " a\n   b\n",
    " a\n   c\n   d\n",
    "{\r\n  a\r\n    c\r\n    d\r\n}\r\n",
  ],
];

const refused: readonly (readonly [name: string, text: string, old: string, fresh: string, want: object])[] = [
  ["nothing alike", "a\nb\n", "zzz", "y", { ok: false, reason: "missing" }],
  ["two exact matches", "x\na\nx\n", "x", "y", { ok: false, reason: "ambiguous", lines: [1, 3] }],
  ["two matches but for spaces", "a  \nb\na \nb\n", "a\nb\n", "c\n", { ok: false, reason: "ambiguous", lines: [1, 3] }],
  ["the same text", "a\n", "a", "a", { ok: false, reason: "no_change" }],
  ["the same but for line endings", "a\r\nb\r\n", "a\nb", "a\r\nb", { ok: false, reason: "no_change" }],
  ["no old text", "a\n", "", "b", { ok: false, reason: "ambiguous", lines: [] }],
  ["blank old text that is not there", "a\n", "\n\n\n", "b", { ok: false, reason: "missing" }],
  [
    "an uneven shift",
    "if a:\n    b\n  c\n",
    "if a:\n  b\nc\n",
    "x\n",
    { ok: false, reason: "missing", nearest: { fromLine: 1, toLine: 3, text: "if a:\n    b\n  c" } },
  ],
];

describe("matchEdit", () => {
  it.each(fits)("fits %s (%s)", (_name, rung, text, old, fresh, want) => {
    const outcome = matchEdit(text, old, fresh);
    expect({ rung: outcome.ok ? outcome.rung : outcome, text: outcome.ok ? outcome.text : "" }).toEqual({
      rung,
      text: want,
    });
  });

  it.each(refused)("refuses %s", (_name, text, old, fresh, want) => {
    expect(matchEdit(text, old, fresh)).toMatchObject(want);
  });

  it("replaces every occurrence when asked", () => {
    expect(matchEdit("a b\r\na\r\n", "a", "c\nd", { all: true })).toMatchObject({
      ok: true,
      count: 2,
      text: "c\r\nd b\r\nc\r\nd\r\n",
      range: { start: 0, end: 1, fromLine: 1, toLine: 2 },
    });
  });

  it("says which lines of the result are new", () => {
    const outcome = matchEdit("a\nb\nc\n", "b\n", "x\ny\n");
    expect(outcome.ok && outcome.range).toEqual({ start: 2, end: 4, fromLine: 2, toLine: 3 });
  });

  it("shows the real lines when one line of the old text is wrong", () => {
    const file = ["one();", "two();", "three();", "four();", "five();"].join("\n");
    expect(matchEdit(file, "two();\nthree(1);\nfour();", "")).toEqual({
      ok: false,
      reason: "missing",
      nearest: { fromLine: 2, toLine: 4, text: "two();\nthree();\nfour();" },
    });
  });

  it("shows the line that shares words when no line is equal", () => {
    const outcome = matchEdit("alpha\nreturn total(price, tax);\nomega\n", "return total(price);", "");
    expect(outcome.ok ? undefined : outcome.nearest).toEqual({
      fromLine: 2,
      toLine: 2,
      text: "return total(price, tax);",
    });
  });

  it("puts the new text exactly where a unique block was, in any generated file and at any rung", () => {
    const random = seeded(7);
    for (let round = 0; round < 400; round += 1) {
      const ending = random.pick(["\n", "\r\n"] as const);
      const lines = Array.from(
        { length: random.below(40) + 3 },
        (_, i) => `${" ".repeat(random.below(4) * 2)}line${i} {`,
      );
      const from = random.below(lines.length - 1);
      const to = Math.min(lines.length, from + 1 + random.below(5));
      const final = random.pick(["", ending]);
      const text = lines.join(ending) + final;
      const distort = random.pick([
        (line: string) => line,
        (line: string) => `${line}  `,
        (line: string) => `  ${line}`,
      ]);
      const old = lines.slice(from, to).map(distort).join("\n");
      const fresh = ["new {", ...lines.slice(from, to).map(distort)].join("\n");
      const outcome = matchEdit(text, old, fresh);
      expect(outcome.ok, `${reasonOf(outcome)} ${JSON.stringify({ text, old })}`).toBe(true);
      if (!outcome.ok) continue;
      const after = outcome.text.split(ending);
      expect(after.map((line) => line.trim())).toEqual([
        ...lines.slice(0, from).map((line) => line.trim()),
        "new {",
        ...lines.slice(from).map((line) => line.trim()),
        ...(final ? [""] : []),
      ]);
      expect(after.slice(0, from)).toEqual(lines.slice(0, from));
      expect(after.slice(to + 1)).toEqual([...lines.slice(to), ...(final ? [""] : [])]);
    }
  });

  it("stays linear on 200,000 equal lines", () => {
    const text = "}\n".repeat(200_000);
    const started = performance.now();
    const outcome = matchEdit(text, `${"}\n".repeat(2_000)}absent`, "x");
    expect(reasonOf(outcome)).toBe("missing");
    // Quadratic work would be 4e8 comparisons of strings, many seconds; linear work takes a fraction of one.
    expect(performance.now() - started).toBeLessThan(4_000);
  });
});
