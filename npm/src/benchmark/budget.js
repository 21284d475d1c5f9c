// A budget: what a run may take at most, or must reach, in figures or beside a baseline.

import { BenchmarkError } from "./errors.js";
import { figure, latency, percent } from "./words.js";

/** The figures of a budget: where they are in a summary, whether less is better, and their words. */
const FIGURES = {
	median_ms: { of: (summary) => summary.median_ms, isMaximum: true, words: latency },
	p95_ms: { of: (summary) => summary.p95_ms, isMaximum: true, words: latency },
	p99_ms: { of: (summary) => summary.p99_ms, isMaximum: true, words: latency },
	p999_ms: { of: (summary) => summary.p999_ms, isMaximum: true, words: latency },
	error_rate: { of: (summary) => summary.error_rate, isMaximum: true, words: percent },
	hit_ratio: { of: (summary) => summary.model.hit_ratio, isMaximum: false, words: percent },
	throughput: { of: (summary) => summary.throughput, isMaximum: false, words: (value) => `${figure(value)}/s` },
};
const AGAINST_BASELINE = "against_baseline";
const CACHES = ["cold", "warm"];

const invalid = (words) => new BenchmarkError("invalid-budget", words);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function limitsOf(place, given) {
	if (!isObject(given)) throw invalid(`\`${place}\` is no object of limits`);
	return Object.entries(given).map(([name, limit]) => {
		if (!Object.hasOwn(FIGURES, name)) {
			throw invalid(`\`${place}.${name}\` is not known: the limits are ${Object.keys(FIGURES).join(", ")}`);
		}
		if (typeof limit !== "number" || !Number.isFinite(limit)) throw invalid(`\`${place}.${name}\` is no number`);
		return [name, limit];
	});
}

function find(run, name, caches) {
	const own = run.scenarios.filter(({ scenario, served_by }) => scenario.name === name && served_by !== "origin");
	return caches === undefined ? own.at(-1) : own.find((measured) => measured.caches === caches);
}

/** Checks a limit on a figure. What was not measured is not within it. */
function check(measured, name, limit) {
	const { of, isMaximum, words } = FIGURES[name];
	const actual = of(measured.summary) ?? null;
	const is_met = actual !== null && (isMaximum ? actual <= limit : actual >= limit);
	const text = `${name} ${actual === null ? "was not measured" : words(actual)}, ${isMaximum ? "at most" : "at least"} ${words(limit)}`;
	return { name, limit, actual, is_met, words: text };
}

/** Checks a limit on the change since the baseline, which only a change for the worse exceeds. */
function checkChange(measured, before, name, limit) {
	const { of, isMaximum } = FIGURES[name];
	const [old, now] = [of(before.summary) ?? null, of(measured.summary) ?? null];
	const worst = Math.abs(limit);
	let change =
		old === null || now === null ? null : old === 0 ? (now === 0 ? 0 : Number.POSITIVE_INFINITY) : now / old - 1;
	if (change === null && old === null) change = 0;
	const is_met = change !== null && (isMaximum ? change <= worst : change >= -worst);
	const sign = change !== null && change > 0 ? "+" : "";
	const text = `${name} ${change === null ? "was not measured" : `${sign}${percent(change)}`} against the baseline, at most ${percent(worst)} worse`;
	return { name: `${AGAINST_BASELINE}.${name}`, limit, actual: change, is_met, words: text };
}

/**
 * A budget in parts, each with its limits.
 *
 * @param {any} budget by scenario: limits, the `caches` they are for, and the changes since a baseline
 * @throws {BenchmarkError} which names what is wrong
 */
export function partsOf(budget) {
	if (!isObject(budget) || !isObject(budget.scenarios)) throw invalid("a budget is an object with `scenarios`");
	const unknown = Object.keys(budget).find((name) => name !== "scenarios" && name !== "$schema");
	if (unknown !== undefined) throw invalid(`\`${unknown}\` is not known: a budget has \`scenarios\``);
	const parts = Object.entries(budget.scenarios).map(([scenario, given]) => {
		const place = `scenarios.${scenario}`;
		if (!isObject(given)) throw invalid(`\`${place}\` is no object of limits`);
		const { caches, [AGAINST_BASELINE]: changes = {}, ...limits } = given;
		if (caches !== undefined && !CACHES.includes(caches)) {
			throw invalid(`\`${place}.caches\` is neither "cold" nor "warm"`);
		}
		const relative = limitsOf(`${place}.${AGAINST_BASELINE}`, changes);
		const own = limitsOf(place, limits);
		if (own.length + relative.length === 0) throw invalid(`\`${place}\` has no limit`);
		return { scenario, caches, own, relative };
	});
	if (parts.length === 0) throw invalid("the budget has no scenario: it would be met by anything");
	return parts;
}

/**
 * @param {any} run
 * @param {any} budget
 * @param {any} [baseline] a run
 */
export function checkBudget(run, budget, baseline) {
	const checks = partsOf(budget).flatMap(({ scenario, caches, own, relative }) => {
		const measured = find(run, scenario, caches);
		if (measured === undefined) {
			throw invalid(`the run has no scenario \`${scenario}\`${caches ? ` with ${caches} caches` : ""}`);
		}
		const before = relative.length > 0 ? baseline && find(baseline, scenario, measured.caches) : undefined;
		if (relative.length > 0 && before === undefined) {
			throw invalid(
				baseline === undefined
					? `\`scenarios.${scenario}.${AGAINST_BASELINE}\` needs a baseline`
					: `the baseline has no scenario \`${scenario}\` with ${measured.caches} caches`,
			);
		}
		const found = [
			...own.map(([name, limit]) => check(measured, name, limit)),
			...relative.map(([name, limit]) => checkChange(measured, before, name, limit)),
		];
		return found.map((checked) => ({ scenario, caches: measured.caches, ...checked }));
	});
	return { is_met: checks.every(({ is_met }) => is_met), checks };
}
