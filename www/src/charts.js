// Charts by uPlot, in the page's colours.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { el } from "./dom.js";
import { milliseconds } from "./headers.js";

/** Bars of a histogram for each factor of ten. */
const BARS_PER_DECADE = 12;

const scheme = matchMedia("(prefers-color-scheme: dark)");
/** @type {Set<Chart>} */
const all = new Set();
function redrawAll() {
	for (const chart of all) chart.redraw();
}
scheme.addEventListener("change", redrawAll);
// A canvas is printed as drawn, and paper is white.
addEventListener("beforeprint", () => {
	document.documentElement.style.colorScheme = "light";
	redrawAll();
});
addEventListener("afterprint", () => {
	document.documentElement.style.colorScheme = "";
	redrawAll();
});

/** A colour of the page's style sheet, as a canvas takes it. */
function colour(name) {
	const probe = el("span", { hidden: true });
	probe.style.color = `var(--${name})`;
	document.body.append(probe);
	const value = getComputedStyle(probe).color;
	probe.remove();
	return value;
}

const faded = (value, percent) => `color-mix(in srgb, ${value} ${percent}%, transparent)`;

/** A chart in a figure, with its title and a description for screen readers. */
export class Chart {
	/** @type {HTMLElement} */
	element;
	#host;
	#words;
	#make;
	#plot;
	#data;
	#key = "";
	#observer;

	/**
	 * @param {string} title
	 * @param {(colours: (name: string) => string, key: any) => uPlot.Options} make
	 * @param {{ label: string, colour: string }[]} legend
	 */
	constructor(title, make, legend) {
		this.#make = make;
		this.#host = el("div.plot-area", { "aria-hidden": "true" });
		this.#words = el("p.hidden");
		const keys = legend.map(({ label, colour }) => el("li", { "data-colour": colour }, label));
		this.element = el(
			"figure.chart",
			{},
			el("figcaption", {}, el("span.chart-title", {}, title), el("ul.legend", { "aria-hidden": "true" }, ...keys)),
			this.#host,
			this.#words,
		);
		all.add(this);
		this.#observer = new ResizeObserver(() => this.#resize());
		this.#observer.observe(this.#host);
	}

	/**
	 * @param {any[]} data by uPlot's order: x, then each series
	 * @param {string} words a description for screen readers
	 * @param {any} [key] passed to `make`; a change recreates the chart
	 */
	show(data, words, key = "") {
		this.#data = data;
		this.#words.textContent = words;
		const isOther = JSON.stringify(key) !== JSON.stringify(this.#key);
		this.#key = key;
		if (this.#plot === undefined || isOther) this.redraw();
		else this.#plot.setData(data);
	}

	redraw() {
		this.#plot?.destroy();
		this.#plot = undefined;
		const { width } = this.#host.getBoundingClientRect();
		if (this.#data === undefined || width === 0) return;
		const options = this.#make(colour, this.#key);
		this.#plot = new uPlot({ ...options, width, height: this.#host.clientHeight }, this.#data, this.#host);
	}

	#resize() {
		const { width } = this.#host.getBoundingClientRect();
		if (width === 0) return;
		if (this.#plot === undefined) this.redraw();
		else this.#plot.setSize({ width, height: this.#host.clientHeight });
	}

	remove() {
		all.delete(this);
		this.#observer.disconnect();
		this.#plot?.destroy();
		this.element.remove();
	}
}

/** What all charts have: quiet axes, no cursor, no legend of uPlot's. */
function frame(colours, { x, y, series, scales = {}, bands }) {
	const small = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.72;
	const axis = {
		stroke: colours("ink-soft"),
		grid: { stroke: colours("line"), width: 1 },
		ticks: { show: false },
		font: `${small}px ${getComputedStyle(document.body).fontFamily}`,
	};
	return {
		cursor: { show: false },
		legend: { show: false },
		// The last label of the x axis stands half beyond it.
		padding: [8, Math.max(18, small * 1.7), 0, 0],
		scales: { x: { time: false }, ...scales },
		axes: [
			{ ...axis, grid: { show: false }, size: Math.max(26, small * 2.3), values: x },
			{ ...axis, size: Math.max(52, small * 4.6), values: y },
		],
		series: [{}, ...series],
		...(bands && { bands }),
	};
}

/** Times from a begin, or back from now. */
const time = (_, values) =>
	values.map((value) =>
		value > 0 && value < 1 ? `${Math.round(value * 1000)} ms` : `${Number(value.toFixed(1))} s`.replace("-", "−"),
	);
const latency = (_, values) => values.map((value) => (value === null ? "" : milliseconds(value)));
const plain = (_, values) => values.map((value) => (value >= 10_000 ? `${value / 1000}k` : `${value}`));

const line = (stroke, more = {}) => ({ stroke, width: 2, points: { show: false }, spanGaps: true, ...more });

export function percentileChart(title = "Latency over time") {
	const legend = [
		{ label: "p50", colour: "l1" },
		{ label: "p95", colour: "l2" },
		{ label: "p99", colour: "origin" },
	];
	const make = (colours) =>
		frame(colours, {
			x: time,
			y: latency,
			scales: { y: { range: (_, __, most) => [0, (most || 1) * 1.1] } },
			series: legend.map(({ colour }) => line(colours(colour))),
		});
	return new Chart(title, make, legend);
}

/** @param {any[]} timeline */
export function percentileData(timeline) {
	const answered = timeline.filter(({ throughput }) => throughput > 0);
	const column = (name) => answered.map((point) => point[name]);
	return [answered.map(({ at_ms }) => at_ms / 1000), column("p50_ms"), column("p95_ms"), column("p99_ms")];
}

export function throughputChart(title = "Responses per second") {
	const make = (colours) =>
		frame(colours, {
			x: time,
			y: plain,
			scales: { y: { range: (_, __, most) => [0, (most || 1) * 1.1] } },
			series: [line(colours("accent"), { fill: faded(colours("accent"), 14) })],
		});
	return new Chart(title, make, []);
}

export const throughputData = (timeline) => [
	timeline.map(({ at_ms }) => at_ms / 1000),
	timeline.map(({ throughput }) => throughput),
];

const TIER_LEGEND = [
	{ label: "L1", colour: "l1" },
	{ label: "L2", colour: "l2" },
	{ label: "L3", colour: "l3" },
	{ label: "Origin", colour: "origin" },
	{ label: "Failed", colour: "bad" },
];

/** The tiers of responses in percent of each interval, stacked. */
export function tierChart(title = "Responses by tier") {
	const make = (colours) =>
		frame(colours, {
			x: time,
			y: (_, values) => values.map((value) => `${value} %`),
			scales: { y: { range: [0, 100] } },
			// The sums are drawn from the highest to the lowest, each over the one before.
			series: TIER_LEGEND.map(({ colour }) => ({
				stroke: colours(colour),
				fill: colours(colour),
				width: 0,
				points: { show: false },
				spanGaps: true,
			})).reverse(),
		});
	return new Chart(title, make, TIER_LEGEND);
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
	const sums = TIER_LEGEND.map((_, tier) => counted.map((shares) => shares[tier])).reverse();
	return [timeline.map(({ at_ms }) => at_ms / 1000), ...sums];
}

/** Whether a number is a power of ten, which rounding may have moved by a little. */
const isPower = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

/** The distribution of latencies on a logarithmic scale, of one run or two overlaid. */
export function histogramChart(labels = []) {
	const legend = labels.map((label, index) => ({ label, colour: index === 0 ? "l1" : "origin" }));
	const make = (colours, { bounds }) => {
		const colour = (index) => colours(index === 0 ? "l1" : "origin");
		return frame(colours, {
			x: (_, values) =>
				values.map((value) => (value !== null && (isPower(value) || bounds.isNarrow) ? milliseconds(value) : "")),
			y: (_, values) => values.map((value) => `${Number(value.toFixed(1))} %`),
			scales: {
				x: { time: false, distr: 3, range: [bounds.least, bounds.most] },
				y: { range: (_, __, most) => [0, (most || 1) * 1.1] },
			},
			series: (labels.length > 1 ? [0, 1] : [0]).map((index) => ({
				stroke: colour(index),
				fill: faded(colour(index), labels.length > 1 ? 30 : 70),
				width: labels.length > 1 ? 1.5 : 0,
				points: { show: false },
				paths: uPlot.paths.stepped({ align: 1 }),
			})),
		});
	};
	return new Chart("Latencies", make, legend);
}

/**
 * @param {[number, number][][]} distributions by the middle of a bucket in milliseconds, and how many it has
 * @returns {[any[], any]} the data and the chart's key
 */
export function histogramData(distributions) {
	const place = (millis) => Math.floor(Math.log10(Math.max(millis, 0.001)) * BARS_PER_DECADE);
	const places = distributions.flat().map(([millis]) => place(millis));
	const first = Math.min(...places, 0) - 1;
	const last = Math.max(...places, 0) + 2;
	const lowest = places.length === 0 ? first : Math.min(...places) - 1;
	const ends = Array.from({ length: last - lowest + 1 }, (_, index) => 10 ** ((lowest + index) / BARS_PER_DECADE));
	const shares = distributions.map((bars) => {
		const counts = ends.map(() => 0);
		const total = bars.reduce((sum, [, count]) => sum + count, 0) || 1;
		for (const [millis, count] of bars) counts[place(millis) - lowest] += (count / total) * 100;
		return counts;
	});
	const bounds = { least: ends[0], most: ends.at(-1), isNarrow: last - lowest < 2 * BARS_PER_DECADE };
	return [[ends, ...shares], { bounds }];
}
