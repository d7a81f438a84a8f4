/**
 * What a command printed, as text: without the colours, cursor moves and control characters that only terminals know.
 *
 * Not here: running commands. Easily got wrong: output comes in pieces that may end inside a sequence, and a lone `\r`
 * starts its line again, so that of a progress bar only the last state is left.
 */
import { stripVTControlCharacters } from "node:util";

/** All but tab, line feed and carriage return. */
const controls = /[\p{Cc}--[\t\n\r]]/gv;
/** The start of a sequence that the end of a piece has cut. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const cutSequence = /\x1B(?:[[(][\d;:?]*|\][^\x07\x1B]{0,200})?$/;

/** The text without control sequences and control characters. */
export function plainText(text: string): string {
  const plain = stripVTControlCharacters(text).replace(controls, "");
  // Overwritten starts of lines are gone on a terminal too.
  return plain.includes("\r") ? plain.replace(/\r+\n/g, "\n").replace(/[^\n]*\r(?!\n)(?=[^\n])/g, "") : plain;
}

/** Makes output that comes in pieces plain; what a cut sequence holds back comes with the next piece. */
export function createPlainStream(): (piece: string) => string {
  let held = "";
  return (piece) => {
    const text = held + piece;
    const at = text.search(cutSequence);
    held = at < 0 ? "" : text.slice(at);
    const whole = at < 0 ? text : text.slice(0, at);
    return stripVTControlCharacters(whole).replace(controls, "").replace(/\r+\n/g, "\n");
  };
}
