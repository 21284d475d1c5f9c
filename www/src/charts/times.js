// Charts over time: percentiles, responses per second, tiers.

import { isLogLatency, latency, plain, share, time, upward } from "./axes.js";
import { Chart, frame } from "./chart.js";
import { dash, faded, fill } from "./paint.js";
import { drawTargets, latencyTargets } from "./thresholds.js";

/** A line of a chart: `tint` is its colour's name in the style sheet. */
export const line = (colours, { label, colour: tint }, place, more = {}) => ({
	label,
	tint,
	stroke: colours(tint),
	width: 2,
	dash: dash(place),
	points: { show: false },
	spanGaps: true,
	...more,
});

const PERCENTILES = [
	{ label: "p50", colour: "l1" },
	{ label: "p95", colour: "l2" },
	{ label: "p99", colour: "origin" },
];

/** The key of `show` may have `targets`, which are drawn in. */
export function percentileChart(title = "Latency over time") {
	const make = (colours, { targets } = {}) => {
		const drawn = latencyTargets(targets);
		const seen = drawn.map(({ target }) => target);
		return frame({
			x: time,
			y: latency,
			scales: { y: upward({ isLog: isLogLatency(false), seen }) },
			series: PERCENTILES.map((series, place) => line(colours, series, place)),
			draw: drawTargets(drawn),
		});
	};
	return new Chart(title, make, PERCENTILES, { latencyAxis: "linear" });
}

/** @param {any[]} timeline */
export function percentileData(timeline) {
	const answered = timeline.filter(({ throughput }) => throughput > 0);
	const column = (name) => answered.map((point) => point[name]);
	return [answered.map(({ at_ms }) => at_ms / 1000), column("p50_ms"), column("p95_ms"), column("p99_ms")];
}

export function throughputChart(title = "Responses per second") {
	const make = (colours) =>
		frame({
			x: time,
			y: plain,
			scales: { y: upward() },
			series: [
				line(colours, { label: "Responses per second", colour: "accent" }, 0, { fill: faded(colours("accent"), 14) }),
			],
		});
	return new Chart(title, make, []);
}

export const throughputData = (timeline) => [
	timeline.map(({ at_ms }) => at_ms / 1000),
	timeline.map(({ throughput }) => throughput),
];

const TIERS = [
	{ label: "L1", colour: "l1" },
	{ label: "L2", colour: "l2" },
	{ label: "L3", colour: "l3" },
	{ label: "Origin", colour: "origin" },
	{ label: "Failed", colour: "bad" },
];

/** The tiers of responses in percent of each interval, stacked. */
export function tierChart(title = "Responses by tier") {
	const make = (colours) =>
		frame({
			x: time,
			y: share,
			scales: { y: { range: [0, 100] } },
			// The sums are drawn from the highest to the lowest, each over the one before.
			series: TIERS.map(({ colour }, place) => ({
				stroke: colours(colour),
				fill: () => fill(colours(colour), place, colours("panel")),
				width: 0,
				points: { show: false },
				spanGaps: true,
			})).reverse(),
			hasPoints: false,
			read: (data, index) => ({
				title: time(data[0][index]),
				lines: TIERS.map(({ label, colour }, place) => {
					const sum = (tier) => (tier < 0 ? 0 : data[TIERS.length - tier][index]);
					return {
						label,
						colour,
						mark: place,
						value: sum(place) === null ? "–" : share(sum(place) - sum(place - 1)),
					};
				}),
			}),
		});
	return new Chart(title, make, TIERS);
}

export function tierData(timeline) {
	const counted = timeline
		.map(({ tiers, failed }) => [...tiers, failed])
		.map((counts) => {
			const total = counts.reduce((sum, count) => sum + count, 0);
			if (total === 0) return counts.map(() => null);
			let sum = 0;
			return counts.map((count) => {
				sum += count;
				return (sum / total) * 100;
			});
		});
	const sums = TIERS.map((_, tier) => counted.map((shares) => shares[tier])).reverse();
	return [timeline.map(({ at_ms }) => at_ms / 1000), ...sums];
}
