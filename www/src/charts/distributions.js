// Charts of distributions: histograms of latencies, and the percentile curve.

import uPlot from "uplot";
import { isLogLatency, latency, share, upward } from "./axes.js";
import { Chart, frame } from "./chart.js";
import { faded, fill } from "./paint.js";
import { drawTargets, latencyTargets } from "./thresholds.js";
import { line } from "./times.js";

/** Bars of a histogram for each factor of ten. */
const BARS_PER_DECADE = 12;
const COLOURS = ["l1", "origin", "l2", "l3", "bad"];

const legendOf = (labels) => labels.map((label, place) => ({ label, colour: COLOURS[place % COLOURS.length] }));

/** The distribution of latencies on a logarithmic scale, of one run or several overlaid. */
export function histogramChart(labels = []) {
	const legend = legendOf(labels.length === 0 ? ["Share"] : labels);
	const isOverlaid = legend.length > 1;
	const make = (colours, { bounds }) =>
		frame({
			x: latency,
			y: share,
			scales: { x: { distr: 3, range: [bounds.least, bounds.most] }, y: upward() },
			series: legend.map(({ label, colour: tint }, place) => ({
				label,
				tint,
				stroke: colours(tint),
				fill: () => (isOverlaid ? fill(faded(colours(tint), 30), place) : faded(colours(tint), 70)),
				width: isOverlaid ? 1.5 : 0,
				points: { show: false },
				paths: uPlot.paths.stepped({ align: 1 }),
			})),
			hasPoints: false,
			read: (data, index) => ({
				title: `${latency(data[0][index])} to ${latency(data[0][Math.min(index + 1, data[0].length - 1)])}`,
				lines: legend.map(({ label, colour }, place) => ({
					label,
					colour,
					mark: place,
					value: share(data[place + 1][index]),
				})),
			}),
		});
	return new Chart("Latencies", make, labels.length > 1 ? legend : []);
}

/**
 * @param {[number, number][][]} distributions by the middle of a bucket in milliseconds, and how many it has
 * @returns {[any[], any]} the data and the chart's key
 */
export function histogramData(distributions) {
	const place = (millis) => Math.floor(Math.log10(Math.max(millis, 0.001)) * BARS_PER_DECADE);
	const places = distributions.flat().map(([millis]) => place(millis));
	const lowest = places.reduce((least, place) => Math.min(least, place), places[0] ?? 0) - 1;
	const last = places.reduce((most, place) => Math.max(most, place), 0) + 2;
	const ends = Array.from({ length: last - lowest + 1 }, (_, index) => 10 ** ((lowest + index) / BARS_PER_DECADE));
	const shares = distributions.map((bars) => {
		const counts = ends.map(() => 0);
		const total = bars.reduce((sum, [, count]) => sum + count, 0) || 1;
		for (const [millis, count] of bars) counts[place(millis) - lowest] += (count / total) * 100;
		return counts;
	});
	return [[ends, ...shares], { bounds: { least: ends[0], most: ends.at(-1) } }];
}

/** Of a percentile, what the curve's axis shows: how rarely a request is slower. */
const rarity = (percentile) => 100 / (100 - percentile);
/** The percentile of a place of the curve's axis. */
const percentile = (rarity) => `${Number((100 - 100 / rarity).toPrecision(7))} %`;

/** The percentile curve: the axis is stretched towards 100 %, so that tails are seen. */
export function curveChart(labels) {
	const legend = legendOf(labels);
	const make = (colours, { targets } = {}) => {
		const drawn = latencyTargets(targets);
		return frame({
			x: percentile,
			y: latency,
			scales: {
				x: { distr: 3, range: (_, __, most) => [1, Math.max(100, most)] },
				y: upward({ isLog: isLogLatency(true), seen: drawn.map(({ target }) => target) }),
			},
			series: legend.map((series, place) => line(colours, series, place)),
			draw: drawTargets(drawn, rarity),
		});
	};
	return new Chart("Percentile curve", make, labels.length > 1 ? legend : [], { latencyAxis: "log" });
}

/** @param {[number, number][][]} curves points of a percentile and its latency in milliseconds */
export function curveData(curves) {
	const tables = curves.map((points) => {
		const finite = points.filter(([percentile]) => percentile < 100);
		return [finite.map(([percentile]) => rarity(percentile)), finite.map(([, millis]) => millis)];
	});
	return uPlot.join(tables);
}
