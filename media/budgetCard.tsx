/**
 * The card of a turn that waits at a limit: what was reached, and the ways to go on.
 *
 * Not here: the answer's way to the host. Easily got wrong: nothing here takes the keyboard's focus by itself, so that a
 * key meant for the prompt box can never raise anything.
 */
import { useState } from "preact/hooks";
import type { BudgetChoice, BudgetQuestion } from "../server/src/protocol/types.ts";
import { NewLimit } from "./limitBars.tsx";
import type { Page } from "./page.ts";
import { Button, Icon, memo } from "./parts.tsx";

interface BudgetCardProps {
  readonly question: BudgetQuestion;
  readonly page: Page;
}

/** The card. */
export const BudgetCard = memo(function BudgetCard({ question, page }: BudgetCardProps) {
  const [answered, setAnswered] = useState(false);
  const { sessionId, turnId, reached, message, proposed, proposedLabel, cheaper } = question;
  const answer = (choice: BudgetChoice) => {
    if (answered) return;
    setAnswered(true);
    page.post({ type: "answer_budget", sessionId, turnId, choice });
  };
  return (
    <fieldset class="card waiting approval limit-card" disabled={answered}>
      <legend class="for-screen-readers">{`Limit: ${message}`}</legend>
      <p class="limit-message">
        <Icon name="credit-card" />
        <span>{message}</span>
      </p>
      <div class="buttons">
        <Button primary onClick={() => answer({ type: "raise", limit: proposed })}>
          {`Raise to ${proposedLabel}`}
        </Button>
        {cheaper ? <Button onClick={() => answer({ type: "cheaper" })}>{`Use ${cheaper.label}`}</Button> : null}
        <Button onClick={() => answer({ type: "stop" })}>Stop</Button>
      </div>
      <NewLimit unit={reached.unit} above={reached.limit} onSet={(limit) => answer({ type: "raise", limit })} />
    </fieldset>
  );
});
