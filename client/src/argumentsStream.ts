/**
 * Reads the arguments of a tool call while they arrive: the strings of a JSON object, each as far as it is there.
 *
 * Not here: which tool it is, or what the strings mean. Easily got wrong: a piece may end anywhere, also inside of an
 * escape, so the place is kept between pieces and nothing is read twice. What does not begin like an object gives nothing.
 */

/** A string of the object, as far as it has arrived. */
export interface ArgumentText {
  readonly text: string;
  /** Whether its closing quote was there. */
  readonly complete: boolean;
}

/** Where the reader is: before the object, between strings, inside of one of three kinds of string, or given up. */
type Mode = "before" | "between" | "key" | "value" | "nested" | "dead";

const short: { readonly [letter: string]: string } = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Decodes one object piece by piece, in time proportional to the piece. */
export class ArgumentsStream {
  readonly #fields = new Map<string, ArgumentText>();
  #mode: Mode = "before";
  #depth = 0;
  /** The name whose value comes next or is being read. */
  #name = "";
  #isValue = false;
  /** What came after a backslash, while the escape is not complete. */
  #escape: string | undefined;

  /** The string of a name, if it has begun. Strings inside of other objects and lists are not told. */
  get(name: string): ArgumentText | undefined {
    return this.#fields.get(name);
  }

  /** Takes the next piece of the JSON text. */
  push(json: string): void {
    let at = 0;
    while (at < json.length && this.#mode !== "dead") {
      const isText = this.#mode === "key" || this.#mode === "value" || this.#mode === "nested";
      at = isText ? this.#readText(json, at) : this.#readMark(json, at);
    }
  }

  #readMark(json: string, at: number): number {
    const mark = json[at] ?? "";
    if (this.#mode === "before") {
      if (mark === "{") this.#mode = "between";
      else if (mark.trim() !== "") this.#mode = "dead";
      this.#depth = 1;
    } else if (mark === "{" || mark === "[") this.#depth++;
    else if (mark === "}" || mark === "]") this.#depth--;
    else if (mark === ":" && this.#depth === 1) this.#isValue = true;
    else if (mark === "," && this.#depth === 1) this.#isValue = false;
    else if (mark === '"') this.#begin();
    return at + 1;
  }

  #begin(): void {
    if (this.#depth !== 1) this.#mode = "nested";
    else if (this.#isValue) {
      this.#mode = "value";
      this.#fields.set(this.#name, { text: "", complete: false });
    } else {
      this.#mode = "key";
      this.#name = "";
    }
  }

  #readText(json: string, at: number): number {
    if (this.#escape !== undefined) return this.#readEscape(json, at);
    const special = /["\\]/g;
    special.lastIndex = at;
    const end = special.exec(json)?.index ?? json.length;
    if (end > at) this.#add(json.slice(at, end));
    if (json[end] === "\\") this.#escape = "";
    if (json[end] === '"') this.#end();
    return end + 1;
  }

  #readEscape(json: string, at: number): number {
    const code = (this.#escape ?? "") + (json[at] ?? "");
    const isUnicode = code.startsWith("u");
    if (isUnicode && code.length < 5) this.#escape = code;
    else {
      this.#escape = undefined;
      this.#add(isUnicode ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (short[code] ?? code));
    }
    return at + 1;
  }

  #add(text: string): void {
    if (this.#mode === "key") this.#name += text;
    if (this.#mode !== "value") return;
    this.#fields.set(this.#name, { text: (this.#fields.get(this.#name)?.text ?? "") + text, complete: false });
  }

  #end(): void {
    const text = this.#fields.get(this.#name)?.text;
    if (this.#mode === "value") this.#fields.set(this.#name, { text: text ?? "", complete: true });
    this.#mode = "between";
  }
}
