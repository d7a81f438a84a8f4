/**
 * The limits that are set: a bar for each with what is used and what is left, and a box to raise it.
 *
 * Not here: when a turn waits at one (`budgetCard.tsx`). Easily got wrong: a bar shows nothing that its words do not say,
 * and a limit can be raised here and never lowered, which is for the settings.
 */
import { useId, useState } from "preact/hooks";
import type { BudgetUnit, LimitStanding } from "../server/src/protocol/types.ts";
import { count, dollars } from "../server/src/report/numbers.ts";
import type { Page } from "./page.ts";
import { Button } from "./parts.tsx";

const periodNames: { readonly [period in LimitStanding["period"]]: string } = {
  turn: "Turn",
  session: "This session",
  day: "Today",
  month: "This month",
};

/** Every limit, the shortest period first. */
export function Limits({ limits, page }: { readonly limits: readonly LimitStanding[]; readonly page: Page }) {
  if (limits.length === 0) return null;
  return (
    <section class="limits" aria-label="Limits">
      <ul>
        {limits.map((standing) => (
          <li key={`${standing.period} ${standing.unit} ${standing.limit}`}>
            <Bar standing={standing} page={page} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Bar({ standing, page }: { readonly standing: LimitStanding; readonly page: Page }) {
  const [isRaising, setRaising] = useState(false);
  const { period, unit, configured, limit, spent } = standing;
  const part = Math.min(1, spent / limit);
  const name = `${periodNames[period]}, ${unitNames[unit]}`;
  const left = `${amount(unit, Math.max(0, limit - spent))} left`;
  const words = `${amount(unit, spent)} of ${amount(unit, limit)}, ${left}`;
  return (
    <>
      <p class="limit-line">
        <span>{name}</span>
        <span class="muted">{limit > configured ? `${words} (raised from ${amount(unit, configured)})` : words}</span>
        <button
          type="button"
          class="link"
          aria-expanded={isRaising}
          aria-label={`Raise the limit: ${name}`}
          onClick={() => setRaising(!isRaising)}
        >
          Raise
        </button>
      </p>
      <svg class="limit-bar" preserveAspectRatio="none" viewBox="0 0 100 1" role="img" aria-label={`${name}: ${words}`}>
        <rect class="bar-track" width="100" height="1" />
        <rect class={part >= 0.9 ? "bar-fill nearly" : "bar-fill"} width={100 * part} height="1" />
      </svg>
      {isRaising ? (
        <NewLimit
          unit={unit}
          above={limit}
          onSet={(higher) => {
            setRaising(false);
            page.post({ type: "raise_limit", standing, limit: higher });
          }}
        />
      ) : null}
    </>
  );
}

interface NewLimitProps {
  readonly unit: BudgetUnit;
  /** The limit that holds, in the unit. */
  readonly above: number;
  readonly onSet: (limit: number) => void;
}

/** A box for a new limit, in dollars or minutes where the unit is smaller. Nothing that is not higher can be set. */
export function NewLimit({ unit, above, onSet }: NewLimitProps) {
  const [text, setText] = useState("");
  const id = useId();
  const limit = Math.round(Number(text) * scaleOf(unit));
  const isHigher = text.trim() !== "" && Number.isSafeInteger(limit) && limit > above;
  return (
    <form
      class="new-limit"
      onSubmit={(event) => {
        event.preventDefault();
        if (isHigher) onSet(limit);
      }}
    >
      <label for={id}>{`New limit, ${unitNames[unit]}`}</label>
      <input
        id={id}
        type="text"
        inputMode="decimal"
        value={text}
        placeholder={`more than ${above / scaleOf(unit)}`}
        aria-invalid={text.trim() !== "" && !isHigher}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <Button onClick={() => isHigher && onSet(limit)}>Set</Button>
    </form>
  );
}

const unitNames: { readonly [unit in BudgetUnit]: string } = {
  nano: "US dollars",
  tokens: "tokens",
  requests: "requests",
  steps: "steps",
  ms: "minutes",
};

/** How much of the unit one is that a person writes. */
function scaleOf(unit: BudgetUnit): number {
  return unit === "nano" ? 1e9 : unit === "ms" ? 60_000 : 1;
}

function amount(unit: LimitStanding["unit"], value: number): string {
  return unit === "nano" ? dollars(value / 1e9) : count(value);
}
