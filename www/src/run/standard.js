// The original specification's four scenarios, each on cold caches and on warm ones.

import { byId, el } from "../dom.js";
import { machine } from "../machine.js";
import { cards } from "./cards.js";
import { measure, offers, paced } from "./measurement.js";
import { progressView } from "./progress.js";

const NAMES = ["low_latency_individual", "batch_processing", "mixed_workload", "stress_test"];
const SUITE = NAMES.map((scenario) => ({ scenario, caches: ["cold", "warm"] }));
const TARGET = { kind: "engine", l2: "memory", delay_ms: 10 };

/** @param {(run: any) => Promise<unknown>} finish keeps a run */
export function openStandard(finish) {
	const start = byId("standard-start");
	const host = byId("standard-view");
	const progress = progressView("standard-announcement");
	const drawing = paced(host, [progress.show]);
	const settings = Object.entries(TARGET).map(([name, value]) => ({ name, value: String(value) }));
	const view = {
		cancel: byId("standard-cancel"),
		begin(options) {
			progress.begin(options);
			host.replaceChildren(progress.element);
		},
		show(event) {
			if (event.type === "scenario-started") progress.started(event);
			if (event.type === "progress") drawing.show(event);
		},
		async end(run) {
			drawing.clear();
			await finish(run);
			progress.end(verdict(run), el("a", { href: `#results=${run.id}` }, "See the results"));
			host.append(cards(run));
		},
		stop(words, error) {
			drawing.clear();
			progress.stop(error === undefined ? words : `Not measured: ${words}`, error !== undefined);
		},
	};
	offers(start, () =>
		measure("run", () => ({ suite: SUITE, target: TARGET, repeats: 1, environment: { ...machine(), settings } }), view),
	);
}

/** In a sentence: how many scenarios keep their targets. What the origin does straight is not judged. */
export function verdict({ scenarios }) {
	const judged = scenarios.filter(({ served_by }) => served_by !== "origin");
	const kept = judged.filter(({ summary }) => summary.verdicts.every(({ is_met }) => is_met === true)).length;
	if (judged.every(({ summary }) => summary.succeeded === 0)) return "No request succeeded.";
	if (kept === judged.length) return "All targets are met.";
	if (judged.length === 1) return "Not all targets are met: see why.";
	return `${kept} of ${judged.length} measurements meet their targets; each that does not says why.`;
}
