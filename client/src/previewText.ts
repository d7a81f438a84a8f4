/**
 * The pure part of the live preview: where the text to be replaced is, and the style that shows the new one.
 *
 * Not here: editors. Easily got wrong: VS Code's decorations show a single line of text, so the lines are given as
 * generated content in a style. They come from a model: every character but plain letters and digits is escaped there.
 */

/** Lines of a document, from 0, both included. */
export interface Lines {
  readonly from: number;
  readonly to: number;
}

/** Newest lines of the growing text that are shown; those before them are counted. */
const shownLines = 16;
/** Characters of a line that are shown. */
const shownColumns = 160;

/** The lines that hold a text, whatever the line endings; `undefined` when it is not there, or more than once. */
export function findLines(document: string, text: string): Lines | undefined {
  const [all, part] = [toLf(document), toLf(text)];
  const at = part === "" ? -1 : all.indexOf(part);
  if (at < 0 || all.indexOf(part, at + 1) >= 0) return undefined;
  const from = countLines(all, 0, at);
  // A final line break belongs to the line that it ends.
  const end = part.endsWith("\n") ? at + part.length - 1 : at + part.length;
  return { from, to: from + countLines(all, at, end) };
}

/** The growing text as it is shown: its newest lines, and how many are before them. */
export function previewLines(text: string): readonly string[] {
  // It is asked for at every frame: of a long text only the end is taken apart.
  let cut = text.length;
  for (let breaks = 0; breaks <= shownLines && cut !== -1; breaks++) {
    cut = cut === 0 ? -1 : text.lastIndexOf("\n", cut - 1);
  }
  const lines = toLf(text.slice(cut + 1)).split("\n");
  if (lines.at(-1) === "" && lines.length > 1) lines.pop();
  const hidden = Math.max(0, lines.length - shownLines) + countLines(text, 0, cut + 1);
  const shown = lines.slice(-shownLines).map(clip);
  return hidden > 0 ? [`⋯ ${hidden} line${hidden === 1 ? "" : "s"} above`, ...shown] : shown;
}

/**
 * The style of the box with a growing text, to be given as a `textDecoration`: VS Code writes that into its style sheet
 * as it is. `below`: under the line it is attached to, and otherwise over it.
 */
export function previewCss(text: string, below: boolean): string {
  const content = previewLines(text).map(escapeCss).join("\\00000a");
  const place = `position:absolute;left:0;top:${below ? "100%" : "0"};z-index:5`;
  const tint = "var(--vscode-diffEditor-insertedLineBackground,transparent)";
  const paint = `background-image:linear-gradient(${tint},${tint});box-shadow:0 3px 6px var(--vscode-widget-shadow)`;
  const look = "white-space:pre;padding:0 1ch 0 0;min-width:60ch;box-sizing:border-box;pointer-events:none";
  return `none;${place};${look};${paint};content:"${content}" !important`;
}

function clip(line: string): string {
  const wide = line.replaceAll("\t", "    ");
  return wide.length > shownColumns ? `${wide.slice(0, shownColumns - 1)}…` : wide;
}

/** A string's content for CSS. Code units that are half a character become a sign that stands for one. */
function escapeCss(text: string): string {
  return text
    .toWellFormed()
    .replaceAll("\u0000", "\ufffd")
    .replace(/[^A-Za-z0-9]/gu, (character) => `\\${(character.codePointAt(0) ?? 0).toString(16).padStart(6, "0")}`);
}

function countLines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at >= 0 && at < to; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function toLf(text: string): string {
  return text.replaceAll("\r\n", "\n");
}
