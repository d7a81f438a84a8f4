/** Splits the text of a span into numbers, words and signs. */

/** A piece of the text. `at` is the index of its first character. */
export type Token =
  | { readonly type: "number"; readonly value: number; readonly at: number }
  | { readonly type: "word"; readonly text: string; readonly at: number }
  | { readonly type: "colon"; readonly at: number }
  | { readonly type: "minus"; readonly at: number };

/** Thrown for a text that is not a span; the message shows where reading stopped. */
export class SpanSyntaxError extends SyntaxError {
  readonly at: number;

  constructor(problem: string, text: string, at: number) {
    super(`${problem}\n  ${text}\n  ${" ".repeat(at)}^`);
    this.name = "SpanSyntaxError";
    this.at = at;
  }
}

const piece = /(?<space>[\s,]+)|(?<number>\d+(?:\.\d+)?|\.\d+)|(?<word>[a-zA-Z]+)|(?<colon>:)|(?<minus>[-−])/y;

/** The tokens of `text`, without spaces and commas; throws a `SpanSyntaxError` at a character that fits nowhere. */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  piece.lastIndex = 0;
  while (piece.lastIndex < text.length) {
    const at = piece.lastIndex;
    const groups = piece.exec(text)?.groups;
    if (groups === undefined) throw new SpanSyntaxError(`Unexpected "${text[at]}"`, text, at);
    if (groups.number !== undefined) tokens.push({ type: "number", value: Number(groups.number), at });
    else if (groups.word !== undefined) tokens.push({ type: "word", text: groups.word, at });
    else if (groups.colon !== undefined) tokens.push({ type: "colon", at });
    else if (groups.minus !== undefined) tokens.push({ type: "minus", at });
  }
  return tokens;
}
