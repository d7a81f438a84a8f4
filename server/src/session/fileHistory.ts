/**
 * What some turns or a restore did to one file, and what the file is without it: worked out backwards from the present text.
 *
 * Not here: reading and writing files (`checkpoint.ts`). Easily got wrong: between two recorded changes somebody else may
 * have changed the file. So changes are taken back in runs that join, each by a merge, and not from the last to the first at once.
 */
import type { BlobId, FileChange } from "../protocol/types.ts";
import { decodeText, encodeText } from "../text/encoding.ts";
import { mergeInFavour, mergeTexts } from "../text/merge.ts";
import { digestOf } from "../workspace/fileBytes.ts";
import { maxTextBytes } from "../workspace/textFile.ts";

/** Changes of one file, followed through its moves, the later ones last. */
export interface FileHistory {
  /** Where the changes left it. */
  readonly uri: string;
  /** Where it was before them. */
  readonly home: string;
  readonly changes: readonly FileChange[];
  readonly runs: readonly Run[];
  /** How its bytes are text; `undefined` for UTF-8 and for what is no text. */
  readonly encoding: string | undefined;
  /** Permission bits before the first change. */
  readonly mode: number | undefined;
  /** Permission bits that a command or a restore gave it last. */
  readonly modeAfter: number | undefined;
}

/** Changes that join: each begins with what the one before it left. */
export interface Run {
  readonly before: BlobId | null;
  /** Every text that the changes gave the file, the last one last; `null` where it was deleted. */
  readonly afters: readonly (BlobId | null)[];
}

/** A content: `null` for no file. */
export interface Image {
  readonly id: BlobId | null;
  /** `undefined` while it is not known: then the store has it, or it is not text. */
  readonly text: string | null | undefined;
}

/** What becomes of a file. A `conflict` says whether there are two texts to show. */
export type Without =
  | { readonly outcome: "unchanged" | "restored" | "merged"; readonly image: Image }
  | { readonly outcome: "conflict"; readonly bothSides: boolean };

/** Reads a stored image. Throws `RequestError` `unknown_blob` or `damaged_blob`. */
export type LoadImage = (id: BlobId) => Promise<Uint8Array>;

/** The histories of all files that some changes are about, in the order in which they were first changed. */
export function historiesOf(changes: readonly FileChange[]): readonly FileHistory[] {
  return tracksOf(changes).map((all) => ({
    uri: all.at(-1)?.uri ?? "",
    home: all[0]?.movedFrom ?? all[0]?.uri ?? "",
    changes: all,
    runs: runsOf(all),
    encoding: all.find(({ encoding }) => encoding !== undefined)?.encoding,
    mode: all[0]?.mode,
    modeAfter: all.findLast(({ modeAfter }) => modeAfter !== undefined)?.modeAfter,
  }));
}

/** The changes of each file, followed through its moves. */
function tracksOf(changes: readonly FileChange[]): readonly (readonly FileChange[])[] {
  const tracks: FileChange[][] = [];
  const byPlace = new Map<string, FileChange[]>();
  for (const change of changes) {
    const place = change.movedFrom ?? change.uri;
    const track = byPlace.get(place) ?? [];
    if (track.length === 0) tracks.push(track);
    track.push(change);
    byPlace.delete(place);
    byPlace.set(change.uri, track);
  }
  return tracks;
}

function runsOf(changes: readonly FileChange[]): readonly Run[] {
  const runs: { before: BlobId | null; afters: (BlobId | null)[] }[] = [];
  for (const { before, after } of changes) {
    const last = runs.at(-1);
    if (last && last.afters.at(-1) === before) last.afters.push(after);
    else runs.push({ before, afters: [after] });
  }
  return runs;
}

/** What the file is without its history, given what it is now. Throws what `load` throws. */
export async function without(history: FileHistory, now: Image, load: LoadImage): Promise<Without> {
  const { runs, encoding } = history;
  let image = now;
  let merged = false;
  // What is there may be what an earlier run left: then the later ones are not there.
  const known = runs.findLastIndex(({ afters }) => afters.includes(now.id));
  for (const run of runs.slice(0, known === -1 ? undefined : known + 1).reverse()) {
    if (image.id === run.before) continue;
    // Any text of the run, not only its last: a host that was killed may have recorded a write that never happened.
    if (run.afters.includes(image.id)) {
      image = { id: run.before, text: run.before === null ? null : undefined };
      continue;
    }
    const texts = await textsOf(history, { run, image, now }, load);
    const outcome = texts && mergeTexts(texts.after, texts.before, texts.present);
    if (!outcome?.clean) return { outcome: "conflict", bothSides: (await bothSides(history, now, load)) !== undefined };
    image = await imageOf(outcome.text, encoding);
    merged = true;
  }
  if (image.id === now.id) return { outcome: "unchanged", image: now };
  // Read here, so that a text that is gone is noticed before anything is written.
  if (image.id !== null && image.text === undefined) {
    image = { id: image.id, text: await textOf(await load(image.id), encoding) };
  }
  return { outcome: merged ? "merged" : "restored", image };
}

/** The present text and the one from before, equal wherever nothing overlaps. `undefined` when there are not two texts. */
export async function bothSides(
  history: FileHistory,
  now: Image,
  load: LoadImage,
): Promise<{ readonly yours: string; readonly before: string } | undefined> {
  if (typeof now.text !== "string") return undefined;
  let [yours, before] = [now.text, now.text];
  for (const run of history.runs.toReversed()) {
    const texts = await textsOf(history, { run, image: now, now }, load);
    if (!texts) return undefined;
    yours = mergeInFavour(texts.after, texts.before, yours, "theirs");
    before = mergeInFavour(texts.after, texts.before, before, "ours");
  }
  return { yours, before };
}

/** The three texts of a merge; `undefined` when one is not text, or there was no file. */
async function textsOf(
  { encoding }: FileHistory,
  { run, image, now }: { readonly run: Run; readonly image: Image; readonly now: Image },
  load: LoadImage,
): Promise<{ readonly before: string; readonly after: string; readonly present: string } | undefined> {
  const after = run.afters.at(-1) ?? null;
  if (run.before === null || after === null || image.id === null) return undefined;
  // What is there need not be stored; when it is not text, nothing can be merged into it.
  if (image.id === now.id && now.text === undefined) return undefined;
  const [before, last] = [await textOf(await load(run.before), encoding), await textOf(await load(after), encoding)];
  const present = image.text === undefined ? await textOf(await load(image.id), encoding) : image.text;
  if (before === undefined || last === undefined || typeof present !== "string") return undefined;
  return { before, after: last, present };
}

/** A text as an image: of the bytes that it has in its encoding, or in UTF-8 where that cannot hold it. */
export async function imageOf(text: string, encoding: string | undefined): Promise<Image> {
  return { id: digestOf(await bytesOf(text, encoding)), text };
}

/** The bytes of a text as an image. */
export async function bytesOf(text: string, encoding: string | undefined): Promise<Uint8Array> {
  const encoded = await encodeText(text, encoding);
  return encoded.ok ? encoded.bytes : new TextEncoder().encode(text);
}

/** `undefined` for bytes that a text would not give back, and for texts that the workspace does not read. */
export async function textOf(bytes: Uint8Array, encoding: string | undefined): Promise<string | undefined> {
  if (bytes.length > maxTextBytes || (encoding === undefined && bytes.includes(0))) return undefined;
  return decodeText(bytes, encoding);
}
