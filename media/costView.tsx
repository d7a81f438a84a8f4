/**
 * What was spent: today, this month, by day as bars, by model and by session as tables; and the limits with what is left.
 *
 * Not here: the sums of one turn (`turn.tsx`) and the ledger. Easily got wrong: the bars show nothing that the tables do
 * not say in words, and money that is not known is told apart from none.
 */
import { useEffect, useRef } from "preact/hooks";
import type { SpendingRow } from "../server/src/protocol/types.ts";
import { count, dollars, percent } from "../server/src/report/numbers.ts";
import { Limits } from "./limitBars.tsx";
import type { Page } from "./page.ts";
import { Button } from "./parts.tsx";
import type { PageAction, PanelState } from "./state.ts";

/** Days that the bars show. */
const shownDays = 30;
/** Sessions that the table lists. */
const shownSessions = 20;

interface CostViewProps {
  readonly cost: NonNullable<PanelState["cost"]>;
  readonly page: Page;
  readonly dispatch: (action: PageAction) => void;
}

/** The page. Escape closes it. */
export function CostView({ cost, page, dispatch }: CostViewProps) {
  const top = useRef<HTMLElement>(null);
  useEffect(() => top.current?.focus(), []);
  const { rows, today = "", titles = {}, limits = [] } = cost;
  const ofMonth = rows?.filter(({ day }) => day.startsWith(today.slice(0, 7))) ?? [];
  return (
    <section
      class="cost"
      aria-label="Cost"
      tabIndex={-1}
      ref={top}
      onKeyDown={(event) => {
        if (event.key === "Escape") dispatch({ type: "cost_closed" });
      }}
    >
      {rows === undefined ? null : <Limits limits={limits} page={page} />}
      {rows === undefined ? (
        <p class="hint" role="status">
          Loading
        </p>
      ) : rows.length === 0 ? (
        <p class="hint" role="status">
          Nothing was spent in the last months. What requests to models use and cost is counted here from now on.
        </p>
      ) : (
        <>
          <dl class="cost-sums">
            <Sum name="Today" rows={rows.filter(({ day }) => day === today)} />
            <Sum name="This month" rows={ofMonth} />
          </dl>
          <Bars rows={rows} today={today} />
          <Table name="Model" rows={ofMonth} keyOf={(row) => row.model} />
          <Table
            name="Session"
            rows={ofMonth}
            keyOf={(row) => row.sessionId}
            label={(id) => titles[id] ?? "In another folder"}
          />
          <div class="buttons">
            <Button onClick={() => page.post({ type: "export_cost" })}>Open as CSV</Button>
          </div>
        </>
      )}
    </section>
  );
}

function Sum({ name, rows }: { readonly name: string; readonly rows: readonly SpendingRow[] }) {
  const { promptTokens, cacheReadTokens } = totalOf(rows);
  const cached = promptTokens > 0 ? `${percent(cacheReadTokens / promptTokens)} from cache` : "";
  return (
    <div class="cost-sum">
      <dt>{name}</dt>
      <dd>
        <strong>{money(rows)}</strong>
        <span>{[`${count(promptTokens + totalOf(rows).outputTokens)} tokens`, cached].filter(Boolean).join(", ")}</span>
      </dd>
    </div>
  );
}

/** A bar for each day; screen readers get the days that cost something as a list. */
function Bars({ rows, today }: { readonly rows: readonly SpendingRow[]; readonly today: string }) {
  const days = daysUpTo(today, shownDays).map((day) => ({ day, rows: rows.filter((row) => row.day === day) }));
  const highest = Math.max(1, ...days.map((day) => totalOf(day.rows).nano));
  const label = days.filter((day) => day.rows.length > 0).map((day) => `${day.day}: ${money(day.rows)}`);
  return (
    <figure class="cost-bars">
      <div class="bars" role="img" aria-label={`Cost by day. ${label.join(". ") || "Nothing"}.`}>
        {days.map((day) => (
          <span key={day.day} class="bar" title={`${day.day}: ${money(day.rows)}`}>
            <svg preserveAspectRatio="none" viewBox="0 0 1 100" aria-hidden="true">
              <rect class="bar-track" width="1" height="100" />
              <rect
                class="bar-fill"
                width="1"
                y={100 - (100 * totalOf(day.rows).nano) / highest}
                height={(100 * totalOf(day.rows).nano) / highest}
              />
            </svg>
          </span>
        ))}
      </div>
      <figcaption>
        <span>{days[0]?.day}</span>
        <span>{`highest day ${dollars(highest / 1e9)}`}</span>
        <span>{today}</span>
      </figcaption>
    </figure>
  );
}

interface TableProps {
  readonly name: string;
  readonly rows: readonly SpendingRow[];
  readonly keyOf: (row: SpendingRow) => string;
  readonly label?: (key: string) => string;
}

function Table({ name, rows, keyOf, label = (key) => key }: TableProps) {
  const groups = [...Map.groupBy(rows, keyOf)].map(([key, group]) => ({ key, group, total: totalOf(group) }));
  const sorted = groups.toSorted((a, b) => b.total.nano - a.total.nano || b.total.promptTokens - a.total.promptTokens);
  return (
    <table class="cost-table">
      <caption>{`By ${name.toLowerCase()}, this month`}</caption>
      <thead>
        <tr>
          <th scope="col">{name}</th>
          <th scope="col">Cost</th>
          <th scope="col">Steps</th>
          <th scope="col">In</th>
          <th scope="col">Cached</th>
          <th scope="col">Out</th>
        </tr>
      </thead>
      <tbody>
        {sorted.slice(0, shownSessions).map(({ key, group, total }) => (
          <tr key={key}>
            <th scope="row" title={label(key)}>
              <span class="cost-name">{label(key)}</span>
            </th>
            <td title={money(group)}>{shortMoney(total)}</td>
            <td>{count(total.requests)}</td>
            <td>{count(total.promptTokens)}</td>
            <td>{total.promptTokens > 0 ? percent(total.cacheReadTokens / total.promptTokens) : "–"}</td>
            <td>{count(total.outputTokens)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type Total = Pick<
  SpendingRow,
  "nano" | "requests" | "promptTokens" | "cacheReadTokens" | "outputTokens" | "unpriced" | "estimated"
>;

function totalOf(rows: readonly SpendingRow[]): Total {
  const total = {
    nano: 0,
    requests: 0,
    promptTokens: 0,
    cacheReadTokens: 0,
    outputTokens: 0,
    unpriced: 0,
    estimated: 0,
  };
  for (const row of rows) for (const key of Object.keys(total) as (keyof Total)[]) total[key] += row[key];
  return total;
}

/** `$0.12`, with what is not known of it. */
function money(rows: readonly SpendingRow[]): string {
  const { nano, unpriced, estimated, requests } = totalOf(rows);
  if (requests > 0 && unpriced === requests) return "price not known";
  const known = `${estimated > 0 ? "at most " : ""}${dollars(nano / 1e9)}`;
  return unpriced > 0 ? `${known} and what ${unpriced} requests without a price cost` : known;
}

/** The same for a narrow column. */
function shortMoney({ nano, unpriced, estimated, requests }: Total): string {
  if (requests > 0 && unpriced === requests) return "?";
  return `${estimated > 0 ? "≤ " : ""}${dollars(nano / 1e9)}${unpriced > 0 ? " + ?" : ""}`;
}

function daysUpTo(today: string, days: number): readonly string[] {
  const last = Date.parse(`${today}T00:00:00Z`);
  if (Number.isNaN(last)) return [];
  return Array.from({ length: days }, (_, index) =>
    new Date(last - (days - 1 - index) * 86_400_000).toISOString().slice(0, 10),
  );
}
