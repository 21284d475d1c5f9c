// This deployment as it is now, by its own account: `/v1/stats`, `/v1/sla` and `/v1/alerts`, asked again and again while they are looked at.

import { percentileChart, percentileData, throughputChart, throughputData, tierChart, tierData } from "../charts.js";
import { byId, el } from "../dom.js";
import { model, promises } from "../results/parts.js";
import { count, percent, row, tableOf } from "../results/tables.js";
import { credentials, onToken, tokenButton, wantsToken } from "../token.js";
import { alertList } from "./alerts.js";
import { makeFlow } from "./flow.js";

/** How often it is asked: a monitor's slot is many times longer, and each question is cheap. */
const INTERVAL_MS = 2_000;
/** Who does not answer is asked ever more rarely, down to this. */
const MOST_INTERVAL_MS = 30_000;
const TIMEOUT_MS = 10_000;
/** How far back the charts go: as far as the monitor's window. */
const KEPT_MS = 300_000;

const PATHS = ["/v1/stats", "/v1/sla", "/v1/alerts"];
const TIERS = { l1: "L1 memory", l2: "L2 store", l3: "L3 storage", origin: "Origin" };

/** The answer to one question cannot be had. */
class Unanswered extends Error {
	/** @param {number} [status] of what was answered in its place */
	constructor(message, status) {
		super(message);
		this.status = status;
	}
}

async function asked(path) {
	let response;
	try {
		response = await fetch(path, {
			cache: "no-store",
			headers: credentials(),
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
	} catch {
		throw new Unanswered("The Worker could not be reached. It is asked again.");
	}
	if (response.ok) return response.json();
	const { detail = "" } = await response.json().catch(() => ({}));
	throw new Unanswered(`${path} answered with status ${response.status}. ${detail}`, response.status);
}

export function openLive() {
	const host = byId("live");
	const flow = makeFlow();
	const charts = makeCharts();
	const message = el("div", { id: "live-message", role: "status" });
	const scope = el(
		"select",
		{ id: "live-scope" },
		el("option", { value: "isolate" }, "the isolate that answers"),
		el("option", { value: "deployment" }, "all isolates"),
	);
	const pause = el("button.quiet", { type: "button", "aria-pressed": "false" }, "Pause");
	const parts = Object.fromEntries(
		["headline", "note", "tiers", "promise", "burn", "time", "cost", "prefetch", "alerts", "decisions"].map((name) => [
			name,
			el("div"),
		]),
	);
	// An isolate alone knows what these say.
	const own = {
		cost: panel("cost", "Cost", parts.cost),
		prefetch: panel("prefetch", "Prefetch", parts.prefetch),
		decisions: panel("decisions", "Decided by what was measured", parts.decisions),
	};
	const column = (...panels) => el("div.column", {}, ...panels);
	host.append(
		el("div.toolbar", {}, el("label.picker", { for: "live-scope" }, "Figures of", scope), pause),
		message,
		panel("now", "Now", parts.headline, parts.note),
		panel("tiers", "Tiers", flow.element, charts.element, parts.tiers),
		el(
			"div.columns",
			{},
			column(panel("promise", "Promise", parts.promise, parts.burn), panel("alerts", "Alerts", parts.alerts)),
			column(panel("time", "Where the time goes", parts.time), own.cost),
			column(own.prefetch, own.decisions),
		),
	);
	let timer;
	let interval = INTERVAL_MS;
	/** The last look, and what came between looks. */
	let last;
	let timeline = [];

	function show(stats, sla, raised) {
		const more = since(last, stats);
		last = stats;
		if (more) timeline.push({ at: Date.parse(stats.at), more, overall: stats.overall });
		timeline = timeline.filter(({ at }) => Date.parse(stats.at) - at <= KEPT_MS);
		const isUsed = (id) =>
			id === "l1" || id === "origin" || (stats.stores ? id in stats.stores : isAsked(stats.tiers[id]));
		const isIdle = sla.status === "no_data";
		parts.headline.replaceChildren(headline(stats, sla, raised, isIdle));
		parts.note.replaceChildren(...notes(stats, isIdle));
		flow.show(stats.tiers, isUsed, more);
		charts.show(timeline);
		renew(parts.tiers, tierTable(stats.tiers, isUsed));
		parts.promise.replaceChildren(
			isIdle ? el("p.note", {}, "No request came in the window.") : promises(verdicts(sla)),
		);
		renew(parts.burn, burnTable(sla));
		parts.time.replaceChildren(isIdle ? el("p.note", {}, "No request came in the window.") : time(stats));
		parts.alerts.replaceChildren(alertList(raised));
		for (const section of Object.values(own)) section.hidden = stats.scope !== "isolate";
		if (stats.scope !== "isolate") return;
		parts.cost.replaceChildren(cost(stats.cost));
		parts.prefetch.replaceChildren(prefetch(stats.prefetch));
		parts.decisions.replaceChildren(decisions(stats.optimizer));
	}

	async function look() {
		clearTimeout(timer);
		if (byId("page-live").hidden || document.hidden || pause.ariaPressed === "true") return;
		const of = scope.value;
		try {
			const answers = await Promise.all(PATHS.map((path) => asked(`${path}?scope=${of}`)));
			if (of !== scope.value) return;
			message.replaceChildren();
			show(...answers);
			interval = INTERVAL_MS;
			host.dataset.state = "shown";
		} catch (error) {
			if (!(error instanceof Unanswered)) throw error;
			message.replaceChildren(
				el("div.callout", {}, el("p", {}, error.message), wantsToken(error.status) && tokenButton()),
			);
			interval = Math.min(2 * interval, MOST_INTERVAL_MS);
		} finally {
			clearTimeout(timer);
			timer = setTimeout(look, interval);
		}
	}

	function lookAtOnce() {
		interval = INTERVAL_MS;
		look();
	}

	scope.addEventListener("change", () => {
		last = undefined;
		timeline = [];
		delete host.dataset.state;
		lookAtOnce();
	});
	pause.addEventListener("click", () => {
		const isPaused = pause.ariaPressed !== "true";
		pause.ariaPressed = String(isPaused);
		lookAtOnce();
	});
	document.addEventListener("visibilitychange", lookAtOnce);
	onToken(lookAtOnce);
	return { onShow: lookAtOnce };
}

function panel(name, title, ...children) {
	const id = `live-${name}`;
	return el("section.panel", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/** Puts the rows of a table in the place of its last ones: where it was scrolled to stays, and so does the focus. */
function renew(host, fresh) {
	const old = host.querySelector("tbody");
	if (old) old.replaceWith(fresh.querySelector("tbody"));
	else host.append(fresh);
}

/** What came since the last look. Another isolate may have answered this time, and has counted less. */
function since(last, { at, overall, tiers }) {
	const seconds = (Date.parse(at) - Date.parse(last?.at)) / 1000;
	if (!(seconds > 0)) return undefined;
	const grown = (now, before) => Math.max(0, now - before);
	const rows = Object.keys(TIERS).map((id) => [id, grown(tiers[id].hits, last.tiers[id].hits)]);
	return {
		seconds,
		requests: grown(overall.requests, last.overall.requests),
		rows: Object.fromEntries(rows),
		failed: grown(tiers.origin.misses, last.tiers.origin.misses),
	};
}

function makeCharts() {
	const throughput = throughputChart("Requests per second");
	const percentiles = percentileChart("Latency in the window");
	const tiers = tierChart("Where rows came from");
	const element = el("div.charts", { hidden: true }, throughput.element, percentiles.element, tiers.element);
	return {
		element,
		/** A line has two ends, and of a quiet time there is nothing to see. */
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
			throughput.show(throughputData(points), `${latest.throughput.toFixed(1)} requests per second at the last.`);
			percentiles.show(
				percentileData(points),
				`p50 ${whole(latest.p50_ms)}, p95 ${whole(latest.p95_ms)}, p99 ${whole(latest.p99_ms)} at the last.`,
			);
			const [l1, l2, l3, origin] = latest.tiers;
			tiers.show(tierData(points), `Rows at the last: L1 ${l1}, L2 ${l2}, L3 ${l3}, origin ${origin}.`);
		},
	};
}

/** The monitor's milliseconds are whole. */
const whole = (millis) => `${count(millis)} ms`;

/** What is there alone where something was counted. */
const NOTHING = "–";

const dollars = (value) => `$${value < 1 ? Number(value.toFixed(6)) : value.toFixed(2)}`;

const STATUSES = { compliant: "kept", violation: "not kept", no_data: NOTHING };

function headline(
	{ overall, latency_model, window_seconds },
	{ status, requests, error_budget_remaining },
	{ open },
	isIdle,
) {
	const fact = (name, value, isBad = false) =>
		el("div", {}, el("dt", {}, name), el("dd", { "data-state": isBad && "bad" }, value));
	const measured = (value) => (isIdle ? NOTHING : value);
	return el(
		"dl.headline",
		{},
		fact("Promise", STATUSES[status] ?? status, status === "violation"),
		fact("Error budget left", percent(error_budget_remaining), error_budget_remaining <= 0),
		fact("Open alerts", count(open.length), open.length > 0),
		fact(`Requests in ${span(window_seconds)}`, count(requests)),
		fact("Median", measured(whole(overall.latency_p50_ms))),
		fact("p99", measured(whole(overall.latency_p99_ms))),
		fact("Hit ratio", measured(percent(latency_model.hit_ratio))),
	);
}

function notes({ scope, window_seconds, latency_clock }, isIdle) {
	const whose =
		scope === "deployment"
			? "All isolates, a tenth of the window behind; alerts are those of the isolate that answers"
			: "The isolate that answers";
	const about = el("p.caption", {}, `${whose}, over ${span(window_seconds)}. Latencies: ${latency_clock}.`);
	if (!isIdle) return [about];
	const link = (href, words) => el("a", { href }, words);
	const invitation = el(
		"p.note",
		{},
		"It is quiet. ",
		link("#try", "Try"),
		" sends one request, and ",
		link("#run", "Run"),
		", with this deployment as its target, thousands.",
	);
	return [invitation, about];
}

const isAsked = ({ hits, misses }) => hits + misses > 0;

function tierTable(tiers, isUsed) {
	const rows = Object.entries(TIERS).map(([id, name]) => {
		const tier = tiers[id];
		const hasClock = id !== "l1" && tier.operations > 0;
		return row(name, [
			count(tier.hits),
			count(tier.misses),
			isUsed(id) ? (isAsked(tier) ? percent(tier.hit_ratio) : NOTHING) : "off",
			hasClock ? whole(tier.latency_p50_ms) : NOTHING,
			hasClock ? whole(tier.latency_p99_ms) : NOTHING,
			hasClock ? count(tier.operation_errors) : NOTHING,
			tier.breaker_open > 0 ? el("span.verdict", { "data-verdict": "missed" }, "left alone") : NOTHING,
		]);
	});
	return tableOf("Rows by tier", ["Tier", "Hits", "Misses", "Hit ratio", "Median", "p99", "Errors", "Breaker"], rows);
}

/** The targets, under the names that runs have for them. */
function verdicts({ details }) {
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
			el("span.verdict", { "data-verdict": is_burning ? "missed" : "met" }, is_burning ? "burning" : "calm"),
		]),
	);
	return tableOf("Burn rates of the error budget", ["Windows", "Burns", "Alerts at", "Budget"], rows, "figures burn");
}

function span(seconds) {
	if (seconds < 60) return `${seconds} s`;
	if (seconds < 3_600) return `${Number((seconds / 60).toFixed(1))} min`;
	if (seconds < 86_400) return `${Number((seconds / 3_600).toFixed(1))} h`;
	return `${Number((seconds / 86_400).toFixed(1))} d`;
}

/** The parts of a latency as the monitor tells them apart; the time to read and to write is in none. */
const PARTS = [
	["cache_ms", "Caches", "waiting for stores"],
	["computation_ms", "Origin", "waiting for the origin, the way there included"],
	["network_ms", "The rest", "in queues, and between the host and the core"],
];

function time({ latency_model }) {
	const { hit_ms, miss_ms, hit_ratio } = latency_model;
	const isTold = hit_ms < miss_ms && hit_ratio > 0;
	const saved_ms = isTold ? hit_ratio * (miss_ms - hit_ms) : undefined;
	return model({ parts: latency_model, hit_ms, miss_ms, saved_ms, hit_ratio: hit_ratio }, PARTS);
}

function figureList(...facts) {
	const lines = facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd.figure", {}, value)));
	return el("dl.costs", {}, ...lines);
}

function cost(done) {
	const made = (name) => `${count(done[name])}, ${count(done[`${name}_saved`])} saved`;
	return figureList(
		["L2 keys read", made("l2_reads")],
		["L2 keys written", made("l2_writes")],
		["Origin calls", made("origin_calls")],
		["Spent on these", dollars(done.spent_usd)],
		["Saved", dollars(done.saved_usd)],
	);
}

function prefetch(done) {
	if (done.issued === 0) {
		return el("p.note", {}, "No row was fetched ahead. Prefetch learns from requests that name their session.");
	}
	const wereAskedFor = done.used + done.late > 0;
	const isKnown = wereAskedFor || done.wasted > 0;
	return figureList(
		["Precision", isKnown ? percent(done.precision) : NOTHING],
		["Misses removed", done.coverage > 0 ? percent(done.coverage) : NOTHING],
		["In time", wereAskedFor ? percent(done.timeliness) : NOTHING],
		["Fetched ahead", count(done.issued)],
		["Used in time", count(done.used)],
		["Came too late", count(done.late)],
		["Not asked for", count(done.wasted)],
		["Made room, and missed", `${count(done.evictions)}, ${count(done.polluting_evictions)}`],
		["Keys read, rows called, keys written", [done.l2_reads, done.origin_rows, done.l2_writes].map(count).join(", ")],
		["Spent, saved", `${dollars(done.spent_usd)}, ${dollars(done.saved_usd)}`],
	);
}

/** What the optimizer has decided, with its reasons as the Worker words them. */
function decisions({ l2, timeouts, hedge, concurrency }) {
	const all = [];
	if (l2) all.push(["L2 is asked", l2.read_policy, l2.reason]);
	for (const [id, { timeout_ms, reason }] of Object.entries(timeouts)) {
		all.push([`${TIERS[id]}’s timeout`, whole(timeout_ms), reason]);
	}
	if (hedge) all.push(["Origin is asked too after", whole(hedge.after_ms), hedge.reason]);
	all.push(["Origin calls at a time", count(concurrency.origin_calls), concurrency.reason]);
	const lines = all.map(([name, value, reason]) =>
		el("div", {}, el("dt", {}, name), el("dd.figure", {}, value), el("dd.caption", {}, reason.replaceAll("`", ""))),
	);
	return el("dl.costs.decisions", {}, ...lines);
}
