/**
 * Decides whether a call may run, must be asked about, or is refused: rules as data, evaluated by pure functions.
 *
 * Not here: asking a person, and storing what they answer. Easily got wrong: `deny` wins over everything; between `ask`
 * and `allow` the more specific rule wins, and among equally specific ones `ask`. A `*` in an allowing command rule
 * stops at every character by which a shell could start something else.
 */
import picomatch from "picomatch";
import { RequestError } from "../base/errors.ts";
import type { ToolKind } from "../protocol/types.ts";
import type { ResolvedPath } from "../workspace/workspace.ts";
import type { Subject } from "./tool.ts";

/** What a rule or a decision says. */
export type PermissionWord = "allow" | "ask" | "deny";

/** One rule. Its text form is `tool(pattern)`, `tool`, or `*` for every tool. */
export interface PermissionRule {
  /** The name of a tool or of a kind of tools: `edit` covers `write`, and `read` covers `list` and `search`; or `*`. */
  readonly tool: string;
  /**
   * For paths a glob relative to the workspace, or absolute for outside of it. For commands text in which `*` stands
   * for anything but shell operators. A backslash takes the meaning from the next character. Absent: every call.
   */
  readonly pattern?: string;
  readonly decision: PermissionWord;
}

/** What is asked of `decidePermission`. */
export interface PermissionQuestion {
  readonly tool: string;
  readonly kind: ToolKind;
  readonly subjects: readonly Subject[];
}

/** What the rules apply to. */
export interface PermissionPolicy {
  readonly rules: readonly PermissionRule[];
  /** False in a workspace that the user has not trusted: then only reading inside it is possible. */
  readonly trusted: boolean;
}

/** The answer, with the reason as a sentence for people (`ask`) or for the model (`deny`). */
export interface PermissionDecision {
  readonly decision: PermissionWord;
  /** The rule that decided, as text; `default` when none did. */
  readonly by: string;
  readonly reason: string;
}

/** Parses `edit(src/**)`, `shell(npm run *)`, `read` or `*`. Throws `RequestError` that says what is wrong with it. */
export function parseRule(text: string, decision: PermissionWord): PermissionRule {
  const trimmed = text.trim();
  const parts = /^(\*|[A-Za-z][\w.-]*)(?:\((.*)\))?$/s.exec(trimmed);
  const [, tool, pattern] = parts ?? [];
  if (tool === undefined) throw malformed(text, "it must be a tool's name, optionally with a pattern in brackets");
  if (pattern === undefined) return { tool, decision };
  if (pattern.trim() === "") throw malformed(text, "the brackets are empty; leave them out to mean every call");
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(pattern)) throw malformed(text, "it ends in a backslash that escapes nothing");
  return { tool, pattern: pattern.trim(), decision };
}

/** The text form of a rule, without its decision: what `parseRule` takes. */
export function formatRule(rule: PermissionRule): string {
  return rule.pattern === undefined ? rule.tool : `${rule.tool}(${rule.pattern})`;
}

/** Decides about one call. A call with several subjects gets the strictest of their decisions. */
export function decidePermission(question: PermissionQuestion, policy: PermissionPolicy): PermissionDecision {
  const isReading = question.kind === "read" || question.kind === "search";
  if (!policy.trusted && !(isReading && question.subjects.every(isPlainlyInside))) {
    return {
      decision: "deny",
      by: "default",
      reason:
        "The user has not trusted this workspace, so nothing here may be edited, run, or read outside of it. " +
        "Answer from what can be read, or ask the user to trust the workspace.",
    };
  }
  const names = [question.tool, question.kind, ...(isReading ? ["read"] : []), "*"];
  const heldBackBy = alsoHeldBackBy[question.kind] ?? [];
  const named = policy.rules.filter(
    ({ tool, decision }) => names.includes(tool) || (decision !== "allow" && heldBackBy.includes(tool)),
  );
  const subjects: readonly (Subject | undefined)[] = question.subjects.length > 0 ? question.subjects : [undefined];
  const decisions = subjects.map((subject) => decideSubject(subject, named, isReading));
  const strictness: readonly PermissionWord[] = ["deny", "ask", "allow"];
  const found = strictness.flatMap((word) => decisions.find(({ decision }) => decision === word) ?? [])[0];
  return found ?? askByDefault("there is no rule for it");
}

/**
 * The rule that answering "for this session" or "always" stores. For commands it is the exact command. For edits
 * inside the workspace it is all of them, `edit(**)`, because being asked again for each file is what people turn
 * off altogether; undo is there for the rest. For anything outside or ignored it is exactly the paths of this call.
 */
export function ruleFor(question: PermissionQuestion): string {
  const { subjects, tool, kind } = question;
  if (kind === "edit" && subjects.length > 0 && subjects.every(isPlainlyInside)) return "edit(**)";
  const commands = subjects.flatMap((subject) => (subject.type === "command" ? [subject.command] : []));
  if (commands[0] !== undefined) return `${tool}(${escapeCommand(commands[0])})`;
  const unusual = subjects.filter((subject) => !isPlainlyInside(subject));
  const paths = (unusual.length > 0 ? unusual : subjects).flatMap((subject) =>
    subject.type === "path" ? [escapeGlob(subject.resolved.path)] : [],
  );
  if (paths.length === 0) return tool;
  return paths.length === 1 ? `${tool}(${paths[0]})` : `${tool}({${paths.join(",")}})`;
}

/** What may not be written may not be deleted or moved; and what may not be read is not moved to where it may. */
const alsoHeldBackBy: { readonly [kind in ToolKind]?: readonly string[] } = {
  delete: ["edit"],
  move: ["edit", "read"],
};

function decideSubject(
  subject: Subject | undefined,
  rules: readonly PermissionRule[],
  isReading: boolean,
): PermissionDecision {
  const matching = rules
    .filter((rule) => matches(rule, subject))
    .toSorted((a, b) => rank(a) - rank(b) || strictness(a) - strictness(b));
  const rule = matching.find(({ decision }) => decision === "deny") ?? matching[0];
  if (!rule) return byDefault(subject, isReading);
  const text = formatRule(rule);
  const verb = { allow: "is allowed", ask: "must be asked about", deny: "is denied" }[rule.decision];
  const next = rule.decision === "deny" ? " Do not try to get around it; ask the user if it is needed." : "";
  return { decision: rule.decision, by: text, reason: `This ${verb} by the permission rule ${text}.${next}` };
}

/** 0 for the most specific. */
function rank(rule: PermissionRule): number {
  if (rule.pattern !== undefined) return /(^|[^\\])(\\\\)*[*?[{!]/.test(rule.pattern) ? 1 : 0;
  return rule.tool === "*" ? 3 : 2;
}

function strictness(rule: PermissionRule): number {
  return { deny: 0, ask: 1, allow: 2 }[rule.decision];
}

function byDefault(subject: Subject | undefined, isReading: boolean): PermissionDecision {
  if (subject?.type === "path" && !subject.resolved.inside) {
    return askByDefault(`${subject.resolved.path} is outside the workspace`);
  }
  if (subject?.type === "path" && subject.resolved.ignored) {
    return askByDefault(`${subject.resolved.path} is hidden by ignore files or settings`);
  }
  if (subject?.type === "path" && isReading) {
    return { decision: "allow", by: "default", reason: "Reading inside the workspace is free." };
  }
  return askByDefault(subject?.type === "command" ? "it runs a command" : "it changes something");
}

function askByDefault(why: string): PermissionDecision {
  return { decision: "ask", by: "default", reason: `Hermes asks because ${why}.` };
}

function isPlainlyInside(subject: Subject): boolean {
  return subject.type === "path" && subject.resolved.inside && !subject.resolved.ignored;
}

function matches(rule: PermissionRule, subject: Subject | undefined): boolean {
  if (rule.pattern === undefined) return true;
  if (subject === undefined) return false;
  return subject.type === "path"
    ? [subject.resolved, ...(rule.decision === "allow" ? [] : (subject.below ?? []))].some((resolved) =>
        matchesPath(rule.pattern ?? "**", rule.decision, resolved),
      )
    : matchesCommand(rule.pattern, rule.decision, subject.command);
}

/**
 * Patterns without a leading `/` are about the inside of the workspace. A pattern that begins with a wildcard allows
 * nothing that is ignored: `edit(**)` must not reach `.env`, while `edit(dist/**)` says what it means.
 */
function matchesPath(pattern: string, decision: PermissionWord, resolved: ResolvedPath): boolean {
  const isAbsolute = /^(?:\{?\/|[A-Za-z]:)/.test(pattern);
  if (isAbsolute === resolved.inside) return false;
  if (decision === "allow" && resolved.ignored && resolved.inside && /^[*?[{!]/.test(pattern)) {
    // Alternatives without a wildcard are exact paths, as `ruleFor` writes them.
    if (/[*?[!]/.test(pattern.replace(/\\./gs, ""))) return false;
  }
  const path = resolved.path.replace(/\/+$/, "") || ".";
  if (pattern === "**" && resolved.inside) return true;
  return picomatch(pattern, { dot: true })(path);
}

/** What a `*` of an allowing rule never matches: with none of these, a command starts no second one. */
const operators = ";&|<>`$()\\n\\r";

function matchesCommand(pattern: string, decision: PermissionWord, command: string): boolean {
  if (decision === "allow") return toCommandRegExp(pattern, `[^${operators}]*`).test(command.trim());
  // Rules that hold back look at each part of a compound command, cut generously: too strict is the safe side.
  const expression = toCommandRegExp(pattern, "[^]*");
  const parts = command.split(new RegExp(`[${operators}]+`)).map((part) => part.trim());
  return [command.trim(), ...parts].some((part) => expression.test(part));
}

function toCommandRegExp(pattern: string, star: string): RegExp {
  const source = [...pattern.matchAll(/\\(.)|(\*+)|([^\\*]+)/gs)]
    .map(([, escaped, stars, plain]) => (stars === undefined ? escapeRegExp(escaped ?? plain ?? "") : star))
    .join("");
  return new RegExp(`^${source}$`);
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

function escapeCommand(command: string): string {
  return command.trim().replace(/[\\*]/g, "\\$&");
}

function escapeGlob(path: string): string {
  return path.replace(/[\\*?[\]{}()!+@|,]/g, "\\$&");
}

function malformed(text: string, why: string): RequestError {
  return new RequestError(
    "invalid_rule",
    `The permission rule "${text}" is malformed: ${why}. Examples: read, edit(src/**), shell(npm test), shell(npm run *).`,
  );
}
