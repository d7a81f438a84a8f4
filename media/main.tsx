/**
 * Wires the page: messages in, intents out.
 *
 * Not here: what is drawn. Easily got wrong: the page may be destroyed and made again at any time.
 */
import { render } from "preact";

render(<p>Hermes</p>, document.body);
