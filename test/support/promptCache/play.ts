/**
 * Plays a random conversation from its beginning to its end.
 *
 * Not here: what is judged (`stage.ts`).
 */
import { models, Stage } from "./stage.ts";
import type { Turn } from "./turns.ts";

/** What is wrong with the requests of a conversation, by turn. */
export async function playConversation(given: { readonly model: number; readonly turns: readonly Turn[] }) {
  const stage = new Stage();
  const [first] = models;
  stage.use(models[given.model] ?? (first as (typeof models)[number]));
  const wrong: string[] = [];
  for (const [at, turn] of given.turns.entries()) {
    for (const what of await stage.play(turn)) wrong.push(`turn ${at + 1}: ${what}`);
    if (wrong.length > 0) break;
  }
  await stage.close();
  return wrong;
}
