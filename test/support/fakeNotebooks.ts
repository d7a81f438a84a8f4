/**
 * An editor's notebooks with unsaved changes, in memory.
 *
 * Easily got wrong: like the real one it refuses an edit for any version but the present one, and saves nothing.
 */
import type { NotebookPort } from "../../server/src/workspace/openNotebooks.ts";

/** The port, and the hands of the user. */
export interface FakeNotebooks extends NotebookPort {
  /** Gives the notebook, opened if it is not, other cells, given as JSON. */
  type(uri: string, text: string): void;
  text(uri: string): string | undefined;
  /** Called before an edit is looked at. */
  beforeEdit: () => void;
}

/** Makes an editor in which no notebook is open. */
export function createFakeNotebooks(): FakeNotebooks {
  const unsaved = new Map<string, { readonly text: string; readonly version: string }>();
  let versions = 0;
  const editor: FakeNotebooks = {
    beforeEdit: () => undefined,
    type: (uri, text) => {
      versions += 1;
      unsaved.set(uri, { text, version: String(versions) });
    },
    text: (uri) => unsaved.get(uri)?.text,
    unsaved: async (uri) => unsaved.get(uri),
    edit: async (uri, version, text) => {
      editor.beforeEdit();
      if (unsaved.get(uri)?.version !== version) return undefined;
      editor.type(uri, text);
      return unsaved.get(uri);
    },
  };
  return editor;
}
