// Runs, comparisons and budgets as tables of a terminal.

import { summarySentence } from "../dist/benchmark-node.js";
import { dollars, figure, latency, percent } from "../src/benchmark/words.js";
import { print } from "./output.js";
import { tableOf } from "./table.js";

const isMissing = (value) => value === null || value === undefined;
const signed = (share) => `${share > 0 ? "+" : ""}${percent(share)}`;

/** The figures of two columns side by side. */
const FIGURES = [
	["median", ({ median_ms }) => latency(median_ms)],
	["p95", ({ p95_ms }) => latency(p95_ms)],
	["p99", ({ p99_ms }) => latency(p99_ms)],
	["responses per second", ({ throughput }) => figure(throughput)],
	["from memory", ({ rows: [l1] }) => percent(l1.hits + l1.misses > 0 ? l1.hits / (l1.hits + l1.misses) : undefined)],
	["origin calls per 1,000", ({ cost }) => figure(cost.origin_calls_per_thousand)],
	["cost per million", ({ cost }) => dollars(cost.total_usd)],
	["failed", ({ failed }) => figure(failed)],
];

/** A scenario's results, by what each column is of. */
function columnsOf(measured) {
	const isBeside = measured.some(({ served_by }) => served_by === "origin");
	return measured.map(({ caches, served_by, summary }) => [
		isBeside ? (served_by === "origin" ? "the origin alone" : "Featheredge") : `${caches} caches`,
		summary,
	]);
}

/** What `keyOf` groups, in the order of its first members. */
function grouped(list, keyOf) {
	const groups = new Map();
	for (const item of list) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
	return [...groups];
}

/** Why objectives were missed, and what else a reader should know. */
function remarksOf(measured) {
	return measured.flatMap(({ caches, served_by, summary }) => {
		const failures = summary.failures.map(
			({ kind, count, cause }) => `${figure(count)} × ${kind}${cause ? `: ${cause}` : ""}`,
		);
		// An origin alone has neither objectives nor tiers.
		if (served_by === "origin") return failures.map((words) => `  the origin alone: ${words}`);
		const missed = summary.verdicts.filter(({ reason }) => !isMissing(reason));
		const byReason = grouped(missed, ({ reason }) => reason).map(([reason, verdicts]) => [
			reason,
			verdicts.map(({ name }) => name.replace("_ms", "")),
		]);
		const { slow, l1 } = summary;
		const [slowest] = slow.slowest;
		return [
			...byReason.map(([reason, names]) => `${names.join(", ")} missed: ${reason}`),
			...failures,
			...(slow.count > 0
				? [
						`${figure(slow.count)} took more than ${slow.over_ms} ms; the slowest, no. ${slowest.number}, ${latency(slowest.latency_ms)} (${slowest.tier})`,
					]
				: []),
			...(l1?.evictions > 0 ? [`L1 evicted ${figure(l1.evictions)} rows of at most ${figure(l1.max_rows)}`] : []),
		].map((words) => `  ${caches}: ${words}`);
	});
}

function printScenario([name, measured]) {
	const columns = columnsOf(measured);
	const rows = FIGURES.map(([title, of]) => [title, ...columns.map(([, summary]) => of(summary))]);
	print(...tableOf([name, ...columns.map(([title]) => title)], rows));
	print(...remarksOf(measured), "");
}

export function printRun(run, repeats) {
	const sentence = summarySentence(run);
	if (run.name) print(run.name, "");
	if (sentence !== undefined) print(sentence, "");
	const groups = grouped(run.scenarios, ({ scenario }) => scenario.name);
	const isFirst = ([, measured]) => measured.some(({ served_by }) => served_by === "origin");
	groups.filter(isFirst).forEach(printScenario);
	const others = groups.filter((group) => !isFirst(group));
	if (others.length > 0) print("Standard scenarios", "");
	others.forEach(printScenario);
	const { host, cores, machine, target } = run.environment;
	const count = `${repeats} ${repeats === 1 ? "repetition" : "repetitions"}`;
	print(`${run.started_at.slice(0, 10)}, ${host}, ${cores} cores (${machine}), ${target}, ${count}, run ${run.id}`);
}

const VERDICTS = { noise: "within the noise", unknown: "too few repetitions" };

export function printComparison({ scenarios, settings, verdict }, { started_at: when, id }) {
	print("");
	if (scenarios.length === 0) return print("no scenario is in both runs");
	const rows = scenarios.flatMap(({ name, caches, served_by, is_same_scenario: isSame, metrics }) =>
		metrics
			.filter(({ baseline, current }) => !isMissing(baseline) || !isMissing(current))
			.map(({ name: title, baseline, current, change, verdict }) => [
				`${name}, ${served_by === "origin" ? "origin" : caches}${isSame ? "" : " (changed)"}`,
				title,
				figure(baseline),
				figure(current),
				signed(change),
				VERDICTS[verdict] ?? verdict,
			]),
	);
	print(...tableOf(["scenario", "figure", "before", "now", "change", ""], rows));
	for (const { name, baseline, current } of settings) {
		print(`  ${name}: ${baseline ?? "none"} before, ${current ?? "none"} now`);
	}
	print(`compared with run ${id} of ${when.slice(0, 16).replace("T", " ")}: ${VERDICTS[verdict] ?? verdict}`);
}

export function printBudget({ is_met: isMet, checks }) {
	print("");
	const rows = checks.map(({ scenario, caches, words, is_met }) => [
		is_met ? "met" : "MISSED",
		`${scenario}, ${caches}`,
		words,
	]);
	print(...tableOf(["budget", "scenario", isMet ? "all met" : "missed"], rows));
}

export function printHighestRate({ rate_per_second: rate, is_limited_by_max: isLimited, steps }) {
	const rows = steps.map(({ rate_per_second, is_met, missed, p99_ms, error_rate, throughput }) => [
		`${figure(rate_per_second)}/s`,
		`${figure(throughput)}/s`,
		latency(p99_ms),
		percent(error_rate),
		is_met ? "met" : `missed: ${missed.map((name) => name.replace("_ms", "")).join(", ")}`,
	]);
	print(...tableOf(["rate", "responses", "p99", "error rate", "targets"], rows));
	if (isMissing(rate)) print("not even the least rate keeps the targets");
	else
		print(`the highest rate that keeps the targets: ${figure(rate)}/s${isLimited ? ", the most that was tried" : ""}`);
}
