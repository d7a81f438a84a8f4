/**
 * Builds everything that runs: extension, host, terminal entry point and panel, into `dist/`.
 *
 * `--watch` builds again on every change, with readable code; `--package` also makes `hermes.vsix`; `--manifest` only writes
 * the settings of `server/src/config.ts` into `package.json`. Not here: types and
 * tests (`npm run check`). Easily got wrong: host and terminal share their chunks, so they are one esbuild run; and the
 * panel's code may hold neither Node nor VS Code, the extension's may hold no DOM.
 */
import { spawn } from "node:child_process";
import { chmod, cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const root = import.meta.dirname;
const dist = join(root, "dist");
const vsix = join(root, "hermes.vsix");
const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));

/**
 * The first lines of the host's files. `dist/cli.js` is a program; and CommonJS packages inside an ES module still ask
 * for `require`, whose import must not collide with a module's own.
 */
const hostBanner = [
  "#!/usr/bin/env node",
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  // sql.js looks for itself by this name.
  "const __dirname = import.meta.dirname;",
].join("\n");

/**
 * The esbuild options of every bundle, by name. Tests use `panel` to load the page without `dist/`.
 * @param {{ production: boolean }} mode readable code with source maps, or small code without
 * @returns {Record<"extension" | "host" | "panel", esbuild.BuildOptions>}
 */
export function bundles({ production }) {
  const shared = {
    absWorkingDir: root,
    bundle: true,
    outdir: dist,
    minify: production,
    sourcemap: production ? false : "linked",
    define: {
      HERMES_VERSION: JSON.stringify(version),
      "process.env.NODE_ENV": JSON.stringify(production ? "production" : "development"),
    },
    legalComments: "none",
    logLevel: "silent",
  };
  return {
    extension: {
      ...shared,
      entryPoints: { extension: "client/src/extension.ts" },
      platform: "node",
      target: "node22",
      format: "cjs",
      outExtension: { ".js": ".cjs" },
      external: ["vscode"],
    },
    host: {
      ...shared,
      entryPoints: { server: "server/src/main/lsp.ts", cli: "server/src/main/cli.ts" },
      platform: "node",
      target: "node22",
      format: "esm",
      splitting: true,
      chunkNames: "chunks/[name]-[hash]",
      mainFields: ["module", "main"],
      banner: { js: hostBanner },
      metafile: true,
    },
    panel: {
      ...shared,
      entryPoints: { panel: "media/main.tsx" },
      platform: "browser",
      target: "chrome130",
      format: "iife",
      loader: { ".ttf": "file" },
      assetNames: "[name]",
      jsx: "automatic",
      jsxImportSource: "preact",
    },
  };
}

async function exists(path) {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Files that are read at run time, beside the bundles. */
async function copyAssets() {
  await cp(join(root, "node_modules/sql.js/dist/sql-wasm.wasm"), join(dist, "sql-wasm.wasm"));
  const recordings = join(root, "server/recordings");
  if (await exists(recordings)) await cp(recordings, join(dist, "recordings"), { recursive: true });
  const { configFileSchema } = await importSource("server/src/configSchema.ts");
  await writeFile(join(dist, "config.schema.json"), `${JSON.stringify(configFileSchema(), null, 1)}\n`);
}

/** Imports a module of the sources, whatever Node this is. */
async function importSource(path) {
  const outfile = join(root, ".cache", `${basename(path, ".ts")}.mjs`);
  const { outdir, splitting, chunkNames, metafile, ...options } = bundles({ production: false }).host;
  await esbuild.build({ ...options, entryPoints: [path], outfile, sourcemap: false });
  return import(outfile);
}

/** Removes chunks of earlier builds; those of this one stay, because a host may be loading them right now. */
async function removeOldChunks({ outputs }) {
  const current = new Set(Object.keys(outputs).map((name) => basename(name)));
  const folder = join(dist, "chunks");
  const old = (await readdir(folder)).filter((name) => !current.has(name));
  await Promise.all(old.map((name) => rm(join(folder, name))));
}

async function buildOnce() {
  await mkdir(dist, { recursive: true });
  const { host, ...others } = bundles({ production: true });
  const results = await Promise.allSettled([
    ...Object.values(others).map((options) => esbuild.build(options)),
    esbuild.build(host).then(async (result) => {
      await removeOldChunks(result.metafile);
      await chmod(join(dist, "cli.js"), 0o755);
      return result;
    }),
    copyAssets(),
  ]);
  const failures = results.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  for (const failure of failures) await report(failure.errors ?? [{ text: String(failure) }], "error");
  for (const { value } of results) if (value?.warnings?.length > 0) await report(value.warnings, "warning");
  if (failures.length > 0) throw new Error("The build failed.");
}

async function report(messages, kind) {
  const lines = await esbuild.formatMessages(messages, { kind, color: process.stderr.isTTY });
  process.stderr.write(lines.join(""));
}

/** Prints the lines that VS Code's problem matcher waits for. */
function announce() {
  return {
    name: "announce",
    setup(build) {
      build.onStart(() => console.log("build started"));
      build.onEnd(async ({ errors, warnings }) => {
        await report(errors, "error");
        await report(warnings, "warning");
        console.log("build finished");
      });
    },
  };
}

async function watch() {
  await mkdir(dist, { recursive: true });
  await copyAssets();
  const contexts = await Promise.all(
    Object.values(bundles({ production: false })).map((options) =>
      esbuild.context({ ...options, plugins: [announce()] }),
    ),
  );
  await Promise.all(contexts.map((context) => context.watch()));
}

/** Makes the file that installs anywhere. */
async function makePackage() {
  const vsce = join(root, "node_modules/@vscode/vsce/vsce");
  const options = ["--no-dependencies", "--allow-missing-repository", "--no-rewrite-relative-links", "--out", vsix];
  const child = spawn(process.execPath, [vsce, "package", ...options], { cwd: root, stdio: "inherit" });
  const code = await new Promise((done, failed) => child.on("error", failed).on("close", done));
  if (code !== 0) throw new Error(`vsce ended with code ${code}; what it printed above says why.`);
}

/** Settings have one source; the manifest's are generated from it. */
async function writeManifest() {
  const { manifestConfiguration } = await importSource("server/src/config.ts");
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  manifest.contributes = { ...manifest.contributes, configuration: manifestConfiguration() };
  await writeFile(join(root, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  console.log("package.json has the settings of server/src/config.ts");
}

async function main(flags) {
  if (flags.includes("--manifest")) return writeManifest();
  if (flags.includes("--watch")) return watch();
  const startedAt = performance.now();
  await buildOnce();
  console.log(`built dist in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  if (flags.includes("--package")) await makePackage();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
}
