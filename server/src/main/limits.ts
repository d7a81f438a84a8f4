/**
 * The user's limits on spending on this machine: as they are set, as they were raised, and what is left of each.
 *
 * Not here: holding requests to them (`model/budget.ts`), the sums (`storage/spending.ts`). Easily got wrong: a raise is
 * kept with the limit that it raises and never in the user's settings, so that a limit which is set anew counts again.
 */
import { RequestError } from "../base/errors.ts";
import type { Config } from "../config.ts";
import { type Limits, periods, raiseLimits } from "../model/budget.ts";
import { fromUsd } from "../model/price.ts";
import type { RaiseLimitParams } from "../protocol/methods.ts";
import type { BudgetPeriod, LimitStanding, SessionId, TurnId } from "../protocol/types.ts";
import type { Raise } from "../session/pauses.ts";
import type { Spending } from "../storage/spending.ts";

const units = ["nano", "tokens", "requests"] as const;

/** The limits that are set; 0 is none. */
export function readLimits({ settings }: Pick<Config, "settings">): Limits {
  const limitsOf = (period: BudgetPeriod) => {
    const usd = settings[`budget.${period}.usd`];
    const tokens = settings[`budget.${period}.tokens`];
    const requests = settings[`budget.${period}.requests`];
    return [
      period,
      { ...(usd ? { nano: fromUsd(usd) } : {}), ...(tokens ? { tokens } : {}), ...(requests ? { requests } : {}) },
    ] as const;
  };
  return Object.fromEntries(periods.map(limitsOf));
}

/** The limits of one user over the ledger that all of the user's hosts share. */
export class LocalLimits {
  readonly #spending: Pick<Spending, "standing" | "raise">;
  readonly #configured: () => Limits;

  constructor(spending: Pick<Spending, "standing" | "raise">, configured: () => Limits) {
    this.#spending = spending;
    this.#configured = configured;
  }

  /** The limits of a session, where one is given, of today and of this month, and what is used of each. */
  async standings(sessionId?: SessionId): Promise<readonly LimitStanding[]> {
    const configured = this.#configured();
    const { before, raises } = await this.#spending.standing(sessionId ? { sessionId } : {});
    const raised = raiseLimits(configured, raises);
    return periods.flatMap((period) =>
      period === "turn" || (period === "session" && !sessionId)
        ? []
        : units.flatMap((unit) => {
            const [set, limit] = [configured[period]?.[unit], raised[period]?.[unit]];
            const spent = before[period][unit];
            return set === undefined || limit === undefined ? [] : [{ period, unit, configured: set, limit, spent }];
          }),
    );
  }

  /** Nano-dollars that the next request of a session may cost; `undefined` where no limit is on money. */
  async moneyLeft(sessionId: SessionId): Promise<number | undefined> {
    const configured = this.#configured();
    if (periods.every((period) => configured[period]?.nano === undefined)) return undefined;
    const standings = await this.standings(sessionId);
    const left = standings.flatMap(({ unit, limit, spent }) => (unit === "nano" ? [limit - spent] : []));
    return Math.min(...left, configured.turn?.nano ?? Number.POSITIVE_INFINITY);
  }

  /** Lets a limit hold in place of the one that is set, for the rest of its period. Rejects when it cannot be stored. */
  async raise(whose: { readonly sessionId?: SessionId; readonly turnId?: TurnId }, raise: Raise): Promise<void> {
    const { period, unit, limit } = raise;
    const over = unit === "steps" || unit === "ms" ? undefined : this.#configured()[period]?.[unit];
    // The user may have taken the limit away while the question stood.
    if (over === undefined || unit === "steps" || unit === "ms") return;
    await this.#spending.raise(whose, { period, unit, over, limit });
  }

  /** The same on the user's own initiative. Throws `RequestError` `not_a_raise`, `no_limit`. */
  async raiseAtOnce({ period, unit, limit, sessionId }: RaiseLimitParams): Promise<void> {
    const standing = (await this.standings(sessionId)).find((one) => one.period === period && one.unit === unit);
    if (!standing) throw new RequestError("no_limit", "There is no such limit, so there is nothing to raise.");
    if (!Number.isSafeInteger(limit) || limit <= standing.limit) {
      throw new RequestError(
        "not_a_raise",
        "The new limit must be higher than the one that holds. Lower it in your settings.",
      );
    }
    await this.raise(sessionId ? { sessionId } : {}, { period, unit, limit });
  }
}
