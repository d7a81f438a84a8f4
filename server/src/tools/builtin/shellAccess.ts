/**
 * Tells which commands only read, so that the scheduler may run them side by side. The table is data.
 *
 * Not here: permission. A command that only reads is still asked about; nothing here may ever be used to allow one.
 * Easily got wrong: a wrong "only reads" lets a command run beside an edit, so whatever is not certain is "anything".
 */
import { parse } from "shell-quote";
import { fullAccess } from "../access.ts";
import type { Access } from "../tool.ts";

/** When a command only reads. */
interface ReadOnly {
  /** Options with which it does more. */
  readonly never?: readonly string[];
  /** Options of which it needs one. */
  readonly needs?: readonly string[];
  /** Arguments that are not options at most. */
  readonly maxOperands?: number;
  /** The first argument that is not an option must match. */
  readonly first?: RegExp;
  /** The first argument chooses what it does; without an entry it is not known to only read. */
  readonly subcommands?: { readonly [name: string]: ReadOnly };
}

const always: ReadOnly = {};

/** Commands that change nothing. */
const pure: { readonly [command: string]: ReadOnly } = {
  basename: always,
  cat: always,
  cd: always,
  cmp: always,
  comm: always,
  cut: always,
  date: { never: ["-s", "--set"] },
  df: always,
  diff: always,
  dirname: always,
  du: always,
  echo: always,
  egrep: always,
  false: always,
  fgrep: always,
  file: { never: ["-C", "--compile"] },
  find: { never: ["-delete", "-exec", "-ok", "-fprint", "-fls"] },
  git: {
    subcommands: {
      blame: always,
      describe: always,
      diff: { never: ["--output", "--ext-diff"] },
      grep: { never: ["-O", "--open-files-in-pager"] },
      log: { never: ["--output", "--ext-diff"] },
      "ls-files": always,
      "ls-tree": always,
      "rev-parse": always,
      shortlog: always,
      show: { never: ["--output", "--ext-diff"] },
      status: always,
    },
  },
  grep: always,
  head: always,
  jq: always,
  ls: always,
  md5sum: always,
  nl: always,
  printf: always,
  pwd: always,
  readlink: always,
  realpath: always,
  rg: { never: ["--pre"] },
  sed: {
    needs: ["-n"],
    never: ["-i", "--in-place", "-f", "--file", "-e", "--expression", "-s"],
    first: /^\d+(,(\d+|\$))?p$/,
  },
  sha1sum: always,
  sha256sum: always,
  sleep: always,
  sort: { never: ["-o", "--output", "--compress-program"] },
  stat: always,
  tail: always,
  test: always,
  tr: always,
  tree: { never: ["-o"] },
  true: always,
  uname: always,
  uniq: { maxOperands: 1 },
  wc: always,
  which: always,
  whoami: always,
};

const testFlags = ["-u", "--update", "--updateSnapshot", "--coverage", "--outputFile", "--watch"];

/** Test runners, linters and type checkers: they may write caches of their own, and nothing that a call would read. */
const checking: { readonly [command: string]: ReadOnly } = {
  biome: {
    subcommands: {
      check: { never: ["--write", "--fix", "--apply", "--apply-unsafe"] },
      ci: always,
      lint: { never: ["--write", "--fix", "--apply", "--apply-unsafe"] },
    },
  },
  cargo: { subcommands: { check: always, clippy: { never: ["--fix"] }, test: always } },
  eslint: { never: ["--fix", "-o", "--output-file", "--init"] },
  flake8: { never: ["--output-file"] },
  go: { subcommands: { test: { never: ["-c", "-o", "-coverprofile", "-update"] }, vet: always } },
  jest: { never: testFlags },
  mocha: { never: ["-O", "--reporter-option", "--watch"] },
  mypy: always,
  node: { needs: ["--test"], never: ["--test-update-snapshots", "--test-reporter-destination", "-e", "--eval", "-p"] },
  npm: { subcommands: { run: { first: /^(test|typecheck)$/ }, t: always, test: always } },
  pnpm: { subcommands: { run: { first: /^(test|typecheck)$/ }, t: always, test: always } },
  prettier: { needs: ["--check", "-c", "-l", "--list-different"], never: ["--write", "-w"] },
  pytest: { never: ["--snapshot-update", "--junitxml", "--junit-xml", "--cov"] },
  ruff: { subcommands: { check: { never: ["--fix", "--fix-only", "--unsafe-fixes", "-o", "--output-file"] } } },
  tsc: { needs: ["--noEmit"], never: ["--watch", "-w", "--init", "--generateTrace", "--generateCpuProfile"] },
  vitest: { never: testFlags },
  yarn: { subcommands: { test: always } },
};

const runners = new Set(["npx", "pnpx", "bunx"]);
const separators = new Set(["|", "|&", "&&", "||", ";"]);

/** What a command touches: it reads anything, and writes anything too unless it is known not to. */
export function shellAccess(command: string): Access {
  return onlyReads(command) ? { reads: ["*"], writes: [] } : fullAccess;
}

/** True when every part of the command is in the tables and nothing is redirected into a file. */
export function onlyReads(command: string): boolean {
  // What runs other commands or spans lines is beyond the parser, also inside quotes: then it is not certain.
  if (/[\n\r`]|[$<>]\(|\$[{'"]|<</.test(command)) return false;
  const words = wordsOf(command);
  if (words === undefined) return false;
  return words.length > 0 && words.every(isKnown);
}

/** The words of each simple command; `undefined` when there is an operator or a redirection that may write. */
function wordsOf(command: string): string[][] | undefined {
  const commands: string[][] = [[]];
  const tokens = parse(command, (name) => `$${name}`);
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    const current = commands.at(-1);
    if (token === undefined || current === undefined) return undefined;
    if (typeof token === "string") current.push(token);
    else if ("comment" in token) continue;
    else if (!("op" in token)) return undefined;
    else if (token.op === "glob") current.push(token.pattern);
    else if (separators.has(token.op)) commands.push([]);
    else {
      if (!isHarmlessRedirection(token.op, tokens[at + 1])) return undefined;
      // `2>&1`: the parser gives the descriptor as a word of its own.
      if (/^\d$/.test(current.at(-1) ?? "")) current.pop();
      at += 1;
    }
  }
  if (commands.at(-1)?.length === 0) commands.pop();
  return commands;
}

function isHarmlessRedirection(op: string, target: unknown): boolean {
  if (typeof target !== "string") return false;
  if (op === "<") return true;
  if (op === ">&") return /^[12]$/.test(target);
  return (op === ">" || op === ">>") && target === "/dev/null";
}

function isKnown(words: readonly string[]): boolean {
  const rest = words.slice(words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word)));
  const [first, ...args] = rest;
  if (first === undefined) return false;
  const [name, ...own] = runners.has(first) ? args : rest;
  if (name === undefined) return false;
  const rule = Object.hasOwn(checking, name)
    ? checking[name]
    : !runners.has(first) && Object.hasOwn(pure, name)
      ? pure[name]
      : undefined;
  return rule !== undefined && isWithin(rule, own);
}

function isWithin(rule: ReadOnly, args: readonly string[]): boolean {
  if (rule.subcommands) {
    const [name, ...rest] = args;
    const sub = name !== undefined && Object.hasOwn(rule.subcommands, name) ? rule.subcommands[name] : undefined;
    return sub !== undefined && isWithin(sub, rest);
  }
  const operands = args.filter((arg) => !arg.startsWith("-"));
  if (rule.never?.some((flag) => args.some((arg) => isFlag(arg, flag)))) return false;
  if (rule.needs && !rule.needs.some((flag) => args.includes(flag))) return false;
  if (rule.first && !rule.first.test(operands[0] ?? "")) return false;
  return operands.length <= (rule.maxOperands ?? Number.POSITIVE_INFINITY);
}

/** `-o` also within `-no`, `--fix` also as `--fix=x`, and `-exec` also as `-execdir`. */
function isFlag(arg: string, flag: string): boolean {
  if (flag.startsWith("--")) return arg === flag || arg.startsWith(`${flag}=`);
  if (flag.length === 2) return /^-[^-]/.test(arg) && arg.includes(flag.slice(1));
  return arg.startsWith(flag);
}
