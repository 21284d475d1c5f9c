// The panels of Live: each draws a part of the reports.

import { el } from "../dom.js";
import { bytes } from "../headers.js";
import { model } from "../results/parts.js";
import { count, percent, row, TARGETS, tableOf } from "../results/tables.js";

export const TIERS = { l1: "L1 memory", l2: "L2 store", l3: "L3 storage", origin: "Origin" };

/** Telemetry has whole milliseconds. */
export const wholeMs = (millis) => `${count(millis)} ms`;

/** In place of a figure without data. */
const NO_DATA = "–";

const dollars = (value) => `$${value < 1 ? Number(value.toFixed(6)) : value.toFixed(2)}`;

const STATUSES = { compliant: "met", violation: "violated", no_data: NO_DATA };

function fact(name, value, { isBad = false, more = "" } = {}) {
	const words = more !== "" && el("span.caption", {}, more);
	return el(
		"div",
		{},
		el("dt", {}, name),
		el("dd", { "data-state": isBad && "bad" }, value),
		words && el("dd.why", {}, words),
	);
}

/** Whether the window has enough requests to judge its SLO. */
export const isJudged = ({ requests, min_requests = 0 }) => requests >= min_requests;

export function headline({ overall, latency_model, window_seconds }, sla, { open }) {
	const { status, requests, min_requests, error_budget_remaining } = sla;
	const isIdle = status === "no_data";
	const measured = (value) => (isIdle ? NO_DATA : value);
	const slo =
		isIdle || isJudged(sla)
			? fact("SLO", STATUSES[status] ?? status, { isBad: status === "violation" })
			: fact("SLO", NO_DATA, { more: `too few requests to judge: ${count(requests)} of ${count(min_requests)}` });
	const hasBudget = overall.requests >= (min_requests ?? 0);
	return el(
		"dl.headline",
		{},
		slo,
		hasBudget
			? fact("Error budget left", percent(error_budget_remaining), { isBad: error_budget_remaining <= 0 })
			: fact("Error budget left", NO_DATA, { more: isIdle ? "" : "too few requests to judge" }),
		fact("Open alerts", count(open.length), { isBad: open.length > 0 }),
		fact(`Requests in ${span(window_seconds)}`, count(requests)),
		fact("Median", measured(wholeMs(overall.latency_p50_ms))),
		fact("p99", measured(wholeMs(overall.latency_p99_ms))),
		fact("Hit ratio", measured(percent(latency_model.hit_ratio))),
	);
}

export function notes({ scope, window_seconds, latency_clock }, isIdle) {
	const source =
		scope === "deployment"
			? "All isolates, a tenth of the window behind; alerts are those of the isolate that responds"
			: "The isolate that responds";
	const about = el("p.caption", {}, `${source}, over the last ${span(window_seconds)}. Latencies: ${latency_clock}.`);
	const link = (href, words) => el("a", { href }, words);
	const invitation =
		isIdle &&
		el(
			"p.note",
			{},
			"No requests yet. ",
			link("#try", "Try"),
			" sends one request. ",
			link("#run", "Run"),
			" sends thousands, with this deployment as the target.",
		);
	return [invitation, about].filter(Boolean);
}

export const hasLookups = ({ hits, misses }) => hits + misses > 0;

export function tierTable(tiers, isUsed) {
	const rows = Object.entries(TIERS).map(([id, name]) => {
		const tier = tiers[id];
		const hasClock = id !== "l1" && tier.operations > 0;
		return row(name, [
			count(tier.hits),
			count(tier.misses),
			isUsed(id) ? (hasLookups(tier) ? percent(tier.hit_ratio) : NO_DATA) : "off",
			hasClock ? wholeMs(tier.latency_p50_ms) : NO_DATA,
			hasClock ? wholeMs(tier.latency_p99_ms) : NO_DATA,
			hasClock ? count(tier.operation_errors) : NO_DATA,
			tier.breaker_open > 0 ? el("span.verdict", { "data-verdict": "missed" }, "open") : NO_DATA,
		]);
	});
	return tableOf(
		"Rows by tier",
		["Tier", "Hits", "Misses", "Hit ratio", "Median", "p99", "Errors", "Circuit breaker"],
		rows,
	);
}

const OBJECTIVES = ["p50", "p95", "p99", "availability", "error_rate"];
const targetName = (name) => (/^p\d/.test(name) ? `${name}_ms` : name);

/** The SLO's targets under the names of the benchmark's, for charts. */
export const targetsOf = ({ details }) =>
	Object.fromEntries(OBJECTIVES.map((name) => [targetName(name), details[`target_${name}`]]));

/** The SLO's targets with the measured values. */
export function targets(sla) {
	const items = OBJECTIVES.map((name) => {
		const { name: title, words, sign } = TARGETS[targetName(name)];
		const verdict = isJudged(sla) ? (sla.details[`${name}_compliant`] ? "met" : "missed") : "none";
		return el(
			"li",
			{ "data-verdict": verdict },
			el("span.target", {}, title, el("span.caption", {}, ` ${sign} ${words(sla.details[`target_${name}`])}`)),
			el("span.figure", {}, words(sla.details[`current_${name}`])),
			el("span.hidden", {}, { met: "met", missed: "violated", none: "too few requests to judge" }[verdict]),
		);
	});
	return el("ul.targets", {}, ...items);
}

export function burnTable({ burn_rates }) {
	const rows = burn_rates.map(({ long_window_seconds, short_window_seconds, rate, alerts_at, is_burning }) =>
		row(`${span(long_window_seconds)}, ${span(short_window_seconds)}`, [
			`${Number(rate.toPrecision(3))} ×`,
			`${alerts_at} ×`,
			el("span.verdict", { "data-verdict": is_burning ? "missed" : "met" }, is_burning ? "burning" : "ok"),
		]),
	);
	return tableOf(
		"Burn rates of the error budget",
		["Windows", "Burn rate", "Alerts at", "State"],
		rows,
		"figures burn",
	);
}

export function span(seconds) {
	if (seconds < 60) return `${seconds} s`;
	if (seconds < 3_600) return `${Number((seconds / 60).toFixed(1))} min`;
	if (seconds < 86_400) return `${Number((seconds / 3_600).toFixed(1))} h`;
	return `${Number((seconds / 86_400).toFixed(1))} d`;
}

/** The parts of a latency in telemetry, without the time to read requests and to write responses. */
const PARTS = [
	["cache_ms", "Caches", "waiting for stores"],
	["computation_ms", "Origin", "waiting for the origin, network included"],
	["network_ms", "Other", "in queues, and between the host and the core"],
];

export function latency({ latency_model }) {
	const { hit_ms, miss_ms, hit_ratio } = latency_model;
	const hasBoth = hit_ms < miss_ms && hit_ratio > 0;
	const saved_ms = hasBoth ? hit_ratio * (miss_ms - hit_ms) : undefined;
	return model({ parts: latency_model, hit_ms, miss_ms, saved_ms, hit_ratio: hit_ratio }, PARTS);
}

function figureList(...facts) {
	const lines = facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd.figure", {}, value)));
	return el("dl.costs", {}, ...lines);
}

export function cost(done) {
	const saved = (name) => `${count(done[name])}, ${count(done[`${name}_saved`])} saved`;
	return figureList(
		["L2 keys read", saved("l2_reads")],
		["L2 keys written", saved("l2_writes")],
		["Origin calls", saved("origin_calls")],
		["Total cost", dollars(done.spent_usd)],
		["Saved", dollars(done.saved_usd)],
	);
}

export function prefetch(done) {
	if (done.issued === 0) {
		return el("p.note", {}, "No rows were prefetched. The model trains on requests with a session.");
	}
	const wereRequested = done.used + done.late > 0;
	const isKnown = wereRequested || done.wasted > 0;
	return figureList(
		["Precision", isKnown ? percent(done.precision) : NO_DATA],
		["Coverage", done.coverage > 0 ? percent(done.coverage) : NO_DATA],
		["Timeliness", wereRequested ? percent(done.timeliness) : NO_DATA],
		["Prefetched", count(done.issued)],
		["Used", count(done.used)],
		["Late", count(done.late)],
		["Wasted", count(done.wasted)],
		["Evictions, polluting", `${count(done.evictions)}, ${count(done.polluting_evictions)}`],
		["Keys read, rows fetched, keys written", [done.l2_reads, done.origin_rows, done.l2_writes].map(count).join(", ")],
		["Cost, savings", `${dollars(done.spent_usd)}, ${dollars(done.saved_usd)}`],
	);
}

/** The optimizer's decisions, with the Worker's reasons. */
export function decisions({ l2_reads: l2, timeouts, hedge, concurrency }) {
	const all = [];
	if (l2) all.push(["L2 read policy", l2.policy, l2.reason]);
	for (const [id, { timeout_ms, reason }] of Object.entries(timeouts)) {
		all.push([`${TIERS[id]}’s timeout`, wholeMs(timeout_ms), reason]);
	}
	if (hedge) all.push(["Hedged origin request after", wholeMs(hedge.after_ms), hedge.reason]);
	all.push(["Concurrent origin calls", count(concurrency.origin_calls), concurrency.reason]);
	const lines = all.map(([name, value, reason]) =>
		el("div", {}, el("dt", {}, name), el("dd.figure", {}, value), el("dd.caption", {}, reason.replaceAll("`", ""))),
	);
	return el("dl.costs.decisions", {}, ...lines);
}

/** What fills a part of its room, as a bar and in figures. */
function fill(name, used, most, words) {
	const bar = el("span.room", { "aria-hidden": "true" }, el("span"));
	bar.firstChild.style.width = percent(most > 0 ? Math.min(1, used / most) : 0).replace(" ", "");
	return [name, el("span.fill", {}, bar, `${words(used)} of ${words(most)}`)];
}

/** L1: its room, and what was evicted for lack of it. */
export function memory({ l1_rows, l1_max_rows, l1_bytes, l1_max_bytes, l1_evictions }, evictedNow) {
	const left = Math.min(1 - l1_rows / (l1_max_rows || 1), 1 - l1_bytes / (l1_max_bytes || 1));
	const state =
		evictedNow > 0
			? "L1 is full: rows that are used less make room for new ones."
			: l1_evictions > 0
				? "L1 has been full since this isolate started."
				: "Every row that was inserted is still there, or has expired.";
	return el(
		"div",
		{},
		figureList(
			fill("Rows", l1_rows, l1_max_rows, count),
			fill("Bytes", l1_bytes, l1_max_bytes, bytes),
			["Room left", percent(Math.max(0, left))],
			["Rows evicted", evictedNow > 0 ? `${count(l1_evictions)}, ${count(evictedNow)} just now` : count(l1_evictions)],
		),
		el("p.caption", {}, state),
	);
}
