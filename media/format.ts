/**
 * Moments and paths as people read them. Pure.
 *
 * Not here: numbers (`server/src/report/numbers.ts`), where they are shown. Easily got wrong: paths arrive as URIs, percent-encoded and with a drive's colon so.
 */

/** A moment as `just now`, `5 min ago`, `3 h ago`, or its date. */
export function ago(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return new Date(at).toLocaleDateString();
}

/** The path of a URI below the workspace's root, or its whole path when it is elsewhere. */
export function relativePath(uri: string, root: string | undefined): string {
  const path = plain(uri);
  const folder = root === undefined ? undefined : `${plain(root).replace(/\/$/, "")}/`;
  return folder !== undefined && path.startsWith(folder) ? path.slice(folder.length) : path;
}

/** A path as folder (with its slash) and name. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const at = path.lastIndexOf("/") + 1;
  return { folder: path.slice(0, at), name: path.slice(at) };
}

function plain(uri: string): string {
  const path = uri.replace(/^file:\/\//, "");
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
