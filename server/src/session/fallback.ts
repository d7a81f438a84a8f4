/**
 * Which model goes on with a turn when the one before has failed for good: the user's own chain, in its order.
 *
 * Not here: when a model has failed (`turn.ts`). Easily got wrong: each is asked once in a turn, and the chain is looked up
 * only when it is needed, since that may mean to look for local servers.
 */
import { isAbort, ProviderError, type ProviderErrorKind } from "../base/errors.ts";
import { priceBeside } from "../model/catalog.ts";
import type { Provider } from "../model/provider.ts";
import type { ModelSpec, PriceClass, Usage } from "../protocol/types.ts";

/** A model that can answer the steps of a turn. */
export interface TurnModel {
  readonly spec: ModelSpec;
  readonly provider: Provider;
  /** US dollars for a usage, where the price is known. */
  readonly costOf: (usage: Usage) => number | undefined;
}

/** What a chain is made of. */
export interface FallbackDeps {
  /** The model that begins the turn. */
  readonly model: TurnModel;
  /** Those that the user has named to go on with, in order. Absent where there are none. */
  readonly fallbacks?: () => Promise<readonly TurnModel[]>;
}

/** From which model to which, and why. */
export interface ModelChange {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  readonly reason: string;
  readonly price: PriceClass;
}

/** Failures that are of the model, its vendor or its key, so that another may do. */
const passable: ReadonlySet<ProviderErrorKind> = new Set([
  "rateLimit",
  "overloaded",
  "unavailable",
  "auth",
  "billing",
  "notFound",
  "network",
  "protocol",
  "server",
]);

/** The models of one turn. */
export class Fallbacks {
  readonly #deps: FallbackDeps;
  #model: TurnModel;
  #left: readonly TurnModel[] | undefined;

  constructor(deps: FallbackDeps) {
    this.#deps = deps;
    this.#model = deps.model;
  }

  /** The one that answers now. */
  get model(): TurnModel {
    return this.#model;
  }

  /** Goes to a model that the user chose in place of the present one, because of `reason`. */
  goOnWith(next: TurnModel, reason: string): ModelChange {
    const from = this.#model.spec;
    this.#model = next;
    const { id, label } = next.spec;
    return { from: from.id, to: id, label, reason, price: priceBeside(next.spec, from) };
  }

  /** Goes to the next model that may do better after this failure, and says so; `undefined` when there is none. */
  async next(error: unknown): Promise<ModelChange | undefined> {
    if (!(error instanceof ProviderError) || isAbort(error)) return undefined;
    this.#left ??= (await this.#deps.fallbacks?.()) ?? [];
    const from = this.#model.spec;
    const at = this.#left.findIndex(({ spec }) => mayDoBetter(error, from, spec));
    const next = this.#left[at];
    if (!next) return undefined;
    this.#left = this.#left.slice(at + 1);
    return this.goOnWith(next, error.message);
  }
}

/** A conversation that is too long for one model may fit another. */
function mayDoBetter({ kind }: ProviderError, failed: ModelSpec, next: ModelSpec): boolean {
  return kind === "contextOverflow" ? next.contextTokens > failed.contextTokens : passable.has(kind);
}
