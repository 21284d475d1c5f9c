// The details of one scenario of a run: its SLO, latency breakdown, tiers, cost, failures and distribution.

import { histogramChart, histogramData, percentileChart, percentileData } from "../charts.js";
import { el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { model, targetList } from "./parts.js";
import { count, many, percent, row, tableOf } from "./tables.js";

const TIERS = ["L1 memory", "L2 store", "L3 storage", "Origin"];

/**
 * @param {any} measured a scenario of a run, with its summary
 * @param {import("../charts.js").Chart[]} charts receives the new charts
 */
export function details({ scenario, summary, repeats }, charts) {
	const histogram = histogramChart();
	const timeline = percentileChart();
	charts.push(histogram, timeline);
	queueMicrotask(() => {
		const [bars, key] = histogramData([summary.latencies]);
		histogram.show(bars, `${summary.succeeded} latencies, median ${milliseconds(summary.median_ms)}.`, key);
		timeline.show(percentileData(repeats.at(-1).timeline), "Percentiles of the last repetition over its time.");
	});
	const title = `details-${scenario.name}`;
	return el(
		"section.panel.details",
		{ "aria-labelledby": title },
		el("h3", { id: title }, scenario.name),
		el("p.caption", {}, described(scenario, repeats.length)),
		el(
			"div.parts",
			{},
			el("div", {}, el("h4", {}, "SLO"), targetList(summary.verdicts)),
			el("div", {}, el("h4", {}, "Latency breakdown"), model(summary.model)),
			el("div", {}, el("h4", {}, "Tiers"), tiers(scenario.name, summary)),
			el("div", {}, el("h4", {}, "Cost per million requests"), cost(summary)),
		),
		el("div.charts", {}, histogram.element, timeline.element),
	);
}

/** A description of a scenario. */
function described(scenario, repeats) {
	const { request_count, duration_ms, entities_per_request, features_per_request, concurrency, rate_per_second } =
		scenario;
	const popularity =
		typeof scenario.popularity === "string" ? scenario.popularity : Object.keys(scenario.popularity)[0];
	const length = request_count === undefined ? `${duration_ms} ms` : `${count(request_count)} requests`;
	const loop =
		rate_per_second === undefined
			? `${concurrency} concurrent`
			: `${rate_per_second} per second, at most ${concurrency} concurrent`;
	const asked = `${many(entities_per_request, "entity", "entities")} × ${many(features_per_request, "feature")}`;
	return `${length} of ${asked}, ${loop}, ${popularity} entities, ${many(repeats, "repetition")}`;
}

function tiers(name, { rows, answers }) {
	const lines = TIERS.map((title, tier) => {
		const { hits, misses } = rows[tier];
		const asked = hits + misses;
		return row(title, [count(answers[tier]), asked > 0 ? percent(hits / asked) : "no lookups"]);
	});
	return tableOf(
		`Responses and hit ratio by tier of ${name}`,
		["Tier", "Responses", "Hit ratio"],
		lines,
		"figures small",
	);
}

function cost({ cost, failures }) {
	const dollars = (value) => `$${value.toFixed(2)}`;
	const facts = [
		["Workers KV reads", dollars(cost.store_reads_usd)],
		["Workers KV writes", dollars(cost.store_writes_usd)],
		["Origin calls per 1,000", count(Math.round(cost.origin_calls_per_thousand))],
		...failures.map(({ kind, count: failed }) => [`Failed: ${kind}`, count(failed)]),
	];
	return el(
		"dl.costs",
		{},
		...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd.figure", {}, value))),
	);
}
