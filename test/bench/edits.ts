/**
 * `edits`: what the ledger and a three-way merge cost, against reading the file once.
 *
 * Not here: checkpoints (`checkpoint.ts`). Easily got wrong: each agent edit is timed on a ledger that has folded the one
 * before it, as in a session; and a merge counts only when both sides' lines are in its result.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { SessionEvent, SessionEventBody } from "../../server/src/protocol/events.ts";
import type { PendingFile } from "../../server/src/protocol/review.ts";
import type { CallId, FileChange, TurnId } from "../../server/src/protocol/types.ts";
import { EditLedger } from "../../server/src/session/editLedger.ts";
import { blobIdOf, type FileView } from "../../server/src/session/fileView.ts";
import { createMemoryStore } from "../../server/src/storage/memory.ts";
import { mergeTexts } from "../../server/src/text/merge.ts";
import { hunksOf, keepHunks } from "../../server/src/text/pending.ts";
import { abba, type BenchContext, type Findings, growth, quartiles, type Row, timed } from "./measure.ts";

/** A-B-B-A rounds for each line of the result. */
const rounds = 5;
const hunkCounts = [1, 100, 10_000];
/** Lines of the file in which the hunks are; the length of a line is that of code. */
const ledgerLines = 100_000;
const mergeSizes = [1_000, 10_000, 200_000];
/** Every so many lines of the file that is merged, one of them is changed by each side. */
const mergeEvery = 40;

const lineAt = (at: number, word: string) => `  const ${word}${at} = compute(${at}, "${word}", options);\n`;

/** A text of `count` lines; those for which `word` gives another word than usual are changed. */
function textOf(count: number, word: (at: number) => string): string {
  let text = "";
  for (let at = 0; at < count; at += 1) text += lineAt(at, word(at));
  return text;
}

/** Measures the ledger and the merge. */
export async function edits({ work }: BenchContext): Promise<Findings> {
  const rows: Row[] = [];
  const notes: string[] = [];
  const costs = new Map<string, { size: number; cost: number }[]>();
  for (const count of hunkCounts) {
    for (const { what, row, cost } of await ledgerRows(work, count)) {
      rows.push(row);
      costs.set(what, [...(costs.get(what) ?? []), { size: count, cost }]);
    }
  }
  notes.push(
    `The ledger's file has ${ledgerLines.toLocaleString("en")} lines. Growth of the cost with the hunks: ${growths(costs)}.`,
  );
  const merges = new Map<string, { size: number; cost: number }[]>();
  for (const lines of mergeSizes) {
    const { row, cost } = await mergeRow(work, lines);
    rows.push(row);
    merges.set("merge", [...(merges.get("merge") ?? []), { size: lines, cost }]);
  }
  notes.push(
    `Each side of a merge has changed one line in ${mergeEvery}. Growth of its cost with the lines: ${growths(merges)}.`,
  );
  return { rows, notes };
}

/** The exponent between each size and the next. */
function growths(costs: ReadonlyMap<string, readonly { size: number; cost: number }[]>): string {
  return [...costs]
    .map(([what, points]) => {
      const exponents = points.slice(1).flatMap((to, at) => {
        const from = points[at];
        return from ? [growth(from, to).toFixed(2)] : [];
      });
      return `${what} ${exponents.join(" and ")}`;
    })
    .join("; ");
}

interface LedgerCost {
  readonly what: string;
  readonly row: Row;
  readonly cost: number;
}

async function ledgerRows(work: string, count: number): Promise<readonly LedgerCost[]> {
  const path = join(work, `ledger-${count}.ts`);
  const session = new LedgerSession(pathToFileURL(path).href);
  const every = Math.floor(ledgerLines / count);
  const isHunk = (at: number) => at % every === every >> 1;
  const before = textOf(ledgerLines, () => "value");
  const after = textOf(ledgerLines, (at) => (isHunk(at) ? "changed" : "value"));
  await writeFile(path, after);
  await session.edit(before, after);
  let text = after;
  const check = (view: FileView | undefined, hunks: number) => {
    if (view?.kind !== "text" || hunksOf(view.pending).length !== hunks)
      throw new Error(
        `There should be ${hunks} hunks, and are ${view?.kind === "text" ? hunksOf(view.pending).length : "none"}.`,
      );
  };
  check(await session.look(text), count);
  const read = () => timed(() => readFile(path, "utf8"));
  let turn = 0;
  const agentEdit = async () => {
    turn += 1;
    const next = text.replace(/"changed", options[^;]*;/, `"changed", options${turn});`);
    if (next === text) throw new Error("The edit changes nothing.");
    const previous = text;
    await session.put(next);
    const ms = await timed(async () => {
      session.change(previous, next);
      session.told(await session.look(next));
    });
    text = next;
    check(await session.look(text), count);
    return ms;
  };
  const keystroke = async () => {
    const typed = text.replace("const value0", `const value0${"x".repeat(1 + (turn % 5))}`);
    turn += 1;
    let view: FileView | undefined;
    const ms = await timed(async () => {
      view = await session.look(typed);
      session.told(view);
    });
    check(view, count);
    return ms;
  };
  const name = `${count.toLocaleString("en")} pending`;
  const edit = await abba(rounds, read, agentEdit);
  const key = await abba(rounds, read, keystroke);
  const reviews = count === 1 ? undefined : await abba(rounds, read, () => session.keepOne(text));
  const reading = quartiles([...edit.a, ...key.a, ...(reviews?.a ?? [])]);
  const costOf = (what: string, samples: readonly number[]): LedgerCost => {
    const value = quartiles(samples);
    return {
      what,
      cost: value.mid,
      row: { what: `${name}: ${what}`, value, unit: "ms", ratio: value.mid / reading.mid },
    };
  };
  return [
    {
      what: "reading the file",
      cost: reading.mid,
      row: { what: `${name}: reading the file`, value: reading, unit: "ms", ratio: 1 },
    },
    costOf("one more edit of the agent", edit.b),
    costOf("a keystroke of the user", key.b),
    ...(reviews ? [costOf("keeping one hunk", reviews.b)] : []),
  ];
}

/** A ledger over a store, fed as a session feeds it. */
class LedgerSession {
  readonly #uri: string;
  readonly #store = createMemoryStore({ clock: { now: () => 0 } });
  readonly #ledger = new EditLedger(this.#store);
  #seq = 0;
  #told = "";

  constructor(uri: string) {
    this.#uri = uri;
  }

  put(text: string) {
    return this.#store.putBlob(new TextEncoder().encode(text));
  }

  async edit(before: string, after: string): Promise<void> {
    await Promise.all([this.put(before), this.put(after)]);
    this.change(before, after);
  }

  /** The agent's edit is journaled. */
  change(before: string, after: string): void {
    const change: FileChange = {
      uri: this.#uri,
      before: blobIdOf(before),
      after: blobIdOf(after),
      addedLines: 1,
      removedLines: 1,
    };
    this.#take({ type: "file_changed", turnId: `t${this.#seq}` as TurnId, callId: `c${this.#seq}` as CallId, change });
  }

  look(text: string): Promise<FileView | undefined> {
    return this.#ledger.view(this.#uri, { kind: "text", text });
  }

  /** What is done with a view before a client hears of it. */
  told(view: FileView | undefined): void {
    const files: readonly PendingFile[] = view ? [this.#ledger.describe(this.#uri, view)] : [];
    this.#told = JSON.stringify(files);
    if (this.#told.length < 3) throw new Error("Nothing is pending.");
  }

  /** Milliseconds for keeping the first hunk, from the look before to the look after; its texts' bytes are stored before. */
  async keepOne(text: string): Promise<number> {
    const view = await this.look(text);
    if (view?.kind !== "text") throw new Error("Nothing is pending.");
    const next = keepHunks(view.pending, new Set([0]));
    await this.put(next.shadow ?? "");
    let left = 0;
    const ms = await timed(async () => {
      const seen = await this.look(text);
      if (seen?.kind !== "text") throw new Error("Nothing is pending.");
      const kept = keepHunks(seen.pending, new Set([0]));
      const { shadow } = kept;
      this.#take({
        type: "hunks_reviewed",
        uri: this.#uri,
        action: "keep",
        hunks: 1,
        hunkIds: seen.ids.slice(0, 1),
        before: blobIdOf(text),
        shadow: shadow === null ? null : blobIdOf(shadow),
        text: blobIdOf(text),
      });
      const after = await this.look(text);
      this.told(after);
      left = after?.kind === "text" ? hunksOf(after.pending).length : 0;
    });
    if (left !== hunksOf(view.pending).length - 1) throw new Error("Keeping a hunk did not take one away.");
    return ms;
  }

  #take(body: SessionEventBody): void {
    this.#seq += 1;
    const event: SessionEvent = { seq: this.#seq, at: 0, ...body };
    this.#ledger.take(event);
  }
}

async function mergeRow(work: string, lines: number): Promise<{ readonly row: Row; readonly cost: number }> {
  const path = join(work, `merge-${lines}.ts`);
  const base = textOf(lines, () => "value");
  const ours = textOf(lines, (at) => (at % mergeEvery === 0 ? "ours" : "value"));
  const theirs = textOf(lines, (at) => (at % mergeEvery === mergeEvery >> 1 ? "theirs" : "value"));
  const both = textOf(lines, (at) =>
    at % mergeEvery === 0 ? "ours" : at % mergeEvery === mergeEvery >> 1 ? "theirs" : "value",
  );
  await writeFile(path, base);
  const merged = mergeTexts(base, ours, theirs);
  if (!merged.clean || merged.text !== both) throw new Error(`The merge of ${lines} lines is not right.`);
  const samples = await abba(
    rounds,
    () => timed(() => readFile(path, "utf8")),
    () => timed(() => mergeTexts(base, ours, theirs)),
  );
  const value = quartiles(samples.b);
  const ratio = value.mid / quartiles(samples.a).mid;
  return {
    cost: value.mid,
    row: { what: `three-way merge, ${lines.toLocaleString("en")} lines (reading: 1)`, value, unit: "ms", ratio },
  };
}
