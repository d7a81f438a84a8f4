/**
 * The output of a command within a cap: its head and tail in memory, the whole in a file once it is larger.
 *
 * An adapter's part: it writes that file. Not here: processes (`shellProcess.ts`). Easily got wrong: bytes are cut at line
 * ends where there are any, and never inside a character.
 */
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { log } from "../base/trace.ts";

/** How much output is kept, in bytes. */
export interface OutputLimits {
  readonly headBytes: number;
  readonly tailBytes: number;
  /** The whole output's file grows to this and no further. */
  readonly fileBytes: number;
}

/** Head 8 KB, tail 24 KB (errors come last), file 64 MB. */
export const defaultOutputLimits: OutputLimits = {
  headBytes: 8 * 1024,
  tailBytes: 24 * 1024,
  fileBytes: 64 * 1024 * 1024,
};

/** Takes a command's output. Give it every chunk, then `finish` once. */
export class CappedOutput {
  readonly #limits: OutputLimits;
  readonly #path: string;
  /** Everything, until it is more than head and tail hold; then the tail alone. */
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #head: Buffer | undefined;
  #total = 0;
  #file: Promise<FileHandle | undefined> | undefined;
  #fileBytes = 0;
  #writing: Promise<void> = Promise.resolve();

  /** `path` is where the whole goes when it is too large; the file and its folder are made only then. */
  constructor(path: string, limits: OutputLimits) {
    this.#path = path;
    this.#limits = limits;
  }

  /** Takes bytes. The promise, when there is one, settles once the file has them: wait for it before reading on. */
  push(chunk: Buffer): Promise<void> | undefined {
    this.#total += chunk.length;
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
    const { headBytes, tailBytes } = this.#limits;
    if (!this.#head) {
      if (this.#total <= headBytes + tailBytes) return undefined;
      const all = Buffer.concat(this.#kept);
      this.#head = all.subarray(0, headBytes);
      this.#kept = [all.subarray(headBytes)];
      this.#keptBytes = all.length - headBytes;
      this.#file = this.#open();
      return this.#write(all);
    }
    // Joined only at twice the size, so that many small chunks cost no more than the bytes they hold.
    if (this.#keptBytes > 2 * tailBytes) {
      const tail = Buffer.concat(this.#kept).subarray(-tailBytes);
      this.#kept = [tail];
      this.#keptBytes = tail.length;
    }
    return this.#write(chunk);
  }

  /** The output to show, and the file with the whole when there is one. */
  async finish(): Promise<{ readonly output: string; readonly outputFile?: string }> {
    const rest = Buffer.concat(this.#kept);
    if (!this.#head) return { output: rest.toString("utf8") };
    await this.#writing;
    const file = await this.#file;
    await file?.close();
    const head = cutEnd(this.#head);
    const tail = cutStart(rest.subarray(-this.#limits.tailBytes));
    const left = this.#total - head.length - tail.length;
    const where = file ? `the whole output is in ${this.#path}${this.#cutNote()}` : "the rest could not be stored";
    const output = `${head.toString("utf8")}\n[... ${left.toLocaleString("en")} bytes left out; ${where} ...]\n${tail.toString("utf8")}`;
    return { output, ...(file ? { outputFile: this.#path } : {}) };
  }

  #cutNote(): string {
    if (this.#total <= this.#fileBytes) return "";
    return `, cut after ${this.#fileBytes.toLocaleString("en")} bytes`;
  }

  async #open(): Promise<FileHandle | undefined> {
    try {
      await mkdir(dirname(this.#path), { recursive: true });
      return await open(this.#path, "wx", 0o600);
    } catch (error) {
      log("warn", `Cannot store command output in ${this.#path}`, error);
      return undefined;
    }
  }

  #write(chunk: Buffer): Promise<void> {
    const part = chunk.subarray(0, Math.max(0, this.#limits.fileBytes - this.#fileBytes));
    this.#fileBytes += part.length;
    if (part.length > 0) this.#writing = this.#writing.then(() => this.#append(part));
    return this.#writing;
  }

  async #append(part: Buffer): Promise<void> {
    const file = await this.#file;
    try {
      await file?.appendFile(part);
    } catch (error) {
      log("warn", `Cannot store command output in ${this.#path}`, error);
      await file?.close().catch(() => undefined);
      this.#file = Promise.resolve(undefined);
    }
  }
}

const newline = 0x0a;

/** Without the started last line, or at least without half of a character. */
function cutEnd(bytes: Buffer): Buffer {
  const at = bytes.lastIndexOf(newline);
  if (at !== -1) return bytes.subarray(0, at);
  let start = bytes.length - 1;
  while (start > 0 && bytes.length - start < 4 && isContinuation(bytes[start])) start -= 1;
  const first = bytes[start] ?? 0;
  const needed = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return start + needed > bytes.length ? bytes.subarray(0, start) : bytes;
}

function cutStart(bytes: Buffer): Buffer {
  const at = bytes.indexOf(newline);
  if (at !== -1 && at < bytes.length - 1) return bytes.subarray(at + 1);
  let start = 0;
  while (start < 4 && isContinuation(bytes[start])) start += 1;
  return bytes.subarray(start);
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
