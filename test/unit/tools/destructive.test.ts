/** Which commands are named as destructive, and what they are said to reach. A wrong name only warns; a missing one hides. */
import { describe, expect, test } from "vitest";
import { inspectCommand } from "../../../server/src/tools/destructive.ts";

const none: ReadonlyMap<string, string> = new Map();

const summary = (command: string, texts = none) =>
  inspectCommand(command, texts).damages.map(({ name, targets, ifPresent, anything, ignored, gitState }) =>
    [
      `${name}:`,
      ...targets,
      ...(ifPresent ? ["(if present)"] : []),
      ...(anything ? ["(anything)"] : []),
      ...(ignored ? ["(ignored)"] : []),
      ...(gitState ? ["(git)"] : []),
    ].join(" "),
  );

const destructive: readonly (readonly [string, readonly string[]])[] = [
  ["git reset --hard", ["git reset --hard: (git)"]],
  ["git reset --hard HEAD~2 -q", ["git reset --hard -q: (git)"]],
  ["git --no-pager -c a.b=c reset --merge", ["git reset --merge: (git)"]],
  ["git checkout -- .", ["git checkout --: ."]],
  ["git checkout .", ["git checkout: ."]],
  ["git checkout src/a.ts", ["git checkout: src/a.ts"]],
  ["git checkout HEAD~1 a b", ["git checkout: a b"]],
  ["git checkout -f main", ["git checkout -f:"]],
  ["git switch --discard-changes main", ["git switch --discard-changes:"]],
  ["git clean -fd", ["git clean -fd:"]],
  ["git clean -fdx", ["git clean -fdx: (ignored)"]],
  ["git stash", ["git stash: (git)"]],
  ["git stash push -u -m x", ["git stash -u -m: (git)"]],
  ["git stash drop", ["git stash: (git)"]],
  ["git stash clear", ["git stash: (git)"]],
  ["git restore .", ["git restore: ."]],
  ["git restore --staged a", ["git restore --staged: (git)"]],
  ["git restore -SW a", ["git restore -SW: a"]],
  ["git -C sub restore a.ts", ["git restore: sub/a.ts"]],
  ["git rm -r src", ["git rm -r: src"]],
  ["git branch -D topic", ["git branch -D: (git)"]],
  ["rm -rf build", ["rm: build"]],
  ["/bin/rm 'a b' c", ["rm: a b c"]],
  ["rm -- -f", ["rm: -f"]],
  ["rm *.ts", ["rm: *.ts"]],
  ["rm $TARGET", ["rm: $TARGET"]],
  ["sudo -u root rm a", ["rm: a"]],
  ["env -u X A=1 rm a", ["rm: a"]],
  ["A=1 B=2 nohup rm a", ["rm: a"]],
  ["timeout -k 5 10 nice -n 3 rm a", ["rm: a"]],
  ["git ls-files | xargs -n 1 rm -f", ["rm: (anything)"]],
  ["bash -lc 'rm a && git stash'", ["rm: a", "git stash: (git)"]],
  ["sudo sh -c \"bash -c 'rm a'\"", ["rm: a"]],
  ["cd sub && rm a; rm ../b", ["rm: sub/a", "rm: b"]],
  ["(cd sub; rm a); rm b", ["rm: sub/a", "rm: b"]],
  ["cd /tmp/x || rm a", ["rm: /tmp/x/a"]],
  ["echo `rm a`", ["rm: a"]],
  ['echo "$(rm a)"', ["rm: a"]],
  ["x=$(rm a)", ["rm: a"]],
  ["# nothing\nrm a # really\nrm b", ["rm: a", "rm: b"]],
  ["if [ -f a ]; then rm a; fi", ["rm: a"]],
  ["for f in *; do rm $f; done", ["rm: $f"]],
  ["rm \\\n  a", ["rm: a"]],
  ["echo 'unclosed; rm a", ["rm: a"]],
  ["eval rm a", ["rm: a"]],
  ["mv a b", ["mv: b b/a (if present)"]],
  ["mv -t dir a b", ["mv: dir dir/a dir/b (if present)"]],
  ["cp -f src/a dir", ["cp: dir dir/a (if present)"]],
  ["ln -sf a b", ["ln -f: b b/a (if present)"]],
  ["truncate -s 0 a", ["truncate: a (if present)"]],
  ["shred -n 1 -u a", ["shred: a"]],
  ["dd if=/dev/zero of=a bs=1", ["dd of=: a (if present)"]],
  ["find . -name '*.o' -delete", ["find -delete: ."]],
  ["find src lib -type f -exec rm {} +", ["find -exec rm: src lib"]],
  ["find -execdir sed -i s/a/b/ {} \\;", ["find -execdir sed -i: ."]],
  ["sed -i s/a/b/ a b", ["sed -i: a b"]],
  ["sed --in-place=.bak -e s/a/b/ a", ["sed -i: a"]],
  ["perl -pi -e 's/a/b/' a", ["perl -i: a"]],
  ["echo x > a", [">: a (if present)"]],
  [": >| a", [">: a (if present)"]],
  ["make &> log 2>&1", [">: log (if present)"]],
  ["cat a 2> err.txt", [">: err.txt (if present)"]],
  ["cat <<EOF > a\nx\nEOF", [">: a (if present)"]],
  ["echo x | tee a b", ["tee: a b (if present)"]],
  ["sort -o a a", ["sort -o: a (if present)"]],
  ["curl -o a http://localhost/", ["curl -o: a (if present)"]],
  ["rsync --delete a/ b/", ["rsync: b/ (if present)"]],
];

test.each(destructive)("%j", (command, expected) => {
  expect(summary(command)).toEqual(expected);
});

test.each([
  "ls -la",
  "npm ci",
  "git status",
  "git checkout main",
  "git checkout -b feature/x",
  "git switch main",
  "git reset HEAD a",
  "git clean -nd",
  "git stash list",
  "git rm --cached a",
  "echo rm -rf /",
  "echo 'git reset --hard'",
  "grep -r 'rm -rf' .",
  "sed s/a/b/ a",
  "echo x >> a",
  "ls > /dev/null 2>&1",
  "tee -a log",
  "mv -n a b",
  "find . -name a",
  "dd if=a of=/dev/null",
  "rmdir a",
  "ln -s a b",
  "constructor x",
  "git toString",
  "",
  "   ",
  "${",
])("%j destroys nothing that is known", (command) => {
  expect(inspectCommand(command, none)).toMatchObject({ damages: [] });
});

describe("scripts", () => {
  test("are asked for, and looked into when they are given", () => {
    expect(inspectCommand("cd sub && sh clean.sh", none)).toEqual({ damages: [], scripts: ["sub/clean.sh"] });
    expect(summary("cd sub && sh clean.sh", new Map([["sub/clean.sh", "#!/bin/sh\nrm -rf out\n"]]))).toEqual([
      "rm: sub/out",
    ]);
    expect(inspectCommand("./tool", none).scripts).toEqual(["tool"]);
    expect(
      summary(
        "source a.sh",
        new Map([
          ["a.sh", "./b"],
          ["b", "#!/usr/bin/env bash\nrm c"],
        ]),
      ),
    ).toEqual(["rm: c"]);
  });

  test("that are no shell scripts are not read as such", () => {
    expect(summary("./tool", new Map([["tool", "#!/usr/bin/env python3\nrm a\n"]]))).toEqual([]);
  });

  test("of a package are found with what runs before and after", () => {
    const scripts = { build: "tsc", prebuild: "rm -rf dist", clean: "git clean -fd", again: "npm run again; rm x" };
    const texts = new Map([["package.json", JSON.stringify({ scripts })]]);
    expect(inspectCommand("npm run build", none).scripts).toEqual(["package.json"]);
    expect(summary("npm run build", texts)).toEqual(["rm: dist"]);
    expect(summary("yarn clean", texts)).toEqual(["git clean -fd:"]);
    expect(summary("npm run again", texts)).toEqual(["rm: x"]);
    expect(summary("npm run toString", texts)).toEqual([]);
    expect(summary("npm run build", new Map([["package.json", "not json"]]))).toEqual([]);
    expect(summary("npm run build", new Map([["package.json", '{"scripts":{"build":1}}']]))).toEqual([]);
  });

  test("that call each other, and endless commands, come to an end", () => {
    const texts = new Map([
      ["a.sh", "sh b.sh; rm a"],
      ["b.sh", "sh a.sh; rm b"],
    ]);
    expect(summary("sh a.sh", texts)).toEqual(["rm: b", "rm: a"]);
    expect(inspectCommand("rm a;".repeat(50_000), none).damages).toHaveLength(1);
  });
});
