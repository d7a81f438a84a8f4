/**
 * Entry point for the terminal: `hermes run`, `hermes sessions`, `hermes show`. Starts nothing it does not need.
 *
 * Not here: what a turn does, or how it is drawn (`cliOutput.ts`). Easily got wrong: everything but argument parsing is
 * loaded on demand, because the time to the first model request is a promise (see `docs` in README, "Speed").
 */
// As a namespace: an older Node would refuse a name that it does not have before it runs a line of ours.
import * as nodeModule from "node:module";
import { parseArgs } from "node:util";

const usage = `hermes: a coding agent that edits real files

  hermes run "task"       run one task in this folder and exit
      --cwd DIR           another folder
      --model ID          for example anthropic/claude-sonnet-5-5 or ollama/qwen3; auto chooses by the task
      --yes               approve everything
      --allow RULE        approve what the rule matches: edit(src/**), shell(npm test); repeatable
      --fresh             ask the model although the answer may be kept from before
      --resume ID         go on in an earlier session
      --setting NAME=VALUE  any setting of the extension, for this run: openai.api=chat; repeatable
      --json              events as JSON lines
      The task may also come from standard input: echo "task" | hermes run

  hermes sessions         list the sessions of this folder     --query WORDS  --cwd DIR  --json
  hermes show ID          print a session                      --json
  hermes why [ID]         say what made the last turn slow or expensive   --json
  hermes models           list the models that can be used     --json
  hermes cost             print what was spent, by day and model   --json
  hermes --help, --version

Keys: ANTHROPIC_API_KEY, OPENAI_API_KEY; other servers: ANTHROPIC_BASE_URL, OPENAI_BASE_URL.
Exit codes: 0 done, 1 error, 2 wrong usage, 3 refused by the model, 4 answer too long, 5 too many steps, 6 budget, 130 cancelled.
`;

/** The oldest Node that has everything the host uses (`zstd` in `node:zlib` is the newest of it). */
const oldestNode = [22, 15] as const;

start().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`hermes: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);

async function start(): Promise<number> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) {
    const { runUnderOwnNode } = await import("./ownNode.ts");
    return runUnderOwnNode(process.argv.slice(2), oldestNode.join("."));
  }
  nodeModule.enableCompileCache();
  return main(process.argv.slice(2));
}

async function main(argv: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    process.stderr.write(`hermes: ${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  const { values, positionals } = parsed;
  const [command, ...rest] = positionals;
  if (values.help || command === "help") {
    process.stdout.write(usage);
    return 0;
  }
  if (values.version) {
    const { version } = await import("./version.ts");
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const { cost, list, models, run, show, why } = await import("./cliCommands.ts");
  const options = { cwd: values.cwd ?? process.cwd(), json: values.json ?? false, settings: values.setting ?? [] };
  switch (command) {
    case "run":
      return run({
        ...options,
        task: rest.join(" "),
        approveAll: values.yes ?? false,
        fresh: values.fresh ?? false,
        allow: values.allow ?? [],
        ...(values.model === undefined ? {} : { model: values.model }),
        ...(values.resume === undefined ? {} : { resume: values.resume }),
      });
    case "sessions":
      return list({ ...options, ...(values.query === undefined ? {} : { query: values.query }) });
    case "show":
      return show({ ...options, id: rest[0] ?? "" });
    case "why":
      return why({ ...options, id: rest[0] });
    case "models":
      return models(options);
    case "cost":
      return cost(options);
    default:
      process.stderr.write(command ? `hermes: there is no command "${command}".\n\n${usage}` : usage);
      return 2;
  }
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      cwd: { type: "string" },
      model: { type: "string" },
      json: { type: "boolean" },
      yes: { type: "boolean" },
      fresh: { type: "boolean" },
      allow: { type: "string", multiple: true },
      resume: { type: "string" },
      setting: { type: "string", multiple: true },
      query: { type: "string" },
      help: { type: "boolean", short: "h" },
      version: { type: "boolean" },
    },
  });
}
