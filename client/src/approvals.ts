/**
 * Turns a permission request into a choice by the user: a card in the panel, and a notification when that is not in view.
 *
 * Not here: drawing the card; the page does, from the session's events. Easily got wrong: whichever place answers first
 * wins, a later answer is ignored, and a notification that is closed is not an answer.
 */
import { CancellationError, type CancellationToken, type Event, EventEmitter, window } from "vscode";
import type { PermissionResult } from "../../server/src/protocol/methods.ts";
import type { ApprovalChoice, PermissionRequest, SessionId } from "../../server/src/protocol/types.ts";

const buttons: readonly { readonly title: string; readonly choice: ApprovalChoice }[] = [
  { title: "Allow Once", choice: "allow_once" },
  { title: "For This Session", choice: "allow_session" },
  { title: "Always", choice: "allow_always" },
  { title: "Deny", choice: "deny" },
];

/** Characters of a title that a notification shows. */
const titleLimit = 200;

/** What a question is known by. */
type Question = Pick<PermissionRequest, "sessionId" | "callId">;

interface Waiting {
  readonly request: PermissionRequest;
  readonly resolve: (choice: ApprovalChoice) => void;
  notified: boolean;
}

/** The questions that wait for an answer. */
export class Approvals {
  readonly #isInView: (sessionId: SessionId) => boolean;
  /** By session and call: servers that count their calls give those of every session the same ids. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #changes = new EventEmitter<number>();

  /** How many questions wait. */
  readonly onDidChange: Event<number> = this.#changes.event;

  /** `isInView` tells whether the user is looking at a session's cards. */
  constructor(isInView: (sessionId: SessionId) => boolean) {
    this.#isInView = isInView;
  }

  /** Asks the user. Rejects when `token` is cancelled, because the turn has ended. */
  async ask(request: PermissionRequest, token: CancellationToken): Promise<PermissionResult> {
    const key = keyOf(request);
    try {
      const choice = await new Promise<ApprovalChoice>((resolve, reject) => {
        token.onCancellationRequested(() => reject(new CancellationError()));
        this.#waiting.set(key, { request, resolve, notified: false });
        this.#changes.fire(this.#waiting.size);
        this.remind();
      });
      return { choice };
    } finally {
      this.#waiting.delete(key);
      this.#changes.fire(this.#waiting.size);
    }
  }

  /** Answers a question, if it still waits. */
  answer(question: Question, choice: ApprovalChoice): void {
    this.#waiting.get(keyOf(question))?.resolve(choice);
  }

  /** Notifies of each question that is not in view, once. Call it when the view changes. */
  remind(): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.notified || this.#isInView(waiting.request.sessionId)) continue;
      waiting.notified = true;
      void this.#notify(waiting.request);
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

  async #notify(request: PermissionRequest): Promise<void> {
    const { title } = request;
    const line = title.length > titleLimit ? `${title.slice(0, titleLimit - 1)}…` : title;
    const chosen = await window.showInformationMessage(`Hermes asks: ${line}?`, ...buttons);
    if (chosen) this.answer(request, chosen.choice);
  }
}

function keyOf({ sessionId, callId }: Question): string {
  return `${sessionId} ${callId}`;
}
