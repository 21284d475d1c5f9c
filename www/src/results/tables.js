// Runs as tables.

import { breakable, el } from "../dom.js";
import { milliseconds } from "../headers.js";

/** A number with separators. */
export const count = (value) => value.toLocaleString("en-GB");
/** A count with its noun. */
export const many = (value, one, all = `${one}s`) => `${count(value)} ${value === 1 ? one : all}`;
/** Three digits, or six near 100 %, so that 99.995 % is not rounded up. */
export const percent = (value) => `${Number((value * 100).toPrecision(value > 0.99 && value < 1 ? 6 : 3))} %`;
export const rate = (value) => `${Number(value.toPrecision(3)).toLocaleString("en-GB")}/s`;

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

export const row = (name, cells) =>
	el(
		"tr",
		{},
		el("th", { scope: "row" }, ...breakable(name)),
		...cells.map((cell) => (cell instanceof Node ? el("td", {}, cell) : el("td.figure", {}, cell))),
	);

const FIGURES = [
	["Mean", ({ mean_ms }) => milliseconds(mean_ms)],
	["Median", ({ median_ms }) => milliseconds(median_ms)],
	["p95", ({ p95_ms }) => milliseconds(p95_ms)],
	["p99", ({ p99_ms }) => milliseconds(p99_ms)],
	["p99.9", ({ p999_ms }) => milliseconds(p999_ms)],
	["Min", ({ min_ms }) => milliseconds(min_ms)],
	["Max", ({ max_ms }) => milliseconds(max_ms)],
	["Deviation", ({ std_ms }) => milliseconds(std_ms)],
	["Throughput", ({ throughput }) => rate(throughput)],
	["Succeeded", ({ succeeded }) => count(succeeded)],
	["Failed", ({ failed }) => (failed > 0 ? el("span.failed", {}, count(failed)) : "0")],
	["Hit ratio", ({ model }) => percent(model.hit_ratio)],
	["Targets", ({ verdicts }) => verdict(verdicts)],
];

/** All scenarios of a run, and their total. */
export function summaryTable(run) {
	const cells = (summary) => FIGURES.map(([, figure]) => figure(summary));
	const rows = run.scenarios.map(({ scenario, summary }) => row(scenario.name, cells(summary)));
	if (rows.length > 1) rows.push(row("total", cells(run.overall)));
	return tableOf("Scenarios and their figures", ["Scenario", ...FIGURES.map(([name]) => name)], rows);
}

/** Whether all targets were met. */
function verdict(verdicts) {
	const missed = verdicts.filter(({ is_met }) => !is_met);
	if (missed.length === 0) return el("span.verdict", { "data-verdict": "met" }, "met");
	return el("span.verdict", { "data-verdict": "missed" }, `${missed.length} violated`);
}

/** The SLO's targets by name. */
export const TARGETS = {
	p50_ms: { name: "Median", words: milliseconds, sign: "≤" },
	p95_ms: { name: "p95", words: milliseconds, sign: "≤" },
	p99_ms: { name: "p99", words: milliseconds, sign: "≤" },
	availability: { name: "Availability", words: percent, sign: "≥" },
	error_rate: { name: "Error rate", words: percent, sign: "≤" },
};
