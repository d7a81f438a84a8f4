/** Writes spans: "1h 30m", "1 hour, 30 minutes", "1:30:00". */
import { roundTo } from "./round.ts";
import { type Unit, type UnitName, unitsBetween } from "./units.ts";

/** How to write a span. */
export interface FormatOptions {
  /** "short" is `1h 5m`, "long" is `1 hour, 5 minutes`, "clock" is `1:05:00`. Default: "short". */
  readonly style?: "short" | "long" | "clock";
  /** The largest unit to use. Default: "week". */
  readonly largest?: UnitName;
  /** The smallest unit to use; the span is rounded to it. Default: "second". */
  readonly smallest?: UnitName;
}

interface Part {
  readonly unit: Unit;
  readonly count: number;
}

/** The span as text, the largest unit first, without units that are zero. */
export function format(span: number, options: FormatOptions = {}): string {
  if (!Number.isFinite(span)) throw new RangeError(`A span must be finite, not ${span}.`);
  const { style = "short", largest = "week", smallest = "second" } = options;
  const sign = span < 0 ? "-" : "";
  if (style === "clock") return sign + writeClock(split(Math.abs(span), unitsBetween("hour", "second")));

  const parts = split(Math.abs(span), unitsBetween(largest, smallest));
  const shown = parts.filter((part) => part.count > 0);
  if (shown.length === 0) return writePart({ unit: lastOf(parts).unit, count: 0 }, style);
  return sign + shown.map((part) => writePart(part, style)).join(style === "long" ? ", " : " ");
}

/** How many of each of the wanted units make up the span. */
function split(span: number, wanted: readonly Unit[]): readonly Part[] {
  const smallest = lastOf(wanted);
  let rest = span;
  return wanted.map((unit) => {
    const count = unit === smallest ? roundTo(rest, unit.ms) / unit.ms : Math.floor(rest / unit.ms);
    rest -= count * unit.ms;
    return { unit, count };
  });
}

function writePart({ unit, count }: Part, style: "short" | "long"): string {
  if (style === "short") return `${count}${unit.symbol}`;
  return `${count} ${unit.name}${count === 1 ? "" : "s"}`;
}

function writeClock(parts: readonly Part[]): string {
  return parts.map(({ count }, i) => (i === 0 ? String(count) : String(count).padStart(2, "0"))).join(":");
}

function lastOf<T>(list: readonly T[]): T {
  const last = list.at(-1);
  if (last === undefined) throw new RangeError("The list is empty.");
  return last;
}
