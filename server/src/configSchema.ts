/**
 * What a configuration file may hold, for people and for editors: its JSON Schema, and a template to begin with.
 *
 * Not here: checking a file (`configFile.ts`). Easily got wrong: both are made from the table of `config.ts`, so a new
 * setting is in them without more ado.
 */
import { findSetting, type SettingSpec, schemaOf, settings } from "./config.ts";
import type { ConfigOwner } from "./configFile.ts";
import type { Json } from "./protocol/types.ts";

interface Schema {
  readonly [key: string]: Json;
}

/** The JSON Schema of a configuration file: the settings as nested objects. */
export function configFileSchema(): Schema {
  return { $schema: "http://json-schema.org/draft-07/schema#", title: "Hermes", ...schemaBelow("") };
}

function schemaBelow(prefix: string): Schema {
  const names = Object.keys(settings).filter((name) => name.startsWith(prefix));
  const keys = [...new Set(names.map((name) => name.slice(prefix.length).split(".")[0] ?? ""))];
  const properties = keys.map((key) => {
    const spec = findSetting(prefix + key);
    return [
      key,
      spec ? { ...schemaOf(spec), description: spec.description } : schemaBelow(`${prefix}${key}.`),
    ] as const;
  });
  return { type: "object", properties: Object.fromEntries(properties), additionalProperties: false };
}

/** The text of a new file: every setting that its owner may set, commented out, with what it does and its default. */
export function configFileTemplate(owner: ConfigOwner): string {
  const lines = [
    owner === "workspace"
      ? "# Settings of Hermes for everybody who works in this folder. Your own settings in the editor count more."
      : "# Your own settings of Hermes, for every folder. A folder's file and your settings in the editor count more.",
    "# Take the # away from a line, and from the lines of its group, to set it.",
  ];
  let groups: readonly string[] = [];
  for (const [name, spec] of Object.entries<SettingSpec>(settings).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (spec.scope === "user" && owner === "workspace") continue;
    const path = name.split(".");
    const parents = path.slice(0, -1);
    const shared = parents.findIndex((group, at) => groups[at] !== group);
    const from = shared === -1 ? parents.length : shared;
    if (from === 0) lines.push("");
    for (let at = from; at < parents.length; at += 1) lines.push(`# ${"  ".repeat(at)}${parents[at]}:`);
    groups = parents;
    const indent = "  ".repeat(parents.length);
    lines.push(`# ${indent}# ${spec.description.replaceAll("\n", " ")}`);
    lines.push(`# ${indent}${path.at(-1)}: ${JSON.stringify(spec.default)}`);
  }
  return `${lines.join("\n")}\n`;
}
