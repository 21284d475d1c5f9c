// One scenario of a run in full: each way in which it was measured, and their distributions over each other.

import { curveChart, curveData, histogramChart, histogramData, percentileChart, percentileData } from "../charts.js";
import { breakable, el } from "../dom.js";
import { model, targetList } from "./parts.js";
import { count, dollars, identityOf, latency, many, orNothing, percent, row, tableOf, variantOf } from "./tables.js";

const TIERS = ["L1 memory", "L2 store", "L3 storage", "Origin"];
/** The name of a tier of a slow request. */
const TIER_NAMES = { l1: "L1 memory", l2: "L2 store", l3: "L3 storage", origin: "Origin" };
/** Latencies that are drawn; more would hide each other. */
const MAX_DRAWN = 5;

/**
 * @param {any[]} measurements of one scenario
 * @param {Record<string, number>} targets
 * @param {import("../charts.js").Chart[]} charts receives the new charts
 */
export function details(measurements, targets, charts) {
	const [{ scenario, repeats }] = measurements;
	const drawn = measurements.filter(({ summary }) => summary.latencies.length > 0).slice(0, MAX_DRAWN);
	const title = `details-${scenario.name}`;
	return el(
		"section.panel.details",
		{ "aria-labelledby": title },
		el("h3", { id: title }, ...breakable(scenario.name)),
		el("p.caption", {}, described(scenario, repeats.length)),
		drawn.length > 0 && distributions(drawn, targets, charts),
		...measurements.map((measured) => variant(measured, measurements.length > 1, targets, charts)),
	);
}

function distributions(drawn, targets, charts) {
	const labels = drawn.map(variantOf);
	const curve = curveChart(labels);
	const histogram = histogramChart(labels);
	charts.push(curve, histogram);
	const words = drawn
		.map(
			(measured) =>
				`${variantOf(measured)}: median ${latency(measured.summary.median_ms)}, p99 ${latency(measured.summary.p99_ms)}`,
		)
		.join("; ");
	curve.show(curveData(drawn.map(({ summary }) => summary.curve ?? [])), `${words}.`, { targets });
	const [bars, key] = histogramData(drawn.map(({ summary }) => summary.latencies));
	histogram.show(bars, `${words}.`, key);
	return el("div.charts", {}, curve.element, histogram.element);
}

function variant(measured, isOneOfMany, targets, charts) {
	const { summary, repeats, served_by } = measured;
	const timeline = repeats.at(-1)?.timeline ?? [];
	const name = `${measured.scenario.name}, ${variantOf(measured)}`;
	let overTime;
	if (timeline.length > 1) {
		overTime = percentileChart(`Latency over time, ${variantOf(measured)}`);
		charts.push(overTime);
		overTime.show(percentileData(timeline), "Percentiles of the last repetition over its time.", { targets });
	}
	return el(
		"section.variant",
		{ "aria-label": name },
		isOneOfMany && el("h4.variant-title", {}, variantOf(measured)),
		repeats.some(({ stopped }) => stopped === "all_failed") &&
			el("p.callout", {}, "Stopped early: the first requests all failed."),
		el(
			"div.parts",
			{},
			served_by !== "origin" && part("SLO", targetList(summary.verdicts)),
			part("Latency", facts(latencies(summary))),
			served_by !== "origin" && part("Latency breakdown", model(summary.model)),
			served_by !== "origin" && part("Tiers", tiers(name, summary), memory(summary)),
			part("Cost per million requests", facts(cost(summary))),
			summary.failures.length > 0 && part("Failures", failures(summary.failures)),
			summary.slow?.count > 0 && part(`Slow requests, over ${latency(summary.slow.over_ms)}`, slow(name, summary.slow)),
		),
		overTime !== undefined && el("div.charts", {}, overTime.element),
	);
}

const part = (title, ...content) => el("div.part", {}, el("h4", {}, title), ...content);

const facts = (all) =>
	el("dl.costs", {}, ...all.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd.figure", {}, value))));

/** A description of a scenario. */
function described(scenario, repeats) {
	const { request_count, duration_ms, stages, entities_per_request, features_per_request } = scenario;
	const { concurrency, rate_per_second, warm_up_requests } = scenario;
	const popularity =
		typeof scenario.popularity === "string" ? scenario.popularity : Object.keys(scenario.popularity)[0];
	const seconds = (millis) => `${Number((millis / 1000).toFixed(1))} s`;
	const ramp = stages?.map(
		({ duration_ms, rate_per_second }) => `to ${count(rate_per_second)}/s in ${seconds(duration_ms)}`,
	);
	const length = request_count === undefined ? seconds(duration_ms ?? 0) : many(request_count, "request");
	const loop =
		rate_per_second === undefined
			? `${concurrency} at once`
			: `${count(rate_per_second)} per second, at most ${concurrency} at once`;
	const asked = `${many(entities_per_request, "entity", "entities")} × ${many(features_per_request, "feature")}`;
	const warmed = warm_up_requests > 0 && `${many(warm_up_requests, "warm-up request")}`;
	const parts = [
		ramp === undefined ? `${length} of ${asked}` : `stages ${ramp.join(", ")}, each request ${asked}`,
		ramp === undefined ? loop : `at most ${concurrency} at once`,
		`${popularity} entities`,
		warmed,
		many(repeats, "repetition"),
	];
	return parts.filter(Boolean).join(" · ");
}

const latencies = ({ mean_ms, median_ms, p95_ms, p99_ms, p999_ms, min_ms, max_ms, std_ms }) => [
	["Mean", latency(mean_ms)],
	["Median", latency(median_ms)],
	["p95", latency(p95_ms)],
	["p99", latency(p99_ms)],
	["p99.9", latency(p999_ms)],
	["Minimum", latency(min_ms)],
	["Maximum", latency(max_ms)],
	["Standard deviation", latency(std_ms)],
];

function tiers(name, { rows, answers }) {
	const lines = TIERS.map((title, tier) => {
		const { hits, misses } = rows[tier];
		const asked = hits + misses;
		return row(title, [count(answers[tier]), asked > 0 ? percent(hits / asked) : "–"]);
	});
	return tableOf(
		`Responses and hit ratio by tier of ${name}`,
		["Tier", "Responses", "Hit ratio"],
		lines,
		"figures small",
	);
}

/** What L1 holds, has room for, and has evicted. */
function memory({ l1 }) {
	if (!l1) return null;
	const { rows, max_rows, bytes, max_bytes, evictions } = l1;
	const used = [max_rows > 0 ? rows / max_rows : 0, max_bytes > 0 ? bytes / max_bytes : 0];
	const room = percent(Math.max(0, 1 - Math.max(...used)));
	return el(
		"p.caption.memory",
		{},
		`L1 holds ${many(rows, "row")}, ${mebibytes(bytes)} of ${mebibytes(max_bytes)}: ${room} of its room is left. ${evictions === 0 ? "It evicted nothing" : many(evictions, "eviction")}.`,
	);
}

const mebibytes = (bytes) => `${Number((bytes / 1024 / 1024).toPrecision(3))} MiB`;

function cost({ cost, origin_calls, succeeded, failed }) {
	const perThousand = orNothing((value) => count(Math.round(value)));
	return [
		["Workers KV reads", dollars(cost.store_reads_usd)],
		["Workers KV writes", dollars(cost.store_writes_usd)],
		...(cost.origin_calls_usd === undefined ? [] : [["Origin calls", dollars(cost.origin_calls_usd)]]),
		...(cost.total_usd === undefined ? [] : [["Total", el("strong", {}, dollars(cost.total_usd))]]),
		["Origin calls per 1,000 requests", perThousand(cost.origin_calls_per_thousand)],
		...(origin_calls === undefined
			? []
			: [["Origin calls, measured", `${count(origin_calls)} for ${many(succeeded + failed, "request")}`]]),
	];
}

const failures = (all) =>
	el(
		"ul.failures",
		{},
		...all.map(({ kind, count: number, cause }) =>
			el("li", {}, el("strong", {}, `${count(number)} × ${kind}`), cause && el("span.caption", {}, cause)),
		),
	);

function slow(name, { count: number, slowest }) {
	const lines = slowest.map(({ number, at_ms, latency_ms, tier }) =>
		row(`#${count(number)}`, [`${(at_ms / 1000).toFixed(2)} s`, latency(latency_ms), TIER_NAMES[tier] ?? "–"]),
	);
	return el(
		"div",
		{},
		el(
			"p.caption",
			{},
			`${many(number, "request")}${number > slowest.length ? `, the slowest ${slowest.length}:` : ":"}`,
		),
		tableOf(`Slow requests of ${name}`, ["Request", "At", "Latency", "Tier"], lines, "figures small"),
	);
}

/** The measurements of a run by scenario. @returns {any[][]} */
export function grouped(run) {
	const groups = new Map();
	for (const measured of run.scenarios) {
		const { name } = measured.scenario;
		if (!groups.has(name)) groups.set(name, []);
		groups.get(name).push(measured);
	}
	return [...groups.values()];
}

export { identityOf };
