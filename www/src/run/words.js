// What a measurement says in words and figures.

import { milliseconds } from "../headers.js";
import { count, many, percent, rate } from "../results/tables.js";

/** What stands where nothing was measured. */
export const NOTHING = "–";

const unless = (words) => (value) => (value === null || value === undefined ? NOTHING : words(value));

export const figure = {
	latency: unless(milliseconds),
	share: unless(percent),
	ratio: unless((value) => `${Number((value * 100).toPrecision(3))} %`),
	rate: unless((value) => Math.round(value).toLocaleString("en-GB")),
	dollars: unless((value) => `$${value > 0 && value < 0.01 ? value.toPrecision(1) : value.toFixed(2)}`),
	count: unless(count),
};

export const target = {
	p50_ms: { name: "Median", words: figure.latency, limit: "at most" },
	p95_ms: { name: "p95", words: figure.latency, limit: "at most" },
	p99_ms: { name: "p99", words: figure.latency, limit: "at most" },
	availability: { name: "Availability", words: figure.share, limit: "at least" },
	error_rate: { name: "Error rate", words: figure.share, limit: "at most" },
};

const CACHES = { cold: "Cold caches", warm: "Warm caches" };

/** What distinguishes a measurement of a scenario from its others. */
export const variant = ({ caches = "cold", served_by = "featheredge" }) =>
	served_by === "origin" ? "The origin alone" : CACHES[caches];

const TIERS = { l1: "L1 memory", l2: "the L2 store", l3: "L3 storage", origin: "the origin" };

/**
 * What a reader has to know of a measured scenario beside its figures.
 *
 * @returns {{ kind: "missed" | "failed" | "slow" | "plain", words: string }[]}
 */
export function remarks({ summary, repeats }) {
	const { verdicts, failures, slow, l1 } = summary;
	const said = [];
	if (repeats.some(({ stopped }) => stopped === "all_failed"))
		said.push({ kind: "failed", words: "Stopped: the first requests all failed." });
	for (const { kind, count: number, cause } of failures)
		said.push({ kind: "failed", words: `${many(number, "failure")}: ${kind}${cause ? ` (${cause})` : ""}.` });
	for (const { name, target: limit, actual, is_met, reason } of verdicts) {
		if (is_met !== false) continue;
		const { name: title, words, limit: sign } = target[name];
		said.push({
			kind: "missed",
			words: `${title} ${words(actual)}, target ${sign} ${words(limit)}.${reason ? ` ${reason}` : ""}`,
		});
	}
	if (slow?.count > 0) said.push({ kind: "slow", words: slowWords(slow) });
	if (l1) said.push({ kind: "plain", words: memoryWords(l1) });
	return said;
}

function slowWords({ over_ms, count: number, slowest: [worst] }) {
	const verb = number === 1 ? "request took" : "requests took";
	const tier = TIERS[worst?.tier];
	const where = worst ? `; the slowest ${milliseconds(worst.latency_ms)}, at ${(worst.at_ms / 1000).toFixed(1)} s` : "";
	return `${count(number)} ${verb} over ${milliseconds(over_ms)}${where}${tier ? `, from ${tier}` : ""}.`;
}

function memoryWords({ rows, max_rows, bytes, max_bytes, evictions }) {
	const share = Math.max(rows / max_rows, bytes / max_bytes);
	const room = Number.isFinite(share) ? `, ${percent(Math.max(0, 1 - share))} of its room left` : "";
	return `L1 holds ${many(rows, "row")}${room}; ${many(evictions, "eviction")}.`;
}

/** How long something takes, to the second. */
export function duration(millis) {
	const seconds = Math.max(1, Math.round(millis / 1000));
	return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** A quantile of a distribution by the middle of each bucket, in milliseconds. */
export function quantile(latencies, share) {
	const total = latencies.reduce((sum, [, number]) => sum + number, 0);
	let below = 0;
	for (const [millis, number] of latencies) {
		below += number;
		if (below >= total * share) return millis;
	}
	return null;
}

export { count, many, milliseconds, percent, rate };
