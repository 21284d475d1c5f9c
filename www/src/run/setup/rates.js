// The search for the highest rate that keeps the targets: its steps, and what it found.

import { el } from "../../dom.js";
import { figure, target } from "../words.js";

/** @param {{ rate_per_second: number, is_limited_by_max: boolean, steps: any[] }} result */
export function found({ rate_per_second, is_limited_by_max, steps }) {
	if (!(rate_per_second > 0))
		return `Not even ${figure.rate(steps[0]?.rate_per_second)} requests per second keep the targets.`;
	const rate = `${figure.rate(rate_per_second)} requests per second`;
	return is_limited_by_max
		? `Even ${rate}, the most that was tried, keep the targets.`
		: `Up to ${rate} keep the targets.`;
}

/** @param {any[]} steps in the order in which they were tried */
export function stepTable(steps) {
	const heads = ["Rate", "p99", "Error rate", "Targets"].map((text) => el("th", { scope: "col" }, text));
	const rows = steps.map(({ rate_per_second, is_met, missed, p99_ms, error_rate }) =>
		el(
			"tr",
			{},
			el("th", { scope: "row" }, `${figure.rate(rate_per_second)}/s`),
			el("td.figure", {}, figure.latency(p99_ms)),
			el("td.figure", {}, figure.share(error_rate)),
			el(
				"td",
				{},
				el(
					"span.verdict",
					{ "data-verdict": is_met ? "met" : "missed" },
					is_met ? "✓ met" : `✕ ${missed.map((name) => target[name]?.name ?? name).join(", ")}`,
				),
			),
		),
	);
	return el(
		"table.versus.steps",
		{},
		el("caption.hidden", {}, "Rates that were tried"),
		el("thead", {}, el("tr", {}, ...heads)),
		el("tbody", {}, ...rows),
	);
}
