// The percentiles of all scenarios on one logarithmic axis, with the targets drawn in.

import { el, svg } from "../dom.js";
import { latency } from "./axes.js";
import { legendOf } from "./chart.js";
import { textSize, widthOf } from "./paint.js";
import { makeReadout } from "./readout.js";
import { latencyTargets, targetWords } from "./thresholds.js";

const FIGURES = [
	{ label: "p50", key: "median_ms", colour: "l1", shape: "circle" },
	{ label: "p95", key: "p95_ms", colour: "l2", shape: "square" },
	{ label: "p99", key: "p99_ms", colour: "origin", shape: "diamond" },
	{ label: "p99.9", key: "p999_ms", colour: "bad", shape: "triangle" },
];

/** Outlines of the marks, within −1 and 1. */
const SHAPES = {
	circle: "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1 -1 0Z",
	square: "M-.85 -.85H.85V.85H-.85Z",
	diamond: "M0 -1.2L1.2 0L0 1.2L-1.2 0Z",
	triangle: "M0 -1.1L1.1 .85H-1.1Z",
};

const MIN_MS = 0.001;
const log = (millis) => Math.log10(Math.max(millis, MIN_MS));

/**
 * @param {{ name: string, variant: string, summary: any }[]} rows
 * @param {Record<string, number>} targets
 */
export function overview(rows, targets) {
	const title = "Percentiles of all scenarios";
	const picture = svg("svg", { "aria-hidden": "true" });
	const host = el("div.overview-plot", {}, picture);
	const goals = latencyTargets(targets);
	const words = rows.map(
		({ name, variant, summary }) =>
			`${name}, ${variant}: ${FIGURES.map(({ label, key }) => `${label} ${latencyOr(summary[key])}`).join(", ")}.`,
	);
	const legend = legendOf(FIGURES);
	for (const [place, item] of [...legend.children].entries()) item.dataset.shape = FIGURES[place].shape;
	const element = el(
		"figure.chart.overview",
		{},
		el("figcaption", {}, el("span.chart-title", {}, title), legend),
		host,
		el("p.hidden", {}, `${words.join(" ")}${targetWords(goals)}`),
	);
	let places = [];
	const draw = () => {
		if (host.clientWidth > 0) places = paint(picture, rows, goals, host.clientWidth);
	};
	const observer = new ResizeObserver(draw);
	observer.observe(host);
	makeReadout(host, {
		label: title,
		count: () => rows.length,
		nearest: (_, y) => {
			const at = places.findIndex(({ bottom }) => y < bottom);
			return at < 0 ? rows.length - 1 : at;
		},
		read: (index) => ({
			x: places[index].x,
			title: `${rows[index].name}, ${rows[index].variant}`,
			lines: FIGURES.map(({ label, key, colour }, mark) => ({
				label,
				colour,
				mark,
				value: latencyOr(rows[index].summary[key]),
			})),
		}),
		onPoint(index) {
			for (const [at, group] of [...picture.querySelectorAll(".overview-row")].entries())
				group.classList.toggle("is-pointed", at === index);
			const box = host.querySelector(".readout");
			if (index !== undefined) box.style.top = `${places[index].bottom}px`;
		},
	});
	return { element, redraw: draw, remove: () => observer.disconnect() };
}

const latencyOr = (value) => (value === null || value === undefined ? "–" : latency(value));

function paint(picture, rows, goals, width) {
	const size = textSize();
	const known = rows.flatMap(({ summary }) => FIGURES.map(({ key }) => summary[key])).filter((value) => value !== null);
	const logs = [...known, ...goals.map(({ target }) => target)].map(log);
	const from = logs.reduce((least, value) => Math.min(least, value), logs[0] ?? -2) - 0.15;
	const to = logs.reduce((most, value) => Math.max(most, value), from + 1) + 0.15;
	const side = size * 0.8;
	const x = (value) => side + ((value - from) / (to - from)) * (width - 2 * side);
	const head = labelled(goals, x, size, width);
	const top = head.height;
	const row = size * 3;
	const end = top + rows.length * row;
	picture.setAttribute("width", width);
	picture.setAttribute("height", end + size * 2);
	picture.style.fontSize = `${size}px`;
	const places = rows.map(({ summary }, index) => ({
		bottom: top + (index + 1) * row,
		x: x(log(summary.median_ms ?? 1)),
	}));
	picture.replaceChildren(
		...axis(from, to, x, { top, end, size }),
		...goals.map(({ target }) => svg("line.goal", { x1: x(log(target)), x2: x(log(target)), y1: top, y2: end })),
		...head.names,
		...rows.map((one, index) => drawRow(one, x, top + index * row, { size, row, side, width })),
	);
	return places;
}

/** The powers of ten, as many as have room for their label. */
function axis(from, to, x, { top, end, size }) {
	const powers = [];
	let right = -Infinity;
	for (let power = Math.ceil(from); power <= to; power++) {
		const label = latency(10 ** power);
		const half = widthOf(label) / 2;
		if (x(power) - half < Math.max(0, right + size)) continue;
		right = x(power) + half;
		powers.push(
			svg("line.decade", { x1: x(power), x2: x(power), y1: top, y2: end }),
			svg("text.tick", { x: x(power), y: end + size * 1.5, "text-anchor": "middle" }, label),
		);
	}
	return powers;
}

/** The names of the targets above their lines, in as many lines as keep them apart. */
function labelled(goals, x, size, width) {
	const ends = [];
	const names = goals.map(({ name, target }) => {
		const words = `${name} ≤ ${latency(target)}`;
		const half = widthOf(words) / 2;
		const middle = Math.min(Math.max(x(log(target)), half + 2), width - half - 2);
		let line = ends.findIndex((end) => middle - half > end + size / 2);
		if (line < 0) line = ends.length;
		ends[line] = middle + half;
		return svg("text.goal-name", { x: middle, y: size * (1.1 + line * 1.35), "text-anchor": "middle" }, words);
	});
	return { names, height: ends.length * size * 1.35 + size * 0.7 };
}

function drawRow({ name, variant, summary }, x, y, { size, row, side, width }) {
	const drawn = FIGURES.filter(({ key }) => summary[key] !== null && summary[key] !== undefined);
	const centre = y + row * 0.7;
	const label = svg("text.row-name", { x: side, y: y + size * 1.15 });
	label.append(name, svg("tspan.row-variant", { dx: size * 0.6 }, variant));
	if (drawn.length === 0) {
		const nothing = svg("text.row-variant", { x: side, y: centre + size * 0.35 }, "Nothing was measured.");
		return svg("g.overview-row", {}, label, nothing);
	}
	const [first, last] = [drawn[0], drawn.at(-1)].map(({ key }) => x(log(summary[key])));
	const radius = size * 0.4;
	return svg(
		"g.overview-row",
		{},
		svg("rect.row-band", { x: 0, y, width, height: row }),
		label,
		svg("line.span", { x1: first, x2: last, y1: centre, y2: centre }),
		...drawn.map(({ key, colour, shape }) =>
			svg("path.mark", {
				"data-colour": colour,
				d: SHAPES[shape],
				transform: `translate(${x(log(summary[key]))} ${centre}) scale(${radius})`,
			}),
		),
	);
}
