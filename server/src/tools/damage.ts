/**
 * What a command may destroy, in the words of the approval.
 *
 * Not here: how it is found (`destructive.ts`, `destructiveGit.ts`). Easily got wrong: targets are as the command names
 * them, patterns and unknown variables included; what they lead to is for the workspace to find.
 */

/** One thing that a command destroys. */
export interface Damage {
  /** How the user knows it: `git reset --hard`, `rm`. */
  readonly name: string;
  /** What it does, in words that follow the name. */
  readonly effect: string;
  /** Files, folders and patterns that it names, relative to the root or absolute. */
  readonly targets: readonly string[];
  /** It also reaches files that it does not name. */
  readonly anything?: boolean;
  /** It also reaches files that git ignores. */
  readonly ignored?: boolean;
  /** It changes what git itself keeps (index, stash, branches). */
  readonly gitState?: boolean;
  /** Nothing is destroyed unless one of the targets exists. */
  readonly ifPresent?: boolean;
}
