/**
 * The one headless Chromium of a test run.
 *
 * Not here: pages. Easily got wrong: every test opens a context of its own in this browser, never the default one, so
 * that stored state of one test is unknown to the next.
 */
import { type Browser, chromium } from "playwright-core";
import { step } from "../../rig/progress.mjs";
import { type Chromium, findChromium } from "./chromium.ts";

let found: Promise<Chromium> | undefined;
let browser: Promise<Browser> | undefined;

/** The running browser, found or installed and started at first use. */
export function sharedBrowser(): Promise<Browser> {
  browser ??= launch();
  return browser;
}

/** Ends the browser, if it was started. */
export async function closeSharedBrowser(): Promise<void> {
  const started = browser;
  browser = undefined;
  await (await started?.catch(() => undefined))?.close();
}

async function launch(): Promise<Browser> {
  found ??= step("Finding Chromium", findChromium);
  const { executablePath, libraryPath, source } = await found;
  const started = await chromium.launch({
    executablePath,
    // Ending is decided in one place, `stopOnSignals`.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    ...(libraryPath === undefined ? {} : { env: { ...process.env, LD_LIBRARY_PATH: libraryPath } }),
  });
  console.log(`Chromium ${started.version()} (${source}: ${executablePath})`);
  return started;
}
