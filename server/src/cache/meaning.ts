/**
 * Tells whether two questions ask the same thing in other words: equal, word by word and in order, but for words that
 * carry no meaning.
 *
 * Not here: similarity of vectors (`answerCache.ts`), which cannot tell "enable" from "disable". Easily got wrong: what is
 * on no list below counts, spaces and capitals too, so identifiers, numbers, paths, quoted text, negations and opposites
 * need no list; a word may be added only where no question anywhere changes its meaning with it ("the" and "a" do).
 */

/** Politeness that a question may begin with; what is left is the question itself. */
const openings: readonly RegExp[] = [
  /^(?:hi|hello|hey|thanks), +/i,
  /^please,? +/i,
  /^(?:(?:can|could|would|will) you (?:please )?)?(?:tell me|explain(?: to me)?|describe) +(?=(?:how|why|what|where|which|who|when) )/i,
  /^(?:i would like to know|i'd like to know|i want to know|do you know) +(?=(?:how|why|what|where|which|who|when) )/i,
  // Not every 请: 请求 is a request.
  /^(?:请问|请告诉我|告诉我|请(?=解释|说明|介绍|描述|列出))[,，]? */u,
];

/** What may follow a question without being part of it. */
const endings: readonly RegExp[] = [/,? please$/i, /(?<=[\p{L}\p{N}'"`)\]])[?？.。]$/u, /[吗呢啊呀]$/u];

/** Words that are one and the same. */
const sameWords: ReadonlyMap<string, readonly string[]> = new Map([
  ["what's", ["what", "is"]],
  ["where's", ["where", "is"]],
  ["how's", ["how", "is"]],
  ["who's", ["who", "is"]],
  ["isn't", ["is", "not"]],
  ["aren't", ["are", "not"]],
  ["doesn't", ["do", "not"]],
  ["don't", ["do", "not"]],
  ["can't", ["can", "not"]],
  ["cannot", ["can", "not"]],
  ["won't", ["will", "not"]],
  ["does", ["do"]],
  ["为何", ["为什么"]],
  ["怎样", ["如何"]],
  ["哪儿", ["哪里"]],
]);

/** How a question in plain English begins, after politeness; what could be an order as well needs its question mark. */
const englishQuestion =
  /^(?:what|why|how|where|which|who|whose|when|explain|describe|summari[sz]e)(?:'s)?\b|^(?:is|are|was|were|do|does|did|has|have|should|can(?! you))(?:n't)?\b.*\?$/is;
const chineseQuestion =
  /^(?!帮我|把|将|修|改|添加|删除|重构|实现|运行|写).*(?:什么|为何|如何|怎样|怎么|哪|谁|多少|几个|是否|吗|解释|说明)/su;
/** Words whose capital only marks the beginning of a sentence. */
const firstWord =
  /^(?:what|why|how|where|which|who|whose|when|is|are|was|were|do|does|did|has|have|should|can|explain|describe|summari[sz]e)(?:'s|n't)?$/i;

const han = /\p{Script=Han}/u;
const segmenter = new Intl.Segmenter("zh", { granularity: "word" });

/** Whether a prompt asks for nothing but an answer. In doubt it does not. */
export function isQuestion(text: string): boolean {
  const question = stripped(text, openings);
  return englishQuestion.test(question) || chineseQuestion.test(question);
}

/** What a question asks, as one string: two questions ask the same if theirs are equal. */
export function meaningOf(text: string): string {
  const question = endings.reduce((rest, ending) => rest.replace(ending, ""), stripped(text, openings));
  const words = question.split(" ").flatMap((chunk, at) => wordsOf(chunk, at === 0));
  return JSON.stringify(withoutHelp(words));
}

/** The text without what any of the patterns finds, until none finds anything. */
function stripped(text: string, patterns: readonly RegExp[]): string {
  const plain = text.trim().replace(/(?<=\p{L})’(?=\p{L})/gu, "'");
  const shorter = patterns.reduce((rest, pattern) => rest.replace(pattern, ""), plain);
  return shorter === plain ? plain : stripped(shorter, patterns);
}

function wordsOf(chunk: string, isFirst: boolean): readonly string[] {
  const pieces = han.test(chunk)
    ? [...segmenter.segment(chunk.replace(/(?<=解释|说明|介绍)一下/u, ""))].map(({ segment }) => segment)
    : [chunk];
  return pieces.flatMap((piece) => {
    const word = isFirst && firstWord.test(piece) ? piece.toLowerCase() : piece;
    return sameWords.get(word) ?? [word];
  });
}

/**
 * "How does it work" and "how it works" are the same words but for the helping verb and an ending. Only at the end and
 * only this verb: "how do reads work" is not "how does read work".
 */
function withoutHelp(words: readonly string[]): readonly string[] {
  const [first, second, third] = words;
  if ((first !== "how" && first !== "why") || words.length < 3) return words;
  if (second === "do" && third !== "not") return [first, ...words.slice(2)];
  return words.at(-1) === "works" ? [...words.slice(0, -1), "work"] : words;
}
