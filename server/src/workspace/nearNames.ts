/**
 * Names like one that is missing, so that a wrong path costs the model one step and not three.
 *
 * Not here: reading folders. Easily got wrong: likeness is judged without case, because a wrong case is the most common slip.
 */

/** At most this many names are suggested. */
const maxNames = 3;

/**
 * The paths of `known` most like `path`: first those in the same folder with a name a few letters off, then those of the
 * same name elsewhere.
 */
export function nearNames(path: string, known: readonly string[]): string[] {
  const { folder, name } = split(path);
  const scored: { readonly path: string; readonly score: number }[] = [];
  for (const other of known) {
    const candidate = split(other);
    const same = candidate.name.toLowerCase() === name.toLowerCase();
    const allowed = Math.max(1, Math.floor(name.length / 3));
    if (same) scored.push({ path: other, score: candidate.folder === folder ? 0 : allowed + 1 });
    else if (candidate.folder === folder && Math.abs(candidate.name.length - name.length) <= allowed) {
      const score = distance(candidate.name.toLowerCase(), name.toLowerCase());
      if (score <= allowed) scored.push({ path: other, score });
    }
  }
  return scored
    .sort((a, b) => a.score - b.score || (a.path < b.path ? -1 : 1))
    .slice(0, maxNames)
    .map((candidate) => candidate.path);
}

function split(path: string): { folder: string; name: string } {
  const at = path.lastIndexOf("/");
  return { folder: path.slice(0, at + 1), name: path.slice(at + 1) };
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
