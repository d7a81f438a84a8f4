/** How hard a task looks: a labelled set in two languages, the kinds of tasks, and size. */
import { expect, test } from "vitest";
import { difficultyOf } from "../../../server/src/model/difficulty.ts";
import { labelledTasks } from "../../support/labelledTasks.ts";

const facts = (text: string, references = 0) => ({ task: "prompt" as const, text, references });

test("of a hundred labelled tasks at least ninety are read as labelled, and few hard ones as easy", () => {
  const read = labelledTasks.map(({ text, label }) => ({
    text,
    label,
    read: difficultyOf(facts(text)).level === "low" ? "simple" : "complex",
  }));
  expect(read).toHaveLength(100);
  expect(new Set(read.map(({ text }) => text)).size).toBe(100);
  const wrong = read.filter((one) => one.read !== one.label);
  expect(wrong.length, wrong.map(({ text }) => text).join("\n")).toBeLessThanOrEqual(10);
  expect(wrong.filter(({ label }) => label === "complex").length).toBeLessThanOrEqual(2);
});

test.each([
  ["review_changes", "high"],
  ["fix", "medium"],
  ["fix_file", "medium"],
  ["refactor", "medium"],
  ["write_tests", "medium"],
  ["explain", "low"],
] as const)("a task of the kind %s is %s", (task, level) => {
  expect(difficultyOf({ task, text: "", references: 1 }).level).toBe(level);
});

test("a long text and many places are hard whatever the words; what nothing speaks for is ordinary", () => {
  expect(difficultyOf(facts("What is this? ".repeat(200))).level).toBe("high");
  expect(difficultyOf(facts("这是什么？".repeat(150))).level).toBe("high");
  expect(difficultyOf(facts("What is this?", 6)).level).toBe("high");
  expect(difficultyOf(facts("Hm, go on.")).level).toBe("medium");
});
