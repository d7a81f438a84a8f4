/**
 * Vitest's global set-up: bundles host and terminal entry once, as they are shipped, for tests that start real processes.
 *
 * Not here: `dist/`, which belongs to whoever runs the editor. Easily got wrong: the folder is handed on by environment,
 * because tests run in other processes.
 */
import { cp, mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { bundles } from "../../build.mjs";

/** Bundles into a folder of this run's own, gives its path as `HERMES_TEST_DIST`, and removes it at the end. */
export async function setup(): Promise<() => Promise<void>> {
  const root = resolve(import.meta.dirname, "../..");
  // Inside the project, so that the bundle finds its packages as it would from `dist/`.
  const outdir = join(root, ".cache", `test-dist-${process.pid}`);
  await mkdir(outdir, { recursive: true });
  await build({ ...bundles({ production: true }).host, outdir });
  await cp(join(root, "node_modules/sql.js/dist/sql-wasm.wasm"), join(outdir, "sql-wasm.wasm"));
  await cp(join(root, "server/recordings"), join(outdir, "recordings"), { recursive: true });
  process.env.HERMES_TEST_DIST = outdir;
  return () => rm(outdir, { recursive: true, force: true });
}
