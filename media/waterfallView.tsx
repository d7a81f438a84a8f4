/**
 * Where the time of a turn went: what stands out in words, the parts that add up, and a bar for each step and tool call.
 *
 * Not here: the sums (`server/src/report/`). Easily got wrong: colours are never the only sign, so every bar says its parts
 * in words to who points at it, focuses it or cannot see it; and nothing moves by itself.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Finding } from "../server/src/report/finding.ts";
import { findingsOf } from "../server/src/report/findings.ts";
import { count, dollars, duration, percent } from "../server/src/report/numbers.ts";
import type { StepTimes } from "../server/src/report/turnTimes.ts";
import { causeNames, type Row, type Waterfall, waterfallOf } from "../server/src/report/waterfall.ts";
import { Icon, PartsBar } from "./parts.tsx";
import type { TurnView } from "./turnState.ts";

/** Units of a bar's whole width, and what is drawn at least of it. */
const width = 1000;
const leastWidth = 4;
/** Parts with a smaller share are told together at first. */
const leastShare = 0.01;
/** Rows that are drawn at first, and more on request. */
const shownRows = 60;

interface WaterfallViewProps {
  readonly turn: TurnView;
  /** Counts how often an explanation was asked for; then the view takes the focus. */
  readonly asked: number;
}

/** The unfolded waterfall of a turn that has ended. */
export function WaterfallView({ turn, asked }: WaterfallViewProps) {
  const { times, paint } = turn;
  const waterfall = useMemo(() => waterfallOf(times, paint?.endMs), [times, paint]);
  const findings = useMemo(() => findingsOf(times, waterfall), [times, waterfall]);
  const [marked, setMarked] = useState<string>();
  const top = useRef<HTMLElement>(null);
  useEffect(() => {
    if (asked === 0) return undefined;
    // After the prompt box, which takes the focus when a session is shown.
    const frame = requestAnimationFrame(() => top.current?.focus());
    return () => cancelAnimationFrame(frame);
  }, [asked]);
  return (
    <section class="waterfall" aria-label="Where the time went" tabIndex={-1} ref={top}>
      <h2>What stands out</h2>
      <Findings findings={findings} onPick={setMarked} />
      <h2>Parts of the time</h2>
      <Parts waterfall={waterfall} />
      <h2>Steps and tool calls</h2>
      <Rows turn={turn} waterfall={waterfall} marked={marked} onMark={setMarked} />
      {waterfall.unrecordedSteps > 0 ? (
        <p class="hint">
          Building and connecting were not recorded when this turn ran; they are part of “{causeNames.first_token}”.
        </p>
      ) : null}
    </section>
  );
}

function Findings(props: {
  readonly findings: readonly Finding[];
  readonly onPick: (row: string | undefined) => void;
}) {
  if (props.findings.length === 0) return <p class="hint">Nothing stands out in this turn.</p>;
  return (
    <ol class="findings" aria-label="Why this was slow or expensive">
      {props.findings.map((finding) => (
        <li key={finding.text}>
          <button type="button" class="finding" title="Show it below" onClick={() => props.onPick(finding.row)}>
            <Icon name="lightbulb" />
            <span>{finding.text}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

function Parts({ waterfall: { parts, totalMs } }: { readonly waterfall: Waterfall }) {
  const [isWhole, setWhole] = useState(false);
  const large = parts.filter(({ ms }) => ms >= leastShare * totalMs);
  const small = parts.length - large.length > 1 && !isWhole ? parts.slice(large.length) : [];
  const smallMs = small.reduce((sum, { ms }) => sum + ms, 0);
  return (
    <>
      <PartsBar
        width={width}
        parts={parts.map(({ cause, ms }) => ({ class: `cause-${cause}`, width: (width * ms) / totalMs }))}
      />
      <table class="fall-parts">
        <caption class="for-screen-readers">What the turn took its time for</caption>
        <thead class="for-screen-readers">
          <tr>
            <th scope="col">Part</th>
            <th scope="col">Time</th>
            <th scope="col">Share</th>
          </tr>
        </thead>
        <tbody>
          {(small.length > 0 ? large : parts).map(({ cause, ms }) => (
            <tr key={cause}>
              <th scope="row">
                <Swatch cause={cause} />
                {causeNames[cause]}
              </th>
              <td>{duration(ms)}</td>
              <td>{percent(ms / totalMs)}</td>
            </tr>
          ))}
          {small.length > 0 ? (
            <tr>
              <th scope="row">
                <button type="button" class="link" onClick={() => setWhole(true)}>
                  {`${small.length} smaller parts`}
                </button>
              </th>
              <td>{duration(smallMs)}</td>
              <td>{percent(smallMs / totalMs)}</td>
            </tr>
          ) : null}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">In all</th>
            <td>{duration(totalMs)}</td>
            <td>{percent(1)}</td>
          </tr>
        </tfoot>
      </table>
    </>
  );
}

function Swatch({ cause }: { readonly cause: string }) {
  return (
    <svg class="fall-swatch" viewBox="0 0 1 1" aria-hidden="true">
      <rect class={`cause-${cause}`} width="1" height="1" />
    </svg>
  );
}

interface RowsProps {
  readonly turn: TurnView;
  readonly waterfall: Waterfall;
  /** The row that a finding or the user has picked. */
  readonly marked: string | undefined;
  readonly onMark: (row: string | undefined) => void;
}

function Rows({ turn, waterfall, marked, onMark }: RowsProps) {
  const { rows, totalMs } = waterfall;
  const list = useRef<HTMLUListElement>(null);
  const [pointed, setPointed] = useState<string>();
  const [limit, setLimit] = useState(shownRows);
  useEffect(() => {
    const at = rows.findIndex(({ id }) => id === marked);
    if (at >= limit) return setLimit(at + 1);
    const button = list.current?.querySelectorAll("button")[at];
    button?.scrollIntoView({ block: "nearest" });
    button?.focus();
  }, [marked, limit]);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = moves[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const buttons: HTMLElement[] = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = document.activeElement instanceof HTMLElement ? buttons.indexOf(document.activeElement) : -1;
    buttons[Math.min(Math.max(0, at + step), buttons.length - 1)]?.focus();
  };
  const current = rows.find(({ id }) => id === (pointed ?? marked)) ?? rows[0];
  const stop = rows.some(({ id }) => id === marked) ? marked : rows[0]?.id;
  return (
    <>
      <ul
        class="fall-rows"
        aria-label="Steps and tool calls; arrow keys move between them"
        ref={list}
        onKeyDown={onKeyDown}
      >
        {rows.slice(0, limit).map((row) => (
          <li key={row.id}>
            <button
              type="button"
              class={row.id === marked ? "fall-row marked" : "fall-row"}
              tabIndex={row.id === stop ? 0 : -1}
              aria-label={`${row.label}: ${duration(row.toMs - row.fromMs)}, from ${duration(row.fromMs)}. ${detailOf(row, turn)}`}
              onMouseEnter={() => setPointed(row.id)}
              onMouseLeave={() => setPointed(undefined)}
              onFocus={() => setPointed(row.id)}
              onClick={() => onMark(row.id)}
            >
              <span class={row.operation === "execute_tool" ? "fall-label call" : "fall-label"}>{row.label}</span>
              <span class="fall-time">{duration(row.toMs - row.fromMs)}</span>
              <Bars row={row} totalMs={totalMs} />
            </button>
          </li>
        ))}
      </ul>
      {rows.length > limit ? (
        <button type="button" class="link" onClick={() => setLimit(rows.length)}>
          {`Show ${rows.length - limit} more`}
        </button>
      ) : null}
      <p class="fall-detail" aria-hidden="true">
        {current ? (
          <>
            <strong>{current.label}</strong> {detailOf(current, turn)}
          </>
        ) : null}
      </p>
    </>
  );
}

const moves: { readonly [key: string]: number } = {
  ArrowDown: 1,
  ArrowUp: -1,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

function Bars({ row, totalMs }: { readonly row: Row; readonly totalMs: number }) {
  const scale = width / Math.max(1, totalMs);
  return (
    <svg class="fall-bars" preserveAspectRatio="none" viewBox={`0 0 ${width} 1`} aria-hidden="true">
      <rect class="fall-track" width={width} height="1" />
      {row.spans.map(({ cause, fromMs, toMs }) => {
        const wide = Math.max(leastWidth, (toMs - fromMs) * scale);
        return (
          <rect
            key={`${cause}${fromMs}`}
            class={`cause-${cause}`}
            x={Math.min(fromMs * scale, width - wide)}
            width={wide}
            height="1"
          />
        );
      })}
    </svg>
  );
}

/** The parts of a row in words, and what a step's request used. */
function detailOf(row: Row, { times, paint }: TurnView): string {
  const sums = new Map<string, number>();
  for (const { cause, fromMs, toMs, reason } of row.spans) {
    const name = reason === undefined ? causeNames[cause] : `${causeNames[cause]} (${reason.replace(/[.\s]+$/, "")})`;
    sums.set(name, (sums.get(name) ?? 0) + toMs - fromMs);
  }
  const step = times.steps.find((one) => row.id === `step ${one.step}`);
  const parts = [...sums].map(([name, ms]) => `${name} ${duration(ms)}`);
  const slowest = row.id === "paint" && paint ? [`slowest update of the turn ${duration(paint.longestMs)}`] : [];
  return `${[...parts, ...slowest, ...(step ? usedBy(step) : [])].join(", ")}.`;
}

function usedBy({ usage, cost }: StepTimes): readonly string[] {
  if (!usage) return [];
  const prompt = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  const thought = usage.thinkingTokens > 0 ? ` (${count(usage.thinkingTokens)} of it thinking)` : "";
  return [
    ...(prompt > 0 ? [`${count(prompt)} tokens in, ${percent(usage.cacheReadTokens / prompt)} cached`] : []),
    ...(usage.outputTokens > 0 ? [`${count(usage.outputTokens)} out${thought}`] : []),
    ...(cost === undefined ? [] : [dollars(cost)]),
  ];
}
