// What this page has seen of the deployment, refresh by refresh, as charts over a time range. Benchmarks are shaded.

import { percentileChart, percentileData, throughputChart, throughputData, tierChart, tierData } from "../charts.js";
import { el } from "../dom.js";
import { marksWithin, onMarks } from "./marks.js";
import { span, TIERS, wholeMs } from "./panels.js";

/** The time ranges of the charts, in seconds. */
export const RANGES = [60, 300, 900];

/** The difference since the last report. Another isolate with lower counts may have responded this time. */
function since(last, { at, overall, tiers, isolate }) {
	const seconds = (Date.parse(at) - Date.parse(last?.at)) / 1000;
	if (!(seconds > 0)) return undefined;
	const increase = (now, before) => Math.max(0, now - before);
	const rows = Object.keys(TIERS).map((id) => [id, increase(tiers[id].hits, last.tiers[id].hits)]);
	return {
		seconds,
		requests: increase(overall.requests, last.overall.requests),
		rows: Object.fromEntries(rows),
		failed: increase(tiers.origin.misses, last.tiers.origin.misses),
		evicted: isolate && last.isolate ? increase(isolate.l1_evictions, last.isolate.l1_evictions) : 0,
	};
}

export function makeTimeline() {
	const throughput = throughputChart("Requests per second");
	const percentiles = percentileChart("Latency in the window");
	const tiers = tierChart("Rows by tier");
	const charts = el("div.charts", {}, throughput.element, percentiles.element, tiers.element);
	const seen = el("p.caption.seen");
	const element = el("div", { hidden: true }, charts, seen);
	/** The last report, and the differences between reports. */
	let last;
	let points = [];
	let seconds = RANGES[1];
	let targets;

	/** Hidden until there are two points and at least one request. */
	function draw() {
		const now = points.at(-1)?.at;
		const shown = points.filter(({ at }) => now - at <= seconds * 1000);
		element.hidden = shown.length < 2 || shown.every(({ more }) => more.requests === 0);
		if (element.hidden) return;
		const data = shown.map(({ at, more, overall }) => ({
			at_ms: at - now,
			throughput: more.requests / more.seconds,
			p50_ms: overall.latency_p50_ms,
			p95_ms: overall.latency_p95_ms,
			p99_ms: overall.latency_p99_ms,
			tiers: Object.keys(TIERS).map((id) => more.rows[id]),
			failed: more.failed,
		}));
		const marks = marksWithin(shown[0].at, now);
		const latest = data.at(-1);
		const [l1, l2, l3, origin] = latest.tiers;
		const benchmark = marks.length > 0 ? " A benchmark of this browser ran meanwhile." : "";
		const draws = [
			[throughput, throughputData(data), `${latest.throughput.toFixed(1)} requests per second in the last interval.`],
			[
				percentiles,
				percentileData(data),
				`p50 ${wholeMs(latest.p50_ms)}, p95 ${wholeMs(latest.p95_ms)}, p99 ${wholeMs(latest.p99_ms)} in the last interval.`,
			],
			[tiers, tierData(data), `Rows in the last interval: L1 ${l1}, L2 ${l2}, L3 ${l3}, origin ${origin}.`],
		];
		for (const [chart, columns, words] of draws) {
			chart.show(columns, `${words}${benchmark}`, chart === percentiles ? { targets } : "");
			shade(chart.element, columns[0], marks, now);
		}
		const reach = Math.round((now - shown[0].at) / 1000);
		const words = `${span(reach)} of the last ${span(seconds)}, seen by this page.`;
		seen.replaceChildren(
			reach < seconds - 5 ? words : `The last ${span(seconds)}.`,
			...(marks.length > 0 ? [" ", el("span.benchmark-key", {}, benchmarkWords(marks))] : []),
		);
	}
	onMarks(draw);

	return {
		element,
		/** Adds a report, with the SLO's targets; returns the difference since the last one. */
		add(stats, objectives) {
			targets = objectives;
			const more = since(last, stats);
			last = stats;
			// By this page's clock, as benchmarks are marked.
			const at = Date.now();
			if (more) points.push({ at, more, overall: stats.overall });
			points = points.filter((point) => at - point.at <= RANGES.at(-1) * 1000);
			draw();
			return more;
		},
		/** @param {number} range in seconds */
		choose(range) {
			seconds = range;
			draw();
		},
		clear() {
			last = undefined;
			points = [];
		},
	};
}

function benchmarkWords(marks) {
	const isRunning = marks.at(-1).endedAt === undefined;
	return isRunning ? "Shaded: a benchmark of this browser is running." : "Shaded: a benchmark of this browser.";
}

/** Shades spans of a chart's plot, whose x axis goes from the first point to the last, in seconds before now. */
function shade(figure, seconds, marks, now) {
	const plot = figure.querySelector(".u-over");
	if (plot === null) return;
	for (const old of plot.querySelectorAll(".benchmark")) old.remove();
	const [from, to] = [seconds[0], seconds.at(-1)];
	if (!(to > from)) return;
	const place = (at) => Math.min(1, Math.max(0, ((at - now) / 1000 - from) / (to - from)));
	for (const { startedAt, endedAt = now } of marks) {
		const [left, right] = [place(startedAt), place(endedAt)];
		if (right <= left) continue;
		const band = el("div.benchmark");
		band.style.left = `${left * 100}%`;
		band.style.width = `${(right - left) * 100}%`;
		plot.append(band);
	}
}
