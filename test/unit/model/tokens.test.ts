/** Estimates of prompts: what is learned from a vendor's counts, what pictures cost, and that nothing is measured twice. */
import { describe, expect, test } from "vitest";
import { imageTokens } from "../../../server/src/model/imageTokens.ts";
import type { ModelMessage } from "../../../server/src/model/provider.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { ImagePart } from "../../../server/src/protocol/types.ts";
import { usageOf } from "../../support/scriptedProvider.ts";
import { countingMessage, modelRequest, modelSpec } from "./support.ts";

const says = (text: string): ModelMessage => ({ role: "user", parts: [{ type: "text", text }] });
const answers = (text: string): ModelMessage => ({
  role: "assistant",
  api: "anthropic-messages",
  blocks: [{ part: { type: "text", text } }],
});
const spec = modelSpec();

describe("bytes for a token", () => {
  test("are learned from what the vendor counts, the newest most", () => {
    const counts = new TokenCounts();
    const request = modelRequest({ system: "", tools: [], messages: [says("a".repeat(40_000))] });
    const before = counts.bytesPerToken(spec);
    counts.learn(request, usageOf(10_004));
    expect(counts.bytesPerToken(spec)).toBeCloseTo(4, 2);
    counts.learn(request, usageOf(8_000));
    expect(counts.bytesPerToken(spec)).toBeCloseTo(4 + 0.3 * (5.002 - 4), 2);
    expect(counts.bytesPerToken({ ...spec, id: "another/model" })).toBe(before);
  });

  test("are not learned from a prompt that was not counted, from a short one, or beyond what text can have", () => {
    const counts = new TokenCounts();
    const before = counts.bytesPerToken(spec);
    counts.learn(modelRequest({ system: "", tools: [], messages: [says("a".repeat(40_000))] }), usageOf(0));
    counts.learn(modelRequest({ system: "", tools: [], messages: [says("short")] }), usageOf(500));
    expect(counts.bytesPerToken(spec)).toBe(before);
    counts.learn(modelRequest({ system: "", tools: [], messages: [says("a".repeat(40_000))] }), usageOf(1));
    expect(counts.bytesPerToken(spec)).toBe(8);
  });
});

describe("a prompt", () => {
  test("is what was counted of it, what the answer had, and an estimate of the rest", () => {
    const counts = new TokenCounts();
    const first = [says("x".repeat(4_000))];
    counts.learn(modelRequest({ messages: first }), { ...usageOf(1_234), outputTokens: 900 });
    const rest = says("y".repeat(4_000));
    const grown = modelRequest({ messages: [...first, answers("short"), rest] });
    expect(counts.ofPrompt(grown).tokens).toBe(1_234 + 900 + counts.of(grown.model, [rest]));
  });

  test("is never less than what was counted of its beginning, and never more at least than a guess", () => {
    const counts = new TokenCounts();
    const first = [says("x".repeat(40_000))];
    const grown = modelRequest({ messages: [...first, answers("yes"), says("y".repeat(8_000))] });
    expect(counts.ofPrompt(grown).atLeast).toBeLessThan(counts.ofPrompt(grown).tokens);
    counts.learn(modelRequest({ messages: first }), usageOf(10_000));
    expect(counts.ofPrompt(grown).atLeast).toBeGreaterThan(11_000);
    expect(counts.ofPrompt(grown).atLeast).toBeLessThan(counts.ofPrompt(grown).tokens);
  });

  test("is taken for what its bytes say where a template may have left earlier thinking out", () => {
    const counts = new TokenCounts();
    const thinks: ModelMessage = {
      role: "assistant",
      api: "openai-chat",
      blocks: [{ part: { type: "thinking", text: "hm ".repeat(5_000) } }, { part: { type: "text", text: "yes" } }],
    };
    const first = [says("x".repeat(4_000)), thinks, says("go on")];
    counts.learn(modelRequest({ messages: first }), usageOf(6_000));
    expect(counts.ofPrompt(modelRequest({ messages: [...first, answers("a"), says("b")] })).atLeast).toBeLessThan(
      1_000,
    );
  });

  test("is measured message by message once, however often it is asked for", () => {
    const counts = new TokenCounts();
    let looked = 0;
    const counting = (text: string) =>
      countingMessage(text, () => {
        looked += 1;
      });
    const messages = Array.from({ length: 200 }, (_, at) => counting(`message ${at}`));
    for (let end = 100; end <= 200; end++) {
      const request = modelRequest({ messages: messages.slice(0, end) });
      counts.ofPrompt(request);
      counts.learn(request, usageOf(end * 10));
    }
    expect(looked).toBe(200);
  });
});

describe("a picture", () => {
  const picture = (mimeType: ImagePart["mimeType"], bytes: readonly number[]): ImagePart => ({
    type: "image",
    mimeType,
    base64: Buffer.from(bytes).toString("base64"),
  });
  const text = (word: string) => [...Buffer.from(word, "latin1")];
  const png = (width: number, height: number) => {
    const head = Buffer.alloc(24);
    head.write("IHDR", 12, "latin1");
    head.writeUInt32BE(width, 16);
    head.writeUInt32BE(height, 20);
    return picture("image/png", [...head]);
  };

  test.each([
    [750, 100, 100],
    [1, 1, 1],
    [1_092, 1_092, 1_590],
    [10_000, 10_000, 1_600],
    // The longest edge decides how much smaller it is made.
    [15_680, 100, Math.ceil((1_568 * 10) / 750)],
  ])("of %d by %d pixels costs %d tokens", (width, height, tokens) => {
    expect(imageTokens(png(width, height))).toBe(tokens);
  });

  test.each<[string, ImagePart]>([
    ["GIF", picture("image/gif", [...text("GIF89a"), 0xee, 0x02, 100, 0])],
    ["JPEG", picture("image/jpeg", [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc2, 0, 17, 8, 0, 100, 2, 0xee, 3])],
    ["lossy WebP", picture("image/webp", [...text("RIFF____WEBPVP8 "), ...Array(10).fill(0), 0xee, 0x02, 100, 0])],
    [
      "lossless WebP",
      picture("image/webp", [...text("RIFF____WEBPVP8L"), 0, 0, 0, 0, 0x2f, 0xed, 0xc2, 0x18, 0, 0, 0, 0, 0, 0]),
    ],
    [
      "extended WebP",
      picture("image/webp", [...text("RIFF____WEBPVP8X"), ...Array(8).fill(0), 0xed, 0x02, 0, 99, 0, 0]),
    ],
  ])("in the form of a %s has its size read", (_, part) => {
    expect(imageTokens(part)).toBe(100);
  });

  test.each([[[]], [text("no picture at all, but long enough")], [[0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0, 0, 0]]])(
    "that cannot be read is taken for the dearest: %j",
    (bytes) => {
      for (const type of ["image/png", "image/gif", "image/webp", "image/jpeg"] as const)
        expect(imageTokens(picture(type, bytes))).toBe(1_600);
    },
  );
});
