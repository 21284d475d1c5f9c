// The charts of a scenario while it is measured. They are loaded with the first measurement that shows them.

import * as kit from "../../charts.js";
import { el } from "../../dom.js";
import { milliseconds } from "../words.js";

/** @param {HTMLElement} host */
export function makeCharts(host) {
	const percentiles = kit.percentileChart();
	const histogram = kit.histogramChart();
	const tiers = kit.tierChart();
	const throughput = kit.throughputChart();
	const title = el("h3");
	host.append(title, ...[percentiles, histogram, tiers, throughput].map(({ element }) => element));
	const drawn = [
		({ timeline }, targets) => {
			const last = timeline.at(-1);
			const words = `p50 ${milliseconds(last.p50_ms)}, p95 ${milliseconds(last.p95_ms)}, p99 ${milliseconds(last.p99_ms)}`;
			percentiles.show(kit.percentileData(timeline), `${words} at last.`, { targets });
		},
		({ latencies, progress }) => {
			const [bars, key] = kit.histogramData([latencies]);
			histogram.show(bars, `${progress.succeeded} latencies.`, key);
		},
		({ timeline, progress }) => {
			const sums = timeline.reduce((sums, { tiers }) => sums.map((sum, tier) => sum + tiers[tier]), [0, 0, 0, 0]);
			const [l1, l2, l3, origin] = sums;
			tiers.show(
				kit.tierData(timeline),
				`Responses by the furthest tier: L1 ${l1}, L2 ${l2}, L3 ${l3}, origin ${origin}, failed ${progress.failed}.`,
			);
		},
		({ timeline }) => {
			const last = Math.round(timeline.at(-1).throughput);
			throughput.show(kit.throughputData(timeline), `${last} responses per second at last.`);
		},
	];
	/** One function for each chart, each a task of its own. */
	return drawn.map((draw) => ({ live, targets, of }) => {
		if (!live || live.timeline.length === 0) return;
		host.hidden = false;
		title.textContent = of;
		draw(live, targets);
	});
}
