/** Rounding of spans. */

/** `span` rounded to the nearest multiple of `step`, halves away from zero. */
export function roundTo(span: number, step: number): number {
  if (!(step > 0)) throw new RangeError(`A step must be positive, not ${step}.`);
  const steps = Math.round(Math.abs(span) / step);
  return steps === 0 ? 0 : Math.sign(span) * steps * step;
}

/** `span` cut down to a multiple of `step`, towards zero. */
export function truncateTo(span: number, step: number): number {
  if (!(step > 0)) throw new RangeError(`A step must be positive, not ${step}.`);
  const steps = Math.floor(Math.abs(span) / step);
  return steps === 0 ? 0 : Math.sign(span) * steps * step;
}
