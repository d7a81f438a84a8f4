/**
 * All tools that Hermes brings. A new one is added here and nowhere else.
 *
 * Not here: tools of other servers. Easily got wrong: make one set for each session, because tools may remember what
 * happened in it (`edit` and `write` know what failed in a turn).
 */
import type { Clock } from "../../base/async.ts";
import type { Tool } from "../tool.ts";
import { deleteTool } from "./delete.ts";
import { createEditTool } from "./edit.ts";
import { listTool } from "./list.ts";
import { moveTool } from "./move.ts";
import { readTool } from "./read.ts";
import { searchTool } from "./search.ts";
import { createShellTool } from "./shell.ts";
import { createWriteTool } from "./write.ts";

/** Makes the tools of one session. */
export function createBuiltinTools(deps: { readonly clock: Pick<Clock, "now"> }): readonly Tool[] {
  return [
    readTool,
    listTool,
    searchTool,
    createEditTool(),
    createWriteTool(),
    deleteTool,
    moveTool,
    createShellTool(deps),
  ];
}
