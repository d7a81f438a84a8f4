/**
 * The history of a notebook by its cells as text, also where a command's changes are known by the file's bytes.
 *
 * Not here: what the text is (`text/notebook.ts`). Easily got wrong: an image that is cells already shows as itself, so for
 * what only the tools have changed nothing is translated.
 */
import type { BlobId } from "../protocol/types.ts";
import { isNotebookPath } from "../text/notebook.ts";
import { shownText } from "../text/notebookJson.ts";
import { digestOf } from "../workspace/fileBytes.ts";
import { type FileHistory, type LoadImage, textOf } from "./fileHistory.ts";

/** The history with the ids of cells, and the images for it. The history itself when the file is no notebook. */
export async function shownAsCells(
  history: FileHistory,
  load: LoadImage,
): Promise<{ readonly shown: FileHistory; readonly load: LoadImage }> {
  if (!isNotebookPath(history.uri)) return { shown: history, load };
  const images = new Map<BlobId, Uint8Array>();
  const show = async (id: BlobId | null): Promise<BlobId | null> => {
    if (id === null) return null;
    // One that is lost is known by its id all the same.
    const bytes = await load(id).catch(() => undefined);
    const text = bytes && (await textOf(bytes, undefined));
    if (text === undefined) return id;
    const cells = new TextEncoder().encode(shownText(text));
    images.set(digestOf(cells), cells);
    return digestOf(cells);
  };
  const runs = await Promise.all(
    history.runs.map(async ({ before, afters }) => ({
      before: await show(before),
      afters: await Promise.all(afters.map(show)),
    })),
  );
  return { shown: { ...history, runs }, load: async (id) => images.get(id) ?? load(id) };
}
