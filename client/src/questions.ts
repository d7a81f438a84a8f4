/**
 * Questions of the host that wait for the user: a card in the panel, and a notification when that is not in view.
 *
 * Not here: drawing the card; the page does, from the session's events. Easily got wrong: whichever place answers first
 * wins, a later answer is ignored, and a notification that is closed is not an answer.
 */
import { CancellationError, type CancellationToken, type Event, EventEmitter, window } from "vscode";
import type {
  ApprovalChoice,
  BudgetChoice,
  BudgetQuestion,
  PermissionRequest,
  SessionId,
} from "../../server/src/protocol/types.ts";

/** How one kind of question is told apart and put into a notification. */
export interface QuestionKind<Question, Choice> {
  /** Within a session: servers that count their calls give those of every session the same ids. */
  readonly keyOf: (question: Question) => string;
  readonly textOf: (question: Question) => string;
  readonly buttons: (question: Question) => readonly { readonly title: string; readonly choice: Choice }[];
}

/** Whether a call may run. */
export const approvals: QuestionKind<PermissionRequest, ApprovalChoice> = {
  keyOf: ({ callId }) => callId,
  textOf: ({ title }) => `${title}?`,
  buttons: () => [
    { title: "Allow Once", choice: "allow_once" },
    { title: "For This Session", choice: "allow_session" },
    { title: "Always", choice: "allow_always" },
    { title: "Deny", choice: "deny" },
  ],
};

/** What to do at a limit. */
export const budgetQuestions: QuestionKind<BudgetQuestion, BudgetChoice> = {
  keyOf: ({ turnId }) => turnId,
  textOf: ({ message }) => message,
  buttons: ({ proposed, proposedLabel, cheaper }) => [
    { title: `Raise to ${proposedLabel}`, choice: { type: "raise", limit: proposed } },
    ...(cheaper ? [{ title: `Use ${cheaper.label}`, choice: { type: "cheaper" } as const }] : []),
    { title: "Stop", choice: { type: "stop" } },
  ],
};

/** Characters of a text that a notification shows. */
const textLimit = 200;

interface Waiting<Question, Choice> {
  readonly question: Question;
  readonly resolve: (choice: Choice) => void;
  notified: boolean;
}

/** The questions of one kind that wait for an answer. */
export class Questions<Question extends { readonly sessionId: SessionId }, Choice> {
  readonly #kind: QuestionKind<Question, Choice>;
  readonly #isInView: (sessionId: SessionId) => boolean;
  readonly #waiting = new Map<string, Waiting<Question, Choice>>();
  readonly #changes = new EventEmitter<number>();

  /** How many questions wait. */
  readonly onDidChange: Event<number> = this.#changes.event;

  /** `isInView` tells whether the user is looking at a session's cards. */
  constructor(kind: QuestionKind<Question, Choice>, isInView: (sessionId: SessionId) => boolean) {
    this.#kind = kind;
    this.#isInView = isInView;
  }

  /** How many questions wait now. */
  get count(): number {
    return this.#waiting.size;
  }

  /** Asks the user. Rejects when `token` is cancelled, because nobody needs the answer any more. */
  async ask(question: Question, token: CancellationToken): Promise<{ readonly choice: Choice }> {
    const key = this.#keyOf(question.sessionId, this.#kind.keyOf(question));
    try {
      const choice = await new Promise<Choice>((resolve, reject) => {
        token.onCancellationRequested(() => reject(new CancellationError()));
        this.#waiting.set(key, { question, resolve, notified: false });
        this.#changes.fire(this.#waiting.size);
        this.remind();
      });
      return { choice };
    } finally {
      this.#waiting.delete(key);
      this.#changes.fire(this.#waiting.size);
    }
  }

  /** Answers a question by its key, if it still waits. */
  answer(sessionId: SessionId, key: string, choice: Choice): void {
    this.#waiting.get(this.#keyOf(sessionId, key))?.resolve(choice);
  }

  /** Notifies of each question that is not in view, once. Call it when the view changes. */
  remind(): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.notified || this.#isInView(waiting.question.sessionId)) continue;
      waiting.notified = true;
      void this.#notify(waiting);
    }
  }

  /** Forgets every question: the host that asked them is gone. */
  clear(): void {
    this.#waiting.clear();
    this.#changes.fire(0);
  }

  dispose(): void {
    this.#changes.dispose();
  }

  async #notify({ question, resolve }: Waiting<Question, Choice>): Promise<void> {
    const text = this.#kind.textOf(question);
    const line = text.length > textLimit ? `${text.slice(0, textLimit - 1)}…` : text;
    const chosen = await window.showInformationMessage(`Hermes asks: ${line}`, ...this.#kind.buttons(question));
    if (chosen) resolve(chosen.choice);
  }

  #keyOf(sessionId: SessionId, key: string): string {
    return `${sessionId} ${key}`;
  }
}
