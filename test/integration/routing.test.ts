/** Models chosen by rules in a real host: events with reasons, what stays, what wins, and endpoints that are left alone. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { systemClock } from "../../server/src/base/async.ts";
import { readConfig } from "../../server/src/config.ts";
import { createLocalModels } from "../../server/src/main/models.ts";
import type { RouteFacts } from "../../server/src/model/router.ts";
import { TokenCounts } from "../../server/src/model/tokens.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { startPlay } from "../support/play.ts";

const adaptive = { "model.name": "auto", "model.strategy": "adaptive" };
const easy = "What does this project do?";
const hard = "Refactor the whole project.";
const [haiku, opus] = ["anthropic/claude-haiku-5-5", "anthropic/claude-opus-5-5"];
const [sol, luna] = ["openai/gpt-6.1-sol", "openai/gpt-6-luna"];

test("a task gets a model that fits it, the journal says why, and the conversation keeps it", async () => {
  await using play = await startPlay({ script: { steps: [{ say: "It." }, { say: "Done." }] }, settings: adaptive });
  const { sessionId } = await play.prompt(easy);
  await play.prompt(hard, { sessionId });
  expect(play.double.requests.map(({ model }) => model)).toEqual(["claude-haiku-5-5", "claude-haiku-5-5"]);
  const routed = play.events().filter((event) => event.type === "model_routed");
  expect(routed).toMatchObject([
    {
      model: haiku,
      label: "Claude Haiku 5.5",
      strategy: "adaptive",
      rule: "speed",
      reason: "a short question or a small change",
    },
    { model: haiku, rule: "stay", reason: "the conversation is with it" },
  ]);
  const { prompt } = play;
  const other = await prompt(hard);
  const turn = play.events().findLast((event) => event.type === "turn_started");
  expect(turn).toMatchObject({ model: opus });
  expect(other.stopReason).toBe("end_turn");
});

test("the named models are taken with their length of answer, and one without a key is left out and told", async () => {
  const problems: string[] = [];
  await using play = await startPlay({
    script: { steps: [{ say: "It." }] },
    settings: {
      ...adaptive,
      "model.models.simple.provider": "openai",
      "model.models.simple.name": "gpt-6-luna",
      "model.models.simple.maxTokens": 2048,
      "model.models.complex.name": "nonsense",
    },
    host: { onProblem: (problem) => problems.push(problem) },
  });
  await play.prompt(easy);
  expect(play.double.requests[0]).toMatchObject({ model: "gpt-6-luna", json: { max_output_tokens: 2048 } });
  await play.prompt(hard);
  expect(play.double.requests[1]?.model).toBe("claude-opus-5-5");
  expect(problems).toContainEqual(
    expect.stringContaining("The model nonsense in hermes.model.models.complex is left out"),
  );
});

test("an endpoint that is left alone is passed over for another", async () => {
  const fault = { kind: "http", error: "overloaded", times: 1000 } as const;
  await using play = await startPlay({
    script: { steps: [({ model }) => (model.startsWith("claude") ? { say: "It.", fault } : { say: "It." })] },
    settings: { ...adaptive, "model.retrySeconds": 0 },
  });
  for (let turn = 0; turn < 5; turn++) expect((await play.prompt(easy, { model: haiku })).stopReason).toBe("error");
  expect((await play.prompt(hard)).stopReason).toBe("end_turn");
  expect(play.events().findLast(({ type }) => type === "model_routed")).toMatchObject({ model: sol, rule: "quality" });
  // What went wrong is remembered for other hosts and later days.
  await play.local.close();
  const speeds = JSON.parse(await readFile(join(play.home, "speeds.json"), "utf8"));
  expect(speeds).toMatchObject({ [haiku]: { failureRate: expect.closeTo(0.67, 2) }, [sol]: { failureRate: 0 } });
});

test("whatever the strategy, a model that the user has named is taken: by the prompt, the picker or the settings", async () => {
  const home = await mkdtemp(join(tmpdir(), "hermes-routing-"));
  try {
    const facts = (text: string): RouteFacts => ({
      sessionId: "s1" as SessionId,
      task: "prompt",
      text,
      references: 0,
      images: false,
      promptTokens: 100,
    });
    const named = fc.constantFrom("auto", haiku, opus, luna, "openai/gpt-next");
    const maybe = fc.option(named, { nil: undefined });
    const strategy = fc.constantFrom("fixed", "adaptive", "cost", "latency");
    await fc.assert(
      fc.asyncProperty(
        maybe,
        maybe,
        named,
        strategy,
        fc.constantFrom(easy, hard),
        async (prompt, picked, set, how, text) => {
          const environment = { HERMES_HOME: home, ANTHROPIC_API_KEY: "a", OPENAI_API_KEY: "o" };
          const models = createLocalModels({
            config: readConfig(environment, { "model.name": set, "model.strategy": how, "localModels.detect": false }),
            clock: systemClock,
            tokens: new TokenCounts(),
            budget: (next) => next,
            speeds: { add: () => undefined, all: async () => new Map() },
            moneyLeft: async () => undefined,
          });
          if (picked !== undefined) await models.select(picked);
          const { spec, routed } = await models.resolve(prompt, () => facts(text));
          const wanted = prompt ?? picked ?? set;
          if (wanted !== "auto") {
            expect(spec.id).toBe(wanted);
            expect(routed).toBeUndefined();
          } else {
            // "auto" by the picker or the prompt means rules, even where the settings do not.
            const isRouted = how !== "fixed" || prompt === "auto" || picked === "auto";
            expect(routed !== undefined).toBe(isRouted);
            if (routed) expect(spec.id).toBe(routed.model);
            else expect(spec.id).toBe("anthropic/claude-sonnet-5-5");
          }
          if (prompt === undefined) {
            const { models: choices, selected } = await models.list();
            expect(choices.filter(({ id }) => id === "auto")).toMatchObject(
              [{ state: "ready", label: /^Auto \(/ }].map(({ state }) => ({
                state,
                label: expect.stringMatching(/^Auto \(/),
              })),
            );
            expect(selected).toBe(routed ? "auto" : spec.id);
          }
        },
      ),
      { seed: 20261121, numRuns: 300 },
    );
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
