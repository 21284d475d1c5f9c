// Measured scenarios as cards: how each was measured side by side, and what is to be known of it.

import { breakable, el } from "../dom.js";
import { figure, remarks, variant } from "./words.js";

const FIGURES = [
	["Median", ({ median_ms }) => figure.latency(median_ms)],
	["p95", ({ p95_ms }) => figure.latency(p95_ms)],
	["p99", ({ p99_ms }) => figure.latency(p99_ms)],
	["Responses per second", ({ throughput }) => figure.rate(throughput)],
	["From the caches", ({ model }) => figure.ratio(model.hit_ratio)],
	["Failed", ({ failed }) => figure.count(failed)],
	["Targets", ({ verdicts }) => verdict(verdicts)],
];

/** @param {any} run */
export function cards(run) {
	const scenarios = new Map();
	for (const measured of run.scenarios) {
		const { name } = measured.scenario;
		scenarios.set(name, [...(scenarios.get(name) ?? []), measured]);
	}
	return el("div.measured", {}, ...[...scenarios.values()].map(card));
}

function card(variants) {
	const { name, description } = variants[0].scenario;
	const heads = variants.map((measured) => el("th", { scope: "col" }, variant(measured)));
	const rows = FIGURES.map(([title, words]) =>
		el(
			"tr",
			{},
			el("th", { scope: "row" }, title),
			...variants.map(({ summary }) => el("td.figure", {}, words(summary))),
		),
	);
	return el(
		"article.measured-scenario",
		{ "aria-label": name },
		el("h3", {}, ...breakable(name)),
		el("p.caption", {}, description),
		el(
			"table.versus",
			{},
			el("caption.hidden", {}, name),
			el("thead", {}, el("tr", {}, el("td"), ...heads)),
			el("tbody", {}, ...rows),
		),
		...variants.map((measured) => notes(measured, variants.length > 1)),
	);
}

function notes(measured, isNamed) {
	const said = remarks(measured);
	if (said.length === 0) return null;
	return el(
		"div.remarks",
		{},
		isNamed && el("h4", {}, variant(measured)),
		el("ul", {}, ...said.map(({ kind, words }) => el("li", { "data-kind": kind }, words))),
	);
}

/** Whether the targets are met, in words and with a sign. */
function verdict(verdicts) {
	const judged = verdicts.filter(({ is_met }) => is_met !== null);
	if (judged.length === 0) return figure.count(null);
	const missed = judged.filter(({ is_met }) => !is_met).length;
	if (missed === 0) return el("span.verdict", { "data-verdict": "met" }, "✓ met");
	return el("span.verdict", { "data-verdict": "missed" }, `✕ ${missed} of ${judged.length} missed`);
}
