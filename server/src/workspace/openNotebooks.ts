/**
 * Lays the unsaved notebooks of an editor over another workspace: their JSON is what saving them now would write, and
 * edits go through the editor, which does not save them.
 *
 * Not here: notebooks as text (`notebook.ts`). Easily got wrong: an open notebook without unsaved changes is the file on
 * disk; it is written there, because the editor would save it in a layout of its own, and then the editor reloads it.
 */
import { createHash } from "node:crypto";
import { ToolError } from "../base/errors.ts";
import { isNotebookPath } from "../text/notebook.ts";
import type { FileText, SwapOutcome, Version, Workspace } from "./workspace.ts";

/** A notebook with unsaved changes. */
export interface UnsavedNotebook {
  /** The JSON that saving would write. */
  readonly text: string;
  /** Stands for its content in the editor; opaque. */
  readonly version: string;
}

/** What the editor can do with notebooks. URIs are as `pathToFileURL` writes them. */
export interface NotebookPort {
  /** `undefined` when it is not open, or has no unsaved changes. */
  readonly unsaved: (uri: string) => Promise<UnsavedNotebook | undefined>;
  /**
   * Gives the notebook the cells of this JSON as one undo step if it is at `version`, and tells what is there then;
   * `undefined` when it is at another one.
   */
  readonly edit: (uri: string, version: string, text: string) => Promise<UnsavedNotebook | undefined>;
}

/** Makes the workspace. Whatever is not about unsaved notebooks is the business of `base`. */
export function createOpenNotebooks(base: Workspace, port: NotebookPort): Workspace {
  async function unsavedAt(path: string, signal: AbortSignal) {
    if (!isNotebookPath(path)) return undefined;
    const { uri } = await base.resolve(path);
    const notebook = await port.unsaved(uri);
    signal.throwIfAborted();
    return notebook && { notebook, file: await toFile(uri, notebook, signal) };
  }

  async function toFile(uri: string, { text }: UnsavedNotebook, signal: AbortSignal): Promise<FileText> {
    const probe = await base.swap(uri, null, null, signal);
    const mode = probe.applied ? undefined : probe.current?.mode;
    const version = `notebook:${createHash("sha256").update(text).digest("base64url")}` as Version;
    return { uri, text, version, source: "buffer", ...(mode === undefined ? {} : { mode }) };
  }

  const { swapBytes } = base;
  return {
    ...base,
    read: async (path, signal) => (await unsavedAt(path, signal))?.file ?? base.read(path, signal),
    swap: async (path, version, text, signal, options): Promise<SwapOutcome> => {
      const open = await unsavedAt(path, signal);
      if (!open) return base.swap(path, version, text, signal, options);
      const { notebook, file } = open;
      if (file.version !== version) return { applied: false, reason: "stale", current: file };
      if (text === null) throw refuse(path, "deleted");
      if (text === file.text) return { applied: true, file };
      signal.throwIfAborted();
      const edited = await port.edit(file.uri, notebook.version, text);
      if (edited) return { applied: true, file: await toFile(file.uri, edited, neverAborted) };
      const current = (await unsavedAt(path, signal))?.file ?? file;
      return { applied: false, reason: "stale", current };
    },
    ...(swapBytes && {
      swapBytes: async (path, expected, replacement, signal) => {
        if (await unsavedAt(path, signal)) throw refuse(path, "replaced");
        return swapBytes(path, expected, replacement, signal);
      },
    }),
  };
}

const neverAborted = new AbortController().signal;

function refuse(path: string, what: string): ToolError {
  return new ToolError(
    `${path} is open in the editor with unsaved changes, so it was not ${what}. Ask the user to save or close it first.`,
  );
}
