// Two distributions of latencies on one logarithmic axis: what a median is instead of another.

import { el, svg } from "../dom.js";
import { milliseconds } from "./words.js";

/** Steps of a curve for each factor of ten. */
const STEPS = 12;
/** What the axis shows at least, as powers of ten of milliseconds: 10 µs to 100 ms. */
const LEAST = [-2, 2];

/** Lengths in rem: a row, the margins above, below and beside. */
const REMS = { row: 3.3, top: 0.6, bottom: 1.6, side: 1.5 };

/** The lengths in pixels, which follow the reader's text size. */
function lengths() {
	const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
	return Object.fromEntries(Object.entries(REMS).map(([name, size]) => [name, size * rem]));
}

/** @param {{ name: string, colour: string }[]} rows */
export function difference(rows) {
	const picture = svg("svg", { role: "img" });
	const element = el("figure.difference", {}, el("figcaption", {}, "Latency of a request"), picture);
	let shown = rows.map(() => ({ latencies: [] }));
	const draw = () => {
		const width = element.clientWidth;
		if (width > 0) paint(picture, rows, shown, width);
	};
	new ResizeObserver(draw).observe(element);
	return {
		element,
		/**
		 * @param {{ latencies: [number, number][], median_ms?: number, p99_ms?: number }[]} measured of each row: the middle of each
		 *   bucket in milliseconds, and how many it has
		 */
		show(measured) {
			shown = measured;
			draw();
		},
	};
}

function paint(picture, rows, measured, width) {
	const { row, top, bottom, side } = lengths();
	const logs = measured.flatMap(({ latencies }) => latencies.map(([millis]) => Math.log10(Math.max(millis, 0.001))));
	const from = Math.floor(logs.reduce((least, log) => Math.min(least, log), LEAST[0]));
	const to = Math.ceil(logs.reduce((most, log) => Math.max(most, log), LEAST[1]));
	const x = (log) => side + ((log - from) / (to - from)) * (width - 2 * side);
	const floor = (index) => top + (index + 1) * row;
	const end = floor(rows.length - 1);
	// Each decade has a label, or as many as fit.
	const every = Math.ceil(((to - from) * 3 * side) / (width - 2 * side));
	const powers = Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, index) => from + index * every);
	picture.setAttribute("width", width);
	picture.setAttribute("height", end + bottom);
	picture.setAttribute("aria-label", words(rows, measured));
	picture.replaceChildren(
		...powers.flatMap((power) => [
			svg("line.decade", { x1: x(power), x2: x(power), y1: top, y2: end }),
			svg("text.tick", { x: x(power), y: end + bottom * 0.75, "text-anchor": "middle" }, decade(power)),
		]),
		...rows.flatMap(({ name, colour }, index) => [
			svg("line.base", { x1: side, x2: width - side, y1: floor(index), y2: floor(index) }),
			svg("path", { "data-colour": colour, d: bars(measured[index].latencies, x, floor(index), row / 2) }),
			...label(name, measured[index].median_ms, x, floor(index) - row, { row, side, width }),
		]),
	);
	for (const text of picture.querySelectorAll(".row-name")) keepInside(text, width);
}

/** Moves a text that reaches beyond the picture. */
function keepInside(text, width) {
	const { x, width: length } = text.getBBox();
	const beyond = Math.min(0, x) + Math.max(0, x + length - width);
	if (beyond !== 0) text.setAttribute("x", Number(text.getAttribute("x")) - beyond);
}

/** A power of ten of milliseconds. */
function decade(power) {
	if (power < 0) return `${10 ** (power + 3)} µs`;
	return power < 3 ? `${10 ** power} ms` : `${10 ** (power - 3)} s`;
}

/** The name of a row at its median, on the side that has room. */
function label(name, median, x, y, { row, side, width }) {
	if (!(median > 0)) return [svg("text.row-name", { x: side, y: y + row * 0.42 }, name)];
	const place = x(Math.log10(median));
	const isLeft = place < width / 2;
	return [
		svg("line.median", { x1: place, x2: place, y1: y + row * 0.2, y2: y + row }),
		svg(
			"text.row-name",
			{ x: place + (isLeft ? 1 : -1) * side * 0.35, y: y + row * 0.42, "text-anchor": isLeft ? "start" : "end" },
			`${name}: ${milliseconds(median)}`,
		),
	];
}

/** The distribution as bars above `y`. */
function bars(distribution, x, y, tallest) {
	const counts = new Map();
	for (const [millis, number] of distribution) {
		const step = Math.floor(Math.log10(Math.max(millis, 0.001)) * STEPS);
		counts.set(step, (counts.get(step) ?? 0) + number);
	}
	const most = Math.max(1, ...counts.values());
	return [...counts]
		.map(([step, number]) => {
			// What is rare is seen, too.
			const height = Math.max(2, (number / most) * tallest);
			return `M${x(step / STEPS)} ${y}V${y - height}H${x((step + 1) / STEPS) - 0.75}V${y}Z`;
		})
		.join("");
}

function words(rows, measured) {
	const said = rows.map(({ name }, index) => {
		const { median_ms, p99_ms } = measured[index];
		return median_ms > 0
			? `${name}: median ${milliseconds(median_ms)}, p99 ${milliseconds(p99_ms)}`
			: `${name}: not measured`;
	});
	return `Latencies on a logarithmic axis. ${said.join(". ")}.`;
}
