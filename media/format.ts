/**
 * Numbers, times and paths as people read them. Pure.
 *
 * Not here: where they are shown. Easily got wrong: paths arrive as URIs, percent-encoded and with a drive's colon so.
 */

/** Milliseconds as `0.4 s`, `12 s` or `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** A count as `950`, `12.3k` or `1.2M`. */
export function count(value: number): string {
  if (value < 1000) return String(value);
  return value < 1_000_000 ? `${(value / 1000).toFixed(1)}k` : `${(value / 1_000_000).toFixed(1)}M`;
}

/** Tokens of so many bytes of text, for a model with so many bytes to a token: `≈ 950 tokens`, `≈ 1.2k tokens`. */
export function aboutTokens(bytes: number, bytesPerToken: number): string {
  return `≈ ${count(Math.ceil(bytes / bytesPerToken))} tokens`;
}

/** US dollars, exact enough for small sums. */
export function dollars(value: number): string {
  return `$${value.toFixed(value < 0.1 ? 4 : 2)}`;
}

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
