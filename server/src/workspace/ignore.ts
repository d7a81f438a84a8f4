/**
 * What the agent does not see: `.gitignore` and `.hermesignore` files at every level, `.git/info/exclude`, the editor's
 * exclude settings, and `.git` itself.
 *
 * An adapter's part: it reads the ignore files. Not here: asking for what is hidden (permission). Easily got wrong: a
 * folder that is ignored hides everything below it, whatever deeper files say, as in git.
 */
import { access, readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import createIgnore, { type Ignore } from "ignore";

/** Answers whether a path is hidden. Remembers ignore files until they change. */
export interface IgnoreRules {
  /** `path` is relative to the root with `/`. A path outside the root is never ignored. */
  readonly ignores: (path: string, kind: "file" | "folder") => Promise<boolean>;
  /** The same rules, looking at each ignore file only once: for one operation over many paths. */
  readonly snapshot: () => Pick<IgnoreRules, "ignores">;
}

/** Ignore files larger than this (bytes) are not read: no hand writes them. */
const maxIgnoreFileBytes = 1024 * 1024;
/** How many folders' rules are remembered before all are forgotten. */
const maxRememberedFolders = 5_000;
/** An exclude setting with more alternatives in braces than this is taken literally. */
const maxAlternatives = 100;

/** The rules of the files with these names in a folder. */
type RulesOf = (folder: string, names: readonly string[]) => Promise<Ignore | undefined>;

interface FolderRules {
  readonly stamp: string;
  readonly rules: Ignore | undefined;
}

/**
 * Makes the rules of one workspace. `excludes` gives globs in VS Code's sense, relative to the root unless `**` leads; it
 * is asked each time, so that changed settings hold at once.
 */
export function createIgnoreRules(root: string, excludes: () => readonly string[]): IgnoreRules {
  let settings = { key: "", rules: createIgnore().add(".git") };
  const settingsNow = (): Ignore => {
    const globs = excludes();
    const key = globs.join("\n");
    if (key !== settings.key) {
      settings = { key, rules: createIgnore().add([".git", ...globs.flatMap(excludeToIgnorePatterns)]) };
    }
    return settings.rules;
  };
  const remembered = new Map<string, FolderRules>();
  let repository: Promise<string> | undefined;

  const freshRules: RulesOf = async (folder, names) => {
    const files = names.map((name) => join(folder, name));
    const stamps = await Promise.all(files.map(stampOf));
    const stamp = stamps.join();
    const known = remembered.get(folder);
    if (known?.stamp === stamp) return known.rules;
    const texts = await Promise.all(files.map((file, i) => (stamps[i] ? readFile(file, "utf8").catch(() => "") : "")));
    const rules = texts.some((text) => text !== "") ? createIgnore().add(texts.join("\n").split(/\r?\n/)) : undefined;
    if (remembered.size >= maxRememberedFolders) remembered.clear();
    remembered.set(folder, { stamp, rules });
    return rules;
  };

  async function gitIgnores(path: string, kind: "file" | "folder", rulesOf: RulesOf): Promise<boolean> {
    repository ??= findRepository(root);
    const top = await repository;
    const steps = toSlashes(relative(top, join(root, path))).split("/");
    const levels: { readonly depth: number; readonly rules: Ignore }[] = [];
    const exclude = await rulesOf(join(top, ".git", "info"), ["exclude"]);
    if (exclude) levels.push({ depth: 0, rules: exclude });
    for (let depth = 0; depth < steps.length; depth += 1) {
      const folder = join(top, ...steps.slice(0, depth));
      const rules = await rulesOf(folder, [".gitignore", ".hermesignore"]);
      if (rules) levels.push({ depth, rules });
      const isFolder = depth < steps.length - 1 || kind === "folder";
      if (isHidden(levels, steps.slice(0, depth + 1), isFolder)) return true;
    }
    return false;
  }

  const ignoresBy = (rulesOf: RulesOf) => async (path: string, kind: "file" | "folder") => {
    if (path === "" || path === "." || path === ".." || path.startsWith("../") || isAbsolute(path)) return false;
    return settingsNow().ignores(kind === "folder" ? `${path}/` : path) || gitIgnores(path, kind, rulesOf);
  };

  return {
    ignores: ignoresBy(freshRules),
    snapshot: () => {
      const seen = new Map<string, Promise<Ignore | undefined>>();
      return {
        ignores: ignoresBy((folder, names) => {
          const rules = seen.get(folder) ?? freshRules(folder, names);
          seen.set(folder, rules);
          return rules;
        }),
      };
    },
  };
}

/** The last level that says anything about the path decides. */
function isHidden(
  levels: readonly { readonly depth: number; readonly rules: Ignore }[],
  steps: readonly string[],
  isFolder: boolean,
): boolean {
  let hidden = false;
  for (const { depth, rules } of levels) {
    const path = steps.slice(depth).join("/") + (isFolder ? "/" : "");
    const { ignored, unignored } = rules.test(path);
    if (ignored) hidden = true;
    else if (unignored) hidden = false;
  }
  return hidden;
}

/** Git's top folder, when the root is inside one: its ignore files count as well. */
async function findRepository(root: string): Promise<string> {
  for (let folder = root; ; folder = dirname(folder)) {
    const found = await access(join(folder, ".git")).then(
      () => true,
      () => false,
    );
    if (found) return folder;
    if (dirname(folder) === folder) return root;
  }
}

async function stampOf(file: string): Promise<string> {
  try {
    const stats = await stat(file);
    return stats.isFile() && stats.size <= maxIgnoreFileBytes ? `${stats.mtimeMs}:${stats.size}:${stats.ino}` : "";
  } catch {
    return "";
  }
}

function toSlashes(path: string): string {
  return sep === "/" ? path : path.replaceAll(sep, "/");
}

/** True when a search limited to `glob` (as ripgrep's `--glob`, `!` for all but) would look into the file. */
export function matchesGlob(glob: string, path: string): boolean {
  const negated = glob.startsWith("!");
  return (
    createIgnore()
      .add(expandBraces(negated ? glob.slice(1) : glob))
      .ignores(path) !== negated
  );
}

/** Writes an exclude setting (`**\/dist`, `out`, `{a,b}/c`) as patterns of an ignore file. */
export function excludeToIgnorePatterns(glob: string): string[] {
  return expandBraces(glob).map((pattern) => (/^(\/|\*\*\/)/.test(pattern) ? pattern : `/${pattern}`));
}

function expandBraces(glob: string): string[] {
  const results = [glob];
  for (let i = 0; i < results.length && results.length <= maxAlternatives; ) {
    const braces = /\{([^{}]*)\}/.exec(results[i] ?? "");
    if (!braces) {
      i += 1;
      continue;
    }
    const [whole, inner = ""] = braces;
    const pattern = results[i] ?? "";
    const before = pattern.slice(0, braces.index);
    const after = pattern.slice(braces.index + whole.length);
    results.splice(i, 1, ...inner.split(",").map((part) => before + part + after));
  }
  return results.length <= maxAlternatives ? [...new Set(results)] : [glob];
}
