/**
 * Which git commands throw away work that is not committed, or what git itself keeps. The table is data where it can be.
 *
 * Not here: other commands and scripts (`destructive.ts`). Easily got wrong: `git checkout x` can mean a branch, which
 * git refuses to lose work for, or a file, which it overwrites without a word; only what looks like a file is named.
 */
import { join } from "node:path/posix";
import type { Damage } from "./damage.ts";

type Rule = (args: readonly string[]) => Omit<Damage, "name"> | undefined;

/** Every tracked file: their bytes are kept or in git whatever a command names. */
const everything = { targets: [] } as const;

const rules: { readonly [subcommand: string]: Rule } = {
  reset: (args) =>
    has(args, "--hard", "--merge", "--keep")
      ? { effect: "discards changes to tracked files", ...everything, gitState: true }
      : undefined,
  checkout: (args) => {
    const effect = "overwrites files with another version";
    const split = args.indexOf("--");
    if (split !== -1) return { effect, targets: args.slice(split + 1) };
    if (has(args, "-f", "--force")) return { effect, ...everything };
    if (has(args, "-b", "-B", "--orphan", "--detach", "-t", "--track")) return undefined;
    const operands = args.filter((arg) => !arg.startsWith("-"));
    const paths = operands.filter((arg, at) => at > 0 || looksLikeFile(arg));
    return paths.length > 0 ? { effect, targets: paths } : undefined;
  },
  switch: (args) =>
    has(args, "-f", "--force", "--discard-changes")
      ? { effect: "discards changes to tracked files", ...everything }
      : undefined,
  clean: (args) => {
    if (args.some((arg) => /^-[a-zA-Z]*n/.test(arg)) || has(args, "--dry-run")) return undefined;
    const ignored = args.some((arg) => /^-[a-zA-Z]*[xX]/.test(arg));
    return { effect: "deletes files that git does not track", ...everything, ignored };
  },
  restore: (args) => {
    const staged = args.some((arg) => /^(-S|--staged)$/.test(arg));
    const worktree = args.some((arg) => /^(-W|--worktree)$/.test(arg));
    if (staged && !worktree) return { effect: "changes what is staged", targets: [], gitState: true };
    const targets = args.filter((arg) => !arg.startsWith("-"));
    return { effect: "overwrites files with another version", targets, gitState: staged };
  },
  stash: (args) => {
    const [first = "push"] = args.filter((arg) => !arg.startsWith("-"));
    if (first === "drop" || first === "clear") return { effect: "deletes stashed work", targets: [], gitState: true };
    if (["list", "show", "apply", "branch", "create", "store"].includes(first)) return undefined;
    if (first === "pop")
      return { effect: "merges stashed work and drops it from the stash", ...everything, gitState: true };
    const ignored = has(args, "-a", "--all");
    return { effect: "moves changes away", ...everything, ignored, gitState: true };
  },
  rm: (args) =>
    has(args, "--cached", "-n", "--dry-run")
      ? undefined
      : { effect: "deletes files", targets: args.filter((arg) => !arg.startsWith("-")) },
  mv: (args) =>
    has(args, "-f", "--force")
      ? { effect: "overwrites what is at its destination", targets: args.filter((arg) => !arg.startsWith("-")) }
      : undefined,
  branch: (args) => (has(args, "-D") ? history("deletes a branch") : undefined),
  reflog: (args) => (has(args, "expire", "delete") ? history("forgets former commits") : undefined),
  gc: (args) => (args.some((arg) => arg.startsWith("--prune")) ? history("deletes unreachable commits") : undefined),
  "update-ref": (args) => (has(args, "-d") ? history("deletes a reference") : undefined),
  "filter-branch": () => history("rewrites commits"),
  worktree: (args) => (has(args, "remove") ? history("deletes a working tree") : undefined),
};

/** Options of git itself that take a value. */
const valued = new Set(["-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"]);

/** What `git ARGS` destroys, if that is known. */
export function gitDamage(args: readonly string[]): Damage | undefined {
  let folder = ".";
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "-C") folder = args[at + 1] ?? ".";
    if (valued.has(arg)) at += 1;
    else if (!arg.startsWith("-")) break;
  }
  const [name, ...rest] = args.slice(at);
  const damage = name !== undefined && Object.hasOwn(rules, name) ? rules[name]?.(rest) : undefined;
  if (name === undefined || !damage) return undefined;
  const flags = rest.filter((arg) => arg.startsWith("-"));
  const targets = damage.targets.map((path) => (path.startsWith("/") ? path : join(folder, path)));
  return { name: ["git", name, ...flags].join(" "), ...damage, targets };
}

function has(args: readonly string[], ...flags: readonly string[]): boolean {
  return args.some((arg) => flags.includes(arg));
}

function history(effect: string): Omit<Damage, "name"> {
  return { effect, targets: [], gitState: true };
}

function looksLikeFile(word: string): boolean {
  return word === "." || /(^\.{1,2}\/|\/$|^:|[*?])/.test(word) || /\.[a-z0-9]{1,8}$/i.test(word);
}
