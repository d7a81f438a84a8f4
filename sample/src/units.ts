/** The units of time, and the words people use for them. */

/** A unit's name in the singular. */
export type UnitName = "week" | "day" | "hour" | "minute" | "second" | "millisecond";

/** One unit of time. */
export interface Unit {
  readonly name: UnitName;
  /** What the short style writes after the number. */
  readonly symbol: string;
  /** Its length in milliseconds. */
  readonly ms: number;
  /** Further words that mean this unit, in lower case. */
  readonly words: readonly string[];
}

/** Every unit, the largest first. */
export const units: readonly Unit[] = [
  { name: "week", symbol: "w", ms: 604_800_000, words: ["wk", "wks"] },
  { name: "day", symbol: "d", ms: 86_400_000, words: [] },
  { name: "hour", symbol: "h", ms: 3_600_000, words: ["hr", "hrs"] },
  { name: "minute", symbol: "m", ms: 60_000, words: ["min", "mins"] },
  { name: "second", symbol: "s", ms: 1000, words: ["sec", "secs"] },
  { name: "millisecond", symbol: "ms", ms: 1, words: ["msec", "msecs"] },
];

const byWord = new Map(
  units.flatMap((unit) =>
    [unit.symbol, unit.name, `${unit.name}s`, ...unit.words].map((word) => [word, unit] as const),
  ),
);

/** The unit that a word means, in any case, or `undefined`. */
export function findUnit(word: string): Unit | undefined {
  return byWord.get(word.toLowerCase());
}

/** The unit of that name. */
export function unitNamed(name: UnitName): Unit {
  const unit = byWord.get(name);
  if (unit === undefined) throw new RangeError(`There is no unit called "${name}".`);
  return unit;
}

/** The units from `largest` down to `smallest`, both included. */
export function unitsBetween(largest: UnitName, smallest: UnitName): readonly Unit[] {
  const most = unitNamed(largest).ms;
  const least = unitNamed(smallest).ms;
  if (least > most) throw new RangeError(`"${smallest}" is larger than "${largest}".`);
  return units.filter((unit) => unit.ms <= most && unit.ms >= least);
}
