/** Notebooks as text and back: the same cells, and the same bytes wherever nothing was changed. */
import { describe, expect, test } from "vitest";
import { type NotebookCell, parseCells, printCells } from "../../../server/src/text/notebook.ts";
import {
  cellsFor,
  emptyNotebook,
  type Notebook,
  namesOf,
  printNotebook,
  rawCell,
  readNotebook,
  rewriteNotebook,
  shownText,
} from "../../../server/src/text/notebookJson.ts";
import { type Seeded, seeded } from "../workspace/seeded.ts";

const rounds = 400;

const sourceLines = [
  "x = 1",
  "",
  "# %% [code] id=a",
  "\\# %% [markdown]",
  "print('é\t😀')",
  "# %%",
  "  ",
  "a\r",
  "{",
] as const;

function randomSource({ below, pick }: Seeded): string {
  return Array.from({ length: below(5) }, () => pick(sourceLines)).join("\n");
}

function randomCells(random: Seeded, withIds: boolean): NotebookCell[] {
  return Array.from({ length: random.below(6) }, (_, at) => ({
    kind: random.pick(["code", "markdown", "raw"]),
    ...(withIds ? { id: `cell-${at}` } : {}),
    // Cells without ids that are alike in kind and source cannot be told apart.
    source: withIds ? randomSource(random) : `${at}\n${randomSource(random)}`,
  }));
}

interface Layout {
  readonly indent: number | string;
  readonly asString: boolean;
  readonly crlf: boolean;
}

/** A file as a program writes it: one layout for all of it, outputs and metadata of its own in every cell. */
function fileOf(cells: readonly NotebookCell[], { indent, asString, crlf }: Layout, minor: number): string {
  const value = {
    cells: cells.map(({ kind, id, source }, at) => ({
      cell_type: kind,
      ...(id === undefined ? {} : { id }),
      metadata: { tags: [`tag ${at}`] },
      ...(kind === "code" ? { execution_count: at, outputs: [{ output_type: "stream", text: [`out ${at}\n`] }] } : {}),
      source: asString ? source : (source.match(/[^\n]*\n|[^\n]+$/g) ?? []),
    })),
    metadata: { language_info: { name: "python" } },
    nbformat: 4,
    nbformat_minor: minor,
  };
  const text = `${JSON.stringify(value, null, indent)}\n`;
  return crlf ? text.replaceAll("\n", "\r\n") : text;
}

function randomLayout({ below, pick }: Seeded): Layout {
  return { indent: pick([0, 1, 2, "\t"]), asString: below(2) === 0, crlf: below(4) === 0 };
}

function opened(raw: string): Notebook {
  const notebook = readNotebook(raw);
  if (!notebook) throw new Error(`This is no notebook: ${raw}`);
  return notebook;
}

function cellsOf(text: string): readonly NotebookCell[] {
  const parsed = parseCells(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.cells;
}

const bare = (cells: readonly NotebookCell[]) =>
  cells.map(({ kind, id, source }) => ({ kind, ...(id === undefined ? {} : { id }), source }));

function changed(cells: readonly NotebookCell[], random: Seeded): NotebookCell[] {
  const next = [...cells];
  for (let step = 0; step <= random.below(3); step += 1) {
    const at = random.below(next.length + 1);
    const cell = next[at];
    const what = random.below(3);
    if (!cell || what === 0) next.splice(at, 0, { kind: "code", source: `new ${step}\n${randomSource(random)}` });
    else if (what === 1) next.splice(at, 1);
    else next[at] = { ...cell, source: `${cell.source}\nchanged ${step}` };
  }
  return next;
}

describe("cells as text", () => {
  test("come back as they were, also when a source looks like the head of a cell", () => {
    for (let seed = 0; seed < rounds; seed += 1) {
      const random = seeded(seed);
      const cells = randomCells(random, seed % 2 === 0);
      const text = printCells(cells, "python");
      expect([seed, cellsOf(text)]).toEqual([seed, cells]);
      expect(printCells(cellsOf(text), "python")).toBe(text);
    }
  });

  test("may be written without blank lines, kinds and the first line", () => {
    expect(cellsOf("# %%\na = 1\n# %% [markdown]\n# Title\n\n# %% id=x1\n")).toEqual([
      { kind: "code", source: "a = 1" },
      { kind: "markdown", source: "# Title" },
      { kind: "code", id: "x1", source: "" },
    ]);
  });

  test.each([
    ["import os\n# %%\n", "line 1 stands before"],
    ["# %% Setup\na = 1\n", "line 1 is no head of a cell"],
    ["# %% [python]\na = 1\n", "line 1 is no head of a cell"],
  ])("are refused as %j", (text, problem) => {
    expect(parseCells(text)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) });
  });
});

describe("a notebook's JSON", () => {
  test("is the same after changes that are undone, whatever its layout", () => {
    for (let seed = 0; seed < rounds; seed += 1) {
      const random = seeded(seed);
      const raw = fileOf(randomCells(random, seed % 2 === 0), randomLayout(random), seed % 2 === 0 ? 5 : 4);
      const before = opened(raw);
      const wanted = cellsFor(before, changed(bare(before.cells), random));
      const after = opened(rewriteNotebook(before, wanted, new Map()));
      expect([seed, bare(after.cells)]).toEqual([seed, wanted]);
      expect(JSON.parse(after.raw).metadata).toEqual(JSON.parse(raw).metadata);
      const former = new Map(
        before.cells.flatMap((cell) => namesOf(cell).map((name) => [name, rawCell(before, cell)])),
      );
      expect([seed, rewriteNotebook(after, before.cells, former)]).toEqual([seed, raw]);
    }
  });

  test("changes in one source alone when one cell is edited", () => {
    const cells = [
      { kind: "code", id: "a", source: "x = 1\ny = 2" },
      { kind: "markdown", id: "b", source: "# Title" },
    ] as const;
    const raw = fileOf(cells, { indent: 1, asString: false, crlf: false }, 5);
    const edited = rewriteNotebook(opened(raw), [{ ...cells[0], source: "x = 7\ny = 2" }, cells[1]], new Map());
    expect(edited).toBe(raw.replace("x = 1", "x = 7"));
  });

  test("keeps outputs with a cell that moves, and gives the kind of a cell its own form", () => {
    const cells = [
      { kind: "code", id: "a", source: "x = 1" },
      { kind: "code", id: "b", source: "y = 1" },
    ] as const;
    const raw = fileOf(cells, { indent: 1, asString: false, crlf: false }, 5);
    const [first, second] = JSON.parse(raw).cells;
    expect(JSON.parse(rewriteNotebook(opened(raw), [cells[1], cells[0]], new Map())).cells).toEqual([second, first]);
    const turned = JSON.parse(rewriteNotebook(opened(raw), [{ ...cells[0], kind: "markdown" }, cells[1]], new Map()));
    expect(turned.cells[0]).toEqual({ cell_type: "markdown", id: "a", metadata: {}, source: ["x = 1"] });
  });

  test("without ids of cells finds an edited cell by its place", () => {
    const cell = (source: string): NotebookCell => ({ kind: "code", source });
    const cells = [cell("a"), cell("b"), cell("c")];
    const raw = fileOf(cells, { indent: 1, asString: true, crlf: false }, 2);
    const wanted = cellsFor(opened(raw), [cell("a"), { ...cell("B"), id: "made-up" }, cell("c")]);
    expect(rewriteNotebook(opened(raw), wanted, new Map())).toBe(raw.replace('"b"', '"B"'));
  });

  test("gives new cells ids of their own, the same each time", () => {
    const cell: NotebookCell = { kind: "code", source: "a" };
    const cells = [cell, cell];
    const given = cellsFor(emptyNotebook("python"), cells);
    expect(new Set(given.map(({ id }) => id)).size).toBe(2);
    expect(cellsFor(emptyNotebook("python"), cells)).toEqual(given);
    const twice = cellsFor(emptyNotebook("python"), [
      { ...cell, id: "x" },
      { ...cell, id: "x" },
    ]);
    expect(twice[0]?.id).toBe("x");
    expect(twice[1]?.id).not.toBe("x");
  });

  test.each([
    "",
    "{",
    '{"nbformat": 3, "worksheets": []}',
    '{"nbformat": 4, "cells": [{"cell_type": "code"}]}',
    '{"nbformat": 4, "cells": [{"cell_type": "heading", "source": ""}]}',
    '{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}',
    '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "\\ud800"}]}',
  ])("is not read from %s, which stays the text that it is", (raw) => {
    expect(readNotebook(raw)).toBeUndefined();
    expect(shownText(raw)).toBe(raw);
  });

  test("is shown as its cells", () => {
    const notebook = emptyNotebook("julia");
    expect(shownText(notebook.raw)).toBe(printNotebook(notebook));
    expect(printNotebook(notebook)).toContain("(julia)");
  });
});
