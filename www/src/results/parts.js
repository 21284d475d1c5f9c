// Parts that Results and Live share: the SLO's targets, and the latency breakdown.

import { el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { orNothing, percent, TARGETS } from "./tables.js";

/** The parts of a latency as the client measures it, described for screen readers. */
const PARTS = [
	["network_ms", "Network", "in transit, and in the client’s queue"],
	["cache_ms", "Caches", "waiting for stores"],
	["computation_ms", "Computation", "waiting for the origin"],
	["serialization_ms", "Serialization", "reading, writing, and queues in the engine"],
];

const STATES = new Map([
	[true, ["met", "met"]],
	[false, ["missed", "missed"]],
	[null, ["unknown", "not measured"]],
]);

/** Targets, each with the measured value, whether it is met, and why it is not. */
export function targetList(verdicts) {
	const items = verdicts.map(({ name, target, actual, is_met, reason }) => {
		const { name: title, words, sign } = TARGETS[name];
		const [state, said] = STATES.get(is_met ?? null);
		return el(
			"li",
			{ "data-verdict": state },
			el("span.target", {}, title, el("span.caption", {}, ` ${sign} ${words(target)}`)),
			el("span.figure", {}, words(actual)),
			el("span.hidden", {}, said),
			reason && el("span.reason", {}, reason),
		);
	});
	return el("ul.targets", {}, ...items);
}

/** The latency model as a bar and in figures, and the saving by the caches. */
export function model({ parts, hit_ms, miss_ms, saved_ms, hit_ratio }, names = PARTS) {
	const total = names.reduce((sum, [name]) => sum + parts[name], 0) || 1;
	const segments = names.map(([name]) => {
		const segment = el("span", { "data-part": name });
		segment.style.flexGrow = parts[name] / total;
		return segment;
	});
	const legend = names.map(([name, title, words]) =>
		el(
			"li",
			{ "data-part": name },
			el("span", {}, title),
			el("span.figure", {}, milliseconds(parts[name])),
			el("span.hidden", {}, words),
		),
	);
	const saved =
		saved_ms === null || saved_ms === undefined
			? "The saving is unknown: all responses came from the caches, or none."
			: `The caches save ${milliseconds(Math.max(0, saved_ms))} per request: hit ratio ${orNothing(percent)(hit_ratio)} × (miss ${milliseconds(miss_ms)} − hit ${milliseconds(hit_ms)}).`;
	return el(
		"div",
		{},
		el("div.model", { "aria-hidden": "true" }, ...segments),
		el("ul.model-legend", {}, ...legend),
		el("p.caption", {}, saved),
	);
}
