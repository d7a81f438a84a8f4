/**
 * Markdown to HTML that is safe to put on the page, in pieces: a finished block is never parsed again while text streams.
 *
 * Not here: putting it on the page. Easily got wrong: raw HTML stays text, pictures are not loaded, and a link leads to
 * `https:` or to a file of the workspace and nowhere else; the sanitiser is the second wall behind that, not the first.
 */
import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";
import { highlight } from "./highlight.ts";

/** Renders a growing text as pieces of HTML, one for each block. */
export interface MarkdownStream {
  /** Give it the whole text each time; it works only on what is new. `complete` says that the text will not grow. */
  update(text: string, complete: boolean): readonly string[];
}

/** A link to a file: `src/parse.ts:10`, `src/parse.ts#L10` or a `file:` address. */
export interface FileLink {
  readonly path: string;
  readonly line?: number;
}

/** Characters of an open code block that are still highlighted at every change. */
const openHighlightLimit = 4_000;

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false, typographer: false });
markdown.disable("image");
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
markdown.validateLink = (url) => isWebLink(url) || toFileLink(url) !== undefined;
markdown.renderer.rules.link_open = (tokens, index) => {
  const href = String(tokens[index]?.attrGet("href") ?? "");
  const file = isWebLink(href) ? undefined : toFileLink(href);
  if (!file) return `<a href="${escapeHtml(href)}" title="${escapeHtml(href)}">`;
  const line = file.line === undefined ? "" : ` data-line="${file.line}"`;
  return `<a href="#" data-path="${escapeHtml(file.path)}"${line} title="Open ${escapeHtml(file.path)}">`;
};
markdown.renderer.rules.fence = (tokens, index, _options, env) => {
  const token = tokens[index];
  return codeBlock(token?.content ?? "", token?.info.trim().split(/\s/, 1)[0] ?? "", env?.open === true);
};
markdown.renderer.rules.code_block = (tokens, index) => codeBlock(tokens[index]?.content ?? "", "", false);
markdown.renderer.rules.table_open = () => '<div class="table" tabindex="0" role="region" aria-label="Table"><table>';
markdown.renderer.rules.table_close = () => "</table></div>";

for (const tag of ["th", "td"]) {
  // The page's policy allows no inline styles, which markdown-it would use for this.
  markdown.renderer.rules[`${tag}_open`] = (tokens, index) => {
    const [, side] = /text-align:(left|center|right)/.exec(String(tokens[index]?.attrGet("style"))) ?? [];
    return side ? `<${tag} align="${side}">` : `<${tag}>`;
  };
}

/** Attributes that are words, not addresses: the sanitiser takes any other attribute for an address. */
const words = "align class start type role tabindex title aria-label data-path data-line data-copy".split(" ");

const allowed = {
  ALLOWED_TAGS: [
    ..."a b blockquote br button code del div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong".split(" "),
    ..."table tbody td th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["href", ...words],
  ADD_URI_SAFE_ATTR: words,
  ALLOWED_URI_REGEXP: /^(?:https:|#)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

/** Starts a stream. */
export function createMarkdownStream(): MarkdownStream {
  let finished: readonly string[] = [];
  let done = "";
  return {
    update: (text, complete) => {
      // A block that was asked for again starts anew.
      if (!text.startsWith(done)) {
        finished = [];
        done = "";
      }
      const { blocks, openAt } = split(text.slice(done.length));
      if (blocks.length > 0) finished = [...finished, ...blocks];
      done = text.slice(0, done.length + openAt);
      const rest = text.slice(done.length);
      return rest.trim() === "" ? finished : [...finished, toHtml(rest, !complete)];
    },
  };
}

/** Reads a link as one to a file, or answers `undefined` when it leads elsewhere. */
export function toFileLink(url: string): FileLink | undefined {
  const [, path = "", hash, colon] = /^(.+?)(?:#L?(\d+)(?:-L?\d+)?|:(\d+)(?::\d+)?(?:-\d+)?)?$/s.exec(url) ?? [];
  const isAddress = /^[a-z][a-z0-9+.-]*:/i.test(path);
  // Two slashes would lead to another machine.
  if (path === "" || path.startsWith("#") || /^(?:\/\/|\\\\)/.test(path)) return undefined;
  if (isAddress && !/^file:\/\/\/(?!\/)/i.test(path)) return undefined;
  const line = Number(hash ?? colon);
  return { path: tryDecode(path), ...(line > 0 ? { line } : {}) };
}

function isWebLink(url: string): boolean {
  return /^https:\/\/[^/\\]/i.test(url);
}

/** Cuts what is final off a text: every top-level block but the last, which the next characters may change. */
function split(text: string): { readonly blocks: readonly string[]; readonly openAt: number } {
  const starts: number[] = [];
  for (const { level, map, nesting } of markdown.parse(text, {})) {
    if (level === 0 && nesting >= 0 && map && map[0] !== starts.at(-1)) starts.push(map[0]);
  }
  if (starts.length < 2) return { blocks: [], openAt: 0 };
  const offsets = lineOffsets(text);
  const at = starts.map((line) => offsets[line] ?? text.length);
  const blocks = at.slice(0, -1).map((start, index) => toHtml(text.slice(start, at[index + 1]), false));
  return { blocks, openAt: at.at(-1) ?? 0 };
}

function lineOffsets(text: string): readonly number[] {
  const offsets = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) offsets.push(at + 1);
  return offsets;
}

function toHtml(text: string, open: boolean): string {
  return DOMPurify.sanitize(markdown.render(text, { open }), allowed);
}

function codeBlock(code: string, language: string, open: boolean): string {
  const text = code.endsWith("\n") ? code.slice(0, -1) : code;
  const html = open && text.length > openHighlightLimit ? undefined : highlight(text, language);
  return (
    `<div class="code"><div class="code-bar"><span>${escapeHtml(language)}</span>` +
    '<button type="button" class="icon-button codicon codicon-copy" data-copy="" title="Copy" aria-label="Copy code"></button>' +
    `</div><pre tabindex="0"><code>${html ?? escapeHtml(text)}</code></pre></div>\n`
  );
}

function escapeHtml(text: string): string {
  return markdown.utils.escapeHtml(text);
}

function tryDecode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
