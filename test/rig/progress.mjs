/**
 * Shows one line per step: a spinner with seconds on a terminal, plain lines elsewhere.
 *
 * Plain JavaScript without dependencies, because it runs before anything is installed and on Node 18. Easily got
 * wrong: output of child programs must not go to the same terminal while a step is open; collect it and show it on failure.
 */
const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** Runs `work` under one progress line and returns what it returns; on failure marks the line and rethrows. */
export async function step(label, work) {
  const tty = process.stdout.isTTY === true && !process.env.CI;
  const started = Date.now();
  let detail = "";
  let frame = 0;
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  const draw = () => {
    const text = `${frames[frame++ % frames.length]} ${label}${detail && `: ${detail}`} (${seconds()})`;
    process.stdout.write(`\r\x1b[K${text.slice(0, (process.stdout.columns || 80) - 1)}`);
  };
  if (!tty) process.stdout.write(`- ${label} ...\n`);
  const timer = tty ? setInterval(draw, 100) : undefined;
  if (tty) draw();
  const close = (mark) => {
    clearInterval(timer);
    process.stdout.write(`${tty ? "\r\x1b[K" : ""}${mark} ${label} (${seconds()})\n`);
  };
  try {
    const result = await work((text) => {
      detail = text.replace(/\s+/g, " ").trim();
    });
    close(tty ? "\x1b[32m✔\x1b[0m" : "  done:");
    return result;
  } catch (error) {
    close(tty ? "\x1b[31m✘\x1b[0m" : "  failed:");
    throw error;
  }
}
