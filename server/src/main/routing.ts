/**
 * Lets the router choose among the models of this machine: who could answer now, how they have done, what may be spent.
 *
 * Not here: the rules (`model/router.ts`), what is ready (`models.ts`). Easily got wrong: local servers are looked for only
 * where a setting or the conversation names one, or nothing else is ready.
 */
import { RequestError } from "../base/errors.ts";
import type { Settings } from "../config.ts";
import { type Route, type RouteFacts, type RouteRequest, route } from "../model/router.ts";
import type { ModelSpec, RouteStrategy, SessionId } from "../protocol/types.ts";
import type { Speed } from "../storage/speeds.ts";

/** What choosing needs to know of this machine. */
export interface RoutingDeps {
  readonly settings: Settings;
  /** Models with their keys, in the order of the catalogue. */
  readonly known: () => Promise<readonly ModelSpec[]>;
  readonly local: () => Promise<readonly ModelSpec[]>;
  /** The model of that name, if it has its key. Throws `RequestError` when there is none. */
  readonly find: (id: string) => Promise<ModelSpec | undefined>;
  /** False while its endpoint is left alone. */
  readonly isUp: (spec: ModelSpec) => boolean;
  readonly speeds: () => Promise<ReadonlyMap<string, Speed>>;
  readonly moneyLeft: (sessionId: SessionId) => Promise<number | undefined>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Told of a named model that cannot be used. */
  readonly onProblem: (problem: string) => void;
}

/** The model that was chosen, and how; `undefined` where none is ready. */
export async function chooseModel(
  deps: RoutingDeps,
  strategy: RouteStrategy,
  facts: RouteFacts,
): Promise<{ readonly spec: ModelSpec; readonly route: Route } | undefined> {
  const named = strategy === "adaptive" ? await namedModels(deps) : {};
  const specs = await candidates(deps, facts, Object.values(named));
  if (specs.length === 0) return undefined;
  const [speeds, maxNano] = await Promise.all([deps.speeds(), deps.moneyLeft(facts.sessionId)]);
  const seconds = deps.settings["model.maxLatencySeconds"];
  const request: RouteRequest = {
    ...facts,
    strategy,
    named: {
      ...(named.complex ? { complex: named.complex.id } : {}),
      ...(named.simple ? { simple: named.simple.id } : {}),
    },
    ...(maxNano === undefined ? {} : { maxNano }),
    ...(seconds > 0 ? { maxMs: seconds * 1000 } : {}),
    now: deps.now(),
  };
  const decided = route(
    request,
    specs.map((spec) => {
      const speed = speeds.get(spec.id);
      return { spec, ...(speed ? { speed } : {}) };
    }),
  );
  const spec = specs.find(({ id }) => id === decided.model);
  return spec && { spec, route: decided };
}

/** Those whose endpoints answer, or all when none does; what is named counts in place of the table's row. */
async function candidates(
  deps: RoutingDeps,
  { previous }: RouteFacts,
  named: readonly ModelSpec[],
): Promise<readonly ModelSpec[]> {
  const byId = new Map((await deps.known()).map((spec) => [spec.id, spec]));
  for (const spec of named) byId.set(spec.id, spec);
  if (previous !== undefined && !byId.has(previous)) {
    const spec = await findOrNone(deps, previous);
    if (spec) byId.set(spec.id, spec);
  }
  const specs = byId.size > 0 ? [...byId.values()] : await deps.local();
  const up = specs.filter(deps.isUp);
  return up.length > 0 ? up : specs;
}

type Named = { readonly [tasks in "complex" | "simple"]?: ModelSpec };

async function namedModels(deps: RoutingDeps): Promise<Named> {
  const { settings, onProblem } = deps;
  const find = async (tasks: "complex" | "simple"): Promise<Named> => {
    const name = settings[`model.models.${tasks}.name`];
    const provider = settings[`model.models.${tasks}.provider`];
    const most = settings[`model.models.${tasks}.maxTokens`];
    if (name === "") return {};
    const id = provider === "" ? name : `${provider}/${name}`;
    const spec = await findOrNone(deps, id);
    if (!spec) onProblem(`The model ${id} in hermes.model.models.${tasks} is left out: it is not known or has no key.`);
    return spec
      ? { [tasks]: most > 0 ? { ...spec, maxOutputTokens: Math.min(most, spec.maxOutputTokens) } : spec }
      : {};
  };
  return { ...(await find("complex")), ...(await find("simple")) };
}

async function findOrNone({ find }: RoutingDeps, id: string): Promise<ModelSpec | undefined> {
  try {
    return await find(id);
  } catch (error) {
    if (error instanceof RequestError) return undefined;
    throw error;
  }
}
