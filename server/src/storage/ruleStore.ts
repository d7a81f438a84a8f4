/**
 * The permission rules that the user has answered "always" to, by workspace folder, in one small JSON file.
 *
 * Not here: what rules mean. Easily got wrong: the file lies in the user's home and not in the workspace, so that a
 * cloned project cannot bring permissions with it; a malformed file is kept aside, never overwritten.
 */
import { mkdir, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { Serial } from "../base/async.ts";
import { errorCode } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { storageError, writeFileDurably } from "./durableFile.ts";

/** Rules of one workspace folder, as their text. */
export interface RuleStore {
  /** Rules known so far; empty until `load` has resolved. */
  rules(): readonly string[];
  load(): Promise<void>;
  /** Resolves once the rule would survive the end of the process. */
  add(rule: string): Promise<void>;
}

type RuleFile = { readonly [folder: string]: readonly string[] };

/** Makes the store of `folder`'s rules in the file `path`. */
export function createRuleStore(path: string, folder: string): RuleStore {
  let known: readonly string[] = [];
  const adding = new Serial();
  return {
    rules: () => known,
    load: async () => {
      known = (await readRules(path))[folder] ?? [];
    },
    // One after another, or of two rules that are added at once the second would write over the first.
    add: (rule) =>
      adding.run(async () => {
        const all = await readRules(path);
        known = [...new Set([...(all[folder] ?? []), rule])];
        try {
          await mkdir(dirname(path), { recursive: true, mode: 0o700 });
          await writeFileDurably(path, `${JSON.stringify({ ...all, [folder]: known }, null, 2)}\n`);
        } catch (error) {
          throw storageError("Could not store the permission rule", path, error);
        }
      }),
  };
}

async function readRules(path: string): Promise<RuleFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return {};
    throw storageError("Could not read the permission rules", path, error);
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (isRuleFile(parsed)) return parsed;
  } catch {
    // Told below, together with JSON of the wrong shape.
  }
  const aside = `${path}.malformed`;
  await rename(path, aside);
  log(
    "warn",
    `The stored permission rules could not be read; the file was kept as ${aside}. Approvals will ask again.`,
  );
  return {};
}

function isRuleFile(value: unknown): value is RuleFile {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((rules) => Array.isArray(rules) && rules.every((rule) => typeof rule === "string"))
  );
}
