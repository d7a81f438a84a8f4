/**
 * Jupyter notebooks as text that a model and a person can edit: a `# %%` line before the source of each cell.
 *
 * Pure. Outputs and metadata are not in the text; they stay in the notebook's JSON (`notebookJson.ts`). Easily got wrong:
 * a line of a source may look like the head of a cell, so such a line is shown with a backslash before it.
 */
import { createHash } from "node:crypto";

/** What a cell holds. */
export type CellKind = "code" | "markdown" | "raw";

/** A cell as the text shows it. */
export interface NotebookCell {
  readonly kind: CellKind;
  /** Absent in notebooks before nbformat 4.5, and in cells that are new. */
  readonly id?: string;
  readonly source: string;
}

/** The cells of a text, or what is wrong with it, in words for the model. */
export type ParsedCells =
  | { readonly ok: true; readonly cells: readonly NotebookCell[] }
  | { readonly ok: false; readonly problem: string };

const headerPattern = /^# %%(?: \[(code|markdown|raw)\])?(?: id=([A-Za-z0-9_-]{1,64}))?[ \t\r]*$/;
const headerLike = /^# %%/;
const escapable = /^\\*# %%/;
const escaped = /^\\+# %%/;
const preamble = /^# Notebook \(/;

/** True for an address or path of a notebook file. */
export function isNotebookPath(path: string): boolean {
  return /\.ipynb$/i.test(path);
}

/** True for a text in the form that `printCells` gives; false for JSON and other texts. */
export function isCellText(text: string): boolean {
  return preamble.test(text) || /^# %%/m.test(text);
}

/** The text of a notebook in one language. `parseCells` gives the same cells back. */
export function printCells(cells: readonly NotebookCell[], language: string): string {
  const head = `# Notebook (${language}). A "# %%" line begins a cell; without id= it is a new one. Outputs are kept, not shown.\n`;
  const printed = cells.map(({ kind, id, source }) => {
    const lines = source.split("\n").map((line) => (escapable.test(line) ? `\\${line}` : line));
    return `\n# %% [${kind}]${id === undefined ? "" : ` id=${id}`}\n${lines.join("\n")}\n`;
  });
  return head + printed.join("");
}

/** Reads cells from a text. One empty line at the end of a cell's source belongs to the form, not to the source. */
export function parseCells(text: string): ParsedCells {
  const lines = (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
  const starts = lines.flatMap((line, at) => (headerLike.test(line) ? [at] : []));
  const first = starts[0] ?? lines.length;
  const stray = lines.slice(0, first).findIndex((line) => line.trim() !== "" && !line.startsWith("#"));
  if (stray !== -1) return { ok: false, problem: `line ${stray + 1} stands before the first cell's "# %%" line` };
  const cells: NotebookCell[] = [];
  for (const [index, start] of starts.entries()) {
    const header = headerPattern.exec(lines[start] ?? "");
    if (!header) {
      const problem = `line ${start + 1} is no head of a cell; write # %% [code] or # %% [markdown], and in a source a backslash before # %%`;
      return { ok: false, problem };
    }
    const next = starts[index + 1];
    const body = lines.slice(start + 1, next);
    if (next !== undefined && body.at(-1)?.trim() === "") body.pop();
    const [, kind = "code", id] = header;
    const source = body.map((line) => (escaped.test(line) ? line.slice(1) : line)).join("\n");
    cells.push({ kind: kind as CellKind, ...(id === undefined ? {} : { id }), source });
  }
  return { ok: true, cells };
}

/**
 * The cells with ids as a notebook would hold them: each its own where the notebook has ids, none that it does not know
 * where it has not. New ids follow from the cells, so that the same text always becomes the same notebook.
 */
export function withIds(
  cells: readonly NotebookCell[],
  rules: { readonly needed: boolean; readonly known: ReadonlySet<string> },
): readonly NotebookCell[] {
  const taken = new Set(rules.known);
  for (const { id } of cells) if (id !== undefined) taken.add(id);
  const used = new Set<string>();
  return cells.map(({ kind, id, source }, at) => {
    const isFree = id !== undefined && !used.has(id) && (rules.needed || rules.known.has(id));
    const chosen = isFree ? id : rules.needed ? newId(`${at}\n${kind}\n${source}`, taken) : undefined;
    if (chosen === undefined) return { kind, source };
    used.add(chosen);
    taken.add(chosen);
    return { kind, id: chosen, source };
  });
}

function newId(seed: string, taken: ReadonlySet<string>): string {
  for (let salt = 0; ; salt += 1) {
    const id = createHash("sha256").update(`${salt}\n${seed}`).digest("hex").slice(0, 8);
    if (!taken.has(id)) return id;
  }
}
