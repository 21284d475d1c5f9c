// One scenario of a run, taken apart: promises, where the time went, tiers, cost, failures, the distribution.

import { histogramChart, histogramData, percentileChart, percentileData } from "../charts.js";
import { el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { count, percent, row, TARGETS, tableOf } from "./tables.js";

const PARTS = [
	["network_ms", "Network", "on the way, and in the client’s queue"],
	["cache_ms", "Caches", "waiting for stores"],
	["computation_ms", "Computation", "waiting for the origin"],
	["serialization_ms", "Serialization", "reading, writing, and queues in the engine"],
];

const TIERS = ["L1 memory", "L2 store", "L3 storage", "Origin"];

/**
 * @param {any} measured a scenario of a run, with its summary
 * @param {import("../charts.js").Chart[]} charts takes the charts that were made
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
			el("div", {}, el("h4", {}, "Promises"), promises(summary.verdicts)),
			el("div", {}, el("h4", {}, "Where the time went"), model(summary.model)),
			el("div", {}, el("h4", {}, "Tiers"), tiers(scenario.name, summary)),
			el("div", {}, el("h4", {}, "Cost of a million requests"), cost(summary)),
		),
		el("div.charts", {}, histogram.element, timeline.element),
	);
}

/** A scenario in words. */
function described(scenario, repeats) {
	const { request_count, duration_ms, entities_per_request, features_per_request, concurrency, rate_per_second } =
		scenario;
	const popularity =
		typeof scenario.popularity === "string" ? scenario.popularity : Object.keys(scenario.popularity)[0];
	const length = request_count === undefined ? `${duration_ms} ms` : `${count(request_count)} requests`;
	const loop =
		rate_per_second === undefined
			? `${concurrency} at a time`
			: `${rate_per_second} a second, at most ${concurrency} at a time`;
	return `${length} of ${entities_per_request} entities × ${features_per_request} features, ${loop}, ${popularity} entities, ${repeats} ${repeats === 1 ? "repetition" : "repetitions"}`;
}

function promises(verdicts) {
	const items = verdicts.map(({ name, target, actual, is_met }) => {
		const { name: title, words, sign } = TARGETS[name];
		return el(
			"li",
			{ "data-verdict": is_met ? "met" : "missed" },
			el("span.promise", {}, title),
			el("span.figure", {}, words(actual)),
			el("span.caption", {}, `${sign} ${words(target)}`),
			el("span.hidden", {}, is_met ? "kept" : "not kept"),
		);
	});
	return el("ul.promises", {}, ...items);
}

function model({ parts, hit_ms, miss_ms, saved_ms, hit_ratio }) {
	const total = PARTS.reduce((sum, [name]) => sum + parts[name], 0) || 1;
	const segments = PARTS.map(([name]) => {
		const segment = el("span", { "data-part": name });
		segment.style.flexGrow = parts[name] / total;
		return segment;
	});
	const legend = PARTS.map(([name, title, words]) =>
		el(
			"li",
			{ "data-part": name },
			el("span", {}, title),
			el("span.figure", {}, milliseconds(parts[name])),
			el("span.hidden", {}, words),
		),
	);
	const saved =
		saved_ms === null || saved_ms === undefined
			? "No saving can be told: answers came all from the caches, or none did."
			: `The caches save ${milliseconds(Math.max(0, saved_ms))} a request: hit ratio ${percent(hit_ratio)} × (miss ${milliseconds(miss_ms)} − hit ${milliseconds(hit_ms)}).`;
	return el(
		"div",
		{},
		el("div.model", { "aria-hidden": "true" }, ...segments),
		el("ul.model-legend", {}, ...legend),
		el("p.caption", {}, saved),
	);
}

function tiers(name, { rows, answers }) {
	const lines = TIERS.map((title, tier) => {
		const { hits, misses } = rows[tier];
		const asked = hits + misses;
		return row(title, [count(answers[tier]), asked > 0 ? percent(hits / asked) : "not asked"]);
	});
	return tableOf(
		`Answers and hit ratio by tier of ${name}`,
		["Tier", "Answers", "Rows it had"],
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
