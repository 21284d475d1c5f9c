// The deployment's telemetry: `/v1/stats`, `/v1/sla` and `/v1/alerts`, refreshed while the page is visible.

import { percentileChart, percentileData, throughputChart, throughputData, tierChart, tierData } from "../charts.js";
import { byId, el } from "../dom.js";
import { model, targetList } from "../results/parts.js";
import { count, percent, row, tableOf } from "../results/tables.js";
import { credentials, needsToken, onToken, tokenButton } from "../token.js";
import { alertList } from "./alerts.js";
import { makeFlow } from "./flow.js";

/** The interval of refreshes: much shorter than a telemetry window's slot, and cheap. */
const INTERVAL_MS = 2_000;
/** The longest interval after errors, which double it. */
const MAX_INTERVAL_MS = 30_000;
const TIMEOUT_MS = 10_000;
/** The time range of the charts: that of the telemetry window. */
const CHART_RANGE_MS = 300_000;

const PATHS = ["/v1/stats", "/v1/sla", "/v1/alerts"];
const TIERS = { l1: "L1 memory", l2: "L2 store", l3: "L3 storage", origin: "Origin" };

/** A report could not be fetched. */
class ReportError extends Error {
	/** @param {number} [status] of an error response */
	constructor(message, status) {
		super(message);
		this.status = status;
	}
}

async function fetchReport(path) {
	let response;
	try {
		response = await fetch(path, {
			cache: "no-store",
			headers: credentials(),
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
	} catch {
		throw new ReportError("The Worker could not be reached. Retrying.");
	}
	if (response.ok) return response.json();
	const { detail = "" } = await response.json().catch(() => ({}));
	throw new ReportError(`${path} answered with status ${response.status}. ${detail}`, response.status);
}

export function openLive() {
	const host = byId("live");
	const flow = makeFlow();
	const charts = makeCharts();
	const message = el("div", { id: "live-message", role: "status" });
	const scope = el(
		"select",
		{ id: "live-scope" },
		el("option", { value: "isolate" }, "the isolate that responds"),
		el("option", { value: "deployment" }, "all isolates"),
	);
	const pause = el("button.quiet", { type: "button", "aria-pressed": "false" }, "Pause");
	const parts = Object.fromEntries(
		["headline", "note", "tiers", "slo", "burn", "time", "cost", "prefetch", "alerts", "decisions"].map((name) => [
			name,
			el("div"),
		]),
	);
	// Panels of figures that only an isolate has.
	const isolateOnly = {
		cost: panel("cost", "Cost", parts.cost),
		prefetch: panel("prefetch", "Prefetch", parts.prefetch),
		decisions: panel("decisions", "Optimizer", parts.decisions),
	};
	const column = (...panels) => el("div.column", {}, ...panels);
	host.append(
		el("div.toolbar", {}, el("label.picker", { for: "live-scope" }, "Scope", scope), pause),
		message,
		panel("now", "Now", parts.headline, parts.note),
		panel("tiers", "Tiers", flow.element, charts.element, parts.tiers),
		el(
			"div.columns",
			{},
			column(panel("slo", "SLO", parts.slo, parts.burn), panel("alerts", "Alerts", parts.alerts)),
			column(panel("time", "Latency breakdown", parts.time), isolateOnly.cost),
			column(isolateOnly.prefetch, isolateOnly.decisions),
		),
	);
	let timer;
	let interval = INTERVAL_MS;
	/** The last report, and the differences between reports. */
	let last;
	let timeline = [];

	function show(stats, sla, alerts) {
		const more = since(last, stats);
		last = stats;
		if (more) timeline.push({ at: Date.parse(stats.at), more, overall: stats.overall });
		timeline = timeline.filter(({ at }) => Date.parse(stats.at) - at <= CHART_RANGE_MS);
		const isUsed = (id) =>
			id === "l1" || id === "origin" || (stats.stores ? id in stats.stores : hasLookups(stats.tiers[id]));
		const isIdle = sla.status === "no_data";
		parts.headline.replaceChildren(headline(stats, sla, alerts, isIdle));
		parts.note.replaceChildren(...notes(stats, isIdle));
		flow.show(stats.tiers, isUsed, more);
		charts.show(timeline);
		replaceRows(parts.tiers, tierTable(stats.tiers, isUsed));
		parts.slo.replaceChildren(isIdle ? el("p.note", {}, "No requests in the window.") : targetList(targets(sla)));
		replaceRows(parts.burn, burnTable(sla));
		parts.time.replaceChildren(isIdle ? el("p.note", {}, "No requests in the window.") : time(stats));
		parts.alerts.replaceChildren(alertList(alerts));
		for (const section of Object.values(isolateOnly)) section.hidden = stats.scope !== "isolate";
		if (stats.scope !== "isolate") return;
		parts.cost.replaceChildren(cost(stats.cost));
		parts.prefetch.replaceChildren(prefetch(stats.prefetch));
		parts.decisions.replaceChildren(decisions(stats.optimizer));
	}

	async function refresh() {
		clearTimeout(timer);
		if (byId("page-live").hidden || document.hidden || pause.ariaPressed === "true") return;
		const of = scope.value;
		try {
			const reports = await Promise.all(PATHS.map((path) => fetchReport(`${path}?scope=${of}`)));
			if (of !== scope.value) return;
			message.replaceChildren();
			show(...reports);
			interval = INTERVAL_MS;
			host.dataset.state = "shown";
		} catch (error) {
			if (!(error instanceof ReportError)) throw error;
			message.replaceChildren(
				el("div.callout", {}, el("p", {}, error.message), needsToken(error.status) && tokenButton()),
			);
			interval = Math.min(2 * interval, MAX_INTERVAL_MS);
		} finally {
			clearTimeout(timer);
			timer = setTimeout(refresh, interval);
		}
	}

	function refreshNow() {
		interval = INTERVAL_MS;
		refresh();
	}

	scope.addEventListener("change", () => {
		last = undefined;
		timeline = [];
		delete host.dataset.state;
		refreshNow();
	});
	pause.addEventListener("click", () => {
		const isPaused = pause.ariaPressed !== "true";
		pause.ariaPressed = String(isPaused);
		refreshNow();
	});
	document.addEventListener("visibilitychange", refreshNow);
	onToken(refreshNow);
	return { onShow: refreshNow };
}

function panel(name, title, ...children) {
	const id = `live-${name}`;
	return el("section.panel", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/** Replaces the rows of a table, and keeps its scroll position and focus. */
function replaceRows(host, fresh) {
	const old = host.querySelector("tbody");
	if (old) old.replaceWith(fresh.querySelector("tbody"));
	else host.append(fresh);
}

/** The difference since the last report. Another isolate with lower counts may have responded this time. */
function since(last, { at, overall, tiers }) {
	const seconds = (Date.parse(at) - Date.parse(last?.at)) / 1000;
	if (!(seconds > 0)) return undefined;
	const increase = (now, before) => Math.max(0, now - before);
	const rows = Object.keys(TIERS).map((id) => [id, increase(tiers[id].hits, last.tiers[id].hits)]);
	return {
		seconds,
		requests: increase(overall.requests, last.overall.requests),
		rows: Object.fromEntries(rows),
		failed: increase(tiers.origin.misses, last.tiers.origin.misses),
	};
}

function makeCharts() {
	const throughput = throughputChart("Requests per second");
	const percentiles = percentileChart("Latency in the window");
	const tiers = tierChart("Rows by tier");
	const element = el("div.charts", { hidden: true }, throughput.element, percentiles.element, tiers.element);
	return {
		element,
		/** Hidden until there are two points and at least one request. */
		show(timeline) {
			element.hidden = timeline.length < 2 || timeline.every(({ more }) => more.requests === 0);
			if (element.hidden) return;
			const now = timeline.at(-1).at;
			const points = timeline.map(({ at, more, overall }) => ({
				at_ms: at - now,
				throughput: more.requests / more.seconds,
				p50_ms: overall.latency_p50_ms,
				p95_ms: overall.latency_p95_ms,
				p99_ms: overall.latency_p99_ms,
				tiers: Object.keys(TIERS).map((id) => more.rows[id]),
				failed: more.failed,
			}));
			const latest = points.at(-1);
			throughput.show(
				throughputData(points),
				`${latest.throughput.toFixed(1)} requests per second in the last interval.`,
			);
			percentiles.show(
				percentileData(points),
				`p50 ${wholeMs(latest.p50_ms)}, p95 ${wholeMs(latest.p95_ms)}, p99 ${wholeMs(latest.p99_ms)} in the last interval.`,
			);
			const [l1, l2, l3, origin] = latest.tiers;
			tiers.show(tierData(points), `Rows in the last interval: L1 ${l1}, L2 ${l2}, L3 ${l3}, origin ${origin}.`);
		},
	};
}

/** Telemetry has whole milliseconds. */
const wholeMs = (millis) => `${count(millis)} ms`;

/** In place of a figure without data. */
const NO_DATA = "–";

const dollars = (value) => `$${value < 1 ? Number(value.toFixed(6)) : value.toFixed(2)}`;

const STATUSES = { compliant: "met", violation: "violated", no_data: NO_DATA };

function headline(
	{ overall, latency_model, window_seconds },
	{ status, requests, error_budget_remaining },
	{ open },
	isIdle,
) {
	const fact = (name, value, isBad = false) =>
		el("div", {}, el("dt", {}, name), el("dd", { "data-state": isBad && "bad" }, value));
	const measured = (value) => (isIdle ? NO_DATA : value);
	return el(
		"dl.headline",
		{},
		fact("SLO", STATUSES[status] ?? status, status === "violation"),
		fact("Error budget remaining", percent(error_budget_remaining), error_budget_remaining <= 0),
		fact("Open alerts", count(open.length), open.length > 0),
		fact(`Requests in ${span(window_seconds)}`, count(requests)),
		fact("Median", measured(wholeMs(overall.latency_p50_ms))),
		fact("p99", measured(wholeMs(overall.latency_p99_ms))),
		fact("Hit ratio", measured(percent(latency_model.hit_ratio))),
	);
}

function notes({ scope, window_seconds, latency_clock }, isIdle) {
	const source =
		scope === "deployment"
			? "All isolates, a tenth of the window behind; alerts are those of the isolate that responds"
			: "The isolate that responds";
	const about = el("p.caption", {}, `${source}, over ${span(window_seconds)}. Latencies: ${latency_clock}.`);
	if (!isIdle) return [about];
	const link = (href, words) => el("a", { href }, words);
	const invitation = el(
		"p.note",
		{},
		"No requests yet. ",
		link("#try", "Try"),
		" sends one request. ",
		link("#run", "Run"),
		" sends thousands, with this deployment as the target.",
	);
	return [invitation, about];
}

const hasLookups = ({ hits, misses }) => hits + misses > 0;

function tierTable(tiers, isUsed) {
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

/** The SLO's targets, under the names of the benchmark's. */
function targets({ details }) {
	return ["p50", "p95", "p99", "availability", "error_rate"].map((name) => ({
		name: /^p\d/.test(name) ? `${name}_ms` : name,
		actual: details[`current_${name}`],
		target: details[`target_${name}`],
		is_met: details[`${name}_compliant`],
	}));
}

function burnTable({ burn_rates }) {
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

function span(seconds) {
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

function time({ latency_model }) {
	const { hit_ms, miss_ms, hit_ratio } = latency_model;
	const hasBoth = hit_ms < miss_ms && hit_ratio > 0;
	const saved_ms = hasBoth ? hit_ratio * (miss_ms - hit_ms) : undefined;
	return model({ parts: latency_model, hit_ms, miss_ms, saved_ms, hit_ratio: hit_ratio }, PARTS);
}

function figureList(...facts) {
	const lines = facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd.figure", {}, value)));
	return el("dl.costs", {}, ...lines);
}

function cost(done) {
	const saved = (name) => `${count(done[name])}, ${count(done[`${name}_saved`])} saved`;
	return figureList(
		["L2 keys read", saved("l2_reads")],
		["L2 keys written", saved("l2_writes")],
		["Origin calls", saved("origin_calls")],
		["Total cost", dollars(done.spent_usd)],
		["Saved", dollars(done.saved_usd)],
	);
}

function prefetch(done) {
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
function decisions({ l2_reads: l2, timeouts, hedge, concurrency }) {
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
