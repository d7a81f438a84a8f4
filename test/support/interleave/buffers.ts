/**
 * Open documents as VS Code really keeps them, over real files: an undo stack that holds the typist's, the agent's and
 * reloads' changes alike, clean documents reloaded when they are looked at after a change on disk, a save that refuses
 * when the file has changed under unsaved text, deleted files whose documents stay open.
 *
 * Not here: the wire to the host (`wire.ts`). Easily got wrong: undo can bring a document back to what was saved, and it
 * is clean then.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DocumentEdit } from "../../../server/src/workspace/documentEdits.ts";
import { applyEdits } from "../fakeEditor.ts";
import { formatted } from "./actions.ts";

interface Change {
  readonly before: string;
  readonly after: string;
  readonly stateBefore: number;
  readonly stateAfter: number;
}

interface Document {
  text: string;
  version: number;
  /** Names the present text in the undo stack: going back gives an old name again. */
  state: number;
  savedState: number;
  /** What the file held when the document was last the same. */
  onDisk: string | undefined;
  readonly past: Change[];
  readonly future: Change[];
}

/** What the client hears of documents, in order. */
export type DocumentNews =
  | { readonly type: "opened" | "changed"; readonly uri: string; readonly text: string; readonly version: number }
  | { readonly type: "closed" | "saved"; readonly uri: string };

/** The open documents. */
export interface Buffers {
  readonly uris: () => readonly string[];
  readonly text: (uri: string) => string | undefined;
  readonly version: (uri: string) => number | undefined;
  readonly isDirty: (uri: string) => boolean;
  readonly open: (uri: string) => void;
  /** The typist's change of a document. */
  readonly type: (uri: string, text: string) => void;
  readonly undo: (uri: string) => void;
  readonly redo: (uri: string) => void;
  /** False when the file was changed under unsaved text: the user is shown the conflict, and nothing is written. */
  readonly save: (uri: string, formats: boolean) => boolean;
  /** Closes; unsaved text is given up. */
  readonly close: (uri: string) => void;
  /** An edit from outside, for one version only. */
  readonly applyEdit: (uri: string, version: number, edits: readonly DocumentEdit[]) => boolean;
  /** Documents that would be reloaded if the editor looked at the disk now. */
  readonly outdated: () => readonly string[];
  readonly reload: (uri: string) => void;
  /** True when the file is another than the one that the document was loaded from, or saved to. */
  readonly isBehind: (uri: string) => boolean;
}

/** Makes an editor without documents. */
export function createBuffers(tell: (news: DocumentNews) => void): Buffers {
  const documents = new Map<string, Document>();
  let states = 0;
  const isDirty = (document: Document) => document.state !== document.savedState;
  const told = (uri: string, { text, version }: Document) => tell({ type: "changed", uri, text, version });
  const change = (uri: string, document: Document, after: string): void => {
    if (after === document.text) return;
    states += 1;
    document.past.push({ before: document.text, after, stateBefore: document.state, stateAfter: states });
    document.future.length = 0;
    Object.assign(document, { text: after, state: states, version: document.version + 1 });
    told(uri, document);
  };
  const markSaved = (document: Document, onDisk: string) =>
    Object.assign(document, { savedState: document.state, onDisk });
  const step = (uri: string, from: "past" | "future") => {
    const document = documents.get(uri);
    const last = document?.[from].pop();
    if (!document || !last) return;
    document[from === "past" ? "future" : "past"].push(last);
    const [text, state] = from === "past" ? [last.before, last.stateBefore] : [last.after, last.stateAfter];
    Object.assign(document, { text, state, version: document.version + 1 });
    told(uri, document);
  };
  return {
    uris: () => [...documents.keys()],
    text: (uri) => documents.get(uri)?.text,
    version: (uri) => documents.get(uri)?.version,
    isDirty: (uri) => {
      const document = documents.get(uri);
      return document !== undefined && isDirty(document);
    },
    open: (uri) => {
      const onDisk = readDisk(uri);
      if (documents.has(uri) || onDisk === undefined) return;
      states += 1;
      const state = states;
      documents.set(uri, { text: onDisk, version: 1, state, savedState: state, onDisk, past: [], future: [] });
      tell({ type: "opened", uri, text: onDisk, version: 1 });
    },
    type: (uri, text) => {
      const document = documents.get(uri);
      if (document) change(uri, document, text);
    },
    undo: (uri) => step(uri, "past"),
    redo: (uri) => step(uri, "future"),
    save: (uri, formats) => {
      const document = documents.get(uri);
      if (!document) return false;
      const disk = readDisk(uri);
      if (!isDirty(document) && disk === document.text) return true;
      if (disk !== undefined && disk !== document.onDisk) return false;
      if (formats) change(uri, document, formatted(document.text));
      writeFileSync(fileURLToPath(uri), document.text);
      markSaved(document, document.text);
      tell({ type: "saved", uri });
      return true;
    },
    close: (uri) => {
      if (documents.delete(uri)) tell({ type: "closed", uri });
    },
    applyEdit: (uri, version, edits) => {
      const document = documents.get(uri);
      if (document?.version !== version) return false;
      change(uri, document, applyEdits(document.text, edits));
      return true;
    },
    outdated: () =>
      [...documents].flatMap(([uri, document]) => {
        const disk = readDisk(uri);
        return !isDirty(document) && disk !== undefined && disk !== document.onDisk ? [uri] : [];
      }),
    isBehind: (uri) => documents.has(uri) && readDisk(uri) !== documents.get(uri)?.onDisk,
    reload: (uri) => {
      const document = documents.get(uri);
      const disk = readDisk(uri);
      if (!document || disk === undefined || isDirty(document)) return;
      change(uri, document, disk);
      markSaved(document, disk);
    },
  };
}

/** The text of a file; `undefined` when there is none. */
export function readDisk(uri: string): string | undefined {
  try {
    return readFileSync(fileURLToPath(uri), "utf8");
  } catch {
    return undefined;
  }
}
