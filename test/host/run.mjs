/**
 * `npm run test:host`: the tests that need a real VS Code. Sees that the project's packages and its Node 24 are there
 * and hands over to `runHostTests.ts`, which knows the arguments.
 *
 * Plain JavaScript for Node 18 and newer. Easily got wrong: the extension is not built here, only its tests are; run
 * `npm run build` first, or `npm test`, which does.
 */
import path from "node:path";
import { installProject, root, runModule } from "../rig/bootstrap.mjs";

try {
  await installProject();
  process.exitCode = await runModule(path.join(root, "test", "host", "runHostTests.ts"), process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
