/**
 * The environment that an editor under the rig runs in.
 *
 * Not here: what the tests add to it. Easily got wrong: npm's own variables must not leak into the terminals and
 * commands that the agent runs, where they would change what a plain `npm test` does.
 */
import path from "node:path";
import { projectNode } from "./bootstrap.mjs";

/** A copy of `env` without what npm and an outer VS Code put there, and with the project's Node 24 first on PATH. */
export function hostEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) =>
      !/^(npm_(lifecycle|package|command|execpath|node_execpath|config_(loglevel|omit|local_prefix|noproxy|user_agent))|VSCODE_|ELECTRON_|INIT_CWD$|NODE_CHANNEL_|NODE_UNIQUE_ID$)/i.test(
        name,
      ),
  );
  const result: NodeJS.ProcessEnv = Object.fromEntries(kept);
  const pathName = Object.keys(result).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
  const folders = (result[pathName] ?? "")
    .split(path.delimiter)
    .filter((folder) => !/[\\/]node_modules[\\/]|node-gyp-bin/.test(folder));
  result[pathName] = [path.dirname(projectNode), ...folders].join(path.delimiter);
  return result;
}
