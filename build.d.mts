/** The types of `build.mjs` for the tests that bundle by its options. */
import type { BuildOptions } from "esbuild";

/** The esbuild options of every bundle, by name. */
export function bundles(mode: { readonly production: boolean }): Record<"extension" | "host" | "panel", BuildOptions>;
