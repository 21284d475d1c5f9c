// Targets in a chart of latencies: dashed lines with their names.

import { latency } from "./axes.js";
import { colour, font, textSize, widthOf } from "./paint.js";

/** The targets that are latencies, with the percentile of each. */
const LATENCIES = [
	["p50_ms", "p50", 50],
	["p95_ms", "p95", 95],
	["p99_ms", "p99", 99],
];

/**
 * @param {Record<string, number | null | undefined>} [targets]
 * @returns {{ name: string, target: number, percentile: number }[]}
 */
export const latencyTargets = (targets = {}) =>
	LATENCIES.filter(([key]) => targets[key] > 0).map(([key, name, percentile]) => ({
		name,
		percentile,
		target: targets[key],
	}));

/**
 * Draws targets over the series of a chart.
 *
 * @param {ReturnType<typeof latencyTargets>} targets
 * @param {(percentile: number) => number} [until] the value of x at which a target's line ends; the right edge without
 */
export const drawTargets = (targets, until) => (plot) => {
	const { ctx, bbox } = plot;
	const ratio = devicePixelRatio;
	const size = textSize() * ratio;
	const right = bbox.left + bbox.width;
	/** @type {{ left: number, right: number, y: number }[]} */
	const taken = [];
	ctx.save();
	ctx.font = font().replace(/\d+px/, `${size}px`);
	ctx.textBaseline = "bottom";
	ctx.textAlign = "right";
	ctx.lineWidth = ratio;
	ctx.strokeStyle = colour("ink-soft");
	for (const { name, target, percentile } of targets) {
		const y = plot.valToPos(target, "y", true);
		if (y < bbox.top || y > bbox.top + bbox.height) continue;
		const end = until === undefined ? right : Math.min(right, plot.valToPos(until(percentile), "x", true));
		ctx.setLineDash([4 * ratio, 4 * ratio]);
		ctx.beginPath();
		ctx.moveTo(bbox.left, y);
		ctx.lineTo(end, y);
		ctx.stroke();
		const words = `${name} ≤ ${latency(target)}`;
		const width = widthOf(words) * ratio;
		// Above its line, left of the names that are there already.
		let place = Math.max(end, bbox.left + width + size) - size * 0.3;
		for (const other of taken) {
			if (Math.abs(other.y - y) < size * 1.2 && place > other.left && place - width < other.right)
				place = other.left - size;
		}
		if (place - width < bbox.left) continue;
		taken.push({ left: place - width, right: place, y });
		ctx.setLineDash([]);
		ctx.lineWidth = 4 * ratio;
		ctx.strokeStyle = colour("panel");
		const bottom = Math.max(y - 2 * ratio, bbox.top + size);
		ctx.strokeText(words, place, bottom);
		ctx.fillStyle = colour("ink-soft");
		ctx.fillText(words, place, bottom);
		ctx.lineWidth = ratio;
		ctx.strokeStyle = colour("ink-soft");
	}
	ctx.restore();
};

/** The targets in words, for screen readers. */
export const targetWords = (targets) =>
	targets.length === 0
		? ""
		: ` Targets: ${targets.map(({ name, target }) => `${name} at most ${latency(target)}`).join(", ")}.`;
