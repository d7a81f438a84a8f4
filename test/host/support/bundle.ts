/**
 * Bundles the tests that run inside VS Code into one file that its extension host can load.
 *
 * Not here: the extension's own bundles. Easily got wrong: the output must lie inside the project, where `mocha`, which
 * is left out of the bundle, is found.
 */
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { root } from "../../rig/bootstrap.mjs";

/** Bundles every `*.test.ts` of `folder`; returns the path that VS Code takes as `extensionTestsPath`. */
export async function bundleHostTests(folder: string): Promise<string> {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".test.ts"));
  const outfile = path.join(root, ".cache", "host-tests", "index.cjs");
  await build({
    stdin: {
      contents: [
        `import { runInHost } from "./support/inHostMain.ts";`,
        `export const run = () => runInHost([${files.map((name) => `() => require(${JSON.stringify(`./${name}`)})`).join(", ")}]);`,
      ].join("\n"),
      resolveDir: folder,
      loader: "ts",
    },
    bundle: true,
    platform: "node",
    target: "node22",
    format: "cjs",
    external: ["vscode", "mocha"],
    sourcemap: "inline",
    outfile,
    logLevel: "warning",
  });
  return outfile;
}

// Also run by itself, by the editor's task that prepares debugging the tests.
if (import.meta.main) await bundleHostTests(path.join(import.meta.dirname, ".."));
