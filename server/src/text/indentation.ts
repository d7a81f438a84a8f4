/**
 * Shifts of indentation: what to do to the indentation of one block to make it that of another.
 *
 * Not here: finding the blocks (`matchEdit.ts`). Easily got wrong: a shift must hold for every line that is not blank, or
 * there is none; and spaces turn into tabs only where the file's block itself has tabs.
 */

/** The spaces and tabs that a line starts with. */
function indentOf(line: string): string {
  return /^[ \t]*/.exec(line)?.[0] ?? "";
}

/** Gives `line` the indentation of `to` where it has that of `from`. */
export function reindent(line: string, from: string, to: string): string {
  const indent = indentOf(from);
  return line.startsWith(indent) ? indentOf(to) + line.slice(indent.length) : line;
}

/**
 * The function that re-indents lines written for `given` to fit `real`, or `undefined` when no single shift turns the one
 * into the other. Both blocks have the same lines apart from their indentation.
 */
export function toIndentShift(
  given: readonly string[],
  real: readonly string[],
): ((line: string) => string) | undefined {
  for (const convert of conversions(given, real)) {
    const shift = shiftBetween(given.map(convert), real);
    if (shift) return (line) => shift(convert(line));
  }
  return undefined;
}

/** Indentation as it is, and then with tabs for every 2, 3, 4 or 8 spaces, or the other way round, to suit the file. */
function conversions(given: readonly string[], real: readonly string[]): ((line: string) => string)[] {
  const asIs = (line: string) => line;
  const realIndents = real.map(indentOf).join("");
  const givenIndents = given.map(indentOf).join("");
  const widths = [2, 4, 8, 3];
  if (realIndents.includes("\t") && !realIndents.includes(" ") && !givenIndents.includes("\t")) {
    return [asIs, ...widths.map((width) => changeIndent((indent) => toTabs(indent, width)))];
  }
  if (realIndents.includes(" ") && !realIndents.includes("\t") && !givenIndents.includes(" ")) {
    return [asIs, ...widths.map((width) => changeIndent((indent) => indent.replaceAll("\t", " ".repeat(width))))];
  }
  return [asIs];
}

function changeIndent(change: (indent: string) => string): (line: string) => string {
  return (line) => change(indentOf(line)) + line.slice(indentOf(line).length);
}

function toTabs(indent: string, width: number): string {
  return "\t".repeat(Math.floor(indent.length / width)) + " ".repeat(indent.length % width);
}

function shiftBetween(given: readonly string[], real: readonly string[]): ((line: string) => string) | undefined {
  const from = commonIndent(given);
  const to = commonIndent(real);
  const holds = given.every(
    (line, i) => line.trim() === "" || to + indentOf(line).slice(from.length) === indentOf(real[i] ?? ""),
  );
  if (!holds) return undefined;
  return (line) => {
    if (line.trim() === "") return line.trimEnd() === line ? line : "";
    if (line.startsWith(from)) return to + line.slice(from.length);
    // Less indented than anything in the old block: take the same number of characters off.
    const missing = from.length - indentOf(line).length;
    return to.slice(0, Math.max(0, to.length - missing)) + line.trimStart();
  };
}

function commonIndent(lines: readonly string[]): string {
  let common: string | undefined;
  for (const line of lines) {
    if (line.trim() === "") continue;
    const indent = indentOf(line);
    if (common === undefined) common = indent;
    while (!indent.startsWith(common)) common = common.slice(0, -1);
  }
  return common ?? "";
}
