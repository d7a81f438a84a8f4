/**
 * Finds a Chromium to drive, or gets one: named by the environment, installed, from Debian as root, or else from the
 * package registry.
 *
 * Not here: driving it. Easily got wrong: a file that exists may not start (missing libraries, another processor), so
 * each candidate is asked for its version first.
 */
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { npm, projectNode, root } from "../../rig/bootstrap.mjs";

/** A browser that starts. */
export interface Chromium {
  readonly executablePath: string;
  /** Where libraries it needs were unpacked, when the machine lacks them. */
  readonly libraryPath?: string;
  /** Where it came from, for people. */
  readonly source: string;
}

const run = promisify(execFile);
const fromRegistry = "@sparticuz/chromium@147.0.0";
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The first browser that starts; throws with what to do when none can be had. */
export async function findChromium(detail: (text: string) => void): Promise<Chromium> {
  const named = process.env.HERMES_CHROMIUM;
  if (named !== undefined && named !== "") {
    if (await starts(named)) return { executablePath: named, source: "HERMES_CHROMIUM" };
    throw new Error(`HERMES_CHROMIUM is set to ${named}, which does not start. Point it at a Chromium or unset it.`);
  }
  const installed = await findInstalled();
  if (installed !== undefined) return { executablePath: installed, source: "installed" };
  const problems: string[] = [];
  for (const get of [getFromDebian, getFromRegistry]) {
    try {
      const found = await get(detail);
      if (found !== undefined) return found;
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(
    `No Chromium was found or could be installed. Install one, or set HERMES_CHROMIUM to its path.\n${problems.join("\n")}`,
  );
}

async function findInstalled(): Promise<string | undefined> {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const files = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  if (process.platform === "darwin") files.push("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
  for (const file of files) if (fs.existsSync(file) && (await starts(file))) return file;
  return undefined;
}

async function getFromDebian(detail: (text: string) => void): Promise<Chromium | undefined> {
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !fs.existsSync("/usr/bin/apt-get")) return undefined;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  detail("apt-get update");
  await run("apt-get", ["update", "-q"], { env, maxBuffer: 16 << 20 });
  detail("apt-get install chromium");
  await run("apt-get", ["install", "-q", "-y", "--no-install-recommends", "chromium"], { env, maxBuffer: 16 << 20 });
  const file = await findInstalled();
  return file === undefined ? undefined : { executablePath: file, source: "installed from Debian" };
}

async function getFromRegistry(detail: (text: string) => void): Promise<Chromium | undefined> {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const folder = path.join(root, ".cache", "chromium");
  const bin = path.join(folder, "node_modules", "@sparticuz", "chromium", "bin");
  if (!fs.existsSync(bin)) {
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true }));
    detail(`installing ${fromRegistry}`);
    await npm(folder, ["install", "--ignore-scripts", "--no-save", fromRegistry]);
  }
  const unpacked = path.join(folder, "unpacked");
  fs.mkdirSync(unpacked, { recursive: true });
  // The package unpacks into the temporary folder and reuses what it finds there; a folder of our own is safer than a shared one.
  const script = `console.log(await (await import("@sparticuz/chromium")).default.executablePath())`;
  const { stdout } = await run(projectNode, ["--input-type=module", "--eval", script], {
    cwd: folder,
    env: { ...process.env, TMPDIR: unpacked },
  });
  const executablePath = stdout.trim();
  if (await starts(executablePath)) return { executablePath, source: fromRegistry };
  const libraryPath = path.join(unpacked, "libraries");
  fs.mkdirSync(libraryPath, { recursive: true });
  const tar = path.join(libraryPath, "libraries.tar");
  fs.writeFileSync(tar, zlib.brotliDecompressSync(fs.readFileSync(path.join(bin, "al2023.tar.br"))));
  await run("tar", ["-xf", tar, "-C", libraryPath]);
  const withLibraries = path.join(libraryPath, "lib");
  if (await starts(executablePath, withLibraries))
    return { executablePath, libraryPath: withLibraries, source: `${fromRegistry} with its own libraries` };
  throw new Error(`${fromRegistry} was installed but does not start here.`);
}

async function starts(file: string, libraryPath?: string): Promise<boolean> {
  try {
    const env = libraryPath === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraryPath };
    await run(file, ["--version"], { timeout: 20_000, env });
    return true;
  } catch {
    return false;
  }
}
