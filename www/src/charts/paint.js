// What a canvas is painted with: the style sheet's colours, or patterns where colours do not tell series apart.

import { el } from "../dom.js";

const forced = matchMedia("(forced-colors: active)");
let isPrinting = false;

/** Colours of the style sheet by name, as a canvas takes them. They are read anew after each change of the look. */
const read = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();

/** Calls back after each change of the look; returns how to stop that. */
export function onLook(listener) {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

function changed() {
	read.clear();
	for (const listener of listeners) listener();
}
for (const query of [forced, matchMedia("(prefers-color-scheme: dark)"), matchMedia("(prefers-contrast: more)")]) {
	query.addEventListener("change", changed);
}

// A canvas is printed as drawn, and paper is white.
function print(isStarting) {
	isPrinting = isStarting;
	document.documentElement.style.colorScheme = isStarting ? "light" : "";
	changed();
}
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));

/** Whether series must differ without colour. */
export const isPlain = () => forced.matches || isPrinting;

/** The system's colours of what is no ink. */
const SYSTEM = {
	panel: "Canvas",
	line: "color-mix(in srgb, CanvasText 25%, Canvas)",
};

/** A colour of the page's style sheet. */
export function colour(name) {
	if (!read.has(name)) {
		const probe = el("span", { hidden: true });
		// Forced colours replace what is no system colour, and a ground would get that of text.
		probe.style.color = forced.matches ? (SYSTEM[name] ?? "CanvasText") : `var(--${name})`;
		document.body.append(probe);
		read.set(name, getComputedStyle(probe).color);
		probe.remove();
	}
	return read.get(name);
}

export const faded = (value, percent) => `color-mix(in srgb, ${value} ${percent}%, transparent)`;

const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 2]];

/** The dash of a line by its place among the series. */
export const dash = (place) => (isPlain() ? DASHES[place % DASHES.length] : undefined);

/** The fill of an area by its place among the series: its colour, or a pattern on a ground, as in the legend. */
export function fill(value, place, ground) {
	if (!isPlain() || place === 0) return value;
	const size = 6 * devicePixelRatio;
	const tile = el("canvas", { width: size, height: size });
	const context = tile.getContext("2d");
	// What an area covers does not show through its pattern.
	if (ground !== undefined) {
		context.fillStyle = ground;
		context.fillRect(0, 0, size, size);
	}
	context.strokeStyle = value;
	context.lineWidth = devicePixelRatio;
	const strokes = [
		[0, size, size, 0],
		[0, size / 2, size, size / 2],
		[size / 2, 0, size / 2, size],
		[0, 0, size, size],
	];
	context.moveTo(...strokes[(place - 1) % 4].slice(0, 2));
	context.lineTo(...strokes[(place - 1) % 4].slice(2));
	context.stroke();
	return context.createPattern(tile, "repeat");
}

/** The size of the text of a chart in CSS pixels. It is whole: uPlot scales whole sizes only by the device's ratio. */
export const textSize = () => Math.round(Number.parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.75);

let family;

/** The font of the text of a chart. */
export function font() {
	family ??= getComputedStyle(document.body).fontFamily;
	return `${textSize()}px ${family}`;
}

const ruler = el("canvas").getContext("2d");

/** The width of a text of a chart in CSS pixels. */
export function widthOf(text) {
	ruler.font = font();
	return ruler.measureText(text).width;
}
