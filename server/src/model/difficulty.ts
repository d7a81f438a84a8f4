/**
 * How hard a task looks before anybody has begun it: by its kind, its words (English and Chinese) and its size.
 *
 * Not here: which model that leads to (`router.ts`). Easily got wrong: it is a guess from few signs, and a hard task that
 * is taken for an easy one costs more than the reverse, so what nothing speaks for is not easy.
 */
import type { TaskName } from "../protocol/tasks.ts";

/** What is looked at. */
export interface TaskFacts {
  /** The task that composed the prompt; `prompt` for the user's own words. */
  readonly task: TaskName | "prompt";
  /** The user's own words, without what references hold. */
  readonly text: string;
  /** Files and selections that go with it. */
  readonly references: number;
}

/** How hard, and why as a phrase. */
export interface Difficulty {
  readonly level: "high" | "medium" | "low";
  readonly reason: string;
}

/** One sign; the first that is there decides. */
interface Sign extends Difficulty {
  readonly when: (facts: TaskFacts) => boolean;
}

const isTask =
  (...tasks: readonly TaskFacts["task"][]) =>
  ({ task }: TaskFacts) =>
    tasks.includes(task);
const says =
  (words: RegExp) =>
  ({ text }: TaskFacts) =>
    words.test(text);
/** Characters; a Chinese one says about as much as three Latin ones. */
const lengthOf = ({ text }: TaskFacts) => text.length + 2 * (text.match(/\p{Script=Han}/gu)?.length ?? 0);

/** Work that reaches far, or where a mistake is hard to see. */
const hard =
  /\b(re-?architect\w*|architecture|re-?design\w*|re-?write|refactor\w*|migrat\w+|port (it|this|the)|concurren\w+|race conditions?|dead-?locks?|thread.?saf\w+|memory leaks?|vulnerabilit\w+|security (audit|review|hole)|threat model|root cause|intermittent\w*|flak(y|iness)|optimi[sz]e|performance|scal(e|able|ability)|algorithm|distributed|consisten(cy|t)|transactions?|protocol|parser|compiler|(whole|entire|across the) (code ?base|project|repo\w*)|all (the )?(modules|services|packages)|from scratch|end.to.end|prove|backwards?.compatib\w+)\b|重构|架构|重新设计|重写|迁移|移植|并发|竞态|死锁|线程安全|内存泄漏|内存泄露|漏洞|安全(审计|审查)|根本原因|偶发|间歇|优化|性能|可扩展|扩展性|算法|分布式|一致性|事务|协议|解析器|编译器|整个(项目|代码库|工程|仓库)|所有(模块|服务)|从零|端到端|向后兼容|证明/i;

/** Making or mending something. */
const making =
  /\b(implement\w*|build|create|develop|write (a|an|the|some|unit|integration)\b(?! (comment|summary|sentence|line))|add (?!a comment|comments|a newline|a semicolon|the missing (import|comma|semicolon))|fix (?!the typo|a typo|typos|the spelling|indentation|the indentation)|debug|support|integrate|replace|convert|extract|split|handle|make (it|the|this|sure)|fail(s|ing|ed)?|crash\w*|broken|bug|error)\b|实现|开发|编写|写一个|添加(?!注释)|增加(?!注释)|新增|修复(?!拼写|错别字)|调试|支持|集成|替换|转换|拆分|提取|处理|失败|崩溃|报错|出错|错误(?!拼写)/i;

/** Looking, telling, and changes of a word or a line. */
const easy =
  /^\s*(please )?(what|where|which|who|when|how (many|much|do i|does|is|to)|why is|is (there|this|it)|does|do |can (i|you (tell|show|list))|explain|describe|summar\w+|show|list|find|count|name|translate|rename|format|print|tell me|look up|sort|remove the unused|delete the unused|bump|update the (version|readme|changelog|copyright))\b|\b(typos?|spelling|rename|comments?|docstring|formatting|indentation|white ?space|missing (import|semicolon|comma|newline)|unused (import|variable)s?|copyright|changelog|one.liner|gitignore)\b|什么|哪里|哪个|哪些|谁|多少|几个|为什么叫|怎么(用|运行|看)|如何(运行|使用|查看)|解释|说明一下|描述|总结|概括|列出|显示|查找|找到|统计|翻译|重命名|改名|格式化|打印|拼写|错别字|注释|缩进|空格|版本号|未使用的(变量|导入)|是不是|有没有|是否/i;

const signs: readonly Sign[] = [
  { when: isTask("review_changes"), level: "high", reason: "a review of changes" },
  { when: isTask("explain"), level: "low", reason: "an explanation" },
  { when: isTask("fix"), level: "medium", reason: "one problem to fix" },
  { when: isTask("fix_file"), level: "medium", reason: "the problems of a file to fix" },
  { when: isTask("write_tests"), level: "medium", reason: "tests to write" },
  { when: (facts) => lengthOf(facts) > 1_500, level: "high", reason: "a long description" },
  { when: ({ references }) => references > 5, level: "high", reason: "a task about many places" },
  { when: says(hard), level: "high", reason: "a task that reaches far" },
  { when: isTask("refactor"), level: "medium", reason: "a refactoring of a selection" },
  {
    when: (facts) => says(easy)(facts) && !says(making)(facts) && lengthOf(facts) <= 400 && facts.references > 0,
    level: "low",
    reason: "a short question about what you pointed at",
  },
  {
    when: (facts) => says(easy)(facts) && !says(making)(facts) && lengthOf(facts) <= 400,
    level: "low",
    reason: "a short question or a small change",
  },
];

/** How hard a task looks. The same facts give the same answer. */
export function difficultyOf(facts: TaskFacts): Difficulty {
  return signs.find(({ when }) => when(facts)) ?? { level: "medium", reason: "an ordinary task" };
}
