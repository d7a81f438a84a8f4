/**
 * What a command could destroy, for the approval and for the before-images: reads the scripts that it runs, and asks the
 * workspace what could be brought back.
 *
 * Not here: the commands that are known (`destructive.ts`), keeping bytes (the workspace). Easily got wrong: what is kept
 * does not depend on what is known here; a command without a warning has the same before-images.
 */
import { ToolError } from "../../base/errors.ts";
import type { ChangeScope, Workspace } from "../../workspace/workspace.ts";
import type { Damage } from "../damage.ts";
import { inspectCommand } from "../destructive.ts";

/** How often scripts may lead to scripts that are read too. */
const maxRounds = 4;
/** Scripts that are read in all. */
const maxScripts = 20;

/** What to keep the bytes of, beyond what is kept for every command. */
export async function scopeOf(command: string, workspace: Workspace, signal: AbortSignal): Promise<ChangeScope> {
  return toScope(await damagesOf(command, workspace, signal), []);
}

/** The sentences for the approval: what it can destroy, what is kept, and what could not be brought back. */
export async function cautionOf(
  command: string,
  workspace: Workspace,
  changed: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const damages = await damagesOf(command, workspace, signal);
  const survey = await workspace.surveyChanges?.(toScope(damages, changed), signal);
  if (!survey) return damages.length > 0 ? `${warningOf(damages)} Undo cannot bring it back.` : undefined;
  const present = new Set(survey.present);
  const real = damages.filter(({ ifPresent, targets }) => !ifPresent || targets.some((path) => present.has(path)));
  const gaps = [
    ...survey.gaps,
    ...(real.some(({ gitState }) => gitState) ? ["what git itself keeps (what is staged, stashed or committed)"] : []),
  ];
  const cannot = gaps.length > 0 ? `Undo cannot bring back: ${gaps.join("; ")}.` : "";
  if (real.length === 0) return cannot || undefined;
  const kept = `Hermes keeps before-images of ${survey.files === 1 ? "1 file" : `${survey.files} files`}.`;
  return [warningOf(real), kept, cannot].filter(Boolean).join(" ");
}

function warningOf(damages: readonly Damage[]): string {
  const shown = new Set(damages.map(({ name, effect }) => `${name} ${effect}`));
  const some = [...shown].slice(0, 5).join("; ");
  return `This can destroy uncommitted work: ${some}${shown.size > 5 ? "; and more" : ""}.`;
}

function toScope(damages: readonly Damage[], changed: readonly string[]): ChangeScope {
  return {
    paths: [...new Set([...damages.flatMap(({ targets }) => targets), ...changed])],
    ignored: damages.some(({ ignored }) => ignored),
    anything: damages.some(({ anything }) => anything),
  };
}

async function damagesOf(command: string, workspace: Workspace, signal: AbortSignal): Promise<readonly Damage[]> {
  const texts = new Map<string, string>();
  let found = inspectCommand(command, texts);
  for (let round = 0; round < maxRounds; round++) {
    const missing = found.scripts.filter((path) => !texts.has(path)).slice(0, maxScripts - texts.size);
    if (missing.length === 0) break;
    for (const path of missing) texts.set(path, await readScript(path, workspace, signal));
    found = inspectCommand(command, texts);
  }
  return found.damages;
}

/** A script that is missing, or is no text, has nothing to look into; what it does is kept for all the same. */
async function readScript(path: string, workspace: Workspace, signal: AbortSignal): Promise<string> {
  try {
    const { uri, inside } = await workspace.resolve(path);
    return inside ? (await workspace.read(uri, signal)).text : "";
  } catch (error) {
    if (error instanceof ToolError) return "";
    throw error;
  }
}
