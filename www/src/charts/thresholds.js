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
	/** @type {{ left: number, right: number, bottom: number }[]} */
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
		// Above its line, beside the names that are there already: on their left, or else on their right.
		const bottom = Math.max(y - 2 * ratio, bbox.top + size);
		const beside = taken.filter((other) => Math.abs(other.bottom - bottom) < size * 1.2);
		const isFree = (place) =>
			place - width >= bbox.left &&
			place <= right &&
			beside.every((other) => place <= other.left - size || place - width >= other.right + size);
		const places = [
			Math.max(end, bbox.left + width + size) - size * 0.3,
			...beside.map((other) => other.left - size),
			...beside.map((other) => other.right + size + width),
		];
		const place = places.find(isFree);
		if (place === undefined) continue;
		taken.push({ left: place - width, right: place, bottom });
		ctx.setLineDash([]);
		ctx.lineWidth = 4 * ratio;
		ctx.strokeStyle = colour("panel");
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
