/**
 * The types of what `build.mjs` offers to tests. Not here: the build. Easily got wrong: it must be kept equal by hand.
 */
import type { BuildOptions } from "esbuild";

/** The esbuild options of every bundle, by name. */
export function bundles(options: {
  readonly production: boolean;
}): Record<"extension" | "host" | "panel", BuildOptions>;
