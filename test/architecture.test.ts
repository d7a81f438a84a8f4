/**
 * Holds the shape of the code: who may import whom, where the outside world may be touched, and that documents match.
 *
 * Not here: style (Biome) and dead code (knip). Easily got wrong: type-only imports count too, because a reader follows
 * them just the same.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { manifestConfiguration } from "../server/src/config.ts";

const root = resolve(import.meta.dirname, "..");

/** Folder or file → what it may import, besides itself. The one table of dependency directions. */
const mayImport: { readonly [unit: string]: readonly string[] } = {
  "server/base": [],
  "server/protocol": [],
  "server/config": ["server/protocol"],
  "server/configFile": ["server/protocol", "server/config"],
  "server/configSchema": ["server/protocol", "server/config", "server/configFile"],
  "server/storage": ["server/base", "server/protocol"],
  "server/text": [],
  "server/report": ["server/protocol"],
  "server/workspace": ["server/base", "server/protocol", "server/text"],
  "server/model": ["server/base", "server/protocol"],
  "server/cache": [
    "server/base",
    "server/protocol",
    "server/text",
    "server/workspace",
    "server/storage",
    "server/model",
    "server/tools",
  ],
  "server/tools": ["server/base", "server/protocol", "server/text", "server/workspace", "server/storage"],
  "server/session": [
    "server/cache",
    "server/base",
    "server/protocol",
    "server/model",
    "server/tools",
    "server/text",
    "server/workspace",
    "server/storage",
  ],
  "server/host": [
    "server/cache",
    "server/base",
    "server/protocol",
    "server/model",
    "server/tools",
    "server/text",
    "server/workspace",
    "server/storage",
    "server/session",
  ],
  "server/main": [
    "server/cache",
    "server/base",
    "server/protocol",
    "server/model",
    "server/tools",
    "server/text",
    "server/workspace",
    "server/storage",
    "server/session",
    "server/report",
    "server/host",
    "server/config",
    "server/configFile",
    "server/configSchema",
  ],
  client: ["server/protocol"],
  media: ["server/protocol", "server/report"],
};

/** Library or built-in → where it may be used. */
const onlyIn: readonly { readonly module: RegExp; readonly places: RegExp }[] = [
  { module: /^vscode$/, places: /^client\// },
  {
    module: /^vscode-(languageserver|languageclient|jsonrpc)/,
    places: /^(client\/|server\/src\/main\/|server\/src\/protocol\/(methods|clientMethods)\.ts)/,
  },
  {
    module: /^node:(fs|fs\/promises|child_process)$/,
    places: /^server\/src\/((main|storage|workspace)\/|base\/flushFolder\.ts$)/,
  },
  { module: /^node:/, places: /^(server|client)\// },
  { module: /^@anthropic-ai\/sdk/, places: /^server\/src\/model\/anthropic/ },
  { module: /^openai/, places: /^server\/src\/model\/openai/ },
  { module: /^sql\.js/, places: /^server\/src\/storage\// },
  { module: /^preact|^markdown-it|^dompurify|^highlight\.js/, places: /^media\// },
];

/** Adapters, which only `main/` and tests may pick. */
const adapters =
  /^server\/src\/(workspace\/(disk|editor)|storage\/(cacheFiles|journal|memory|sessionIndex|ruleStore)|model\/(anthropic|openaiEmbeddings|openaiResponses|openaiChat|recorded))\.ts$/;

/** The files of `protocol/` that are nothing but types. */
const typeFiles = ["types", "events", "review"];

interface Source {
  readonly path: string;
  readonly text: string;
  /** Paths of ours, or module names of others. */
  readonly imports: readonly string[];
}

const sources: readonly Source[] = ["server/src", "client/src", "media"].flatMap(readSources);

function readSources(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => {
      const path = join(folder, name);
      const text = readFileSync(join(root, path), "utf8");
      const imports = [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)"([^"]+)"/gm)].map(
        ([, target = ""]) => (target.startsWith(".") ? relative(root, resolve(root, dirname(path), target)) : target),
      );
      return { path, text, imports };
    });
}

/** The row of `mayImport` that a file belongs to. */
function unitOf(path: string): string {
  const match = /^server\/src\/([^/.]+)/.exec(path);
  return match ? `server/${match[1]}` : (path.split("/")[0] ?? path);
}

const isOurs = (target: string) => /^(server|client|media)\//.test(target);

describe("imports", () => {
  test("go one way", () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(isOurs)
        .filter((target) => unitOf(target) !== unitOf(path) && !mayImport[unitOf(path)]?.includes(unitOf(target)))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("every folder has a row in the table", () => {
    expect([...new Set(sources.map(({ path }) => unitOf(path)))].filter((unit) => !mayImport[unit])).toEqual([]);
  });

  test("have no cycles", () => {
    const graph = new Map(sources.map(({ path, imports }) => [path, imports.filter(isOurs)]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]) => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      if (done.has(path) || trail.includes(path)) return;
      for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  test("of libraries stay where they belong", () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports.flatMap((target) =>
        onlyIn
          .filter(({ module, places }) => module.test(target) && !places.test(path))
          .map(() => `${path} imports ${target}`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  test("of adapters are main's alone", () => {
    const wrong = sources.flatMap(({ path, imports, text }) =>
      imports
        .filter((target) => adapters.test(target) && !path.startsWith("server/src/main/"))
        // An interface that an adapter file declares may be named; the adapter may not be made.
        .filter((target) => dirname(target) !== dirname(path) && !isTypeOnly(text, target))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("of the webview from the server are types and pure folds only", () => {
    const wrong = sources
      .filter(({ path }) => path.startsWith("media/"))
      .flatMap(({ path, imports, text }) =>
        imports
          .filter((target) => target.startsWith("server/") && !target.startsWith("server/src/report/"))
          .filter((target) => !isTypeOnly(text, target))
          .map((target) => `${path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  test("of what the webview shares with the server are types only, so that it brings nothing along", () => {
    const wrong = sources
      .filter(({ path }) => path.startsWith("server/src/report/"))
      .flatMap(({ path, imports, text }) =>
        imports
          .filter((target) => !target.startsWith("server/src/report/") && !isTypeOnly(text, target))
          .map((target) => `${path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });
});

function isTypeOnly(text: string, target: string): boolean {
  const file = target.slice(target.lastIndexOf("/") + 1).replaceAll(".", "\\.");
  return !new RegExp(`^import (?!type)[^;]*"[^"]*/${file}"`, "m").test(text);
}

describe("the outside world", () => {
  test("the host reads process.env in config.ts alone", () => {
    const wrong = sources.filter(
      ({ path, text }) => path.startsWith("server/") && path !== "server/src/config.ts" && /process\.env\b/.test(text),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("the protocol's types import only each other and have no runtime code", () => {
    const paths = typeFiles.map((name) => `server/src/protocol/${name}.ts`);
    const types = sources.filter(({ path }) => paths.includes(path));
    expect(types.map(({ path }) => path).toSorted()).toEqual(paths.toSorted());
    for (const { imports, text } of types) {
      expect(imports.filter((target) => !paths.includes(target) || !isTypeOnly(text, target))).toEqual([]);
      expect(text).not.toMatch(/^export (const|function|class|let|var)/m);
    }
  });

  test("there are no barrels", () => {
    expect(sources.filter(({ path }) => /(^|\/)index\.tsx?$/.test(path)).map(({ path }) => path)).toEqual([]);
  });
});

describe("documents", () => {
  test("every export has a doc comment and every file a header", () => {
    const lacking = sources.flatMap(({ path, text }) => {
      const lines = text.split("\n");
      const header = lines[0]?.startsWith("/**") ? [] : [`${path}: no header comment`];
      const exports = lines.flatMap((line, index) =>
        /^export (async |abstract )?(function\*?|const|let|class|interface|type) \w/.test(line) &&
        !/\*\/\s*$/.test(lines[index - 1] ?? "")
          ? [`${path}:${index + 1}: ${line.slice(0, 60)}`]
          : [],
      );
      return [...header, ...exports];
    });
    expect(lacking).toEqual([]);
  });

  test("PROTOCOL.md names every method and event and carries the hash of protocol/", () => {
    const document = readFileSync(join(root, "server/PROTOCOL.md"), "utf8");
    const read = (name: string) => readFileSync(join(root, `server/src/protocol/${name}.ts`), "utf8");
    const methods = ["methods", "clientMethods", "tasks"].map(read).join("");
    const types = typeFiles.map(read).join("");
    const names = [
      ...[...methods.matchAll(/new (?:Request|Notification)Type<[^(]*\(\s*"([^"]+)"/g)].map(([, name]) => name),
      ...[...types.matchAll(/readonly type: "([a-z_]+)"/g)].map(([, name]) => name),
    ];
    expect(names.length).toBeGreaterThan(30);
    expect(names.filter((name) => !document.includes(`\`${name}\``))).toEqual([]);
    const hash = createHash("sha256").update(methods).update(types).digest("hex").slice(0, 16);
    expect(document, "read the change of protocol/, bring PROTOCOL.md up to date, then its hash").toContain(hash);
  });

  test("the manifest's settings are those of config.ts", () => {
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(manifest.contributes?.configuration).toEqual(manifestConfiguration());
  });

  test("ARCHITECTURE.md names every source file of the server, and no file that is gone", () => {
    const document = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
    const files = sources.map(({ path }) => path.replace("server/src/", ""));
    const missing = files.filter((path) => !document.includes(`\`${path}\``));
    expect(missing).toEqual([]);
    const named = [
      ...document.matchAll(
        /`((?:base|cache|protocol|storage|text|workspace|model|tools|session|main|client\/src|media)\/[\w/]+\.tsx?)`/g,
      ),
    ];
    expect(named.map(([, path = ""]) => path).filter((path) => !files.includes(path))).toEqual([]);
  });
});
