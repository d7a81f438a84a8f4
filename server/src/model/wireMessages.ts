/**
 * Remembers what each message of a conversation is on the wire, so that a request costs what is new in it.
 *
 * Not here: what a message becomes (each wire format). Easily got wrong: messages are never changed, only replaced, so the
 * message itself is the key; and what it becomes may depend on nothing but itself, the one before it, and images.
 */
import type { ModelMessage, ModelRequest } from "./provider.ts";

/** What a message is on the wire, for a model that sees pictures or does not. `before` is the message before it. */
export type ToWire<Wire> = (message: ModelMessage, images: boolean, before: ModelMessage | undefined) => Wire;

/** The messages of a request on the wire; each is translated once for as long as it is in memory. */
export function remembered<Wire>(toWire: ToWire<Wire>): (request: ModelRequest) => Wire[] {
  const known = { seeing: new WeakMap<ModelMessage, Wire>(), blind: new WeakMap<ModelMessage, Wire>() };
  return ({ model, messages }) => {
    const wires = model.images ? known.seeing : known.blind;
    return messages.map((message, at) => {
      const wire = wires.get(message) ?? toWire(message, model.images, messages[at - 1]);
      wires.set(message, wire);
      return wire;
    });
  };
}
