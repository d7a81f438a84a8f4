/**
 * Runs the model double as its own process, for end-to-end tests and benchmarks.
 *
 * Usage: node test/support/modelDoubleCli.ts [--script FILE.json] [--port 0] [--timing JSON] [--seed TEXT]
 * [--models a,b] [--key KEY] [--context-window TOKENS] [--minimum-prefix TOKENS] [--strict]. The first line on standard
 * output is `{"url": …, "port": …}`; it stops on SIGTERM, SIGINT, or when standard input ends and was a pipe.
 *
 * Not here: the double. Easily got wrong: without a script every model request is refused until `POST /__script`.
 */
import { fstatSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { z } from "zod";
import { parseJson } from "./double/json.ts";
import { readScripts } from "./double/script.ts";
import { startModelDouble } from "./modelDouble.ts";

const { values } = parseArgs({
  options: {
    script: { type: "string" },
    port: { type: "string", default: "0" },
    timing: { type: "string" },
    seed: { type: "string", default: "double" },
    models: { type: "string" },
    key: { type: "string" },
    "context-window": { type: "string" },
    "minimum-prefix": { type: "string" },
    strict: { type: "boolean", default: false },
  },
});

const timingSchema = z.strictObject({
  firstTokenMs: z.number().min(0).default(0),
  prefillMicrosPerToken: z.number().min(0).default(0),
  tokensPerSecond: z.number().min(0).default(0),
  jitter: z.number().min(0).max(1).default(0),
});

const number = (text: string) => z.coerce.number().int().min(0).parse(text);
const window = values["context-window"];
const minimum = values["minimum-prefix"];
const double = await startModelDouble({
  script: values.script === undefined ? [] : readScripts(parseJson(readFileSync(values.script, "utf8"))),
  port: number(values.port),
  seed: values.seed,
  strict: values.strict,
  ...(values.timing === undefined ? {} : { timing: timingSchema.parse(parseJson(values.timing)) }),
  ...(values.models === undefined ? {} : { models: values.models.split(",") }),
  ...(values.key === undefined ? {} : { key: values.key }),
  ...(window === undefined ? {} : { contextWindow: number(window) }),
  ...(minimum === undefined ? {} : { minimumPrefix: number(minimum) }),
});
console.log(JSON.stringify({ url: double.url, port: double.port }));

const stop = () => double.close().then(() => process.exit(0));
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
// A parent that dies takes its end of the pipe with it; a double must not outlive it.
if (fstatSync(0).isFIFO() || fstatSync(0).isSocket()) {
  process.stdin.resume();
  process.stdin.once("end", stop);
}
