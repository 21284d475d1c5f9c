// How far a measurement of scenarios is, and how it ended.

import { byId, el } from "../dom.js";
import { duration, variant } from "./words.js";

/** @param {string} announcement the id of the region that screen readers listen to */
export function progressView(announcement) {
	const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress of the measurement" });
	const what = el("span");
	const left = el("span.progress-left");
	const running = el("div.progress", {}, el("div.progress-words", {}, what, left), bar);
	const element = el("div.state");
	let repeats = 1;
	let startedAt;
	const announce = (words) => {
		byId(announcement).textContent = words;
	};
	return {
		element,
		announce,
		begin(options) {
			repeats = options.repeats ?? 1;
			startedAt = performance.now();
			what.textContent = "Checking the target";
			left.textContent = "";
			bar.value = 0;
			element.replaceChildren(running);
			announce("The measurement has started.");
		},
		/** Begins a scenario or a repetition, and names it. */
		started({ scenario, repeat, ...measured }) {
			const name = scenario?.name ?? scenario;
			const times = repeats > 1 ? `, repetition ${repeat + 1} of ${repeats}` : "";
			what.textContent = `${name}, ${variant(measured).toLowerCase()}${times}`;
			return what.textContent;
		},
		show({ share, left_ms }) {
			bar.value = share;
			left.textContent = left_ms === null || left_ms === undefined ? "" : `${duration(left_ms)} left`;
		},
		say(words) {
			what.textContent = words;
			return words;
		},
		/** @param {(Node | string)[]} content */
		end(words, ...content) {
			const took = duration(performance.now() - startedAt);
			element.replaceChildren(el("p.done", {}, el("strong", {}, words), ` In ${took}. `, ...content));
			announce(words);
		},
		stop(words, isError) {
			element.replaceChildren(el(isError ? "p.callout" : "p.note", {}, words));
			announce(words);
		},
	};
}
