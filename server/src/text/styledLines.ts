/**
 * A text as lines, for comparing and joining texts of different styles: line endings and byte order mark kept apart.
 *
 * Not here: which style a text has (`lineEndings.ts`), comparing (`diff.ts`). Easily got wrong: lines keep their endings,
 * and are compared without them only when every text has one kind and the kinds differ.
 */
import { splitLines } from "./diff.ts";
import { type LineEnding, lineStyleOf, withoutBom } from "./lineEndings.ts";

/** The lines of a text. */
export interface Lines {
  readonly bom: boolean;
  /** `undefined` for a text of one line, or with both endings. */
  readonly ending: LineEnding | undefined;
  readonly mixed: boolean;
  /** As they are, without the byte order mark. */
  readonly raw: readonly string[];
  /** As they are compared. */
  readonly compared: readonly string[];
}

/** The lines of a text, to be compared as they are. */
export function rawLines(text: string): Lines {
  const { bom, ending, mixed } = lineStyleOf(text);
  const raw = splitLines(withoutBom(text));
  const isKnown = !mixed && (raw.length > 1 || raw[0]?.endsWith("\n"));
  return { bom, ending: isKnown ? ending : undefined, mixed, raw, compared: raw };
}

/** The lines of a shadow, of the text, and of the next text. */
export interface ThreeTexts {
  readonly shadow: Lines;
  readonly text: Lines;
  readonly next: Lines;
}

/** The lines of three texts, to be compared without their endings when each has one kind and the kinds differ. */
export function linesOf(shadowText: string, presentText: string, nextText: string): ThreeTexts {
  const three = { shadow: rawLines(shadowText), text: rawLines(presentText), next: rawLines(nextText) };
  const all = [three.shadow, three.text, three.next];
  const endings = new Set(all.flatMap(({ ending }) => ending ?? []));
  if (endings.size < 2 || all.some(({ mixed }) => mixed)) return three;
  const inLf = (lines: Lines): Lines => ({ ...lines, compared: lines.raw.map((line) => withEnding(line, "\n")) });
  return { shadow: inLf(three.shadow), text: inLf(three.text), next: inLf(three.next) };
}

/** The ending of the shadow's lines after the user's change: theirs when they changed it and the agent had not. */
export function endingFor({ shadow, text, next }: ThreeTexts): LineEnding | undefined {
  if (shadow.mixed || text.mixed || next.mixed) return undefined;
  return shadow.ending === text.ending ? (next.ending ?? shadow.ending) : (shadow.ending ?? next.ending);
}

/** A line with another ending, or none; one without any stays so. */
export function withEnding(line: string, ending: LineEnding | ""): string {
  if (!line.endsWith("\n") || (ending === "\n" && !line.endsWith("\r\n"))) return line;
  if (ending === "\r\n" && line.endsWith("\r\n")) return line;
  return line.slice(0, line.endsWith("\r\n") ? -2 : -1) + ending;
}

/** Adds the lines from `start` to before `end`, with `ending` where one is given. */
export function pushAll(to: string[], from: readonly string[], start: number, end: number, ending?: LineEnding): void {
  for (let at = start; at < end; at += 1) {
    const line = from[at];
    if (line !== undefined) to.push(ending ? withEnding(line, ending) : line);
  }
}

/** The text of these lines. One that was the last somewhere, and is not here, gets the ending that it lacks. */
export function joined(lines: readonly string[], bom: boolean): string {
  const ending = lines[0]?.endsWith("\r\n") ? "\r\n" : "\n";
  const whole = lines.map((line, at) => (line.endsWith("\n") || at === lines.length - 1 ? line : line + ending));
  return (bom ? "\uFEFF" : "") + whole.join("");
}
