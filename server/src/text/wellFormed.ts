/**
 * Text that every vendor takes: without halves of surrogate pairs.
 *
 * Not here: files, which are refused when they are not UTF-8. Easily got wrong: such a half looks harmless and prints as
 * a box, but vendors refuse any request with one (400), and a session that has stored it could never go on.
 */

/** The same value with each half of a surrogate pair in its strings replaced by U+FFFD; the value itself if it has none. */
export function wellFormed<T>(value: T): T {
  return mend(value) as T;
}

function mend(value: unknown): unknown {
  if (typeof value === "string") return value.isWellFormed() ? value : value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const mended = value.map(mend);
    return mended.some((item, at) => item !== value[at]) ? mended : value;
  }
  const entries = Object.entries(value);
  const mended = entries.map(([key, item]): [string, unknown] => [key.toWellFormed(), mend(item)]);
  const isSame = mended.every(([key, item], at) => key === entries[at]?.[0] && item === entries[at]?.[1]);
  return isSame ? value : Object.fromEntries(mended);
}
