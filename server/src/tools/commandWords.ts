/**
 * The simple commands of a shell text: their words, the files they redirect onto, and the commands inside of strings.
 *
 * Not here: what commands mean (`destructive.ts`). Easily got wrong: shell-quote takes a line break for a blank and a
 * comment to the end of the text, so lines are told apart before it sees them; and it is no shell: what it cannot tell
 * (the value of a variable) stays as it is written.
 */
import { parse } from "shell-quote";

/** One command of a list or a pipe. */
export interface SimpleCommand {
  readonly words: readonly string[];
  /** Targets of `>`, `>|` and `&>`. */
  readonly overwritten: readonly string[];
  /** Texts within `$(…)` and backquotes inside of quoted words, which are commands of their own. */
  readonly nested: readonly string[];
}

/** Characters of a text that are looked at. */
const maxCharacters = 100_000;

/** The commands in order; "(" and ")" stand for the bounds of a subshell. */
export function parseCommands(text: string): readonly (SimpleCommand | "(" | ")")[] {
  return linesOf(text.slice(0, maxCharacters)).flatMap(parseLine);
}

/** Lines outside of quotes; a backslash at the end joins two. Backquotes outside of single quotes become subshells. */
function linesOf(text: string): readonly string[] {
  const lines: string[] = [];
  let line = "";
  let quote = "";
  let backquotes = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === "\\" && quote !== "'") {
      at += 1;
      if (text[at] !== "\n") line += char + (text[at] ?? "");
    } else if (char === "`" && quote === "") {
      backquotes += 1;
      line += backquotes % 2 === 1 ? " ( " : " ) ";
    } else if (char === "\n" && quote === "") {
      lines.push(line);
      line = "";
    } else {
      if (char === quote) quote = "";
      else if (quote === "" && (char === "'" || char === '"')) quote = char;
      line += char;
    }
  }
  return [...lines, line];
}

function parseLine(line: string): readonly (SimpleCommand | "(" | ")")[] {
  const parts: (SimpleCommand | "(" | ")")[] = [];
  let words: string[] = [];
  let overwritten: string[] = [];
  const finish = () => {
    const nested = words.flatMap(nestedIn);
    if (words.length > 0 || overwritten.length > 0) parts.push({ words, overwritten, nested });
    words = [];
    overwritten = [];
  };
  const tokens = parseSafely(line);
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    const word = wordOf(token);
    if (word !== undefined) words.push(word);
    else if (typeof token === "object" && "op" in token) {
      const target = wordOf(tokens[at + 1]);
      if (/^[<>&|]*[<>][<>&|]*$/.test(token.op) && token.op !== "<(") {
        // `2>file`: the parser gives the descriptor as a word of its own.
        if (/^\d$/.test(words.at(-1) ?? "")) words.pop();
        if (
          target !== undefined &&
          (/^(>|>\||&>)$/.test(token.op) || (token.op === ">&" && !/^(\d|-)$/.test(target)))
        ) {
          overwritten.push(target);
        }
        at += 1;
      } else {
        if (words.at(-1) === "$") words.pop();
        finish();
        if (token.op === "(" || token.op === "<(") parts.push("(");
        if (token.op === ")") parts.push(")");
      }
    }
  }
  finish();
  return parts;
}

type Token = ReturnType<typeof parse>[number];

/** A text that the parser refuses (a bad substitution) is split at blanks: better a wrong word than no warning. */
function parseSafely(line: string): readonly Token[] {
  try {
    return parse(line, (name) => `$${name}`);
  } catch {
    return line.split(/\s+/).filter((word) => word !== "");
  }
}

function wordOf(token: Token | undefined): string | undefined {
  if (typeof token === "string") return token;
  return token && "op" in token && token.op === "glob" ? token.pattern : undefined;
}

function nestedIn(word: string): readonly string[] {
  return [...word.matchAll(/\$\(([^()]*)\)|`([^`]*)`/g)].map(([, inner, quoted]) => inner ?? quoted ?? "");
}

/** Commands that run the one that follows their options; those options of each that take a value. */
const wrappers: { readonly [name: string]: readonly string[] } = {
  builtin: [],
  command: [],
  doas: ["-u", "-C"],
  env: ["-u", "-C", "--unset", "--chdir"],
  exec: ["-a"],
  ionice: ["-c", "-n"],
  nice: ["-n"],
  nohup: [],
  setsid: [],
  stdbuf: ["-i", "-o", "-e"],
  sudo: ["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "--user", "--group", "--chdir"],
  time: ["-f", "-o"],
  timeout: ["-s", "-k", "--signal", "--kill-after"],
  xargs: ["-I", "-n", "-P", "-L", "-d", "-s", "-a", "-E", "--max-args", "--max-procs", "--delimiter", "--arg-file"],
};

const keywords = new Set(["if", "then", "else", "elif", "while", "until", "do", "!", "{", "}", "fi", "done"]);

/** The command itself, without assignments, keywords and wrappers. `piped`: `xargs` gives it arguments of its own. */
export function stripWrappers(words: readonly string[]): {
  readonly name: string | undefined;
  readonly args: readonly string[];
  readonly piped: boolean;
} {
  let rest = words;
  let piped = false;
  for (;;) {
    const [first] = rest;
    if (first === undefined) return { name: undefined, args: [], piped };
    if (/^[A-Za-z_]\w*=/.test(first) || keywords.has(first)) {
      rest = rest.slice(1);
      continue;
    }
    const name = first.replace(/^(\/usr)?(\/local)?\/s?bin\//, "");
    const options = Object.hasOwn(wrappers, name) ? wrappers[name] : undefined;
    if (!options) return { name, args: rest.slice(1), piped };
    if (name === "xargs") piped = true;
    rest = rest.slice(1 + optionsLength(rest.slice(1), options) + (name === "timeout" ? 1 : 0));
  }
}

function optionsLength(args: readonly string[], valued: readonly string[]): number {
  let at = 0;
  while (at < args.length && args[at]?.startsWith("-")) at += valued.includes(args[at] ?? "") ? 2 : 1;
  return at;
}
