/**
 * The strings of a call's arguments while they arrive: the same as a whole parse, however the text is cut.
 *
 * Easily got wrong: every cut is tried, also inside of an escape, because a vendor's stream may end a piece anywhere.
 */
import { describe, expect, test } from "vitest";
import { ArgumentsStream } from "../../../client/src/argumentsStream.ts";

function read(...pieces: readonly string[]): ArgumentsStream {
  const stream = new ArgumentsStream();
  for (const piece of pieces) stream.push(piece);
  return stream;
}

const tricky = {
  path: 'src/ü "quoted".ts',
  old: "a\\n\nb\tc\r\n\u2028\u0001",
  all: true,
  nested: { path: "not this", list: ["{", "}", '"', 1, null] },
  new: "😀 \\u0041 \\\\ end\\",
};

describe("a call's arguments while they arrive", () => {
  test.each([
    ["as JSON.stringify writes them", JSON.stringify(tricky)],
    ["with room between", JSON.stringify(tricky, null, 2)],
    ["with everything escaped", JSON.stringify(tricky).replace(/[^\x20-\x7e]/g, escapeUnit)],
  ])("%s, cut anywhere, give the same strings", (_, json) => {
    for (let at = 0; at <= json.length; at++) {
      const stream = read(json.slice(0, at), json.slice(at));
      for (const name of ["path", "old", "new"] as const) {
        expect(stream.get(name)).toEqual({ text: tricky[name], complete: true });
      }
      expect(stream.get("all")).toBeUndefined();
      expect(stream.get("list")).toBeUndefined();
    }
    expect(read(...json).get("new")?.text).toBe(tricky.new);
  });

  test("grow character by character, and are complete with their quote", () => {
    const stream = read('{"path":"a.ts","old":"x');
    expect(stream.get("path")).toEqual({ text: "a.ts", complete: true });
    expect(stream.get("old")).toEqual({ text: "x", complete: false });
    expect(stream.get("new")).toBeUndefined();
    stream.push("\\");
    expect(stream.get("old")).toEqual({ text: "x", complete: false });
    stream.push('"y"');
    expect(stream.get("old")).toEqual({ text: 'x"y', complete: true });
    stream.push(',"new":"\\ud83d');
    stream.push("\\ude0");
    expect(stream.get("new")?.text).toBe("\ud83d");
    stream.push("0");
    expect(stream.get("new")).toEqual({ text: "😀", complete: false });
  });

  test.each(['"path":"a.ts"', 'ath":"a.ts","old":"b"}', "[1]", "null"])(
    "that do not begin like an object give nothing: %s",
    (json) => {
      const stream = read(json);
      expect([stream.get("path"), stream.get("old")]).toEqual([undefined, undefined]);
    },
  );

  test("an empty string is there at once", () => {
    expect(read('{"old":""').get("old")).toEqual({ text: "", complete: true });
  });
});

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
