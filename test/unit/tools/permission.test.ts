/**
 * Permission rules as tables: what is asked, under which rules, and what is answered.
 */
import { describe, expect, test } from "vitest";
import type { ToolKind } from "../../../server/src/protocol/types.ts";
import {
  decidePermission,
  formatRule,
  type PermissionRule,
  type PermissionWord,
  parseRule,
  ruleFor,
} from "../../../server/src/tools/permission.ts";
import type { Subject } from "../../../server/src/tools/tool.ts";

const kinds: { readonly [tool: string]: ToolKind } = {
  read: "read",
  list: "read",
  search: "search",
  edit: "edit",
  write: "edit",
  delete: "delete",
  move: "move",
  shell: "execute",
  mcp_thing: "other",
};

/** `/abs` is outside; a `!` in front means ignored. */
function path(text: string): Subject {
  const name = text.replace(/^!/, "");
  const inside = !name.startsWith("/");
  const fsPath = inside ? `/project/${name}` : name;
  return {
    type: "path",
    resolved: { uri: `file://${fsPath}`, fsPath, path: name, inside, ignored: text.startsWith("!") },
  };
}

/** `allow edit(src/**)` */
function rule(text: string): PermissionRule {
  const [word, ...rest] = text.split(" ");
  return parseRule(rest.join(" "), word as PermissionWord);
}

function question(tool: string, subjects: readonly string[]) {
  const kind = kinds[tool] ?? "other";
  const toSubject = (text: string): Subject => (kind === "execute" ? { type: "command", command: text } : path(text));
  return { tool, kind, subjects: subjects.map(toSubject) };
}

function check(tool: string, subjects: readonly string[], rules: readonly string[], trusted = true) {
  return decidePermission(question(tool, subjects), { rules: rules.map(rule), trusted });
}

type Case = readonly [tool: string, subjects: readonly string[], rules: readonly string[], expected: PermissionWord];

describe("defaults", () => {
  test.each<Case>([
    ["read", ["src/a.ts"], [], "allow"],
    ["list", ["."], [], "allow"],
    ["search", ["."], [], "allow"],
    ["read", ["/etc/passwd"], [], "ask"],
    ["read", ["!.env"], [], "ask"],
    ["read", ["src/a.ts", "/etc/passwd"], [], "ask"],
    ["edit", ["src/a.ts"], [], "ask"],
    ["write", ["src/a.ts"], [], "ask"],
    ["shell", ["ls"], [], "ask"],
    ["mcp_thing", [], [], "ask"],
  ])("%s %j with %j: %s", (tool, subjects, rules, expected) => {
    expect(check(tool, subjects, rules).decision).toBe(expected);
  });

  test("give the reason for asking in a sentence", () => {
    expect([check("read", ["/etc/passwd"], []).reason, check("read", ["!.env"], []).reason]).toEqual([
      "Hermes asks because /etc/passwd is outside the workspace.",
      "Hermes asks because .env is hidden by ignore files or settings.",
    ]);
  });
});

describe("an untrusted workspace", () => {
  test.each<Case>([
    ["read", ["src/a.ts"], [], "allow"],
    ["search", ["."], [], "allow"],
    ["read", ["src/a.ts"], ["deny read(src/**)"], "deny"],
    ["read", ["/etc/passwd"], ["allow *"], "deny"],
    ["read", ["!.env"], ["allow *"], "deny"],
    ["edit", ["src/a.ts"], ["allow *"], "deny"],
    ["write", ["new.ts"], ["allow edit(**)"], "deny"],
    ["shell", ["ls"], ["allow shell"], "deny"],
    ["mcp_thing", [], ["allow mcp_thing"], "deny"],
  ])("%s %j with %j: %s", (tool, subjects, rules, expected) => {
    expect(check(tool, subjects, rules, false).decision).toBe(expected);
  });

  test("is named as the reason", () => {
    expect(check("shell", ["ls"], [], false).reason).toContain("The user has not trusted this workspace");
  });
});

describe("rules for paths", () => {
  test.each<Case>([
    ["edit", ["src/a.ts"], ["allow edit(src/**)"], "allow"],
    ["edit", ["src/deep/.hidden"], ["allow edit(src/**)"], "allow"],
    ["edit", ["src2/a.ts"], ["allow edit(src/**)"], "ask"],
    ["edit", ["src/a.ts", "test/a.ts"], ["allow edit(src/**)"], "ask"],
    ["write", ["src/a.ts"], ["allow edit(src/**)"], "allow"],
    ["edit", ["src/a.ts"], ["allow write(src/**)"], "ask"],
    ["list", ["."], ["deny read(**)"], "deny"],
    ["search", ["secret"], ["deny read(secret/**)"], "deny"],
    ["read", ["src"], ["deny search(src)"], "allow"],
    ["edit", ["a.ts"], ["allow edit(*.ts)"], "allow"],
    ["edit", ["src/a.ts"], ["allow edit(*.ts)"], "ask"],
    ["edit", ["a.ts"], ["allow edit({a,b}.ts)"], "allow"],
    // What may not be written may not be deleted or moved; allowing to edit allows neither.
    ["delete", ["a.ts"], ["allow edit(**)"], "ask"],
    ["delete", ["a.ts"], ["deny edit(*.ts)"], "deny"],
    ["delete", ["a.ts"], ["allow delete(**)", "ask edit(a.ts)"], "ask"],
    ["delete", ["a.ts"], ["deny read(a.ts)", "allow delete(a.ts)"], "allow"],
    ["move", ["a.ts", "b.ts"], ["allow move(**)", "deny read(a.ts)"], "deny"],
    ["move", ["a.ts", "/b.ts"], ["allow move(**)"], "ask"],
    // Outside and ignored files are not reached by accident.
    ["edit", ["/etc/hosts"], ["allow edit(**)"], "ask"],
    ["edit", ["/etc/hosts"], ["allow edit(/etc/**)"], "allow"],
    ["edit", ["etc/hosts"], ["allow edit(/etc/**)"], "ask"],
    ["edit", ["!.env"], ["allow edit(**)"], "ask"],
    ["edit", ["!.env"], ["allow edit({*,.env})"], "ask"],
    ["edit", ["!.env"], ["deny edit(**)"], "deny"],
    ["edit", ["!dist/a.js"], ["allow edit(dist/**)"], "allow"],
    ["read", ["!.env"], ["allow read(.env)"], "allow"],
    // A rule without a pattern, and `*`, mean every call.
    ["edit", ["/etc/hosts"], ["allow edit"], "allow"],
    ["edit", ["!.env"], ["allow *"], "allow"],
    ["mcp_thing", [], ["allow mcp_thing"], "allow"],
    ["mcp_thing", [], ["allow mcp_thing(x)"], "ask"],
    ["shell", ["ls"], ["allow *"], "allow"],
  ])("%s %j with %j: %s", (tool, subjects, rules, expected) => {
    expect(check(tool, subjects, rules).decision).toBe(expected);
  });
});

test("a rule that holds back a file of a folder holds back the folder; one that allows the folder is about its path", () => {
  const [folder, below] = [path("src"), path("src/secret/key")];
  if (folder.type !== "path" || below.type !== "path") throw new Error("Both are paths.");
  const subject: Subject = { ...folder, below: [below.resolved] };
  const decide = (...rules: readonly string[]) =>
    decidePermission(
      { tool: "delete", kind: "delete", subjects: [subject] },
      { rules: rules.map(rule), trusted: true },
    );
  expect(decide("deny edit(src/secret/**)", "allow delete(src)").decision).toBe("deny");
  expect(decide("allow delete(src/secret/**)").decision).toBe("ask");
  expect(decide("allow delete(src)").decision).toBe("allow");
});

describe("precedence", () => {
  test.each<Case>([
    ["edit", ["src/a.ts"], ["allow edit(src/a.ts)", "deny edit"], "deny"],
    ["edit", ["src/a.ts"], ["deny *", "allow edit(src/a.ts)"], "deny"],
    ["edit", ["src/a.ts"], ["ask edit(**)", "allow edit(src/**)"], "ask"],
    ["edit", ["src/a.ts"], ["ask edit(**)", "allow edit(src/a.ts)"], "allow"],
    ["edit", ["src/a.ts"], ["allow edit", "ask edit(src/*)"], "ask"],
    ["shell", ["npm test"], ["ask shell", "allow shell(npm test)"], "allow"],
    ["shell", ["npm test"], ["ask *", "allow shell"], "allow"],
    ["shell", ["npm test"], ["ask shell", "allow shell"], "ask"],
    ["read", ["src/a.ts"], ["ask read"], "ask"],
    ["read", ["src/a.ts", "src/b.ts"], ["deny read(src/b.ts)"], "deny"],
  ])("%s %j with %j: %s", (tool, subjects, rules, expected) => {
    expect(check(tool, subjects, rules).decision).toBe(expected);
  });

  test("names the rule that decided", () => {
    expect(check("edit", ["src/a.ts"], ["allow edit(src/a.ts)", "deny edit"])).toEqual({
      decision: "deny",
      by: "edit",
      reason: "This is denied by the permission rule edit. Do not try to get around it; ask the user if it is needed.",
    });
  });
});

describe("rules for commands", () => {
  test.each<readonly [command: string, rule: string, expected: PermissionWord]>([
    ["npm test", "allow shell(npm test)", "allow"],
    ["  npm test\n", "allow shell(npm test)", "allow"],
    ["npm test -- --bail", "allow shell(npm test)", "ask"],
    ["npm run build", "allow shell(npm run *)", "allow"],
    ["npm run", "allow shell(npm run *)", "ask"],
    ["npm run build --if-present", "allow shell(npm * --if-present)", "allow"],
    ["npm run build; rm -rf /", "allow shell(npm run *)", "ask"],
    ["npm run build && rm -rf /", "allow shell(npm run *)", "ask"],
    ["npm run build & rm -rf /", "allow shell(npm run *)", "ask"],
    ["npm run build | sh", "allow shell(npm run *)", "ask"],
    ["npm run build > /etc/hosts", "allow shell(npm run *)", "ask"],
    ["npm run build < secrets", "allow shell(npm run *)", "ask"],
    ["npm run `evil`", "allow shell(npm run *)", "ask"],
    ["npm run $(evil)", "allow shell(npm run *)", "ask"],
    ['npm run "$(evil)"', "allow shell(npm run *)", "ask"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is shell syntax.
    ["npm run ${x@P}", "allow shell(npm run *)", "ask"],
    ["npm run build\nevil", "allow shell(npm run *)", "ask"],
    ["npm run build\revil", "allow shell(npm run *)", "ask"],
    ["evil; npm run build", "allow shell(* build)", "ask"],
    ["npm test && npm run lint", "allow shell(npm test && npm run *)", "allow"],
    ["npmxtest", "allow shell(npm.test)", "ask"],
    ["rm *.log", "allow shell(rm \\*.log)", "allow"],
    ["rm a.log", "allow shell(rm \\*.log)", "ask"],
    // Denying looks at every part, and there a `*` crosses everything.
    ["rm -rf /", "deny shell(rm *)", "deny"],
    ["cd x && rm -rf /", "deny shell(rm *)", "deny"],
    ["echo $(rm -rf /)", "deny shell(rm *)", "deny"],
    ["echo `rm x`", "deny shell(rm *)", "deny"],
    ["ls\nrm x", "deny shell(rm *)", "deny"],
    ["rm a > b; c", "deny shell(rm * c)", "deny"],
    ["npm run format", "deny shell(rm *)", "ask"],
  ])("%j with %j: %s", (command, text, expected) => {
    expect(check("shell", [command], [text]).decision).toBe(expected);
  });

  test("that hold back win over a wider permission", () => {
    expect(check("shell", ["git push --force"], ["allow shell(git *)", "ask shell(git push*)"]).decision).toBe("ask");
    expect(check("shell", ["cd a && git push"], ["allow shell", "ask shell(git push*)"]).decision).toBe("ask");
  });
});

describe("ruleFor", () => {
  test.each<readonly [tool: string, subjects: readonly string[], expected: string]>([
    ["edit", ["src/a.ts"], "edit(**)"],
    ["write", ["src/a.ts"], "edit(**)"],
    ["edit", ["!.env"], "edit(.env)"],
    ["write", ["/etc/hosts"], "write(/etc/hosts)"],
    ["shell", ["npm test"], "shell(npm test)"],
    ["shell", ["rm *.log && echo a\\b"], "shell(rm \\*.log && echo a\\\\b)"],
    ["read", ["/etc/a [1].txt"], "read(/etc/a \\[1\\].txt)"],
    ["read", ["src/a.ts", "/etc/a,b", "/etc/c"], "read({/etc/a\\,b,/etc/c})"],
    ["read", ["!a,b", "!c(1)"], "read({a\\,b,c\\(1\\)})"],
    ["mcp_thing", [], "mcp_thing"],
  ])("%s %j: %s, which then allows exactly that call", (tool, subjects, expected) => {
    const suggested = ruleFor(question(tool, subjects));
    expect(suggested).toBe(expected);
    expect(check(tool, subjects, [`allow ${suggested}`]).decision).toBe("allow");
  });

  test("does not allow more than the command", () => {
    const suggested = ruleFor(question("shell", ["rm *.log"]));
    expect(check("shell", ["rm -rf / .log"], [`allow ${suggested}`]).decision).toBe("ask");
  });
});

describe("parseRule", () => {
  test.each(["read", "*", "edit(src/**)", "shell(npm test)", "shell(node -e 'f(1)')", "mcp.server_tool(x)"])(
    "takes %s and gives it back",
    (text) => {
      expect(formatRule(parseRule(` ${text} `, "allow"))).toBe(text);
    },
  );

  test.each<readonly [text: string, why: string]>([
    ["", "it must be a tool's name"],
    ["edit(src", "it must be a tool's name"],
    ["edit src", "it must be a tool's name"],
    ["edit)", "it must be a tool's name"],
    ["edit(a) b", "it must be a tool's name"],
    ["(src)", "it must be a tool's name"],
    ["edit()", "the brackets are empty"],
    ["edit( )", "the brackets are empty"],
    ["shell(rm \\)", "it ends in a backslash"],
  ])("refuses %j: %s", (text, why) => {
    expect(() => parseRule(text, "allow")).toThrowError(`The permission rule "${text}" is malformed: ${why}`);
  });
});
