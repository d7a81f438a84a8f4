/**
 * Plays a random conversation from its beginning to its end, and finds the blocks of a stored one to change.
 *
 * Not here: what is judged (`stage.ts`). Easily got wrong: messages and blocks are counted here from the events, not asked of
 * the code that is under test.
 */
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import type { CacheBreakCause } from "../../../server/src/protocol/types.ts";
import { models, Stage } from "./stage.ts";
import type { Conversation } from "./turns.ts";

/** What is wrong with the requests of a conversation, and how often each break was told. */
export interface Played {
  readonly wrong: readonly string[];
  readonly causes: readonly CacheBreakCause[];
}

/** Plays it. Stops at the first turn with which something is wrong. */
export async function playConversation({ model, turns }: Conversation): Promise<Played> {
  const stage = new Stage();
  stage.use(models[model % models.length]);
  const wrong: string[] = [];
  for (const [at, turn] of turns.entries()) {
    for (const what of await stage.play(turn)) wrong.push(`turn ${at + 1}: ${what}`);
    if (wrong.length > 0) break;
  }
  await stage.close();
  const causes = stage.events.flatMap((event) =>
    event.type === "step_finished" ? (event.cache?.break?.cause ?? []) : [],
  );
  return { wrong, causes };
}

/** A block of a stored conversation: what people call it, and the journal with that block changed. */
export interface StoredBlock {
  readonly name: string;
  readonly changed: (events: readonly SessionEvent[]) => readonly SessionEvent[];
}

/** Every block that was sent of a conversation that never went back, but tools. */
export function storedBlocks(events: readonly SessionEvent[]): readonly StoredBlock[] {
  const blocks: StoredBlock[] = [];
  let message = 0;
  let answer = { at: 0, blocks: 0, calls: [] as string[] };
  const add = (event: SessionEvent, name: string, change: (event: SessionEvent) => object) =>
    blocks.push({
      name,
      changed: (all) => all.map((one) => (one.seq === event.seq ? ({ ...one, ...change(one) } as SessionEvent) : one)),
    });
  for (const event of events) {
    if (event.type === "system_set") add(event, "system", () => ({ text: `${event.text} And so on.` }));
    if (event.type === "turn_started") {
      message += 1;
      answer = { at: 0, blocks: 0, calls: [] };
      for (const [at, part] of event.prompt.entries()) {
        const other =
          part.type === "image" ? { ...part, base64: `${part.base64}AA` } : { ...part, text: `${part.text}!` };
        const name = `message ${message}, block ${at + 1} (${part.type === "image" ? "picture" : "prompt"})`;
        add(event, name, () => ({ prompt: event.prompt.with(at, other) }));
      }
      if (event.context !== "")
        add(event, `message ${message}, block ${event.prompt.length + 1} (prompt)`, () => ({
          context: `${event.context}!`,
        }));
    }
    if (event.type === "step_started") {
      if (answer.calls.length > 0) message += 1;
      answer = { at: 0, blocks: 0, calls: [] };
    }
    if (event.type === "assistant_block") {
      if (answer.blocks === 0) answer.at = message += 1;
      answer.blocks += 1;
      const { part } = event.block;
      if (part.type === "tool_call") answer.calls.push(part.callId);
      const name = `message ${answer.at}, block ${answer.blocks} (${part.type === "tool_call" ? `call of ${part.name}` : "answer"})`;
      const other = part.type === "tool_call" ? { ...part, input: { files: [] } } : { ...part, text: "Otherwise." };
      add(event, name, () => ({ block: { ...event.block, part: other } }));
    }
    if (event.type === "tool_result") {
      const at = answer.calls.indexOf(event.callId) + 1;
      add(event, `message ${answer.at + 1}, block ${at} (result of read)`, () => ({ text: `${event.text}\n` }));
    }
  }
  return blocks;
}
