// A chart by uPlot in a figure, with its title, its legend, its values under the pointer, and a description.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { el } from "../dom.js";
import { axis, isLogLatency, setLogLatency } from "./axes.js";
import { colour, onLook, textSize, widthOf } from "./paint.js";
import { makeReadout } from "./readout.js";

/** @type {Set<Chart>} */
const all = new Set();
onLook(() => {
	for (const chart of all) chart.redraw();
});

/** Charts to be drawn, each in a task of its own, so that many do not block the page. @type {Set<Chart>} */
const queue = new Set();
function drawLater(chart) {
	if (queue.size === 0) setTimeout(drawNext);
	queue.add(chart);
}
function drawNext() {
	const [chart] = queue;
	chart?.redraw();
	queue.delete(chart);
	if (queue.size > 0) setTimeout(drawNext);
}

/** A legend of lines or areas, whose marks differ without colour, too. */
export function legendOf(series, isOfLines = false) {
	const keys = series.map(({ label, colour }, place) =>
		el("li", { "data-colour": colour, "data-mark": place, "data-line": isOfLines }, label),
	);
	return el("ul.legend", { "aria-hidden": "true" }, ...keys);
}

/** The switch between the axes of latencies, which holds for all charts. */
function axisSwitch(title) {
	const toggle = el("button.axis-switch", { type: "button", "aria-label": `Log axis: ${title}` }, "Log axis");
	toggle.addEventListener("click", () => {
		setLogLatency(toggle.getAttribute("aria-pressed") !== "true");
		for (const chart of all) chart.onAxis();
	});
	return toggle;
}

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
	#readout;
	#switch;
	#isLog;

	/**
	 * @param {string} title
	 * @param {(colours: (name: string) => string, key: any) => any} make uPlot's options, and `read`
	 * @param {{ label: string, colour: string }[]} legend
	 * @param {{ latencyAxis?: "log" | "linear" }} [options] what an axis of latencies is unless the reader chose another
	 */
	constructor(title, make, legend, { latencyAxis } = {}) {
		this.#make = make;
		this.#isLog = latencyAxis === "log";
		this.#words = el("p.hidden");
		this.#switch = latencyAxis && axisSwitch(title);
		this.#host = el("div.plot-area");
		this.element = el(
			"figure.chart",
			{},
			el(
				"figcaption",
				{},
				el("span.chart-title", {}, title),
				el("span.chart-keys", {}, legend.length > 0 && legendOf(legend, latencyAxis !== undefined), this.#switch),
			),
			this.#host,
			this.#words,
		);
		this.#readout = makeReadout(this.#host, {
			label: title,
			count: () => this.#data?.[0].length ?? 0,
			nearest: (x) => this.#plot?.posToIdx(x - this.#plot.over.offsetLeft) ?? 0,
			read: (index) => this.#read(index),
			onPoint: (index) => this.#point(index),
		});
		this.onAxis();
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
		if (this.#plot === undefined || isOther) drawLater(this);
		else {
			this.#plot.setData(data);
			this.#readout.refresh();
		}
	}

	redraw() {
		this.#plot?.destroy();
		this.#plot = undefined;
		this.#readout.hide();
		const { width } = this.#host.getBoundingClientRect();
		if (this.#data === undefined || width === 0) return;
		const options = this.#make(colour, this.#key);
		this.#plot = new uPlot({ ...options, width, height: this.#host.clientHeight }, this.#data, this.#host);
	}

	/** The axes of latencies have changed. */
	onAxis() {
		if (!this.#switch) return;
		this.#switch.setAttribute("aria-pressed", String(isLogLatency(this.#isLog)));
		if (this.#plot !== undefined) drawLater(this);
	}

	#read(index) {
		if (this.#plot === undefined) return { x: 0, title: "", lines: [] };
		const [xs] = this.#data;
		const { title, lines } = this.#make(colour, this.#key).read(this.#data, index);
		return { x: this.#plot.over.offsetLeft + this.#plot.valToPos(xs[index], "x"), title, lines };
	}

	#point(index) {
		if (this.#plot === undefined) return;
		if (index === undefined) return this.#plot.setCursor({ left: -10, top: -10 }, false);
		this.#plot.setCursor({ left: this.#plot.valToPos(this.#data[0][index], "x"), top: 0 }, false);
	}

	#resize() {
		const { width } = this.#host.getBoundingClientRect();
		if (width === 0) return;
		if (this.#plot === undefined) {
			if (this.#data !== undefined) drawLater(this);
		} else if (this.#plot.width !== width || this.#plot.height !== this.#host.clientHeight) {
			this.#plot.setSize({ width, height: this.#host.clientHeight });
		}
	}

	remove() {
		all.delete(this);
		queue.delete(this);
		this.#observer.disconnect();
		this.#plot?.destroy();
		this.#plot = undefined;
		this.element.remove();
	}
}

const noListener = () => null;
/** The crosshair moves by the read-out only, which knows fingers and keys. */
const UNBOUND = Object.fromEntries(
	["mousedown", "mouseup", "click", "dblclick", "mousemove", "mouseleave", "mouseenter"].map((name) => [
		name,
		noListener,
	]),
);

/**
 * The options of a chart.
 *
 * @param {object} parts
 * @param {(value: number) => string} parts.x words of a value of the x axis
 * @param {(value: number) => string} parts.y
 * @param {any[]} parts.series uPlot's, without the first; each with its `label` and `colour` of the style sheet
 * @param {any} [parts.scales]
 * @param {(plot: uPlot) => void} [parts.draw] draws over the series
 * @param {(data: any[], index: number) => { title: string, lines: any[] }} [parts.read] instead of each series' value
 */
export function frame({ x, y, series, scales = {}, draw, read, hasPoints = true }) {
	const values = (data, index) => ({
		title: x(data[0][index]),
		lines: series.map(({ label, tint }, place) => {
			const value = data[place + 1][index];
			return { label, colour: tint, mark: place, value: value === null || value === undefined ? "–" : y(value) };
		}),
	});
	return {
		cursor: { bind: UNBOUND, y: false, drag: { x: false, y: false, setScale: false }, points: { show: hasPoints } },
		legend: { show: false },
		// The last label of the x axis stands half beyond it.
		padding: [10, Math.max(textSize() * 2, widthOf("1000 ms") / 2 + 4), 0, 0],
		scales: { ...scales, x: { time: false, ...scales.x } },
		axes: [axis(x, { isAcross: true, isLog: scales.x?.distr === 3 }), axis(y, { isLog: scales.y?.distr === 3 })],
		series: [{}, ...series],
		hooks: { draw: draw === undefined ? [] : [draw] },
		read: read ?? values,
	};
}
