// A run as text: CSV, a Markdown table, JSON, and one sentence.

import { dollars, figure, latency, NOT_MEASURED, percent } from "./words.js";

/** The columns of both tables: a name for programs, a title for people, the value and its words. */
const COLUMNS = [
	["requests", "requests", ({ summary }) => summary.requests, figure],
	["failed", "failed", ({ summary }) => summary.failed, figure],
	["mean_ms", "mean", ({ summary }) => summary.mean_ms, latency],
	["median_ms", "median", ({ summary }) => summary.median_ms, latency],
	["p95_ms", "p95", ({ summary }) => summary.p95_ms, latency],
	["p99_ms", "p99", ({ summary }) => summary.p99_ms, latency],
	["p999_ms", "p99.9", ({ summary }) => summary.p999_ms, latency],
	["throughput", "per second", ({ summary }) => summary.throughput, figure],
	["hit_ratio", "hit ratio", ({ summary }) => summary.model.hit_ratio, percent],
	[
		"origin_calls_per_thousand",
		"origin calls per 1,000",
		({ summary }) => summary.cost.origin_calls_per_thousand,
		figure,
	],
	["total_usd_per_million", "cost per million", ({ summary }) => summary.cost.total_usd, dollars],
];

const IDENTITY = [
	["scenario", ({ scenario }) => scenario.name],
	["caches", ({ caches }) => caches],
	["served_by", ({ served_by }) => served_by],
];

/** A cell of RFC 4180. A text that a spreadsheet would run as a formula gets a quote before it. */
function cell(value) {
	if (value === null || value === undefined) return "";
	const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {any} run */
export function toCsv(run) {
	const head = ["run", "started_at", ...IDENTITY.map(([name]) => name), ...COLUMNS.map(([name]) => name), "targets"];
	const rows = run.scenarios.map((measured) => [
		run.id,
		run.started_at,
		...IDENTITY.map(([, of]) => of(measured)),
		...COLUMNS.map(([, , of]) => of(measured)),
		verdict(measured),
	]);
	return `${[head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** Whether the objectives were met, in a word for each that was not. */
export function verdict({ summary: { verdicts } }) {
	if (verdicts.every(({ is_met }) => is_met === null || is_met === undefined)) return NOT_MEASURED;
	const missed = verdicts.filter(({ is_met }) => is_met === false).map(({ name }) => name.replace("_ms", ""));
	return missed.length === 0 ? "met" : `missed: ${missed.join(", ")}`;
}

const escaped = (text) =>
	String(text)
		.replaceAll("\\", "\\\\")
		.replaceAll("|", "\\|")
		.replaceAll("<", "&lt;")
		.replaceAll(/[\r\n]+/g, " ");

/** @param {any} run */
export function toMarkdown(run) {
	const head = [...IDENTITY.map(([name]) => name.replace("_", " ")), ...COLUMNS.map(([, title]) => title), "targets"];
	const rows = run.scenarios.map((measured) => [
		...IDENTITY.map(([, of]) => of(measured)),
		...COLUMNS.map(([, , of, words]) => words(of(measured))),
		verdict(measured),
	]);
	const line = (cells) => `| ${cells.map(escaped).join(" | ")} |`;
	const { host, machine, cores, target } = run.environment;
	const about = [run.started_at.slice(0, 10), host, `${cores} cores (${machine})`, target, `run ${run.id}`];
	const title = run.name ? [`## ${escaped(run.name)}`, ""] : [];
	const notes = run.notes ? ["", escaped(run.notes)] : [];
	return `${[...title, line(head), line(head.map(() => "---")), ...rows.map(line), "", escaped(about.join(", ")), ...notes].join("\n")}\n`;
}

/** @param {any} run */
export const toJson = (run) => `${JSON.stringify(run, undefined, "\t")}\n`;

/** What a load gained, in one sentence; `undefined` without the same load through both. */
export function summarySentence(run) {
	const by = (who) =>
		run.scenarios.find(({ scenario, served_by }) => scenario.name === "popular_load" && served_by === who);
	const [own, straight] = [by("featheredge")?.summary, by("origin")?.summary];
	if ((own?.median_ms ?? undefined) === undefined || (straight?.median_ms ?? undefined) === undefined) return undefined;
	const calls = 1 - own.cost.origin_calls_per_thousand / straight.cost.origin_calls_per_thousand;
	const saved = straight.cost.total_usd - own.cost.total_usd;
	// What rounds to all is not all.
	const share = calls > 0.99 && calls < 1 ? Math.floor(calls * 1_000) / 10 : Math.round(Math.abs(calls) * 100);
	return [
		`${short(own.median_ms)} instead of ${short(straight.median_ms)}`,
		`${share} % ${calls < 0 ? "more" : "fewer"} calls to the origin`,
		`${dollars(Math.abs(saved))} ${saved < 0 ? "more" : "saved"} per million requests`,
	].join("; ");
}

/** A latency in two digits, for a sentence. */
function short(millis) {
	const rounded = Number(millis.toPrecision(2));
	return latency(rounded);
}
