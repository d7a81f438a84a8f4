/**
 * Shows notebooks as text over another workspace, and writes that text back into their JSON.
 *
 * Not here: the form of the text (`text/notebook.ts`) and notebooks that are open in an editor (`openNotebooks.ts`).
 * Easily got wrong: outputs are not in the text, so a cell that goes is kept aside with them, and one that comes back gets
 * them from there; and what is no notebook of nbformat 4 is plain text like any other file, so that it can be repaired.
 */
import { ToolError } from "../base/errors.ts";
import { isCellText, isNotebookPath, type NotebookCell, parseCells, printCells } from "../text/notebook.ts";
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
} from "../text/notebookJson.ts";
import { inPathOrder } from "./editor.ts";
import { matchesGlob } from "./ignore.ts";
import type { FileText, SearchHit, SearchQuery, SwapOutcome, TextSearch, Workspace } from "./workspace.ts";

/** Keeps parts of notebooks that were taken out of them, by file and name. What is kept again under a name replaces it. */
export interface FormerCellStore {
  /** Rejects when they cannot be kept. */
  readonly keep: (uri: string, parts: ReadonlyMap<string, string>) => Promise<void>;
  /** Those that are kept, by name. */
  readonly find: (uri: string, names: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

/** What it stands on. */
export interface NotebookDeps {
  readonly formerCells: FormerCellStore;
  readonly search: TextSearch;
}

/** Notebooks that one search looks into; of what is beyond, it is said that there is more. */
const maxSearched = 200;
/** How many hits in the JSON of notebooks may be dropped before fewer than asked for are left. */
const maxDropped = 1_000;
const newLanguage = "python";

/** Makes the workspace. Whatever is not about notebooks is the business of `base`. */
export function createNotebookWorkspace(base: Workspace, { formerCells, search }: NotebookDeps): Workspace {
  /** The file as `base` has it; `null` where there is none. */
  async function current(uri: string, signal: AbortSignal): Promise<FileText | null> {
    // Reading a missing file searches for names like it; deleting it if it is missing only says what is there.
    const probe = await base.swap(uri, null, null, signal);
    return probe.applied ? null : probe.current;
  }

  async function swapNotebook(uri: string, before: FileText | null, text: string | null, signal: AbortSignal) {
    const notebook = before && readNotebook(before.text);
    const raw = text === null || !isCellText(text) ? text : await rawOf(uri, { before, notebook, text });
    if (notebook) await keep(uri, notebook, raw);
    return base.swap(uri, before?.version ?? null, raw, signal);
  }

  /** The JSON that holds the text. */
  async function rawOf(
    uri: string,
    { before, notebook, text }: { before: FileText | null; notebook: Notebook | null | undefined; text: string },
  ): Promise<string> {
    if (before && !notebook) throw refuseText(uri);
    if (!notebook) {
      const whole = (await formerCells.find(uri, [wholeName(text)])).get(wholeName(text));
      if (whole !== undefined) return whole;
    }
    const target = notebook ?? emptyNotebook(newLanguage);
    const cells = cellsFor(target, cellsOf(uri, text));
    const there = new Set(target.cells.flatMap(nameOf));
    const missing = cells.filter((cell) => !nameOf(cell).every((name) => there.has(name)));
    return rewriteNotebook(target, cells, await formerCells.find(uri, missing.flatMap(namesOf)));
  }

  /** Keeps what a notebook loses: cells with what belongs to them, or all of it. */
  async function keep(uri: string, notebook: Notebook, raw: string | null): Promise<void> {
    const next = raw === null ? undefined : readNotebook(raw);
    const stay = new Set(next?.cells.flatMap(nameOf));
    const gone = notebook.cells.filter((cell) => !nameOf(cell).every((name) => stay.has(name)));
    const parts = new Map(gone.flatMap((cell) => namesOf(cell).map((name) => [name, rawCell(notebook, cell)])));
    if (!next) parts.set(wholeName(printNotebook(notebook)), notebook.raw);
    if (parts.size > 0) await formerCells.keep(uri, parts);
  }

  /** The notebooks that a search is about, by path. */
  async function notebooksFor({ path, glob }: SearchQuery, signal: AbortSignal) {
    const about = { ...(path === undefined ? {} : { path }), glob: "*.ipynb", context: 0, limit: maxSearched * 4 };
    const { hits, truncated } = await base.search({ pattern: '"cells"', literal: true, ...about }, signal);
    const found = [...new Set(hits.map((hit) => hit.path))].filter(isNotebookPath);
    const paths = found.filter((name) => !glob || matchesGlob(glob, name));
    return { paths: paths.slice(0, maxSearched), truncated: truncated || paths.length > maxSearched };
  }

  return {
    ...base,
    read: async (uri, signal) => shown(uri, await base.read(uri, signal)),
    swap: async (uri, version, text, signal, options): Promise<SwapOutcome> => {
      if (!isNotebookPath(uri)) return base.swap(uri, version, text, signal, options);
      const before = await current(uri, signal);
      if ((before?.version ?? null) !== version)
        return { applied: false, reason: "stale", current: shown(uri, before) };
      const outcome = await swapNotebook(uri, before, text, signal);
      if (outcome.applied) return { applied: true, file: shown(uri, outcome.file) };
      return { ...outcome, current: shown(uri, outcome.current) };
    },
    normalText: async (uri, given, signal) => {
      const text = (await base.normalText?.(uri, given, signal)) ?? given;
      if (!isNotebookPath(uri)) return text;
      const before = await current(uri, signal);
      const notebook = before ? readNotebook(before.text) : emptyNotebook(newLanguage);
      if (!isCellText(text)) {
        // A notebook that is damaged is text until it is whole again.
        if (notebook && !readNotebook(text)) throw refuseForm(uri, 'it has no "# %%" line');
        return text;
      }
      if (!notebook) throw refuseText(uri);
      return printCells(cellsFor(notebook, cellsOf(uri, text)), notebook.language);
    },
    search: async (query, signal) => {
      const notebooks = await notebooksFor(query, signal);
      if (notebooks.paths.length === 0) return base.search(query, signal);
      const others = await base.search({ ...query, limit: query.limit + maxDropped }, signal);
      const hits: SearchHit[] = others.hits.filter(({ path }) => !isNotebookPath(path));
      let { truncated } = notebooks;
      let inNotebooks = 0;
      for (const path of notebooks.paths) {
        if (inNotebooks > query.limit) break;
        const { text } = shown(path, await base.read(path, signal));
        const found = await search.searchText({ path, text }, query, signal);
        hits.push(...found.hits);
        inNotebooks += found.hits.length;
        truncated ||= found.truncated;
      }
      const cut = others.truncated || truncated || hits.length > query.limit;
      return { hits: inPathOrder(hits).slice(0, query.limit), truncated: cut };
    },
  };
}

/** A file as it is shown: a notebook by its cells. */
function shown<File extends FileText | null>(uri: string, file: File): File {
  return file && isNotebookPath(uri) ? { ...file, text: shownText(file.text) } : file;
}

function cellsOf(uri: string, text: string): readonly NotebookCell[] {
  const parsed = parseCells(text);
  if (!parsed.ok) throw refuseForm(uri, parsed.problem);
  return parsed.cells;
}

/** A cell with exactly this content. */
function nameOf(cell: NotebookCell): readonly string[] {
  return namesOf(cell).slice(0, 1);
}

function wholeName(text: string): string {
  return `notebook\n${text}`;
}

function refuseForm(uri: string, problem: string): ToolError {
  return new ToolError(
    `${uri} is a notebook, and this text is none: ${problem}. Nothing was changed. Write a line "# %% [code]" or ` +
      '"# %% [markdown]" before the source of each cell, with the id= that a cell has; read shows the form.',
  );
}

function refuseText(uri: string): ToolError {
  return new ToolError(
    `${uri} is damaged, or older than nbformat 4, so it cannot be written by cells. Nothing was changed. Read shows it as ` +
      "it is, and edit can repair its JSON; an older one can be brought up to date with jupyter nbconvert.",
  );
}
