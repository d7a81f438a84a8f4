/**
 * `npm start`: from a bare clone to VS Code with Hermes on a folder, in one command.
 *
 * Plain JavaScript without dependencies for Node 18 and newer, because nothing is installed yet; it only reads the
 * arguments, installs, and hands over to `test/rig/openEditor.ts` under the project's Node 24. Easily got wrong: a
 * relative PATH is meant from where the user typed the command, which npm passes as INIT_CWD.
 */
import fs from "node:fs";
import path from "node:path";
import { installProject, root, runModule } from "./test/rig/bootstrap.mjs";

const help = `Usage: npm start [-- [PATH] [options]]

Installs what is needed, builds Hermes and opens VS Code with it. Without PATH it opens a copy of the sample project,
a small TypeScript library with one failing test, in the temporary folder.

  PATH        the folder to open
  --desktop   use the VS Code installed on this computer
  --web       use VS Code in the browser, on this computer only
  --port N    the port for the browser (default: the same free port every time)
  --help      show this

Without --desktop or --web it uses a desktop VS Code where there is one, and the browser otherwise.
Keys and addresses in the environment are used: ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, OPENAI_API_KEY, OPENAI_BASE_URL.
HERMES_INSPECT=1 lets a debugger attach to the agent host on port 6009.
`;

/** The arguments as an object, or an error text that says what is wrong. */
function parse(args) {
  const wanted = { editor: undefined, port: undefined, folder: undefined };
  for (let i = 0; i < args.length; i++) {
    const [name, attached] = args[i].split(/=(.*)/s);
    if (name === "--desktop" || name === "--web") {
      const editor = name.slice(2);
      if (wanted.editor && wanted.editor !== editor) return "--desktop and --web cannot be given together.";
      wanted.editor = editor;
    } else if (name === "--port") {
      const port = Number(attached ?? args[++i]);
      if (!Number.isInteger(port) || port < 1 || port > 65535) return "--port needs a number from 1 to 65535.";
      wanted.port = port;
    } else if (name.startsWith("-")) {
      return `There is no option ${name}.`;
    } else if (wanted.folder !== undefined) {
      return `Only one folder can be opened, but ${wanted.folder} and ${args[i]} were given.`;
    } else {
      wanted.folder = path.resolve(process.env.INIT_CWD ?? process.cwd(), args[i]);
    }
  }
  if (wanted.folder === undefined) return wanted;
  const stat = fs.statSync(wanted.folder, { throwIfNoEntry: false });
  if (!stat) return `The folder ${wanted.folder} does not exist.`;
  if (!stat.isDirectory()) return `${wanted.folder} is a file. Give the folder that holds it.`;
  return wanted;
}

const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  process.stdout.write(help);
} else {
  const wanted = parse(args);
  if (typeof wanted === "string") {
    process.stderr.write(`${wanted}\nSee npm start -- --help\n`);
    process.exitCode = 2;
  } else {
    try {
      await installProject();
      process.exitCode = await runModule(path.join(root, "test", "rig", "openEditor.ts"), [JSON.stringify(wanted)]);
    } catch (error) {
      process.stderr.write(`\n${error.message}\n`);
      process.exitCode = 1;
    }
  }
}
