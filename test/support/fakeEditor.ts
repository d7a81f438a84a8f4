/**
 * An editor in memory over real files: documents as VS Code keeps them (no byte order mark, one kind of line ending),
 * edits by version, saving to disk, a clean document reloaded when its file changes.
 *
 * Not here: JSON-RPC. Easily got wrong: like the real one it refuses an edit for any version but the present one.
 */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { fromLf, type LineStyle, lineStyleOf, withoutBom } from "../../server/src/text/lineEndings.ts";
import type { DocumentEdit } from "../../server/src/workspace/documentEdits.ts";
import type { EditorPort } from "../../server/src/workspace/editor.ts";
import type { Problem } from "../../server/src/workspace/workspace.ts";

interface FakeDocument {
  text: string;
  version: number;
  dirty: boolean;
  readonly style: LineStyle;
}

/** The port, and the hands of the user. */
export interface FakeEditor extends EditorPort {
  open(uri: string): void;
  close(uri: string): void;
  /** Replaces the whole text, as a user would piece by piece. */
  type(uri: string, text: string): void;
  isDirty(uri: string): boolean;
  /** Every edit that was applied, in order. */
  readonly edits: (readonly DocumentEdit[])[];
  /** Called before an edit is looked at: the user may type just then. */
  beforeEdit: (uri: string) => void;
  /** What saving makes of the text, and what formatting it aside would: format on save. */
  format: (text: string) => string;
  /** What the editor says of a text; `undefined` while it is not known. */
  problemsOf: (text: string) => readonly Problem[] | undefined;
}

/** Makes an editor. With `opensAll` every existing file that is asked for counts as open. */
export function createFakeEditor(options: { readonly opensAll?: boolean } = {}): FakeEditor {
  const documents = new Map<string, FakeDocument>();
  const lastSaves = new Map<string, number>();
  let saves = 0;
  const find = (uri: string): FakeDocument | undefined => {
    const known = documents.get(uri);
    const disk = tryRead(uri);
    if (!known) {
      if (!options.opensAll || disk === undefined) return undefined;
      editor.open(uri);
      return documents.get(uri);
    }
    if (!known.dirty && disk === undefined) {
      documents.delete(uri);
      return undefined;
    }
    if (!known.dirty && disk !== undefined && load(disk).text !== known.text) {
      known.text = load(disk).text;
      known.version += 1;
    }
    return known;
  };
  const editor: FakeEditor = {
    edits: [],
    beforeEdit: () => undefined,
    format: (text) => text,
    problemsOf: () => undefined,
    formatAside: async (_, text) => ({ text: editor.format(text), whole: true }),
    problems: async (_, text) => editor.problemsOf(text),
    open: (uri) => documents.set(uri, { ...load(tryRead(uri) ?? ""), version: 1, dirty: false }),
    close: (uri) => documents.delete(uri),
    type: (uri, text) => {
      const document = find(uri);
      if (!document) throw new Error(`${uri} is not open`);
      document.text = text;
      document.version += 1;
      document.dirty = true;
    },
    isDirty: (uri) => find(uri)?.dirty ?? false,
    openDocuments: () => [...documents.keys()],
    openDocument: (uri) => {
      const document = find(uri);
      return document && { text: document.text, version: document.version };
    },
    applyEdit: async (uri, known, edits) => {
      editor.beforeEdit(uri);
      const document = find(uri);
      if (document?.version !== known.version || document.text !== known.text) return false;
      document.text = applyEdits(document.text, edits);
      document.version += 1;
      document.dirty = true;
      editor.edits.push(edits);
      return true;
    },
    save: async (uri, known) => {
      const document = find(uri);
      if (document?.text !== known.text) return false;
      const formatted = editor.format(document.text);
      if (formatted !== document.text) document.version += 1;
      document.text = formatted;
      writeFileSync(fileURLToPath(uri), fromLf(document.text, document.style));
      document.dirty = false;
      saves += 1;
      lastSaves.set(uri, saves);
      return true;
    },
    renameFile: async (from, to) => {
      const document = find(from);
      if (statSync(fileURLToPath(to), { throwIfNoEntry: false })) return false;
      try {
        mkdirSync(dirname(fileURLToPath(to)), { recursive: true });
        renameSync(fileURLToPath(from), fileURLToPath(to));
      } catch {
        return false;
      }
      documents.delete(from);
      if (document) documents.set(to, document);
      return true;
    },
    lastSave: (uri) => (uri === undefined ? saves : (lastSaves.get(uri) ?? 0)),
  };
  return editor;
}

/** Applies edits to a text as an editor would. */
export function applyEdits(text: string, edits: readonly DocumentEdit[]): string {
  const starts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)];
  const offset = ({ line, character }: DocumentEdit["range"]["start"]) => {
    const start = starts[line];
    if (start === undefined) throw new Error(`There is no line ${line}`);
    return start + character;
  };
  return edits.reduceRight(
    (result, { range, newText }) => result.slice(0, offset(range.start)) + newText + result.slice(offset(range.end)),
    text,
  );
}

function load(text: string): Pick<FakeDocument, "text" | "style"> {
  const style = lineStyleOf(text);
  return { text: fromLf(withoutBom(text), { bom: false, ending: style.ending }), style };
}

/** Only what an editor would open as text: reading a pipe would block for ever. */
function tryRead(uri: string): string | undefined {
  try {
    const stats = statSync(fileURLToPath(uri));
    if (!stats.isFile() || stats.size > 50_000_000) return undefined;
    const bytes = readFileSync(fileURLToPath(uri));
    return bytes.includes(0) ? undefined : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
