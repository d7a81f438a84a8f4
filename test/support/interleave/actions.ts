/**
 * Interleavings as data: what a typist, an agent, a reviewer and other programs do to the same files, in which order, and
 * how far the agent's calls get in between. Made and shrunk by fast-check.
 *
 * Not here: doing it (a `Stage` does). Easily got wrong: places and choices are numbers that each stage brings into range
 * by itself, so any part of a list is a list that can be played too.
 */
import fc from "fast-check";

/** How many files there are. All interleavings are about the same ones. */
export const fileCount = 50;

/** One act. `file` counts from 0, `at` is a place in per mille of the file's lines, `pick` chooses among what there is. */
export type Action =
  | { readonly do: SimpleAct; readonly file: number }
  | { readonly do: "close"; readonly file: number; readonly save: boolean }
  | { readonly do: "type"; readonly file: number; readonly at: number; readonly how: "line" | "end" | "word" | "split" }
  | { readonly do: "cut"; readonly file: number; readonly at: number }
  | { readonly do: "rewrite"; readonly file: number; readonly how: "append" | "change" | "checkout" | "delete" }
  | { readonly do: "read"; readonly file: number }
  | { readonly do: "edit"; readonly file: number; readonly at: number; readonly how: AgentEdit }
  | { readonly do: "write"; readonly file: number; readonly at: number }
  | { readonly do: "remove"; readonly file: number }
  | { readonly do: "end_turn" }
  | { readonly do: "undo_all" }
  | { readonly do: "undo_turn" }
  | { readonly do: "restart" }
  | { readonly do: "keep"; readonly file: number; readonly pick: number }
  | { readonly do: "undo_hunk"; readonly file: number; readonly pick: number }
  | { readonly do: "keep_file"; readonly file: number }
  | { readonly do: "undo_file"; readonly file: number }
  | { readonly do: "go_on"; readonly picks: readonly number[] };

/** What the typist does with a document as a whole. */
export type SimpleAct = "open" | "undo" | "redo" | "save" | "format" | "reopen";

/** What an edit of the agent does with the line that it has chosen. */
export type AgentEdit = "change" | "insert" | "remove" | "double";

/** One interleaving. */
export interface Interleaving {
  readonly actions: readonly Action[];
  /** Whether saving formats, as `editor.formatOnSave`. */
  readonly formatOnSave: boolean;
}

/** Mostly the same few files, so that they meet; now and then any of the fifty. */
const file = fc.oneof({ weight: 7, arbitrary: fc.nat(1) }, { weight: 1, arbitrary: fc.nat(fileCount - 1) });
const at = fc.nat(999);
const pick = fc.nat(9);

function act<const Do extends string, Rest>(
  weight: number,
  name: Do,
  rest: { [key in keyof Rest]: fc.Arbitrary<Rest[key]> },
) {
  return { weight, arbitrary: fc.record({ do: fc.constant(name), ...rest }) as unknown as fc.Arbitrary<Action> };
}

const action: fc.Arbitrary<Action> = fc.oneof(
  act(30, "go_on", { picks: fc.array(fc.nat(99), { minLength: 1, maxLength: 12 }) }),
  act(14, "type", { file, at, how: fc.constantFrom("line", "end", "word", "split") }),
  act(4, "undo", { file }),
  act(2, "redo", { file }),
  act(5, "save", { file }),
  act(2, "format", { file }),
  act(2, "open", { file }),
  act(2, "close", { file, save: fc.boolean() }),
  act(1, "reopen", { file }),
  act(3, "cut", { file, at }),
  act(5, "rewrite", { file, how: fc.constantFrom("append", "change", "checkout", "delete") }),
  act(4, "read", { file }),
  act(14, "edit", { file, at, how: fc.constantFrom("change", "insert", "remove", "double") }),
  act(3, "write", { file, at }),
  act(1, "remove", { file }),
  act(2, "end_turn", {}),
  act(2, "keep", { file, pick }),
  act(3, "undo_hunk", { file, pick }),
  act(1, "keep_file", { file }),
  act(2, "undo_file", { file }),
  act(1, "undo_all", {}),
  act(1, "undo_turn", {}),
  act(1, "restart", {}),
);

/** Any interleaving of up to `maxActions`. */
export function interleavings(maxActions = 40): fc.Arbitrary<Interleaving> {
  return fc.record({
    actions: fc.array(action, { minLength: 4, maxLength: maxActions, size: "max" }),
    formatOnSave: fc.boolean(),
  });
}

/** The text with which every interleaving begins. */
export function originalText(index: number): string {
  return Array.from({ length: 10 }, (_, line) => `file ${index} line ${line}\n`).join("");
}

/** A formatter whose word does not depend on who wrote a line: no spaces at the end, every third length indented. */
export function formatted(text: string): string {
  return text.replaceAll(/^[ \t]*(\S.*?)?[ \t]*$/gm, (_, words: string | undefined) => {
    if (words === undefined) return "";
    return words.length % 3 === 0 ? `  ${words}` : words;
  });
}

/** What somebody wrote: unique, so that who wrote a text can be told by looking at it. */
export type Token = string;

/** Everyone who writes. */
export type Writer = "typist" | "agent" | "other";

const letters = { typist: "T", agent: "A", other: "X" } as const;

/** Makes tokens that never repeat: `‹T1›`. */
export function createTokens(): (writer: Writer) => Token {
  let count = 0;
  return (writer) => {
    count += 1;
    return `‹${letters[writer]}${count}›`;
  };
}

/** All tokens in a text. */
export function tokensIn(text: string | null | undefined): Token[] {
  return text?.match(/‹[TAX]\d+›/g) ?? [];
}

/** True for what the agent wrote. */
export function isAgents(token: Token): boolean {
  return token.startsWith("‹A");
}

/** The text after the typist typed, at a place where words begin or end. */
export function typed(text: string, action: Extract<Action, { readonly do: "type" }>, token: Token): string {
  const lines = linesOf(text);
  const index = placeIn(lines, action.at);
  const line = lines[index] ?? "";
  const space = line.indexOf(" ", 4);
  const next = {
    line: `${token}\n${line}`,
    end: `${line} ${token}`,
    word: space === -1 ? `${token} ${line}` : `${line.slice(0, space)} ${token}${line.slice(space)}`,
    split: space === -1 ? `${line}\n${token}` : `${line.slice(0, space)}\n${token}\n${line.slice(space + 1)}`,
  }[action.how];
  return lines.with(index, next).join("\n");
}

/** The text without one of its lines. */
export function cut(text: string, at: number): string {
  const lines = linesOf(text);
  return lines.length < 2 ? text : lines.toSpliced(placeIn(lines, at), 1).join("\n");
}

/** What another program makes of a file; `null` deletes it. */
export function rewritten(
  text: string | undefined,
  { file: index, how }: Extract<Action, { readonly do: "rewrite" }>,
  token: Token,
): string | null {
  if (how === "delete") return null;
  if (how === "checkout" || text === undefined) return originalText(index);
  if (how === "append") return `${text}${token}\n`;
  const lines = linesOf(text);
  const middle = Math.floor(lines.length / 2);
  return lines.with(middle, `${lines[middle]} ${token}`).join("\n");
}

/** What the agent asks for, given the text that it has seen: `old` and `new` of an edit. `undefined` if there is no line. */
export function agentEdit(
  seen: string,
  { at, how }: Pick<Extract<Action, { readonly do: "edit" }>, "at" | "how">,
  token: Token,
): { readonly old: string; readonly new: string } | undefined {
  const lines = seen.split("\n").filter((line) => line.trim() !== "");
  const line = lines[placeIn(lines, at)];
  if (line === undefined) return undefined;
  // It removes no words of others; the oracle could not tell that from a loss.
  if (how === "remove" && tokensIn(line).length === 0) return { old: `${line}\n`, new: "" };
  if (how === "insert") return { old: line, new: `${line}\n${token}` };
  if (how === "double") return { old: line, new: `${token}\n${line} ${token}\n${token} end` };
  return { old: line, new: `${line} ${token}` };
}

/** A whole file as the agent writes it, from the text that it has seen. */
export function agentWrite(seen: string, at: number, token: Token): string {
  const lines = linesOf(seen);
  const index = placeIn(lines, at);
  return lines.with(index, `${token}\n${lines[index]} ${token}`).join("\n");
}

function linesOf(text: string): readonly string[] {
  return text.split("\n");
}

function placeIn(lines: readonly string[], at: number): number {
  // The last "line" is what follows the last line break.
  return Math.floor((at / 1000) * Math.max(1, lines.length - 1));
}
