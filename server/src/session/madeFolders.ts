/**
 * The folders that were made for files, so that they can go with them.
 *
 * Not here: removing them. Easily got wrong: a folder that was made may be in use by others since; it goes only when it is
 * empty.
 */
import type { FileChange } from "../protocol/types.ts";

/** URIs of the folders that were made for a change, innermost first. */
export function foldersMadeBy({ uri, madeFolders = 0 }: FileChange): readonly string[] {
  return foldersAbove(uri).slice(0, madeFolders);
}

/** URIs of the folders that a file is in, innermost first. */
export function foldersAbove(uri: string): readonly string[] {
  const parts = uri.split("/");
  return parts.slice(3, -1).map((_, at) => parts.slice(0, parts.length - 1 - at).join("/"));
}
