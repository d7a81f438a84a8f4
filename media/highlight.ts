/**
 * Code to HTML with syntax classes, for the languages that are asked about most.
 *
 * Not here: colours (`panel.css`). Easily got wrong: a language that is not known gives `undefined`, not a guess, and
 * the caller escapes the text itself.
 */
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const languages = {
  bash,
  cpp,
  csharp,
  css,
  diff,
  go,
  java,
  json,
  markdown,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
};
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);
// The TypeScript grammar is a superset; one grammar less to load.
hljs.registerAliases(["js", "javascript", "jsx", "mjs", "cjs"], { languageName: "typescript" });
hljs.registerAliases(["console", "shell", "shellsession", "zsh"], { languageName: "bash" });
hljs.registerAliases(["jsonc", "json5", "jsonl"], { languageName: "json" });

/** Characters above which code is left plain: colouring it would hold up the page. */
const limit = 60_000;

/** Code as HTML, escaped and coloured; `undefined` when the language is not known or the code is long. */
export function highlight(code: string, language: string): string | undefined {
  if (code.length > limit || !hljs.getLanguage(language)) return undefined;
  return hljs.highlight(code, { language, ignoreIllegals: true }).value;
}
