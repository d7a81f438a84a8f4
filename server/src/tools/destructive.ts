/**
 * Names what a command may destroy, so that the approval can say so. Pure: scripts are given to it as text.
 *
 * Not here: permission, and what is kept to bring files back (`workspace/changeScan.ts` does that for any command that may
 * write). Easily got wrong: this only warns. What it does not know (`python -c`, a binary) it says nothing about, so
 * nothing may be allowed, or left unkept, because it found nothing.
 */
import { join } from "node:path/posix";
import { parseCommands, type SimpleCommand, stripWrappers } from "./commandWords.ts";
import type { Damage } from "./damage.ts";
import { gitDamage } from "./destructiveGit.ts";

/** What was found, and the scripts that could not be looked into without their text. */
export interface Inspection {
  readonly damages: readonly Damage[];
  /** Paths of files, relative to the root, to be given as `texts`; `package.json` for scripts of npm and its like. */
  readonly scripts: readonly string[];
}

/** How deep scripts may call scripts. */
const maxDepth = 6;
/** Simple commands looked at in all. */
const maxCommands = 2_000;

interface Walk {
  readonly texts: ReadonlyMap<string, string>;
  readonly damages: Damage[];
  readonly scripts: Set<string>;
  readonly open: Set<string>;
  commands: number;
}

/** Looks for what a command may destroy. `texts` holds scripts by the paths that an earlier inspection asked for. */
export function inspectCommand(command: string, texts: ReadonlyMap<string, string>): Inspection {
  const walk: Walk = { texts, damages: [], scripts: new Set(), open: new Set(), commands: 0 };
  inspect(command, "", 0, walk);
  const seen = new Map(walk.damages.map((damage) => [JSON.stringify(damage), damage]));
  return { damages: [...seen.values()], scripts: [...walk.scripts] };
}

function inspect(text: string, folder: string, depth: number, walk: Walk): void {
  if (depth > maxDepth) return;
  let cwd = folder;
  const outer: string[] = [];
  for (const part of parseCommands(text)) {
    if (part === "(") outer.push(cwd);
    else if (part === ")") cwd = outer.pop() ?? cwd;
    else {
      walk.commands += 1;
      if (walk.commands > maxCommands) return;
      cwd = inspectOne(part, cwd, depth, walk);
    }
  }
}

/** The folder that the next command runs in. */
function inspectOne({ words, overwritten, nested }: SimpleCommand, cwd: string, depth: number, walk: Walk): string {
  const at = (path: string) => inFolder(cwd, path);
  for (const inner of nested) inspect(inner, cwd, depth + 1, walk);
  const files = overwritten.filter((path) => !path.startsWith("/dev/"));
  if (files.length > 0) {
    walk.damages.push({ name: ">", effect: "overwrites a file", targets: files.map(at), ifPresent: true });
  }
  const { name, args, piped } = stripWrappers(words);
  if (name === undefined) return cwd;
  if (name === "cd" || name === "pushd") return at(args.find((arg) => !arg.startsWith("-")) ?? "~");
  inspectScripts(name, args, cwd, depth, walk);
  if (name === "find" || name === "fd") inspectFind(name, args, cwd, depth, walk);
  const damage = name === "git" ? gitDamage(args) : Object.hasOwn(rules, name) ? rules[name]?.(args) : undefined;
  if (!damage) return cwd;
  const targets = damage.targets.map(at);
  walk.damages.push({ ...damage, targets, ...(piped ? { anything: true, ifPresent: false } : {}) });
  return cwd;
}

function inFolder(folder: string, path: string): string {
  if (path.startsWith("/") || path.startsWith("~")) return path;
  return join(folder === "" ? "." : folder, path);
}

const shells = new Set(["sh", "bash", "zsh", "dash", "ksh", "source", ".", "eval"]);
const runners = new Set(["npm", "pnpm", "yarn", "bun"]);

function inspectScripts(name: string, args: readonly string[], cwd: string, depth: number, walk: Walk): void {
  if (name === "eval") {
    inspect(args.join(" "), cwd, depth + 1, walk);
    return;
  }
  if (shells.has(name)) {
    const flag = args.findIndex((arg) => /^-[a-z]*c[a-z]*$/.test(arg));
    if (flag !== -1) {
      inspect(args[flag + 1] ?? "", cwd, depth + 1, walk);
      return;
    }
  }
  if (runners.has(name)) {
    inspectPackageScript(args, cwd, depth, walk);
    return;
  }
  const script = shells.has(name) ? args.find((arg) => !/^[-+]/.test(arg)) : name.includes("/") ? name : undefined;
  if (script === undefined) return;
  readScript(inFolder(cwd, script), walk, (text) => {
    const first = text.slice(0, 200).split("\n", 1)[0] ?? "";
    // A file that is run by its path may be anything; one that is given to a shell is a script of it.
    if (shells.has(name) || !first.startsWith("#!") || /\b(ba|z|da|k)?sh\b/.test(first)) {
      inspect(text, cwd, depth + 1, walk);
    }
  });
}

/** `npm run x`, `npm test`, `yarn x`: the body in `package.json`, with what npm runs before and after it. */
function inspectPackageScript(args: readonly string[], cwd: string, depth: number, walk: Walk): void {
  const [first, second] = args.filter((arg) => !arg.startsWith("-"));
  const script = first === "run" || first === "run-script" ? second : first === "t" ? "test" : first;
  if (script === undefined) return;
  readScript(
    inFolder(cwd, "package.json"),
    walk,
    (text) => {
      for (const name of [`pre${script}`, script, `post${script}`]) {
        const body = scriptOf(text, name);
        if (body !== undefined) inspect(body, cwd, depth + 1, walk);
      }
    },
    script,
  );
}

function readScript(path: string, walk: Walk, use: (text: string) => void, part = ""): void {
  const key = `${path}\0${part}`;
  const text = walk.texts.get(path);
  if (text === undefined) walk.scripts.add(path);
  // A script that calls itself has been looked at.
  if (text === undefined || walk.open.has(key)) return;
  walk.open.add(key);
  use(text);
  walk.open.delete(key);
}

function scriptOf(text: string, name: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || !("scripts" in parsed)) return undefined;
    const { scripts } = parsed;
    if (typeof scripts !== "object" || scripts === null || !Object.hasOwn(scripts, name)) return undefined;
    const body = Object.entries(scripts).find(([key]) => key === name)?.[1];
    return typeof body === "string" ? body : undefined;
  } catch {
    return undefined;
  }
}

/** `find … -delete` and what `find … -exec` runs: on what it finds below its first arguments. */
function inspectFind(name: string, args: readonly string[], cwd: string, depth: number, walk: Walk): void {
  const end = args.findIndex((arg) => /^[-(!]/.test(arg));
  const named = name === "find" ? args.slice(0, end === -1 ? args.length : end) : [];
  const roots = (named.length > 0 ? named : ["."]).map((path) => inFolder(cwd, path));
  if (args.includes("-delete")) {
    walk.damages.push({ name: "find -delete", effect: "deletes what it finds", targets: roots });
  }
  for (const [at, arg] of args.entries()) {
    if (!/^(-exec|-execdir|-ok|-okdir|-x|-X)$/.test(arg)) continue;
    const rest = args.slice(at + 1);
    const stop = rest.findIndex((word) => word === ";" || word === "+");
    const inner: Walk = { ...walk, damages: [] };
    inspectOne(
      { words: rest.slice(0, stop === -1 ? rest.length : stop), overwritten: [], nested: [] },
      cwd,
      depth,
      inner,
    );
    for (const damage of inner.damages) {
      walk.damages.push({ ...damage, name: `${name} ${arg} ${damage.name}`, targets: roots, ifPresent: false });
    }
  }
}

type Rule = (args: readonly string[]) => Damage | undefined;

/** What is not an option, nor the value of one of `valued`. */
function operandsOf(args: readonly string[], valued: readonly string[] = []): readonly string[] {
  const operands: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--") return [...operands, ...args.slice(at + 1)];
    if (valued.includes(arg)) at += 1;
    else if (!arg.startsWith("-") || arg === "-") operands.push(arg);
  }
  return operands;
}

const deletes =
  (name: string): Rule =>
  (args) => ({ name, effect: "deletes files", targets: operandsOf(args) });

/** The last operand is overwritten: a file, or in a folder the files with the names of the others. */
const overwritesLast =
  (name: string, valued: readonly string[]): Rule =>
  (args) => {
    const operands = operandsOf(args, valued);
    const folder = args.findIndex((arg) => arg === "-t" || arg === "--target-directory");
    const last = folder === -1 ? operands.at(-1) : args[folder + 1];
    const sources = folder === -1 ? operands.slice(0, -1) : operands;
    if (last === undefined || sources.length === 0 || args.includes("-n") || args.includes("--no-clobber"))
      return undefined;
    const inside = sources.map((source) => join(last, source.split("/").at(-1) ?? ""));
    return { name, effect: "overwrites what is at its destination", targets: [last, ...inside], ifPresent: true };
  };

const inPlace =
  (name: string, flag: RegExp, skip: number): Rule =>
  (args) => {
    if (!args.some((arg) => flag.test(arg))) return undefined;
    const scripted = args.some((arg) => /^(-e|-f|--expression|--file)/.test(arg));
    const operands = operandsOf(args, ["-e", "-f", "--expression", "--file"]);
    return { name, effect: "rewrites files in place", targets: operands.slice(scripted ? 0 : skip) };
  };

const optionNames = (name: string, options: readonly string[]): Rule => {
  return (args) => {
    const at = args.findIndex((arg) => options.includes(arg));
    const target = at === -1 ? undefined : args[at + 1];
    if (target === undefined) return undefined;
    return { name: `${name} ${args[at]}`, effect: "overwrites a file", targets: [target], ifPresent: true };
  };
};

const rules: { readonly [name: string]: Rule } = {
  rm: deletes("rm"),
  unlink: deletes("unlink"),
  del: deletes("del"),
  erase: deletes("erase"),
  rd: deletes("rd"),
  shred: (args) => ({
    name: "shred",
    effect: "overwrites files with noise",
    targets: operandsOf(args, ["-n", "-s", "--iterations", "--size"]),
  }),
  truncate: (args) => ({
    name: "truncate",
    effect: "cuts files",
    targets: operandsOf(args, ["-s", "--size", "-r", "--reference"]),
    ifPresent: true,
  }),
  mv: overwritesLast("mv", ["-S", "--suffix", "-t", "--target-directory"]),
  cp: overwritesLast("cp", ["-S", "--suffix", "-t", "--target-directory"]),
  install: overwritesLast("install", ["-m", "-o", "-g", "-t", "--mode", "--owner", "--group"]),
  ln: (args) =>
    args.some((arg) => /^(-[a-z]*f|--force)/.test(arg)) ? overwritesLast("ln -f", ["-S"])(args) : undefined,
  rsync: (args) => {
    const last = operandsOf(args).at(-1);
    return last === undefined || args.includes("-n") || args.includes("--dry-run")
      ? undefined
      : { name: "rsync", effect: "overwrites what is at its destination", targets: [last], ifPresent: true };
  },
  dd: (args) => {
    const target = args.find((arg) => arg.startsWith("of="))?.slice(3);
    if (target === undefined || target.startsWith("/dev/")) return undefined;
    return { name: "dd of=", effect: "overwrites a file", targets: [target], ifPresent: true };
  },
  tee: (args) =>
    args.some((arg) => /^(-[a-z]*a|--append$)/.test(arg))
      ? undefined
      : { name: "tee", effect: "overwrites files", targets: operandsOf(args), ifPresent: true },
  sed: inPlace("sed -i", /^(-[nErsuz]*i|--in-place)/, 1),
  perl: inPlace("perl -i", /^-[a-z0-9]*i/, 0),
  awk: (args) => (args.includes("inplace") ? inPlace("awk -i inplace", /^-i$/, 2)(args) : undefined),
  gawk: (args) => (args.includes("inplace") ? inPlace("gawk -i inplace", /^-i$/, 2)(args) : undefined),
  sort: optionNames("sort", ["-o", "--output"]),
  curl: optionNames("curl", ["-o", "--output"]),
  wget: optionNames("wget", ["-O", "--output-document"]),
};
