/**
 * Random turns of a conversation as data: which model, how long a pause, a restart, a picture, a return to an earlier prompt, and
 * what the model does, in steps.
 *
 * Not here: playing them (`stage.ts`). Modes, MCP servers that connect again and forks will be further fields of `Turn`, once
 * the host has them.
 */
import fc from "fast-check";
import type { VendorStep } from "./vendor.ts";

/** One turn, and what happens right before its prompt. */
export interface Turn {
  readonly pauseMs: number;
  readonly restart: boolean;
  /** The project's instructions begin with this from now on. */
  readonly instructions: string | undefined;
  readonly model: number;
  /** Back to right before the prompt so many turns ago. */
  readonly restoreTo: number | undefined;
  /** The conversation is compacted before the prompt, after it went back if it does. */
  readonly compact: boolean;
  readonly warmUp: boolean;
  readonly picture: boolean;
  readonly words: string;
  readonly steps: readonly VendorStep[];
}

const minute = 60_000;
const pause = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 2 * minute }) },
  { weight: 2, arbitrary: fc.integer({ min: 6 * minute, max: 28 * minute }) },
  { weight: 1, arbitrary: fc.integer({ min: 31 * minute, max: 59 * minute }) },
  // Another day: the date is another one, too.
  { weight: 1, arbitrary: fc.constant(26 * 60 * minute) },
);
/** A call of a file that is there, or of one that is not. */
const call = fc
  .oneof({ weight: 9, arbitrary: fc.nat(39) }, { weight: 1, arbitrary: fc.constant(99) })
  .map((file) => ({ name: "read", input: { files: [{ path: `src/file${file}.ts` }] } }));
const calls = fc.oneof(
  { weight: 10, arbitrary: fc.array(call, { minLength: 1, maxLength: 3 }) },
  // More blocks than a marker looks back over.
  { weight: 1, arbitrary: fc.array(call, { minLength: 21, maxLength: 30 }) },
);
const say = fc.lorem({ maxCount: 30 });
const working: fc.Arbitrary<VendorStep> = fc
  .record({ calls, say: fc.option(say, { nil: undefined }), think: fc.option(say, { nil: undefined, freq: 3 }) })
  .chain(({ calls: made, say: words, think }) => {
    const step = {
      calls: made,
      ...(words === undefined ? {} : { say: words }),
      ...(think === undefined ? {} : { think }),
    };
    // Cut at any of its blocks, now and then.
    const cutAfter = fc.option(fc.nat(made.length), { nil: undefined, freq: 12 });
    return cutAfter.map((at) => ({ step, ...(at === undefined ? {} : { cutAfter: at }) }));
  });

/** A turn. */
const turn: fc.Arbitrary<Turn> = fc
  .record({
    pauseMs: pause,
    restart: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
    instructions: fc.option(fc.lorem({ maxCount: 3 }), { nil: undefined, freq: 12 }),
    model: fc.oneof({ weight: 8, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(3) }),
    restoreTo: fc.option(fc.nat(3), { nil: undefined, freq: 8 }),
    compact: fc.integer({ min: 0, max: 14 }).map((one) => one === 0),
    warmUp: fc.boolean(),
    picture: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
    words: fc.lorem({ maxCount: 12 }),
    steps: fc.tuple(
      fc.array(working, { maxLength: 3 }),
      say.map((words): VendorStep => ({ step: { say: words } })),
    ),
  })
  .map(({ steps: [work, end], ...rest }) => ({ ...rest, steps: [...work, end] }));

/** Turns of a conversation. */
export const turnsOfConversation = 20;

/** A conversation: the model that it begins with, and its turns. */
export interface Conversation {
  readonly model: number;
  readonly turns: readonly Turn[];
}

/** A turn in which nothing but words and calls happens. */
const plainTurn: fc.Arbitrary<Turn> = turn.map((one) => ({
  ...one,
  pauseMs: 1_000,
  restart: false,
  model: -1,
  restoreTo: undefined,
  compact: false,
  warmUp: false,
  steps: one.steps.map(({ step }) => ({ step: typeof step === "function" ? step : { ...step, think: undefined } })),
}));

/** A conversation without anything that would break the cache. */
export const plainConversation: fc.Arbitrary<Conversation> = fc.record({
  model: fc.nat(3),
  turns: fc.array(plainTurn, { minLength: 2, maxLength: 5 }),
});

/** A conversation: the model that it begins with, and its turns. */
export const conversation: fc.Arbitrary<Conversation> = fc.record({
  model: fc.nat(3),
  turns: fc.array(turn, { minLength: turnsOfConversation, maxLength: turnsOfConversation, size: "max" }),
});
