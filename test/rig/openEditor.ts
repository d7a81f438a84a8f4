/**
 * The second half of `npm start`, under the project's Node 24: builds, chooses the editor, opens the folder, and in the
 * browser case stays until Ctrl+C.
 *
 * Not here: installing (`start.mjs`) and how the server is run (`webServer.ts`). Easily got wrong: the browser gets the
 * packed extension as a user would install it, not the folder, because only the test driver can load a folder.
 */
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { root } from "./bootstrap.mjs";
import { findDesktopCode } from "./desktopCode.ts";
import { hostEnvironment } from "./hostEnvironment.ts";
import { installRig, isRigReady, rig } from "./install.ts";
import { stopOnSignals } from "./processes.ts";
import { step } from "./progress.mjs";
import { prepareSample } from "./sampleFolder.ts";
import { folderArguments, startWebServer } from "./webServer.ts";

interface Wanted {
  readonly editor?: "desktop" | "web";
  readonly port?: number;
  readonly folder?: string;
}

const run = promisify(execFile);
const stateFolder = path.join(root, ".cache", "vscode");

/** Runs one of the project's programs; a failure carries what it printed. */
async function runNode(args: readonly string[]): Promise<void> {
  try {
    await run(rig.node, args, { cwd: root, env: hostEnvironment(process.env), maxBuffer: 16 << 20 });
  } catch (error) {
    const printed =
      error instanceof Error && "stdout" in error && "stderr" in error
        ? `${error.stdout}\n${error.stderr}`
        : String(error);
    throw new Error(`${path.basename(args[0] ?? "node")} failed:\n${printed.trim().slice(-4000)}`, { cause: error });
  }
}

async function openDesktop(code: string, folder: string): Promise<void> {
  await step("Opening VS Code", () =>
    run(code, ["--new-window", `--extensionDevelopmentPath=${root}`, folder], {
      env: { ...hostEnvironment(process.env), HERMES_OPEN_PANEL: "1" },
      shell: process.platform === "win32",
    }),
  );
  console.log(`\nVS Code is open on ${folder} with Hermes in the side bar.`);
}

async function openWeb(port: number | undefined, folder: string): Promise<void> {
  if (!isRigReady()) await step("Getting VS Code for the browser", installRig);
  fs.mkdirSync(stateFolder, { recursive: true });
  await step("Adding Hermes to it", () =>
    runNode([
      ...[rig.serverMain, "--accept-server-license-terms", ...folderArguments(stateFolder)],
      ...["--force", "--install-extension", path.join(root, "hermes.vsix")],
    ]),
  );
  const server = await step("Starting VS Code", () =>
    startWebServer({
      stateFolder,
      port: port ?? "stable",
      env: { ...hostEnvironment(process.env), HERMES_OPEN_PANEL: "1" },
      // As the user's setting, because the machine's are read after the first layout.
      firstUserSettings: { "workbench.secondarySideBar.defaultVisibility": "visible" },
    }),
  );
  stopOnSignals(async () => {
    console.log("\nStopping VS Code.");
    await server.close();
  });
  console.log(
    `\nHermes is ready. Open this address in a browser on this computer:\n\n  ${server.url(folder)}\n\nFolder: ${folder}\nCtrl+C stops.`,
  );
  const code = await server.exited;
  throw new Error(`VS Code's server ended by itself with code ${code}. Run npm start again.`);
}

async function main(wanted: Wanted): Promise<void> {
  const code = wantsDesktop(wanted) ? findDesktopCode() : undefined;
  if (wanted.editor === "desktop" && code === undefined) {
    throw new Error(
      "No desktop VS Code was found: the command `code` is not on PATH, or there is no display.\n" +
        "In VS Code run \"Shell Command: Install 'code' command in PATH\", or use npm start -- --web.",
    );
  }
  await step("Building Hermes", () =>
    runNode([path.join(root, "build.mjs"), ...(code === undefined ? ["--package"] : [])]),
  );
  const sample = wanted.folder === undefined ? await prepareSample() : undefined;
  if (sample?.kept !== undefined)
    console.log(`Your earlier copy of the sample has changes and was kept: ${sample.kept}`);
  const folder = wanted.folder ?? sample?.folder ?? root;
  if (code !== undefined) await openDesktop(code, folder);
  else await openWeb(wanted.port, folder);
}

/** A port means the browser, unless the desktop was asked for by name. */
function wantsDesktop({ editor, port }: Wanted): boolean {
  return editor === "desktop" || (editor === undefined && port === undefined);
}

// Until the editor runs, nothing has to be undone.
process.on("disconnect", () => process.exit(1));
main(JSON.parse(process.argv[2] ?? "{}") as Wanted).then(
  () => process.disconnect?.(),
  (error: unknown) => {
    console.error(`\n${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
