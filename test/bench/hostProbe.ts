/**
 * A module that VS Code's extension host runs, to measure how long its event loop is held up.
 *
 * Not here: the extension. Easily got wrong: it is given to VS Code as a test run, which ends when it is told to; until
 * then the extension runs beside it as always.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** What the probe has seen since it was last asked, in ms. */
export interface LoopDelay {
  readonly max: number;
  readonly p99: number;
}

const source = (portFile: string) => `
const { monitorEventLoopDelay } = require("node:perf_hooks");
const { createServer } = require("node:http");
const { writeFileSync, renameSync } = require("node:fs");
exports.run = () => new Promise((resolve) => {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const server = createServer((request, response) => {
    response.end(JSON.stringify({ max: delays.max / 1e6, p99: delays.percentile(99) / 1e6 }));
    delays.reset();
    if (request.url === "/end") { server.close(); resolve(); }
  });
  server.listen(0, "127.0.0.1", () => {
    writeFileSync(${JSON.stringify(portFile)} + ".new", String(server.address().port));
    renameSync(${JSON.stringify(portFile)} + ".new", ${JSON.stringify(portFile)});
  });
});
`;

/** Writes the module into a folder: the path for `testsPath`, and the file that will hold the probe's port. */
export function writeProbe(folder: string): { readonly testsPath: string; readonly portFile: string } {
  const testsPath = join(folder, "probe.cjs");
  const portFile = join(folder, "probe-port");
  writeFileSync(testsPath, source(portFile));
  return { testsPath, portFile };
}

/** Asks the probe, which then begins anew. */
export async function askProbe(port: number): Promise<LoopDelay> {
  return (await fetch(`http://127.0.0.1:${port}/`)).json();
}
