/**
 * The control interface of a double that runs as its own process: paths that begin with two underscores.
 *
 * Not here: anything a model server has. Easily got wrong: `POST /__reached` answers only when the hold is reached.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import { journalEntry } from "./journal.ts";
import { asText, isObject } from "./json.ts";
import { readScripts } from "./script.ts";
import type { ModelDouble } from "./server.ts";

/** Answers one control request. Throws an error with a plain message when the body is wrong. */
export async function control(double: ModelDouble, call: string, body: Json | undefined): Promise<unknown> {
  const name = () => {
    const given = isObject(body) ? asText(body.name) : "";
    if (given === "") throw new Error('The body must be {"name": "..."}, naming a hold.');
    return given;
  };
  switch (call) {
    case "GET /__journal":
      return double.requests.map(journalEntry);
    case "GET /__violations":
      return double.violations;
    case "POST /__script":
      double.setScript(readScripts(body));
      return { ok: true };
    case "POST /__reset":
      double.reset();
      return { ok: true };
    case "POST /__release":
      double.release(name());
      return { ok: true };
    case "POST /__reached":
      await double.reached(name());
      return { ok: true };
    default:
      throw new Error(
        `The model double knows no ${call}. It knows GET __journal and __violations, and POST __script, __reset, __release, __reached.`,
      );
  }
}
