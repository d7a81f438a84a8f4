/**
 * Knows who wrote what, by the tokens in the texts, and says so when somebody's words are lost, saved without being asked
 * for, or called somebody else's.
 *
 * Not here: doing anything. Easily got wrong: words are there while buffer or file holds them; whoever types, undoes,
 * closes without saving or rewrites a file takes words away by right, and the agent never does.
 */
import type { PendingFile } from "../../../server/src/protocol/review.ts";
import { isAgents, type Token, tokensIn } from "./actions.ts";

/** The texts of one file now; `undefined` where it is not open, or not there. */
export interface FileTexts {
  readonly buffer: string | undefined;
  readonly disk: string | undefined;
  /** True while the document holds what nobody has saved. */
  readonly dirty: boolean;
}

/**
 * By whose doing texts changed: somebody's own hand, a tool call of the agent, an undo that the user asked for, or a
 * command that deletes a file as it is.
 */
export type Cause = "hand" | "agent" | "undo" | "removal";

/** Something happened that must not. */
export class Violation extends Error {}

/** The oracle of one interleaving. Tell it of every change by `look`. */
export class Oracle {
  readonly #texts = new Map<string, FileTexts>();
  /** Words typed into a document since it was last saved by the user, or clean. */
  readonly #unsaved = new Map<string, Set<Token>>();
  /** The agent's words that a hand has brought back, or that the user has kept: nobody's hunk any more. */
  readonly #settled = new Set<Token>();
  readonly #gone = new Set<Token>();
  /** Others' words that the agent has written again, with a whole file. */
  readonly #repeated = new Set<Token>();
  /** The lines that the agent has written into, by their file and their first words. */
  readonly #touched = new Set<string>();

  /** Takes note of the present texts of a file. */
  look(uri: string, now: FileTexts, cause: Cause): void {
    const before = this.#texts.get(uri) ?? { buffer: undefined, disk: undefined, dirty: false };
    this.#texts.set(uri, now);
    for (const line of `${now.buffer}\n${now.disk}`.split("\n")) {
      if (bare(line) !== "" && tokensIn(line).some(isAgents)) this.#touched.add(`${uri} ${bare(line)}`);
    }
    const [had, has] = [present(before), present(now)];
    const lost = [...had].filter((token) => !has.has(token));
    const gained = [...has].filter((token) => !had.has(token));
    if (cause === "hand") {
      for (const token of lost) this.#gone.add(token);
      const seen = new Set(tokensIn(textOf(before)));
      for (const token of tokensIn(textOf(now))) if (isAgents(token) && !seen.has(token)) this.#settled.add(token);
      // Whoever types into a line that the agent has put there makes it their own.
      const old = new Set(textOf(before)?.split("\n"));
      const rewritten = (textOf(now) ?? "").split("\n").filter((line) => isMixed(line) && !old.has(line));
      this.kept(rewritten.join("\n"));
      this.#noteTyping(uri, now, gained);
      return;
    }
    for (const token of lost.filter((one) => !isAgents(one))) {
      const isMeant =
        cause === "removal" ||
        (cause === "undo" &&
          (this.#repeated.has(token) ||
            [before.buffer, before.disk].some((text) => this.#isAmongAgents(uri, text, token))));
      if (isMeant) this.#gone.add(token);
      else
        throw new Violation(
          `${token} in ${nameOf(uri)} is lost by ${cause}:\n${describe(before)}\nbecame\n${describe(now)}`,
        );
    }
    if (cause !== "agent") return;
    const back = gained.find((token) => this.#gone.has(token));
    // A whole file that the agent writes anew may say again what it has seen there.
    if (textOf(before) === undefined) for (const token of gained) this.#repeated.add(token);
    else if (back)
      throw new Violation(`${back} in ${nameOf(uri)} was taken away by a hand and came back:\n${describe(now)}`);
  }

  /** The document was saved for the host: nothing may be in it that waits for the user's own save. */
  savedForHost(uri: string, buffer: string): void {
    const forced = tokensIn(buffer).find((token) => this.#unsaved.get(uri)?.has(token));
    if (forced) throw new Violation(`${forced} in ${nameOf(uri)} was saved although its typist had not saved it.`);
  }

  /** The user saved, or the document is as on disk. */
  clean(uri: string): void {
    this.#unsaved.delete(uri);
  }

  /** The user has kept what this text holds. */
  kept(shadow: string): void {
    for (const token of tokensIn(shadow)) if (isAgents(token)) this.#settled.add(token);
  }

  /** A call failed: nothing of it may be anywhere. */
  failed(token: Token): void {
    for (const [uri, texts] of this.#texts) {
      if (present(texts).has(token)) throw new Violation(`A refused edit left ${token} in ${nameOf(uri)}.`);
    }
  }

  /** What is pending names the agent's lines, and all of them. */
  attributed(files: readonly PendingFile[]): void {
    const told = new Map(files.map((file) => [file.uri, file]));
    for (const [uri, texts] of this.#texts) {
      if (isLeftOver(texts)) continue;
      const lines = (textOf(texts) ?? "").split("\n");
      const file = told.get(uri);
      // A new file is one hunk, and is not undone any more once somebody else has put words into it.
      const hunks = file?.hunks ?? [];
      const inHunk = new Set<number>();
      for (const { fromLine, lineCount, before } of hunks) {
        const own = lines.slice(fromLine - 1, fromLine - 1 + lineCount);
        for (let line = 0; line < lineCount; line++) inHunk.add(fromLine - 1 + line);
        const wrong = own.find((line) => isOthersAlone(line) && !this.#isRepeated(line));
        if (file?.status === "added") continue;
        // Whoever splits a line of the agent's and types in between is in that line.
        const isInLine = own.some((line) => isMixed(line) || (tokensIn(line).length === 0 && isFragment(line)));
        if (wrong !== undefined && !isInLine && before.length === 0) {
          throw new Violation(`"${wrong}" in ${nameOf(uri)} is in a hunk of the agent:\n${own.join("\n")}`);
        }
        if (
          before.length === 0 &&
          own.some((line) => line !== "") &&
          !own.some((line) => tokensIn(line).some(isAgents) || this.#isRepeated(line))
        ) {
          throw new Violation(`A hunk in ${nameOf(uri)} has nothing of the agent:\n${own.join("\n")}`);
        }
      }
      for (const [at, line] of lines.entries()) {
        const loose = tokensIn(line).find((token) => isAgents(token) && !this.#settled.has(token));
        if (loose && !inHunk.has(at))
          throw new Violation(`${loose} in ${nameOf(uri)} is in no hunk:\n${lines.join("\n")}`);
      }
    }
  }

  #isRepeated(line: string): boolean {
    return tokensIn(line).some((token) => this.#repeated.has(token));
  }

  /** Everything was undone but in the files named: nothing of the agent is left that was not kept. */
  undone(conflicts: readonly string[]): void {
    for (const [uri, texts] of this.#texts) {
      if (isLeftOver(texts) || conflicts.some((name) => uri.endsWith(`/${name}`))) continue;
      const left = tokensIn(textOf(texts)).find((token) => isAgents(token) && !this.#settled.has(token));
      if (left) throw new Violation(`${left} is left in ${nameOf(uri)} after everything was undone.`);
    }
  }

  /**
   * True for words that went into the agent's own lines, or took the place of one: undoing the agent's change takes them
   * along. A whole line that somebody put beside the agent's is not among them, nor are words in the line beside it.
   */
  #isAmongAgents(uri: string, text: string | undefined, token: Token): boolean {
    const lines = (text ?? "").split("\n");
    const at = lines.findIndex((line) => line.includes(token));
    if (at === -1) return false;
    const hasToken = (line: string | undefined) => line !== undefined && tokensIn(line).length > 0;
    let [from, to] = [at, at];
    while (hasToken(lines[from - 1])) from -= 1;
    while (hasToken(lines[to + 1])) to += 1;
    const block = lines.slice(from, to + 1);
    if (block.some((line) => isMixed(line) || this.#touched.has(`${uri} ${bare(line)}`))) return true;
    return isFragment(lines[from - 1]) || isFragment(lines[to + 1]);
  }

  #noteTyping(uri: string, { buffer, disk }: FileTexts, gained: readonly Token[]): void {
    if (buffer === undefined || buffer === disk) {
      this.clean(uri);
      return;
    }
    const typed = this.#unsaved.get(uri) ?? new Set();
    for (const token of gained) if (!isAgents(token) && buffer.includes(token)) typed.add(token);
    this.#unsaved.set(uri, typed);
  }
}

function present({ buffer, disk }: FileTexts): Set<Token> {
  return new Set([...tokensIn(buffer), ...tokensIn(disk)]);
}

/** What the user sees, and the agent. */
function textOf({ buffer, disk }: FileTexts): string | undefined {
  return buffer ?? disk;
}

/** A tab of a file that is gone, unchanged: it shows what was there. */
function isLeftOver({ disk, dirty }: FileTexts): boolean {
  return disk === undefined && !dirty;
}

function isOthersAlone(line: string): boolean {
  const tokens = tokensIn(line);
  return tokens.length > 0 && !tokens.some(isAgents);
}

/** Somebody typed into the agent's line: it is the agent's all the same. */
function isMixed(line: string): boolean {
  const tokens = tokensIn(line);
  return tokens.some(isAgents) && tokens.some((token) => !isAgents(token));
}

/** A line without what was written into it. */
function bare(line: string): string {
  return line.replaceAll(/\s*‹[TAX]\d+›/g, "").trim();
}

/** True for a piece of a line that somebody has split. */
function isFragment(line: string | undefined): boolean {
  return line !== undefined && bare(line) !== "" && !/^file \d+ line \d+/.test(bare(line));
}

function describe({ buffer, disk }: FileTexts): string {
  return `buffer: ${buffer === undefined ? "none" : JSON.stringify(buffer)}\ndisk: ${disk === undefined ? "none" : JSON.stringify(disk)}`;
}

function nameOf(uri: string): string {
  return uri.slice(uri.lastIndexOf("/") + 1);
}
