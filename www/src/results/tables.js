// Runs as tables.

import { breakable, el } from "../dom.js";
import { milliseconds } from "../headers.js";

/** What stands where nothing was measured. */
export const NOTHING = "–";
/** Words of a figure, or a dash where it was not measured. */
export const orNothing = (words) => (value) => (value === null || value === undefined ? NOTHING : words(value));

/** A number with separators. */
export const count = (value) => value.toLocaleString("en-GB");
/** A count with its noun. */
export const many = (value, one, all = `${one}s`) => `${count(value)} ${value === 1 ? one : all}`;
/** Three digits. Near 100 % it is rounded down, so that 99.995 % is not all. */
export const percent = (value) =>
	`${value > 0.99 && value < 1 ? Math.floor(value * 1e4) / 100 : Number((value * 100).toPrecision(3))} %`;
export const rate = (value) => `${Number(value.toPrecision(3)).toLocaleString("en-GB")}/s`;
/** Cents, or one digit of less than one. */
export const dollars = (value) => `$${value > 0 && value < 0.01 ? Number(value.toPrecision(1)) : value.toFixed(2)}`;
export const latency = orNothing(milliseconds);

/** A table in a region that can be scrolled by keyboard. */
export function tableOf(caption, heads, rows, name = "figures") {
	const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)));
	const table = el(
		"table",
		{ class: name },
		el("caption.hidden", {}, caption),
		el("thead", {}, head),
		el("tbody", {}, ...rows),
	);
	return el("div.table", { tabindex: 0, role: "region", "aria-label": caption }, table);
}

/**
 * A table that becomes a card for each row where its columns do not fit. Cards take a table's roles away, so they are
 * given by name.
 */
export function cardTable(caption, heads, rows) {
	const table = tableOf(caption, heads, rows, "figures stacking");
	const roles = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell" };
	for (const [tag, role] of Object.entries(roles)) {
		for (const element of table.querySelectorAll(tag)) element.setAttribute("role", role);
	}
	for (const head of table.querySelectorAll("th"))
		head.setAttribute("role", head.scope === "col" ? "columnheader" : "rowheader");
	for (const line of rows) {
		for (const [index, cell] of [...line.cells].entries()) if (index > 0) cell.dataset.label = heads[index];
	}
	return table;
}

export const row = (name, cells) =>
	el(
		"tr",
		{},
		el("th", { scope: "row" }, ...breakable(name)),
		...cells.map((cell) => (cell instanceof Node ? el("td", {}, cell) : el("td.figure", {}, cell))),
	);

const CACHES = { cold: "cold", warm: "warm" };
const SERVED_BY = { featheredge: "Featheredge", origin: "the origin" };

/** How a scenario was measured. */
export const cachesOf = ({ caches = "cold", served_by }) => (served_by === "origin" ? NOTHING : CACHES[caches]);
export const serverOf = ({ served_by = "featheredge" }) => SERVED_BY[served_by];
/** What distinguishes a measurement of a scenario from its others, in words. */
export const variantOf = (measured) =>
	measured.served_by === "origin" ? "the origin alone" : `${cachesOf(measured)} caches`;
/** The identity of a measurement within its run. */
export const identityOf = ({ name, scenario, caches = "cold", served_by = "featheredge" }) =>
	`${name ?? scenario.name}-${caches}-${served_by}`;

const FIGURES = [
	["Median", ({ median_ms }) => latency(median_ms)],
	["p95", ({ p95_ms }) => latency(p95_ms)],
	["p99", ({ p99_ms }) => latency(p99_ms)],
	["p99.9", ({ p999_ms }) => latency(p999_ms)],
	["Throughput", ({ throughput }) => orNothing(rate)(throughput)],
	["Succeeded", ({ succeeded }) => count(succeeded)],
	["Failed", ({ failed }) => (failed > 0 ? el("span.failed", {}, count(failed)) : "0")],
	["Hit ratio", ({ model }) => orNothing(percent)(model.hit_ratio)],
	["Targets", ({ verdicts }, measured) => verdict(verdicts, measured)],
];

/** All measurements of a run, and their total. */
export function summaryTable(run) {
	const cells = (measured) => [
		cachesOf(measured),
		serverOf(measured),
		...FIGURES.map(([, figure]) => figure(measured.summary, measured)),
	];
	const rows = run.scenarios.map((measured) => row(measured.scenario.name, cells(measured)));
	if (rows.length > 1) {
		const total = FIGURES.map(([, figure]) => figure(run.overall, {}));
		rows.push(row("total", [NOTHING, NOTHING, ...total]));
	}
	const heads = ["Scenario", "Caches", "Served by", ...FIGURES.map(([name]) => name)];
	return cardTable("Scenarios and their figures", heads, rows);
}

/** Whether all targets were met. They are Featheredge's, not the origin's. */
function verdict(verdicts, { served_by }) {
	const judged = verdicts.filter(({ is_met }) => is_met !== null);
	if (served_by === "origin" || judged.length === 0) return NOTHING;
	const missed = judged.filter(({ is_met }) => !is_met);
	if (missed.length === 0) return el("span.verdict", { "data-verdict": "met" }, "✓ met");
	return el("span.verdict", { "data-verdict": "missed" }, `✕ ${missed.length} missed`);
}

/** The SLO's targets by name. */
export const TARGETS = {
	p50_ms: { name: "Median", words: latency, sign: "≤" },
	p95_ms: { name: "p95", words: latency, sign: "≤" },
	p99_ms: { name: "p99", words: latency, sign: "≤" },
	availability: { name: "Availability", words: orNothing(percent), sign: "≥" },
	error_rate: { name: "Error rate", words: orNothing(percent), sign: "≤" },
};
