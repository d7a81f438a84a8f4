/**
 * What was spent, by turn, session, day, month and model: an append-only file per month that every host of this user
 * writes to and reads.
 *
 * Not here: what a request may cost (`model/price.ts`) and when one is refused (`model/budget.ts`). Easily got wrong: the
 * order of lines in the file decides between hosts that reserve at the same time, so a reservation counts only once it
 * has been read back; and what was reserved counts in full until it is settled, also when its host was killed.
 */
import { appendFile, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { Serial } from "../base/async.ts";
import { errorCode } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { BudgetPeriod, SessionId, SpendingRow, TurnId, Usage } from "../protocol/types.ts";
import { storageError } from "./durableFile.ts";

/** What is counted: model requests, tokens of prompt and answer, money in nano-dollars. */
export interface Spent {
  readonly requests: number;
  readonly tokens: number;
  readonly nano: number;
}

/** Whose a request is. */
export interface Account {
  readonly sessionId: SessionId;
  readonly turnId: TurnId;
  /** The model's id. */
  readonly model: string;
  /** What it is for: `turn`, `title`, `summary`, `warm_up`. */
  readonly purpose: string;
}

/** The session and the turn whose sums are meant; those of the day and the month are everybody's. */
export type Whose = Partial<Pick<Account, "sessionId" | "turnId">>;

/** What has been spent or reserved in each period that a limit can be set for. */
export interface SpentBy {
  readonly turn: Spent;
  readonly session: Spent;
  readonly day: Spent;
  readonly month: Spent;
}

/** A limit that the user has raised, for the rest of its period. */
export interface Raise {
  readonly period: BudgetPeriod;
  readonly unit: keyof Spent;
  /** The limit as it is set: once the user sets another one, the raise counts no more. */
  readonly over: number;
  /** The limit that holds in its place. */
  readonly limit: number;
}

/** What has been spent, and which limits were raised. */
export interface Standing {
  readonly before: SpentBy;
  readonly raises: readonly Raise[];
}

/** A reservation that counts, and what had been spent and raised before it. */
export interface Reservation extends Standing {
  readonly id: string;
  /** Milliseconds since the epoch: the day and the month that it counts to, whenever it is settled. */
  readonly at: number;
}

/** What the ledger depends on. */
export interface SpendingDeps {
  /** Folder of the files; made when it is needed. */
  readonly folder: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The day of a time in the user's time zone, as `2026-11-21`. */
  readonly dayOf: (at: number) => string;
  readonly createId: () => string;
}

const nothing: Spent = { requests: 0, tokens: 0, nano: 0 };
/** Turns whose sums are kept; older ones have long ended. */
const maxTurns = 2_000;
/** Raises of a month that are kept; each was made by a person. */
const maxRaises = 1_000;
/** Bytes of a month's file that are read; a million requests. */
const maxFileBytes = 512 * 1024 * 1024;

/** The ledger of one user. Hosts share it through its files. */
export class Spending {
  readonly #deps: SpendingDeps;
  readonly #months = new Map<string, Month>();
  readonly #working = new Serial();

  constructor(deps: SpendingDeps) {
    this.#deps = deps;
  }

  /** Writes a reservation down and gives what was spent before it. Rejects when it cannot be stored. */
  reserve(account: Account, amount: Omit<Spent, "requests">): Promise<Reservation> {
    return this.#working.run(async () => {
      const at = this.#deps.now();
      const id = this.#deps.createId();
      const month = await this.#month(at);
      await month.append({ ...account, type: "reserved", id, at, tokens: amount.tokens, nano: amount.nano });
      await month.read();
      return { id, at, ...month.standingAt(id) };
    });
  }

  /** Lets a limit hold in place of the one that is set, from the next reservation on, in every host of the user. */
  raise({ sessionId, turnId }: Whose, { period, unit, over, limit }: Raise): Promise<void> {
    const at = this.#deps.now();
    const whose = { ...(sessionId ? { sessionId } : {}), ...(turnId ? { turnId } : {}) };
    return this.#append(at, { type: "raised", id: this.#deps.createId(), at, ...whose, period, unit, over, limit });
  }

  /** What has been spent and raised by now. */
  standing(whose: Whose): Promise<Standing> {
    return this.#working.run(async () => {
      const at = this.#deps.now();
      const month = await this.#month(at);
      await month.read();
      return month.standing({ ...whose, at });
    });
  }

  /** Replaces a reservation by what was really used. `nano` is `undefined` where the price is not known. */
  settle({ id, at }: Reservation, used: Settled): Promise<void> {
    return this.#append(at, { type: "settled", id, ...used });
  }

  /** Takes a reservation back: nothing was sent. */
  release({ id, at }: Reservation): Promise<void> {
    return this.#append(at, { type: "released", id });
  }

  /** What was spent in the last `months` months, a row for each day, model and session, the oldest first. */
  rows(months: number): Promise<readonly SpendingRow[]> {
    return this.#working.run(async () => {
      const names = monthsBefore(this.#deps.dayOf(this.#deps.now()).slice(0, 7), months);
      const all = names.map((name) => this.#named(name));
      for (const month of all) await month.read();
      return all.flatMap((month) => month.rows());
    });
  }

  #append(at: number, line: Line): Promise<void> {
    return this.#working.run(async () => {
      const month = await this.#month(at);
      await month.append(line);
      await month.read();
    });
  }

  async #month(at: number): Promise<Month> {
    const name = this.#deps.dayOf(at).slice(0, 7);
    const month = this.#named(name);
    if (!month.sessionsBefore) {
      const [before = name] = monthsBefore(name, 2);
      month.sessionsBefore = this.#named(before);
      await month.sessionsBefore.read();
    }
    return month;
  }

  #named(name: string): Month {
    const known = this.#months.get(name);
    if (known) return known;
    const { folder, dayOf } = this.#deps;
    const month = new Month(join(folder, `${name}.jsonl`), folder, dayOf);
    this.#months.set(name, month);
    return month;
  }
}

/** What a request used in the end. */
export interface Settled {
  readonly usage: Usage;
  readonly nano: number | undefined;
  /** True when the vendor did not say, and the reservation is taken for what was used. */
  readonly estimated?: boolean;
}

type Line =
  | (Account & {
      readonly type: "reserved";
      readonly id: string;
      readonly at: number;
      readonly tokens: number;
      readonly nano: number;
    })
  | ({ readonly type: "settled"; readonly id: string } & Settled)
  | { readonly type: "released"; readonly id: string }
  | (Owner & Raise & { readonly type: "raised"; readonly id: string });

/** What decides to which sums something counts. */
type Owner = Whose & { readonly at: number };

type Reserved = Extract<Line, { readonly type: "reserved" }>;

/** One month's file and its sums. */
class Month {
  /** The month before, for sessions that go on over its end. */
  sessionsBefore: Month | undefined;
  readonly #path: string;
  readonly #folder: string;
  readonly #dayOf: (at: number) => string;
  readonly #open = new Map<string, Reserved>();
  readonly #sums = new Map<string, Spent>();
  readonly #rows = new Map<string, SpendingRow>();
  readonly #before = new Map<string, Standing>();
  /** By period and whose it is, and unit. */
  readonly #raises = new Map<string, Raise>();
  #offset = 0;

  constructor(path: string, folder: string, dayOf: (at: number) => string) {
    this.#path = path;
    this.#folder = folder;
    this.#dayOf = dayOf;
  }

  /** One write, so that lines of several hosts never mix. */
  async append(line: Line): Promise<void> {
    try {
      const bytes = `${JSON.stringify(line)}\n`;
      await appendFile(this.#path, bytes, { mode: 0o600 }).catch(async (error: unknown) => {
        if (errorCode(error) !== "ENOENT") throw error;
        await mkdir(this.#folder, { recursive: true, mode: 0o700 });
        await appendFile(this.#path, bytes, { mode: 0o600 });
      });
    } catch (error) {
      throw storageError("Could not write down what is spent", this.#path, error);
    }
  }

  /** Reads what was appended since, by any host. */
  async read(): Promise<void> {
    const text = await readFrom(this.#path, this.#offset);
    if (text === undefined) return;
    // A last line without its end is another host's, and still being written.
    const end = text.lastIndexOf("\n") + 1;
    this.#offset += end;
    for (const line of text.toString("utf8", 0, end).split("\n")) this.#take(line);
  }

  /** What had been spent and raised before a reservation that was read. */
  standingAt(id: string): Standing {
    const found = this.#before.get(id);
    if (!found) throw new Error(`The reservation ${id} was written to ${this.#path} and is not there.`);
    this.#before.delete(id);
    return found;
  }

  ofSession(sessionId: SessionId): Spent {
    const earlier = this.sessionsBefore?.ofSession(sessionId) ?? nothing;
    return add(earlier, this.#sums.get(`session ${sessionId}`) ?? nothing);
  }

  standing(owner: Owner): Standing {
    const [turn = "", , day = "", month = ""] = this.#keysOf(owner);
    const before = {
      turn: this.#sums.get(turn) ?? nothing,
      session: owner.sessionId ? this.ofSession(owner.sessionId) : nothing,
      day: this.#sums.get(day) ?? nothing,
      month: this.#sums.get(month) ?? nothing,
    };
    const earlier = this.sessionsBefore?.raisesOf([`session ${owner.sessionId ?? ""}`]) ?? [];
    return { before, raises: [...earlier, ...this.raisesOf(this.#keysOf(owner))] };
  }

  raisesOf(keys: readonly string[]): readonly Raise[] {
    if (this.#raises.size === 0) return [];
    return keys.flatMap((key) => units.flatMap((unit) => this.#raises.get(`${key} ${unit}`) ?? []));
  }

  rows(): readonly SpendingRow[] {
    return [...this.#rows.values()].toSorted((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0));
  }

  #take(text: string): void {
    const line = parseLine(text);
    if (line === undefined) {
      if (text.trim()) log("warn", `A line of ${this.#path} is damaged and left out.`);
      return;
    }
    if (line.type === "raised") {
      this.#raise(line);
      return;
    }
    if (line.type === "reserved") {
      this.#before.set(line.id, this.standing(line));
      // Reservations of other hosts are read too, and nobody asks for them.
      if (this.#before.size > 1_000) this.#before.delete(this.#before.keys().next().value ?? "");
      this.#open.set(line.id, line);
      this.#add(line, { requests: 1, tokens: line.tokens, nano: line.nano });
      return;
    }
    const reserved = this.#open.get(line.id);
    if (!reserved) return;
    this.#open.delete(line.id);
    this.#add(reserved, { requests: -1, tokens: -reserved.tokens, nano: -reserved.nano });
    if (line.type === "settled") this.#settle(reserved, line);
  }

  #raise(line: Owner & Raise): void {
    const { period, unit, over, limit } = line;
    const key = `${this.#keysOf(line)[periodOrder.indexOf(period)]} ${unit}`;
    const known = this.#raises.get(key);
    // Two hosts may raise at the same time.
    const highest = known?.over === over ? Math.max(known.limit, limit) : limit;
    this.#raises.set(key, { period, unit, over, limit: highest });
    if (this.#raises.size > maxRaises) this.#raises.delete(this.#raises.keys().next().value ?? "");
  }

  #settle(reserved: Reserved, { usage, nano, estimated }: Settled): void {
    const promptTokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
    const spent = { requests: 1, tokens: promptTokens + usage.outputTokens, nano: nano ?? 0 };
    this.#add(reserved, spent);
    const { sessionId, model } = reserved;
    const day = this.#dayOf(reserved.at);
    const key = `${day} ${model} ${sessionId}`;
    const row = this.#rows.get(key);
    this.#rows.set(key, {
      day,
      model,
      sessionId,
      ...add(row ?? nothing, spent),
      cacheReadTokens: (row?.cacheReadTokens ?? 0) + usage.cacheReadTokens,
      promptTokens: (row?.promptTokens ?? 0) + promptTokens,
      outputTokens: (row?.outputTokens ?? 0) + usage.outputTokens,
      unpriced: (row?.unpriced ?? 0) + (nano === undefined ? 1 : 0),
      estimated: (row?.estimated ?? 0) + (estimated ? 1 : 0),
    });
  }

  #add(line: Reserved, amount: Spent): void {
    for (const key of this.#keysOf(line)) this.#sums.set(key, add(this.#sums.get(key) ?? nothing, amount));
    if (this.#sums.size > maxTurns) this.#forgetOldestTurn();
  }

  #forgetOldestTurn(): void {
    for (const key of this.#sums.keys()) {
      if (!key.startsWith("turn ")) continue;
      this.#sums.delete(key);
      return;
    }
  }

  /** In the order of `periodOrder`. */
  #keysOf({ turnId, sessionId, at }: Owner): readonly string[] {
    return [`turn ${turnId ?? ""}`, `session ${sessionId ?? ""}`, `day ${this.#dayOf(at)}`, "month"];
  }
}

const periodOrder: readonly BudgetPeriod[] = ["turn", "session", "day", "month"];
const units: readonly (keyof Spent)[] = ["requests", "tokens", "nano"];

function add(a: Spent, b: Spent): Spent {
  return { requests: a.requests + b.requests, tokens: a.tokens + b.tokens, nano: a.nano + b.nano };
}

function parseLine(text: string): Line | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return isLine(line) ? line : undefined;
  } catch {
    return undefined;
  }
}

function isLine(value: unknown): value is Line {
  if (typeof value !== "object" || value === null || !("type" in value) || !("id" in value)) return false;
  if (value.type === "released") return true;
  if (value.type === "raised") return isRaise(value);
  if (value.type === "settled") return "usage" in value && typeof value.usage === "object" && value.usage !== null;
  return value.type === "reserved" && "tokens" in value && typeof value.tokens === "number" && "sessionId" in value;
}

function isRaise(value: object): boolean {
  const { period, unit, over, limit, at } = value as { readonly [name: string]: unknown };
  return (
    periodOrder.some((known) => known === period) &&
    units.some((known) => known === unit) &&
    [over, limit, at].every((number) => typeof number === "number")
  );
}

/** The bytes after `offset`; `undefined` when there are none. */
async function readFrom(path: string, offset: number): Promise<Buffer | undefined> {
  const file = await open(path).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw storageError("Could not read what was spent", path, error);
  });
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    if (size <= offset) return undefined;
    if (size > maxFileBytes) throw new Error(`${path} is larger than any month's spending; move it away.`);
    const bytes = Buffer.allocUnsafe(size - offset);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The names of the last `count` months up to `month` (`2026-11`), the oldest first. */
function monthsBefore(month: string, count: number): readonly string[] {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return Array.from({ length: count }, (_, index) => {
    const at = year * 12 + number - 1 - (count - 1 - index);
    return `${Math.floor(at / 12)}-${String((at % 12) + 1).padStart(2, "0")}`;
  });
}
