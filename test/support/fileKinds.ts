/**
 * Every kind of file × {edit, undo of a hunk, undo of a turn and its redo, restore}: bytes, modes and links are what they
 * were, to the last bit. The table, and what is done with a row.
 *
 * Not here: when a row is run (`test/integration/fileKinds.test.ts`, `test/exhaustive/largeFiles.test.ts`). Easily got
 * wrong: a row's two changes are made by the real tools on the real disk, so both old texts must occur once.
 */
import { chmod, link, lstat, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import iconv from "iconv-lite";
import { expect } from "vitest";
import type { PendingFile } from "../../server/src/protocol/review.ts";
import type { SessionId, TurnId } from "../../server/src/protocol/types.ts";
import { createFakeEditor } from "./fakeEditor.ts";
import { type Play, startPlay } from "./play.ts";

/** A file, and what the agent changes in it. */
export interface Kind {
  /** `file.txt` unless the name is the point. */
  readonly name?: string;
  readonly bytes: Uint8Array;
  /** What the user has set for the file. */
  readonly encoding?: string;
  readonly mode?: number;
  /** Puts a link where the agent looks; the file is then elsewhere. */
  readonly link?: "symbolic" | "hard";
  /** Lines before the first and after the last changed one. */
  readonly old: readonly [string, string];
  readonly new: readonly [string, string];
  /** Whether it is open in an editor as well. */
  readonly open?: boolean;
}

const first = "the first line to change";
const last = "the last line to change";
const plain = { old: [first, last], new: ["the first, changed", "the last,\nchanged into two"] } as const;
const lines = (ending: string, between = "between") =>
  [`head`, first, between, between, last, "tail"].join(ending) + ending;
const utf8 = (text: string) => new TextEncoder().encode(text);
const many = (count: number) => `${first}\n${"a line like any other\n".repeat(count)}${last}\n`;
const accents = { old: ["Grüße", "café"], new: ["Grüße, geändert", "thé"] } as const;
const accented = "Kopf\nGrüße\nçà et là\n½\ncafé\n";

/** Files that are quickly done. */
export const kinds: { readonly [name: string]: Kind } = {
  LF: { ...plain, bytes: utf8(lines("\n")) },
  "LF, open": { ...plain, bytes: utf8(lines("\n")), open: true },
  CRLF: { ...plain, bytes: utf8(lines("\r\n")) },
  "CRLF, open": { ...plain, bytes: utf8(lines("\r\n")), open: true },
  "mixed line endings": { ...plain, bytes: utf8(`head\r\n${first}\nbetween\r\nbetween\n${last}\r\ntail\n`) },
  "lone carriage returns": { ...plain, bytes: utf8(`head\r${"x"}\n${first}\nbe\rtween\nbetween\n${last}\n`) },
  "no final newline": { ...plain, bytes: utf8(lines("\n").trimEnd()) },
  "one line": { bytes: utf8("only"), old: ["on", "ly"], new: ["no", "ne"] },
  "blank lines at the end": { ...plain, bytes: utf8(`${lines("\n")}\n\n\n`) },
  "byte order mark": { ...plain, bytes: utf8(`\uFEFF${lines("\r\n")}`) },
  "byte order mark, open": { ...plain, bytes: utf8(`\uFEFF${lines("\n")}`), open: true },
  "UTF-16 LE with mark": { ...accents, bytes: iconv.encode(accented, "utf16le", { addBOM: true }) },
  "UTF-16 BE with mark, CRLF": {
    ...accents,
    bytes: iconv.encode(accented.replaceAll("\n", "\r\n"), "utf16be", { addBOM: true }),
  },
  "UTF-16 LE without mark": { ...accents, bytes: iconv.encode(accented, "utf16le"), encoding: "utf16le" },
  "Windows-1252": { ...accents, bytes: iconv.encode(accented, "windows1252"), encoding: "windows1252" },
  "ISO-8859-15": { ...accents, bytes: iconv.encode(accented.replace("½", "€"), "iso885915"), encoding: "iso885915" },
  "Shift JIS": {
    bytes: iconv.encode("先頭\n最初の行\n表示\n最後の行\n", "shiftjis"),
    encoding: "shiftjis",
    old: ["最初の行", "最後の行"],
    new: ["変更", "終わり"],
  },
  GB18030: {
    bytes: iconv.encode("开头\n第一行\n😀\n最后一行\n", "gb18030"),
    encoding: "gb18030",
    old: ["第一行", "最后一行"],
    new: ["改了", "完"],
  },
  "ASCII that becomes Windows-1252": {
    bytes: utf8(lines("\n")),
    encoding: "windows1252",
    old: [first, last],
    new: ["premier, changé", "dernier"],
  },
  executable: { ...plain, bytes: utf8(`#!/bin/sh\n${lines("\n")}`), mode: 0o755 },
  private: { ...plain, bytes: utf8(lines("\n")), mode: 0o600 },
  "symbolic link": { ...plain, bytes: utf8(lines("\n")), link: "symbolic", mode: 0o640 },
  "spaces, percent, hash and umlaut in the name": { ...plain, name: "a b%20#ü.txt", bytes: utf8(lines("\n")) },
  "decomposed name": { ...plain, name: "e\u0301.txt", bytes: utf8(lines("\n")) },
};

/** Files whose size is the point. */
export const largeKinds: { readonly [name: string]: Kind } = {
  "200,000 lines": { ...plain, bytes: utf8(many(200_000)) },
  "10 MB": { ...plain, bytes: utf8(many(Math.ceil((10 * 1024 * 1024) / 22))) },
  "a line of 5 MB": { ...plain, bytes: utf8(lines("\n", "x".repeat(5 * 1024 * 1024))) },
};

/** What is at the path, and what it is. */
async function photograph(path: string) {
  const [bytes, { mode }, linked] = await Promise.all([readFile(path), stat(path), lstat(path)]);
  return { bytes: bytes.toString("base64"), mode: mode & 0o7777, isLink: linked.isSymbolicLink() };
}

async function setUp(play: Play, { name = "file.txt", bytes, mode = 0o644, link: kind }: Kind): Promise<string> {
  const path = join(play.root, name);
  const target = kind ? join(play.root, "target.txt") : path;
  await writeFile(target, bytes);
  await chmod(target, mode);
  if (kind === "symbolic") await symlink("target.txt", path);
  if (kind === "hard") await link(target, path);
  return path;
}

function scriptOf({ name: path = "file.txt", old, new: text }: Kind) {
  const turn = [
    { calls: [{ name: "read", input: { files: [{ path, toLine: 3 }] } }] },
    { calls: old.map((part, at) => ({ name: "edit", input: { path, old: part, new: text[at] } })) },
    { say: "Done." },
  ];
  return { steps: [...turn, ...turn] };
}

/** Does everything with a row. */
export async function tryKind(kind: Kind): Promise<void> {
  let pending: readonly PendingFile[] = [];
  const editor = createFakeEditor();
  const port = { ...editor, encodingOf: async () => kind.encoding ?? "utf8" };
  await using play = await startPlay({
    script: scriptOf(kind),
    host: { editor: port, onReview: (_id, files) => (pending = files) },
  });
  const path = await setUp(play, kind);
  const { host } = play.local;
  // The agent knows a file by where a symbolic link leads.
  const uri = pathToFileURL(kind.link === "symbolic" ? join(play.root, "target.txt") : path).href;
  if (kind.open) editor.open(uri);
  const before = await photograph(path);

  const turn = async (sessionId?: SessionId) => {
    const { sessionId: id, turnId } = await play.prompt("Change it", sessionId ? { sessionId } : {});
    const results = play
      .events()
      .flatMap((event) => (event.type === "tool_result" && event.isError ? [event.text] : []));
    expect(results).toEqual([]);
    return { sessionId: id, turnId: turnId as TurnId };
  };
  const { sessionId } = await turn();
  const edited = await photograph(path);
  expect(edited).toMatchObject({ mode: before.mode, isLink: before.isLink });
  expect(edited.bytes).not.toBe(before.bytes);
  expect(decoded(kind, edited.bytes)).toBe(applied(kind));

  await host.refreshReview(sessionId);
  const [file] = pending;
  const hunks = file?.hunks ?? [];
  expect(hunks.length).toBeGreaterThan(0);
  for (const { id } of hunks) {
    const { files } = await host.review({ sessionId, action: "undo", uri, hunkId: id }, new AbortController().signal);
    expect(files).toEqual([{ uri, outcome: "restored" }]);
  }
  expect(await photograph(path)).toEqual(before);
  expect(pending).toEqual([]);

  const again = await turn(sessionId);
  expect(await photograph(path)).toEqual(edited);
  const files = [{ uri, outcome: "restored" }];
  const undone = await host.undo(again);
  expect(undone).toMatchObject({ files });
  expect(await photograph(path)).toEqual(before);
  expect(await host.undoRestore({ sessionId, restoreId: undone.restoreId })).toMatchObject({ files });
  expect(await photograph(path)).toEqual(edited);
  expect(await host.restore({ ...again, files: true, conversation: true })).toMatchObject({ files });
  expect(await photograph(path)).toEqual(before);
}

/** The text of a file after the edit, whatever its line endings. */
function applied(kind: Kind): string {
  const text = decoded(kind, Buffer.from(kind.bytes).toString("base64"));
  return kind.old.reduce((result, part, at) => result.replace(part, kind.new[at] ?? ""), text);
}

function decoded({ bytes, encoding }: Kind, base64: string): string {
  const marked = bytes[0] === 0xff ? "utf16le" : bytes[0] === 0xfe ? "utf16be" : (encoding ?? "utf8");
  return iconv.decode(Buffer.from(base64, "base64"), marked, { stripBOM: false }).replaceAll("\r\n", "\n");
}
