/**
 * Configuration files as text: the settings that a YAML file gives, and what is wrong in it, by line and column.
 *
 * Not here: where the files are and who wins (`main/configFiles.ts`), what settings there are (`config.ts`). Easily got
 * wrong: a file with an error gives no settings at all, because half of what somebody wrote may mean something else; an
 * unknown key is only a warning, so that one file can serve several versions.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit, type YAMLMap } from "yaml";
import { checkSetting, type Environment, findSetting, type SettingSpec, settings } from "./config.ts";
import type { Json } from "./protocol/types.ts";

/** Whose file it is: what comes with a project may set less, because whoever cloned it did not write it. */
export type ConfigOwner = "workspace" | "user";

/** A place in a text, as LSP counts: from 0, characters in UTF-16. */
export interface Place {
  readonly line: number;
  readonly character: number;
}

/** Something wrong in a file. */
export interface ConfigProblem {
  readonly severity: "error" | "warning";
  /** What is wrong and what would be right, as a sentence. */
  readonly message: string;
  readonly from: Place;
  readonly to: Place;
}

/** What a file gives. */
export interface ParsedConfig {
  /** Checked values by the names of settings; `undefined` when the file has an error. */
  readonly values: ReadonlyMap<string, Json> | undefined;
  /** In the order of the text. */
  readonly problems: readonly ConfigProblem[];
}

/** Characters of a configuration file; a larger one is refused as a whole. */
export const maxConfigLength = 256 * 1024;

/** Reads a file's text. `environment` fills in `${NAME}` in a user's own file. */
export function parseConfigFile(text: string, owner: ConfigOwner, environment: Environment): ParsedConfig {
  const start = { line: 0, character: 0 };
  if (text.length > maxConfigLength) {
    const message = `The file is longer than ${maxConfigLength / 1024} KB, which no configuration needs, so it is not read.`;
    return { values: undefined, problems: [{ severity: "error", message, from: start, to: start }] };
  }
  return new FileReader(text, owner, environment).read();
}

class FileReader {
  readonly #text: string;
  readonly #owner: ConfigOwner;
  readonly #environment: Environment;
  readonly #lines = new LineCounter();
  readonly #problems: (ConfigProblem & { readonly at: number })[] = [];
  readonly #values = new Map<string, Json>();

  constructor(text: string, owner: ConfigOwner, environment: Environment) {
    this.#text = text;
    this.#owner = owner;
    this.#environment = environment;
  }

  read(): ParsedConfig {
    const document = parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false });
    for (const { message, pos } of [...document.errors, ...document.warnings]) this.#tell("error", message, pos);
    visit(document, {
      Alias: (_, { range }) => this.#tell("error", "Aliases (`*name`) are not understood here.", range),
    });
    const { contents } = document;
    if (isMap(contents)) this.#readMap(contents, "");
    else if (contents !== null && !(isScalar(contents) && contents.value === null)) {
      this.#tell("error", "The file must hold settings: `name: value` lines.", contents.range);
    }
    const problems = this.#problems.toSorted((a, b) => a.at - b.at).map(({ at: _, ...problem }) => problem);
    return { values: problems.some(({ severity }) => severity === "error") ? undefined : this.#values, problems };
  }

  #readMap(map: YAMLMap, prefix: string): void {
    for (const { key, value } of map.items) {
      if (!isScalar(key) || typeof key.value !== "string") {
        this.#tell("error", "A setting's name must be a plain word.", rangeOf(key));
        continue;
      }
      const name = prefix ? `${prefix}.${key.value}` : key.value;
      const spec = findSetting(name);
      const node = value as Node | null;
      if (spec) this.#readValue(name, spec, node, key.range);
      else if (!isGroup(name)) this.#tell("warning", unknownName(name), key.range);
      else if (isMap(node)) this.#readMap(node, name);
      else if (node !== null && !(isScalar(node) && node.value === null)) {
        this.#tell("error", `${name} is a group of settings: ${namesBelow(name).join(", ")}.`, node.range);
      }
    }
  }

  #readValue(name: string, spec: SettingSpec, node: Node | null, keyRange: Range): void {
    if (spec.scope === "user" && this.#owner === "workspace") {
      const why =
        "because it would also hold for whoever opens this folder. Set it in your own settings or your own file.";
      this.#tell("error", `${name} cannot be set in a workspace's file, ${why}`, keyRange);
      return;
    }
    // A key without a value is one that somebody is about to write, or has commented out.
    if (node === null || isAlias(node) || (isScalar(node) && node.value === null)) return;
    const value = this.#filled(node);
    if (value === undefined) return;
    const checked = checkSetting(spec, value);
    if (checked.ok) this.#values.set(name, checked.value);
    else this.#tell("error", `${name} must be ${checked.expected}; it is ${JSON.stringify(value)}.`, node.range);
  }

  /** The value with its variables filled in; `undefined` when one is missing, which has then been told. */
  #filled(node: Node): Json | undefined {
    if (isSeq(node)) {
      const items = node.items.map((item) => this.#filled(item as Node));
      return items.every((item) => item !== undefined) ? items : undefined;
    }
    if (!isScalar(node) || typeof node.value !== "string") return node.toJSON() as Json;
    let missing = false;
    const text = node.value.replaceAll(/\$\{([^}]*)\}/g, (whole, variable: string) => {
      const value = this.#owner === "user" ? this.#environment[variable] : undefined;
      if (value !== undefined) return value;
      missing = true;
      const why =
        this.#owner === "workspace"
          ? `${whole} is not filled in in a workspace's file: whoever wrote it could learn what your environment holds.`
          : `The environment has no variable ${variable || "without a name"}.`;
      this.#tell("error", why, node.range);
      return "";
    });
    return missing ? undefined : text;
  }

  #tell(severity: ConfigProblem["severity"], message: string, range: Range): void {
    const [at, to] = range ?? [0, 0];
    this.#problems.push({ severity, message, at, from: this.#place(at), to: this.#place(to) });
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(0, line - 1), character: Math.max(0, col - 1) };
  }
}

type Range = readonly [from: number, to: number, ...rest: readonly number[]] | null | undefined;

function rangeOf(key: unknown): Range {
  return (key as { readonly range?: Range } | null)?.range;
}

function isGroup(name: string): boolean {
  return namesBelow(name).length > 0;
}

function namesBelow(group: string): readonly string[] {
  return Object.keys(settings).filter((name) => name.startsWith(`${group}.`));
}

function unknownName(name: string): string {
  const last = name.split(".").at(-1)?.toLowerCase();
  const alike = Object.keys(settings).filter((known) => known.toLowerCase().split(".").at(-1) === last);
  const hint = alike.length > 0 ? ` Did you mean ${alike.join(" or ")}?` : "";
  return `This version of Hermes has no setting ${name}, so it has no effect.${hint}`;
}
