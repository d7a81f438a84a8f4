/**
 * Brings a bare clone to the point where the project's own Node 24 can run TypeScript: installs the root packages when
 * they do not match the lockfile, and runs a module under that Node.
 *
 * Plain JavaScript without dependencies, for Node 18 and newer. Not here: anything that may rely on installed packages.
 * Easily got wrong: whether to install is decided by comparing versions, never file times, so that a developer's
 * `npm install` is not undone by the next start.
 */
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { step } from "./progress.mjs";

/** The folder of the project. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Where the project's Node 24 lies once the root packages are installed. */
export const projectNode = path.join(
  root,
  "node_modules",
  "node",
  "bin",
  process.platform === "win32" ? "node.exe" : "node",
);

/** True when every package that `folder`'s lockfile wants on this platform is installed in the wanted version. */
export function isInstalled(folder) {
  const read = (file) => JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")).packages;
  try {
    const have = read("node_modules/.package-lock.json");
    return Object.entries(read("package-lock.json")).every(
      ([name, wanted]) =>
        name === "" || wanted.optional || wanted.devOptional || wanted.peer || have[name]?.version === wanted.version,
    );
  } catch {
    return false;
  }
}

/** Runs `npm` in `folder`; throws an `Error` holding the end of its output when it fails. */
export function npm(folder, args, detail = () => {}) {
  return new Promise((resolve, reject) => {
    const child = spawn("npm", args, {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
      // A production environment must not make npm leave the build tools out.
      env: {
        ...process.env,
        NODE_ENV: "development",
        npm_config_loglevel: "http",
        npm_config_omit: "",
        npm_config_audit: "false",
        npm_config_fund: "false",
      },
    });
    let output = "";
    let fetched = 0;
    const collect = (chunk) => {
      const text = String(chunk);
      fetched += (text.match(/npm http fetch/g) ?? []).length;
      if (fetched > 0) detail(`${fetched} packages fetched`);
      output = (output + text.replace(/^npm (http|warn|notice) .*\n?/gm, "")).slice(0, 100_000);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", (cause) => reject(new Error("npm could not be started. Is it on PATH?", { cause })));
    child.on("close", (code) => {
      if (code === 0) resolve(undefined);
      else reject(new Error(`npm ${args.join(" ")} failed in ${folder} with code ${code}:\n${withoutUsage(output)}`));
    });
  });
}

/** npm's complaint without the pages of help that follow it, at most 4,000 characters. */
function withoutUsage(output) {
  return output
    .split(/^npm error Clean install a project$/m)[0]
    .trim()
    .slice(0, 4000);
}

/** Installs the root packages when needed, with a progress line; afterwards `projectNode` exists. */
export async function installProject() {
  if (!isInstalled(root)) await step("Installing packages", (detail) => npm(root, ["ci"], detail));
  if (fs.existsSync(projectNode)) return;
  // The package "node" fetches the program by its install script, which did not run or was interrupted.
  await step("Getting Node 24", (detail) => npm(root, ["rebuild", "node", "--ignore-scripts=false"], detail));
  if (!fs.existsSync(projectNode)) {
    throw new Error(
      `npm installed the package "node" but not the program it brings, ${projectNode}.\nTry again with a registry that has node-${process.platform}-${process.arch}.`,
    );
  }
}

/**
 * Runs a module with the project's Node 24 in the foreground and resolves to its exit code. Signals that end this
 * process are passed on, and should this process be killed outright the child notices by its closed channel.
 */
export function runModule(file, args, env = process.env) {
  const child = spawn(projectNode, [file, ...args], {
    cwd: root,
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env,
  });
  const forward = (signal) => child.kill(signal);
  // The terminal sends Ctrl+C to the whole group, so SIGINT only needs to be survived here.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", forward);
  process.on("SIGHUP", forward);
  // When npm is killed its shell dies silently and leaves this process an orphan, which nobody could stop any more.
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) forward("SIGTERM");
  }, 500).unref();
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 1)));
  });
}
