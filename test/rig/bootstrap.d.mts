/**
 * Types of `bootstrap.mjs`, which is JavaScript because it runs before anything is installed.
 *
 * Not here: behaviour. Easily got wrong: a change of a signature there must be made here too.
 */

/** The folder of the project. */
export const root: string;
/** Where the project's Node 24 lies once the root packages are installed. */
export const projectNode: string;
/** True when every package that `folder`'s lockfile wants on this platform is installed in the wanted version. */
export function isInstalled(folder: string): boolean;
/** Runs `npm` in `folder`; throws an `Error` holding the end of its output when it fails. */
export function npm(folder: string, args: readonly string[], detail?: (text: string) => void): Promise<void>;
/** Installs the root packages when needed, with a progress line; afterwards `projectNode` exists. */
export function installProject(): Promise<void>;
/** Runs a module with the project's Node 24 in the foreground and resolves to its exit code; passes signals on. */
export function runModule(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<number>;
