// `featheredge stats`: a server's telemetry as tables; `featheredge top`: the same, refreshed.

import { send } from "./client.js";
import { EXIT, Failure } from "./failure.js";
import { tableOf } from "./table.js";

const CLEAR = "\x1b[H\x1b[2J";

const percent = (share) => `${(share * 100).toFixed(1)} %`;

const read = async (url, path, scope) => JSON.parse(await send(url, `${path}?scope=${scope}`));

/** The telemetry reports of a server. */
async function fetchReports({ url, scope }) {
	const [stats, sla, alerts] = await Promise.all(
		["/v1/stats", "/v1/sla", "/v1/alerts"].map((path) => read(url, path, scope)),
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
		tableOf(["SLO", "current", "target", ""], ["p50", "p95", "p99", "availability", "error_rate"].map(check)),
		tableOf(["tier", "hits", "misses", "hit ratio", "operations", "p50 ms", "p95 ms", "p99 ms"], tiers),
		tableOf(["route", "count", "p50 ms", "p95 ms", "p99 ms"], routes),
		open.length > 0 ? tableOf(["open alert", "severity", "value", "threshold", "since"], open) : "no open alerts",
		`latencies: ${stats.latency_clock}`,
	].join("\n");
}

export async function stats(options) {
	const found = await fetchReports(options);
	console.log(options.json ? JSON.stringify(found) : tables(found));
}

export async function top(options) {
	if (!(options.interval >= 1)) throw new Failure("`--interval` must be at least 1", EXIT.usage);
	let before;
	for (let left = options.count ?? Number.POSITIVE_INFINITY; left > 0; left -= 1) {
		const found = await fetchReports(options);
		if (options.json) console.log(JSON.stringify(found));
		else console.log(`${process.stdout.isTTY ? CLEAR : ""}${tables(found, before)}`);
		before = found.stats;
		if (left > 1) await new Promise((resolve) => setTimeout(resolve, options.interval * 1_000));
	}
}
