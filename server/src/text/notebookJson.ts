/**
 * A Jupyter notebook's JSON (nbformat 4): reading its cells, and putting others in their place while all other bytes stay.
 *
 * Pure. Not here: the cells as text (`notebook.ts`), files. Easily got wrong: a file is never printed anew from its parsed
 * value, because that would change indentation, escapes and numbers that nobody has touched; new bytes are spliced in.
 */
import { type Node, parseTree } from "jsonc-parser";
import { lineChanges } from "./diff.ts";
import { type CellKind, type NotebookCell, printCells, withIds } from "./notebook.ts";

/** A notebook with the places of its cells in its JSON. */
export interface Notebook {
  readonly raw: string;
  readonly cells: readonly PlacedCell[];
  /** What its code is written in. */
  readonly language: string;
  /** Whether new cells get ids: in nbformat 4.5 and later, where every cell has one, and wherever all have. */
  readonly hasIds: boolean;
  readonly place: Span;
}

/** A cell and where it is. */
export interface PlacedCell extends NotebookCell, Span {
  /** The value of `source`. */
  readonly token: Span;
  /** The elements of `source` where it is an array. */
  readonly lines: readonly Span[] | undefined;
}

interface Span {
  readonly offset: number;
  readonly length: number;
}

/** The JSON of cells that were in the notebook once, by the names that `namesOf` gives them. */
export type FormerCells = ReadonlyMap<string, string>;

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** Reads a notebook. `undefined` for what is no JSON, no notebook, or one of another format than nbformat 4. */
export function readNotebook(raw: string): Notebook | undefined {
  if (!raw.isWellFormed()) return undefined;
  const value = parseStrictly(raw);
  const root = isRecord(value) && value.nbformat === 4 && Array.isArray(value.cells) ? parseTree(raw) : undefined;
  const list = root && propertyOf(root, "cells");
  if (!isRecord(value) || !list) return undefined;
  const seen = new Set<string>();
  const cells = (list.children ?? []).map((node) => placedCell(node, seen));
  if (!cells.every((cell) => cell !== undefined)) return undefined;
  const minor = typeof value.nbformat_minor === "number" ? value.nbformat_minor : 0;
  // In a damaged notebook some cells have none; giving them one would make them other cells.
  const hasIds = (minor >= 5 || cells.length > 0) && cells.every(({ id }) => id !== undefined);
  return { raw, cells, language: languageOf(value.metadata), hasIds, place: spanOf(list) };
}

/** The text of a notebook. */
export function printNotebook({ cells, language }: Notebook): string {
  return printCells(cells, language);
}

/** What a session knows a file's content as: the cells of a notebook's JSON, any other text as it is. */
export function shownText(text: string): string {
  const notebook = text.trimStart().startsWith("{") ? readNotebook(text) : undefined;
  return notebook ? printNotebook(notebook) : text;
}

/** The cells with ids as this notebook gives them. */
export function cellsFor(notebook: Notebook, cells: readonly NotebookCell[]): readonly NotebookCell[] {
  const known = new Set(notebook.cells.flatMap(({ id }) => id ?? []));
  return withIds(cells, { needed: notebook.hasIds, known });
}

/** An empty notebook of the newest format. */
export function emptyNotebook(language: string): Notebook {
  const value = { cells: [], metadata: { language_info: { name: language } }, nbformat: 4, nbformat_minor: 5 };
  const notebook = readNotebook(`${JSON.stringify(value, null, 1)}\n`);
  if (!notebook) throw new Error("An empty notebook must be readable.");
  return notebook;
}

/** The names of a cell among former cells: as it is now, then by its id alone. */
export function namesOf({ kind, id, source }: NotebookCell): readonly string[] {
  return [`${kind}\n${id ?? ""}\n${source}`, ...(id === undefined ? [] : [`${kind}\n${id}`])];
}

/** The JSON of a cell. */
export function rawCell(notebook: Notebook, cell: PlacedCell): string {
  return sliceOf(notebook.raw, cell);
}

/**
 * The notebook's JSON with these cells. A cell that is there already keeps its outputs and metadata, wherever it goes, and
 * one that was there once gets them back from `former`. Only the cells that differ have other bytes.
 */
export function rewriteNotebook(notebook: Notebook, cells: readonly NotebookCell[], former: FormerCells): string {
  const { raw, place } = notebook;
  const style = styleOf(notebook);
  const matches = matchCells(notebook.cells, cells);
  const parts: string[] = [];
  for (const [at, cell] of cells.entries()) {
    const old = matches[at];
    const before = at === 0 ? undefined : matches[at - 1];
    if (at > 0) parts.push(between(notebook, before, old) ?? style.separator);
    parts.push(old ? changedCell(raw, old, { cell, style, former }) : addedCell(cell, { style, former, notebook }));
  }
  const [first, last] = [notebook.cells[0], notebook.cells.at(-1)];
  const open = first ? raw.slice(place.offset, first.offset) : `[${style.open}`;
  const close = last ? raw.slice(last.offset + last.length, place.offset + place.length) : `${style.close}]`;
  const list = parts.length === 0 ? "[]" : `${open}${parts.join("")}${close}`;
  return raw.slice(0, place.offset) + list + raw.slice(place.offset + place.length);
}

/** Which cell of the old ones each new one is: by id; without ids, by the order of what is alike. */
function matchCells(old: readonly PlacedCell[], cells: readonly NotebookCell[]): readonly (PlacedCell | undefined)[] {
  const byId = new Map(old.flatMap((cell) => (cell.id === undefined ? [] : [[cell.id, cell] as const])));
  const matches = cells.map(({ id, kind }) => {
    const found = id === undefined ? undefined : byId.get(id);
    return found?.kind === kind ? found : undefined;
  });
  const oldRest = old.filter(({ id }) => id === undefined);
  const newRest = cells.flatMap(({ id }, at) => (id === undefined ? [at] : []));
  const newCells = newRest.map((at) => cells[at] as NotebookCell);
  const keyOf = ({ kind, source }: NotebookCell) => `${kind}\n${source}`;
  let oldAt = 0;
  let newAt = 0;
  const pair = (count: number, isSure: boolean) => {
    for (let step = 0; step < count; step += 1, oldAt += 1, newAt += 1) {
      const [one, place] = [oldRest[oldAt], newRest[newAt]];
      if (place !== undefined && (isSure || one?.kind === newCells[newAt]?.kind)) matches[place] = one;
    }
  };
  for (const change of lineChanges(oldRest.map(keyOf), newCells.map(keyOf))) {
    pair(change.oldStart - oldAt, true);
    pair(Math.min(change.oldCount, change.newCount), false);
    oldAt = change.oldStart + change.oldCount;
    newAt = change.newStart + change.newCount;
  }
  pair(oldRest.length - oldAt, true);
  return matches;
}

interface Style {
  /** Between two cells, comma included; before the first, after the last. */
  readonly separator: string;
  readonly open: string;
  readonly close: string;
  /** What a line of a cell begins with, the cell's own indentation aside; empty where all is on one line. */
  readonly unit: string;
  readonly newline: string;
  readonly source: { readonly open: string; readonly separator: string; readonly close: string };
}

/** How the file is laid out. */
function styleOf({ raw, cells, place }: Notebook): Style {
  const newline = raw.includes("\r\n") ? "\r\n" : "\n";
  const unit = /\n([ \t]+)"/.exec(raw)?.[1] ?? "";
  const [first, second] = cells;
  const deep = (levels: number) => (unit === "" ? "" : newline + unit.repeat(levels));
  const open = first ? raw.slice(place.offset + 1, first.offset) : deep(2);
  const separator = first && second ? raw.slice(first.offset + first.length, second.offset) : `,${open}`;
  const example = cells.find(({ lines }) => (lines?.length ?? 0) > 1);
  const source = (example && sourceStyle(raw, example)) ?? { open: deep(4), separator: `,${deep(4)}`, close: deep(3) };
  return { separator, open, close: deep(1), unit, newline, source };
}

function sourceStyle(raw: string, { token, lines }: PlacedCell): Style["source"] | undefined {
  const [first, second] = lines ?? [];
  const last = lines?.at(-1);
  if (!first || !last) return undefined;
  const open = raw.slice(token.offset + 1, first.offset);
  const separator = second ? raw.slice(first.offset + first.length, second.offset) : `,${open}`;
  return { open, separator, close: raw.slice(last.offset + last.length, token.offset + token.length - 1) };
}

/** What stands between two cells that were neighbours before, too. */
function between({ raw, cells }: Notebook, one: PlacedCell | undefined, other: PlacedCell | undefined) {
  if (!one || !other || cells[cells.indexOf(one) + 1] !== other) return undefined;
  return raw.slice(one.offset + one.length, other.offset);
}

interface Writing {
  readonly style: Style;
  readonly former: FormerCells;
}

function changedCell(raw: string, old: PlacedCell, writing: Writing & { readonly cell: NotebookCell }): string {
  const text = sliceOf(raw, old);
  return old.source === writing.cell.source ? text : withSource(text, { ...old, raw }, writing);
}

/** The JSON of a cell with another source, in the form that it had with that source before, or else has now. */
function withSource(
  text: string,
  old: PlacedCell & { readonly raw: string },
  { cell, style, former }: Writing & { readonly cell: NotebookCell },
): string {
  const asBefore = former.get(namesOf(cell)[0] ?? "");
  const token = (asBefore === undefined ? undefined : tokenIn(asBefore, cell)) ?? printSource(cell.source, old, style);
  const from = old.token.offset - old.offset;
  return text.slice(0, from) + token + text.slice(from + old.token.length);
}

function tokenIn(text: string, { source }: NotebookCell): string | undefined {
  const cell = readCell(text);
  return cell?.source === source ? sliceOf(text, cell.token) : undefined;
}

function printSource(source: string, old: PlacedCell & { readonly raw: string }, style: Style): string {
  if (!old.lines) return JSON.stringify(source);
  const own = old.lines.length > 1 ? sourceStyle(old.raw, old) : undefined;
  return printLines(source, own ?? style.source);
}

function printLines(source: string, { open, separator, close }: Style["source"]): string {
  const lines = source.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  if (lines.length === 0) return "[]";
  return `[${open}${lines.map((line) => JSON.stringify(line)).join(separator)}${close}]`;
}

function addedCell(cell: NotebookCell, { style, former, notebook }: Writing & { readonly notebook: Notebook }): string {
  for (const name of namesOf(cell)) {
    const text = former.get(name);
    const known = text === undefined ? undefined : readCell(text);
    if (text === undefined || known?.kind !== cell.kind || known.id !== cell.id) continue;
    return known.source === cell.source ? text : withSource(text, { ...known, raw: text }, { cell, style, former });
  }
  return freshCell(cell, style, notebook.hasIds);
}

/** A cell without outputs, its members in the order in which Jupyter writes them. */
function freshCell({ kind, id, source }: NotebookCell, style: Style, hasIds: boolean): string {
  const placeholder = "\u0000source";
  const value = {
    cell_type: kind,
    ...(kind === "code" ? { execution_count: null } : {}),
    ...(hasIds && id !== undefined ? { id } : {}),
    metadata: {},
    ...(kind === "code" ? { outputs: [] } : {}),
    source: placeholder,
  };
  const { unit, newline } = style;
  const text = JSON.stringify(value, null, unit).replaceAll("\n", newline + unit.repeat(2));
  return text.replace(JSON.stringify(placeholder), () => printLines(source, style.source));
}

/** A cell that stands alone. */
function readCell(text: string): PlacedCell | undefined {
  const node = parseTree(text);
  return node && placedCell(node, new Set());
}

function placedCell(node: Node, seen: Set<string>): PlacedCell | undefined {
  const kind = propertyOf(node, "cell_type")?.value as unknown;
  const source = propertyOf(node, "source");
  const text = source && sourceOf(source);
  if (!source || text === undefined || !isKind(kind) || !text.isWellFormed()) return undefined;
  const given = propertyOf(node, "id")?.value as unknown;
  const id = typeof given === "string" && idPattern.test(given) && !seen.has(given) ? given : undefined;
  if (id !== undefined) seen.add(id);
  return {
    ...spanOf(node),
    kind,
    ...(id === undefined ? {} : { id }),
    source: text,
    token: spanOf(source),
    lines: source.type === "array" ? (source.children ?? []).map(spanOf) : undefined,
  };
}

function sourceOf(node: Node): string | undefined {
  if (node.type === "string") return node.value as string;
  if (node.type !== "array") return undefined;
  const lines = (node.children ?? []).map(({ type, value }) => (type === "string" ? (value as string) : undefined));
  return lines.every((line) => line !== undefined) ? lines.join("") : undefined;
}

function propertyOf(node: Node, name: string): Node | undefined {
  if (node.type !== "object") return undefined;
  // Of several, the last counts, as everywhere in JSON.
  return node.children?.findLast(({ children }) => children?.[0]?.value === name)?.children?.[1];
}

function languageOf(metadata: unknown): string {
  const info = isRecord(metadata) && isRecord(metadata.language_info) ? metadata.language_info.name : undefined;
  const kernel = isRecord(metadata) && isRecord(metadata.kernelspec) ? metadata.kernelspec.language : undefined;
  const name = info ?? kernel;
  return typeof name === "string" && /^[\w+#.-]{1,40}$/.test(name) ? name : "python";
}

function parseStrictly(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}

function sliceOf(text: string, { offset, length }: Span): string {
  return text.slice(offset, offset + length);
}

function spanOf({ offset, length }: Span): Span {
  return { offset, length };
}

function isKind(value: unknown): value is CellKind {
  return value === "code" || value === "markdown" || value === "raw";
}

function isRecord(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
