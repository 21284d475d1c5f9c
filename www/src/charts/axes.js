// Axes whose labels never touch: as many as their measured widths allow.

import { milliseconds } from "../headers.js";
import { colour, font, textSize, widthOf } from "./paint.js";

/** The least distance between labels, in sizes of their text. */
const GAP = 1;
/** The preference for an axis of latencies, for all charts. */
const STORED = "featheredge-latency-axis";

/** Times from a begin, or back from now, in seconds. */
export const time = (value) =>
	value > 0 && value < 1 ? `${Math.round(value * 1000)} ms` : `${Number(value.toFixed(1))} s`.replace("-", "−");
/** A latency without the zeros that a scale's round values do not need. */
export const latency = (value) =>
	milliseconds(value)
		.replace(/(\.\d*?)0+(?= )/, "$1")
		.replace(/\.(?= )/, "");
export const plain = (value) =>
	value >= 10_000 ? `${Number((value / 1000).toFixed(1))}k` : `${Number(value.toFixed(1))}`;
export const share = (value) => `${Number(value.toFixed(1))} %`;

/** What was chosen, if anything was. @type {string | null | undefined} */
let chosen;

/**
 * Whether an axis of latencies is logarithmic.
 *
 * @param {boolean} unchosen whether the chart is without a choice
 */
export function isLogLatency(unchosen) {
	if (chosen === undefined) {
		try {
			chosen = localStorage.getItem(STORED);
		} catch {
			// A browser without storage remembers for as long as the page is open.
			chosen = null;
		}
	}
	return chosen === null ? unchosen : chosen === "log";
}

export function setLogLatency(value) {
	chosen = value ? "log" : "linear";
	try {
		localStorage.setItem(STORED, chosen);
	} catch {}
}

/** Lower ranks get their label first: powers of ten, then fives, then twos. */
function rank(value) {
	const mantissa = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
	return [1, 5, 2].findIndex((first) => Math.abs(mantissa - first) < 1e-6);
}

/** The values of a logarithmic axis that may have a label; minor ones only where the axis has few powers of ten. */
function logSplits(_, __, least, most) {
	const from = Math.floor(Math.log10(least));
	const to = Math.ceil(Math.log10(most));
	const mantissas = to - from > 3 ? [1] : [1, 2, 5];
	const all = Array.from({ length: to - from + 1 }, (_, step) => mantissas.map((first) => first * 10 ** (from + step)));
	return all.flat().filter((value) => value >= least * 0.999 && value <= most * 1.001);
}

/** The labels of an axis, without those that would touch another, and without repetitions. */
const apart = (format) => (plot, splits, axis) => {
	const { scale, side } = plot.axes[axis];
	const size = textSize();
	const ranks = splits.map((value) => (plot.scales[scale].distr === 3 ? rank(value) : 0));
	const labels = splits.map((value) => (value === null ? "" : format(value)));
	const kept = splits.map(() => "");
	const taken = [];
	const order = [...splits.keys()].sort((left, right) => ranks[left] - ranks[right] || left - right);
	for (const index of order) {
		const middle = plot.valToPos(splits[index], scale);
		const half = (side % 2 === 0 ? widthOf(labels[index]) : size) / 2 + (GAP * size) / 2;
		const isFree = taken.every((other) => Math.abs(other.middle - middle) >= other.half + half);
		if (!isFree || kept.includes(labels[index])) continue;
		kept[index] = labels[index];
		taken.push({ middle, half });
	}
	return kept;
};

/** The least distance between the ticks of a linear axis. */
const space = (format, isAcross) => (_, __, least, most) => {
	const size = textSize();
	if (!isAcross) return size * 2.6;
	// A label between the ends may have a digit and a point more.
	return Math.max(widthOf(format(least)), widthOf(format(most))) + widthOf("0.0") + GAP * size;
};

/**
 * @param {(value: number) => string} format
 * @param {{ isAcross?: boolean, isLog?: boolean }} [options]
 */
export function axis(format, { isAcross = false, isLog = false } = {}) {
	const size = textSize();
	return {
		stroke: colour("ink-soft"),
		grid: { show: !isAcross, stroke: colour("line"), width: 1 },
		ticks: { show: false },
		font: font(),
		gap: 7,
		space: space(format, isAcross),
		size: isAcross
			? Math.round(size * 2.4)
			: (_, labels) => Math.max(2 * size, ...(labels ?? []).map((label) => widthOf(label) + 10)),
		values: apart(format),
		filter: (_, splits) => splits,
		...(isLog && { splits: logSplits }),
	};
}

/** A scale from zero, or a logarithmic one that shows everything above it, and the values that are to be seen. */
export function upward({ isLog = false, seen = [] } = {}) {
	if (!isLog) {
		return {
			range: (_, __, most) => {
				const highest = most || 1;
				// A target far above all that was measured would flatten it.
				return [0, Math.max(highest, ...seen.filter((value) => value <= highest * 2)) * 1.1];
			},
		};
	}
	return {
		distr: 3,
		range: (_, least, most) => {
			const low = Math.max(Math.min(least > 0 ? least : 0.001, ...seen), 0.0001);
			return [10 ** Math.floor(Math.log10(low)), Math.max(most || 1, ...seen) * 1.4];
		},
	};
}
