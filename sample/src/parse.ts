/** Reads spans: "1h 30m", "2 days and 4 hours", "1:02:03.5", "-90s". */
import { SpanSyntaxError, type Token, tokenize } from "./tokenize.ts";
import { findUnit, unitNamed } from "./units.ts";

/** The span that `text` describes, in milliseconds; throws a `SpanSyntaxError` when it describes none. */
export function parse(text: string): number {
  const tokens = tokenize(text);
  const negative = tokens[0]?.type === "minus";
  const rest = negative ? tokens.slice(1) : tokens;
  if (rest.length === 0) throw new SpanSyntaxError("Expected a span of time", text, text.length);
  const span = rest.some((token) => token.type === "colon") ? parseClock(rest, text) : parseUnits(rest, text);
  return negative && span !== 0 ? -span : span;
}

/** Numbers, each followed by its unit; "and" may stand between them. */
function parseUnits(tokens: readonly Token[], text: string): number {
  let span = 0;
  let i = 0;
  while (i < tokens.length) {
    const token = tokens[i];
    if (i > 0 && token?.type === "word" && token.text.toLowerCase() === "and") i++;
    const number = tokens[i];
    if (number?.type !== "number") throw new SpanSyntaxError("Expected a number", text, number?.at ?? text.length);
    const word = tokens[i + 1];
    if (word?.type !== "word")
      throw new SpanSyntaxError("Expected a unit after the number", text, word?.at ?? text.length);
    const unit = findUnit(word.text);
    if (unit === undefined) throw new SpanSyntaxError(`Unknown unit "${word.text}"`, text, word.at);
    span += number.value * unit.ms;
    i += 2;
  }
  return Math.round(span);
}

/** Hours, minutes and seconds with colons between them; two numbers are minutes and seconds. */
function parseClock(tokens: readonly Token[], text: string): number {
  const numbers: number[] = [];
  for (const [i, token] of tokens.entries()) {
    const wanted = i % 2 === 0 ? "number" : "colon";
    if (token.type !== wanted) throw new SpanSyntaxError(`Expected a ${wanted}`, text, token.at);
    if (token.type !== "number") continue;
    const inner = numbers.length > 0;
    if (inner && token.value >= 60) throw new SpanSyntaxError("Expected a number below 60", text, token.at);
    numbers.push(token.value);
  }
  if (tokens.length % 2 === 0) throw new SpanSyntaxError("Expected a number", text, text.length);
  if (numbers.length > 3) throw new SpanSyntaxError("Expected at most hours, minutes and seconds", text, text.length);
  return Math.round(numbers.reduce((total, value) => total * 60 + value, 0) * unitNamed("second").ms);
}
