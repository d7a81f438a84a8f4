/** Lists of a fold: copied once, then changed in place; what somebody else has seen stays as it is. */
import { expect, test } from "vitest";
import { createOwnLists } from "../../../server/src/base/lists.ts";

test("a list is copied when a fold first changes it, and never again", () => {
  const lists = createOwnLists();
  const given: readonly number[] = [1, 2];
  const first = lists.append(given, 3);
  const second = lists.append(first, 4);
  const third = lists.replace(second, 0, 9);
  expect(given).toEqual([1, 2]);
  expect(third).toEqual([9, 2, 3, 4]);
  expect([second, third]).toEqual([first, first]);
  expect(second).toBe(first);
  expect(third).toBe(first);
});

test("what one fold has made, another leaves alone", () => {
  const made = createOwnLists().append([1], 2);
  expect(createOwnLists().append(made, 3)).toEqual([1, 2, 3]);
  expect(createOwnLists().replace(made, 1, 7)).toEqual([1, 7]);
  expect(made).toEqual([1, 2]);
});

test("nothing to append leaves the very list", () => {
  const given: readonly number[] = [1];
  expect(createOwnLists().append(given)).toBe(given);
});
