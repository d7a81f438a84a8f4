/**
 * Line endings and the byte order mark of a text: finding them, taking them off, putting them back.
 *
 * Not here: decoding bytes (`textFile.ts`). Easily got wrong: a lone `\r` is content, not a line ending, and a file may
 * mix both endings; `toLf` then loses which line had which, so callers that keep bytes work on the original text.
 */

/** The line ending that new lines of a text should get. */
export type LineEnding = "\n" | "\r\n";

const bom = "\uFEFF";

/** What `toLf` took off, so that `fromLf` can put it back. */
export interface LineStyle {
  readonly bom: boolean;
  /** The ending that most lines have; `\n` for a text of one line. */
  readonly ending: LineEnding;
  /** True when the text has both endings. */
  readonly mixed: boolean;
}

/** Says how a text ends its lines and whether it opens with a byte order mark. */
export function lineStyleOf(text: string): LineStyle {
  let crlf = 0;
  let lf = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) {
    if (at > 0 && text[at - 1] === "\r") crlf += 1;
    else lf += 1;
  }
  return { bom: text.startsWith(bom), ending: crlf > lf ? "\r\n" : "\n", mixed: crlf > 0 && lf > 0 };
}

/** The text without its byte order mark. */
export function withoutBom(text: string): string {
  return text.startsWith(bom) ? text.slice(1) : text;
}

/** The text with every `\r\n` made `\n`, and without its byte order mark. */
export function toLf(text: string): string {
  const bare = withoutBom(text);
  return bare.includes("\r\n") ? bare.replaceAll("\r\n", "\n") : bare;
}

/** The text in the given style. Endings that `text` already has are brought to the style's. */
export function fromLf(text: string, style: Pick<LineStyle, "bom" | "ending">): string {
  const lf = toLf(text);
  const body = style.ending === "\r\n" ? lf.replaceAll("\n", "\r\n") : lf;
  return style.bom ? bom + body : body;
}

/** True when two texts differ in nothing but byte order mark and line endings. */
export function sameButForEndings(a: string, b: string): boolean {
  return a === b || toLf(a) === toLf(b);
}
