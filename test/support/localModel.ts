/**
 * A play whose model runs "on this machine", with a window as small as a test wants it.
 *
 * Not here: models of vendors (`play.ts`). Easily got wrong: such a model speaks Chat Completions and has no price.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelSpec } from "../../server/src/protocol/types.ts";
import { type Play, type PlayOptions, startPlay } from "./play.ts";

/** A play with one more model: on this machine, with this window. */
export async function startLocal(contextTokens: number, options: PlayOptions): Promise<Play> {
  const play = await startPlay({ ...options, settings: { ...options.settings, "model.name": "local/small" } });
  const spec: ModelSpec = {
    id: "local/small",
    label: "Small",
    api: "openai-chat",
    wireId: "small",
    contextTokens,
    maxOutputTokens: contextTokens,
    images: false,
    thinking: "none",
    baseUrl: play.double.openaiBaseUrl,
    local: true,
  };
  await mkdir(play.home, { recursive: true });
  await writeFile(join(play.home, "models.json"), JSON.stringify([spec]));
  return play;
}
