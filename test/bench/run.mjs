/**
 * `npm run bench`: measures what Hermes promises, on the machine that it names. Sees that the project's packages and its
 * Node 24 are there and hands over to `main.ts`, which knows the arguments.
 *
 * Plain JavaScript for Node 18 and newer. Easily got wrong: nothing is built here; run `npm run build` first.
 */
import path from "node:path";
import { installProject, root, runModule } from "../rig/bootstrap.mjs";

try {
  await installProject();
  process.exitCode = await runModule(path.join(root, "test", "bench", "main.ts"), process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
