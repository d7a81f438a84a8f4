/**
 * The lines of a file most like some text that is not in it, so that a refused edit can show what is really there.
 *
 * Not here: matching (`matchEdit.ts`). Easily got wrong: this is for showing only; nothing is ever edited by likeness.
 */

/** Real lines of the file; `fromLine` and `toLine` count from 1 and are both included. */
export interface NearestLines {
  readonly fromLine: number;
  readonly toLine: number;
  readonly text: string;
}

/** Bounds of what is shown. */
const maxLines = 40;
const maxCharacters = 4_000;
/** How many lines of the wanted text with the same words vote for a place; keeps the time linear. */
const maxVotesPerLine = 8;

/** The run of `fileLines` that shares the most lines with `wanted`, or failing that the most words; both linear. */
export function nearestLines(fileLines: readonly string[], wanted: readonly string[]): NearestLines | undefined {
  const start = bestByLines(fileLines, wanted) ?? bestByWords(fileLines, wanted);
  if (start === undefined) return undefined;
  const from = Math.max(0, Math.min(start, fileLines.length - 1));
  const lines: string[] = [];
  let characters = 0;
  for (const line of fileLines.slice(from, from + Math.min(wanted.length, maxLines))) {
    if (lines.length > 0 && characters + line.length > maxCharacters) break;
    lines.push(line.slice(0, maxCharacters));
    characters += line.length;
  }
  return { fromLine: from + 1, toLine: from + lines.length, text: lines.join("\n") };
}

/** Each equal line votes for the place where the whole would start; longer lines say more than `}`. */
function bestByLines(fileLines: readonly string[], wanted: readonly string[]): number | undefined {
  const places = new Map<string, number[]>();
  for (const [index, line] of wanted.entries()) {
    const key = line.trim();
    if (key === "") continue;
    const known = places.get(key);
    if (!known) places.set(key, [index]);
    else if (known.length < maxVotesPerLine) known.push(index);
  }
  const votes = new Map<number, number>();
  for (const [index, line] of fileLines.entries()) {
    const key = line.trim();
    for (const place of places.get(key) ?? []) {
      votes.set(index - place, (votes.get(index - place) ?? 0) + Math.min(key.length, 60));
    }
  }
  return best(votes, 4);
}

/** Lines that share words with the longest wanted line. */
function bestByWords(fileLines: readonly string[], wanted: readonly string[]): number | undefined {
  const longest = wanted.reduce(
    (best, line, i) => (line.trim().length > (wanted[best] ?? "").trim().length ? i : best),
    0,
  );
  const words = new Set(wordsOf(wanted[longest] ?? ""));
  if (words.size === 0) return undefined;
  const scores = new Map<number, number>();
  for (const [index, line] of fileLines.entries()) {
    const shared = new Set(wordsOf(line).filter((word) => words.has(word))).size;
    if (shared * 2 >= words.size) scores.set(index - longest, shared);
  }
  return best(scores, 1);
}

function wordsOf(line: string): string[] {
  return line.slice(0, 1_000).match(/[\p{L}\p{N}_]+/gu) ?? [];
}

function best(scores: ReadonlyMap<number, number>, atLeast: number): number | undefined {
  let found: number | undefined;
  let highest = atLeast - 1;
  for (const [place, score] of scores) {
    if (score > highest) {
      found = place;
      highest = score;
    }
  }
  return found;
}
