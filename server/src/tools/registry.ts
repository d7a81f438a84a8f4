/**
 * The tools that a session offers, by name, in one stable order.
 *
 * Not here: making tools and running them. Easily got wrong: the order is part of the prompt cache's prefix, so it is
 * by name and never by insertion.
 */
import type { ToolSpec } from "../protocol/types.ts";
import type { Tool } from "./tool.ts";

/** Looks tools up. */
export interface Registry {
  /** Sorted by name. */
  readonly names: readonly string[];
  get(name: string): Tool | undefined;
  /** What a model is told of these tools, or of all, sorted by name; the same specs each time. */
  specs(names?: readonly string[]): readonly ToolSpec[];
}

/** Makes a registry. Throws when two tools have the same name: that is a mistake of whoever put them together. */
export function createRegistry(tools: readonly Tool[]): Registry {
  const byName = new Map<string, Tool>();
  for (const tool of tools.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (byName.has(tool.name)) throw new Error(`Two tools are named "${tool.name}".`);
    byName.set(tool.name, tool);
  }
  const specs = [...byName.values()].map((tool) => tool.spec);
  return {
    names: [...byName.keys()],
    get: (name) => byName.get(name),
    specs: (only) => (only ? specs.filter(({ name }) => only.includes(name)) : specs),
  };
}
