// `featheredge stats`: a server's telemetry as tables; `featheredge top`: the same, refreshed.

import { boolean, listOf, mapOf, number, object, optional, string } from "./answer.js";
import { send } from "./client.js";
import { clearScreen, print, printJson } from "./output.js";
import { tableOf } from "./table.js";

const LATENCIES = { latency_p50_ms: number, latency_p95_ms: number, latency_p99_ms: number };
const SERIES = object({ requests: number, ...LATENCIES });
const CHECKS = ["p50", "p95", "p99", "availability", "error_rate"];

/** What the tables need of each report. */
const REPORTS = {
	"/v1/stats": object({
		project: string,
		scope: string,
		at: string,
		latency_clock: string,
		overall: SERIES,
		routes: mapOf(object({ requests: optional(number), operations: optional(number), ...LATENCIES })),
		tiers: mapOf(object({ hits: number, misses: number, hit_ratio: number, operations: number, ...LATENCIES })),
		quality: object({ completeness: number, freshness: number }),
	}),
	"/v1/sla": object({
		status: string,
		error_budget_remaining: number,
		details: object(
			Object.fromEntries(
				CHECKS.flatMap((name) => [
					[`current_${name}`, number],
					[`target_${name}`, number],
					[`${name}_compliant`, boolean],
				]),
			),
		),
	}),
	"/v1/alerts": object({
		open: listOf(object({ type: string, severity: string, value: number, threshold: number, opened_at: string })),
	}),
};

const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** The telemetry reports of a server. */
async function fetchReports({ url, scope, timeout }) {
	const [stats, sla, alerts] = await Promise.all(
		Object.entries(REPORTS).map(async ([path, shape]) => {
			const { value } = await send(url, `${path}?scope=${scope}`, { timeout, shape });
			return value;
		}),
	);
	return { stats, sla, alerts };
}

/** Requests per second since an earlier report, if there is one. */
function rate(now, before) {
	if (before === undefined) return "";
	const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1_000;
	const more = now.overall.requests - before.overall.requests;
	return seconds > 0 && more >= 0 ? `, ${Math.round(more / seconds)} per second` : "";
}

const latencies = (name, { requests, operations, latency_p50_ms: p50, latency_p95_ms: p95, latency_p99_ms: p99 }) => [
	name,
	requests ?? operations,
	p50,
	p95,
	p99,
];

function tables({ stats, sla, alerts }, before) {
	const { details } = sla;
	const check = (name) => [
		name,
		details[`current_${name}`],
		details[`target_${name}`],
		details[`${name}_compliant`] ? "met" : "violated",
	];
	const tiers = Object.entries(stats.tiers).map(([tier, figures]) => [
		tier,
		figures.hits,
		figures.misses,
		percent(figures.hit_ratio),
		...latencies(tier, figures).slice(1),
	]);
	const routes = [["all", stats.overall], ...Object.entries(stats.routes)].map(([name, figures]) =>
		latencies(name, figures),
	);
	const open = alerts.open.map(({ type, severity, value, threshold, opened_at: at }) => [
		type,
		severity,
		value,
		threshold,
		at,
	]);
	return [
		`${stats.project}, ${stats.scope}, ${stats.at}: ${sla.status}, ${percent(sla.error_budget_remaining)} of the error budget remaining`,
		`${stats.overall.requests} requests${rate(stats, before)}; completeness ${percent(stats.quality.completeness)}, freshness ${percent(stats.quality.freshness)}`,
		...tableOf(["SLO", "current", "target", ""], CHECKS.map(check)),
		...tableOf(["tier", "hits", "misses", "hit ratio", "operations", "p50 ms", "p95 ms", "p99 ms"], tiers),
		...tableOf(["route", "count", "p50 ms", "p95 ms", "p99 ms"], routes),
		...(open.length > 0
			? tableOf(["open alert", "severity", "value", "threshold", "since"], open)
			: ["no open alerts"]),
		`latencies: ${stats.latency_clock}`,
	];
}

function show(found, { json }, before) {
	if (json) printJson(found);
	else print(...tables(found, before));
}

export async function stats(options) {
	show(await fetchReports(options), options);
}

export async function top(options) {
	let before;
	for (let left = options.count ?? Number.POSITIVE_INFINITY; left > 0; left -= 1) {
		const found = await fetchReports(options);
		if (!options.json) clearScreen();
		show(found, options, before);
		before = found.stats;
		if (left > 1) await new Promise((resolve) => setTimeout(resolve, options.interval * 1_000));
	}
}
