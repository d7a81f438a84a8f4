/**
 * The version of this build, put in by the bundler.
 *
 * Not here: the protocol's or the journal's version. Easily got wrong: run from source, there is no number.
 */
declare const HERMES_VERSION: string | undefined;

/** As in `package.json`; `development` when not bundled. */
export const version: string = typeof HERMES_VERSION === "string" ? HERMES_VERSION : "development";
