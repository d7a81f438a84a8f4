/**
 * How fast and how reliably each model has answered lately: weighted means in one small file that all hosts of the user
 * share.
 *
 * Not here: measuring (`model/measured.ts`). Easily got wrong: several hosts write it, so each adds what it has measured
 * to what the file says by then; and the file may be deleted or damaged at any time, which only means to begin again.
 */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Serial } from "../base/async.ts";
import { errorCode, messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { makePrivateFolder, writeFileDurably } from "./durableFile.ts";

/** The weighted means of one model. */
export interface Speed {
  readonly firstTokenMs: number;
  readonly tokensPerSecond: number;
  readonly failureRate: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** How one request went. */
export interface SpeedSample {
  readonly model: string;
  readonly failed: boolean;
  readonly firstTokenMs?: number;
  readonly tokensPerSecond?: number;
}

/** What keeping them depends on. */
export interface SpeedsDeps {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Weight of a new sample. */
const weight = 0.2;
/** Models that are kept; those measured longest ago go first. */
const maxModels = 200;
/** Samples that wait to be written at most. */
const maxPending = 500;
/** Milliseconds between two writes. */
const writeEveryMs = 30_000;
/** Before the first sample. */
const unmeasured = { firstTokenMs: 1_500, tokensPerSecond: 60 };

type SpeedMap = ReadonlyMap<string, Speed>;

/** The measured speeds of one user's models. */
export class Speeds {
  readonly #deps: SpeedsDeps;
  readonly #writing = new Serial();
  #pending: (SpeedSample & { readonly at: number })[] = [];
  #known: SpeedMap | undefined;
  #writtenAt: number;

  constructor(deps: SpeedsDeps) {
    this.#deps = deps;
    this.#writtenAt = deps.now();
  }

  /** Takes a sample; it is written with others, later. Never throws. */
  add(sample: SpeedSample): void {
    const at = this.#deps.now();
    this.#pending.push({ ...sample, at });
    if (this.#pending.length > maxPending) this.#pending.shift();
    if (this.#known) this.#known = fold(this.#known, [{ ...sample, at }]);
    if (at - this.#writtenAt < writeEveryMs) return;
    this.#writtenAt = at;
    void this.flush();
  }

  /** What is known by model id. Reads the file when it is first asked. */
  async all(): Promise<SpeedMap> {
    this.#known ??= fold(await this.#read(), this.#pending);
    return this.#known;
  }

  /** Writes what was measured. Never rejects: what cannot be written is measured again. */
  flush(): Promise<void> {
    return this.#writing.run(async () => {
      const samples = this.#pending;
      if (samples.length === 0) return;
      this.#pending = [];
      try {
        const known = fold(await this.#read(), samples);
        this.#known = fold(known, this.#pending);
        await makePrivateFolder(dirname(this.#deps.path));
        await writeFileDurably(this.#deps.path, `${JSON.stringify(Object.fromEntries(known))}\n`);
      } catch (error) {
        log("warn", `How fast the models are could not be kept: ${messageOf(error)}`);
      }
    });
  }

  async #read(): Promise<SpeedMap> {
    try {
      const parsed: unknown = JSON.parse(await readFile(this.#deps.path, "utf8"));
      if (typeof parsed !== "object" || parsed === null) return new Map();
      return new Map(Object.entries(parsed).filter((entry): entry is [string, Speed] => isSpeed(entry[1])));
    } catch (error) {
      if (errorCode(error) !== "ENOENT") log("info", `${this.#deps.path} is left out: ${messageOf(error)}`);
      return new Map();
    }
  }
}

function fold(speeds: SpeedMap, samples: readonly (SpeedSample & { readonly at: number })[]): SpeedMap {
  const all = new Map(speeds);
  for (const sample of samples) {
    const before = all.get(sample.model);
    all.delete(sample.model);
    all.set(sample.model, next(before, sample));
  }
  const oldest = [...all].toSorted(([, a], [, b]) => a.at - b.at).slice(0, Math.max(0, all.size - maxModels));
  for (const [model] of oldest) all.delete(model);
  return all;
}

/** The first sample counts in full. */
function next(before: Speed | undefined, sample: SpeedSample & { readonly at: number }): Speed {
  const { failed, firstTokenMs, tokensPerSecond, at } = sample;
  const mean = (old: number | undefined, value: number | undefined, start: number) =>
    value === undefined ? (old ?? start) : old === undefined ? value : old + weight * (value - old);
  return {
    firstTokenMs: mean(before?.firstTokenMs, firstTokenMs, unmeasured.firstTokenMs),
    tokensPerSecond: mean(before?.tokensPerSecond, tokensPerSecond, unmeasured.tokensPerSecond),
    failureRate: mean(before?.failureRate ?? 0, failed ? 1 : 0, 0),
    at,
  };
}

function isSpeed(value: unknown): value is Speed {
  if (typeof value !== "object" || value === null) return false;
  const { firstTokenMs, tokensPerSecond, failureRate, at } = value as { readonly [name: string]: unknown };
  return [firstTokenMs, tokensPerSecond, failureRate, at].every(
    (number) => typeof number === "number" && Number.isFinite(number) && number >= 0,
  );
}
