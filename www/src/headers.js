// Descriptions of the response's headers: Cache-Status (RFC 9211), Age (RFC 9111), Server-Timing (W3C).

/** The tiers, nearest first: the name in `Cache-Status`, in the native API, and for people. */
export const TIERS = [
	{
		id: "l1",
		cache: "featheredge-l1",
		native: "l1_memory",
		label: "L1 memory",
		inText: "L1 memory",
		place: "in the isolate",
	},
	{
		id: "l2",
		cache: "featheredge-l2",
		native: "l2_distributed",
		label: "L2 store",
		inText: "the L2 store",
		place: "Workers KV",
	},
	{
		id: "l3",
		cache: "featheredge-l3",
		native: "l3_storage",
		label: "L3 storage",
		inText: "L3 storage",
		place: "SQLite",
	},
	{ id: "origin", native: "l4_compute", label: "Origin", inText: "the origin", place: "computes the rest" },
];

/** RFC 9211, section 2.2. */
const FORWARD_REASONS = {
	bypass: "was bypassed",
	method: "does not serve this method",
	"uri-miss": "missed",
	"vary-miss": "missed",
	miss: "missed",
	request: "was bypassed, as the request demands",
	stale: "had only values that are too old",
	partial: "hit in part",
};

/**
 * @typedef {{ name: string, parameters: Map<string, string | true> }} Member
 */

/**
 * A structured-field list (RFC 9651) of tokens with parameters.
 *
 * @param {string | null} value
 * @returns {Member[]}
 */
export function list(value) {
	return split(value ?? "", ",").map((text) => {
		const [name, ...parameters] = split(text, ";");
		return { name: unquote(name), parameters: new Map(parameters.map(parameter)) };
	});
}

function parameter(text) {
	const at = text.indexOf("=");
	return at < 0 ? [text, true] : [text.slice(0, at).trim(), unquote(text.slice(at + 1).trim())];
}

const unquote = (text) => (text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text);

/** Splits at a separator outside quotes. */
function split(text, separator) {
	const parts = text.match(new RegExp(`(?:"(?:[^"\\\\]|\\\\.)*"|[^${separator}"])+`, "g")) ?? [];
	return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/**
 * @typedef {object} Stop
 * @property {typeof TIERS[number]} tier
 * @property {"hit" | "partial" | "miss" | "computed" | "failed"} outcome
 * @property {string} words
 * @property {number | undefined} durationMs
 */

/**
 * The tiers of a response, nearest first.
 *
 * The header lists caches only, farthest first. A request to the origin shows in `fwd-status`, or in the time spent waiting for it. Headers of
 * a stream are sent before its tiers have responded: its last line has their counts.
 *
 * @param {Headers} headers
 * @param {string} [lastLine] of a stream
 * @returns {Stop[]}
 */
export function stops(headers, lastLine) {
	if (lastLine !== undefined) return stopsOfStream(lastLine);
	const durations = timings(headers);
	const caches = new Map(list(headers.get("cache-status")).map(({ name, parameters }) => [name, parameters]));
	const statuses = [...caches.values()]
		.map((parameters) => parameters.get("fwd-status"))
		.filter((status) => status !== undefined);
	const wasOriginCalled = statuses.length > 0 || durations.has("origin");
	return TIERS.flatMap((tier) => {
		const durationMs = durations.get(tier.id);
		if (tier.id === "origin")
			return wasOriginCalled ? [{ tier, ...originOutcome(Number(statuses[0] ?? 0)), durationMs }] : [];
		const parameters = caches.get(tier.cache);
		return parameters ? [{ tier, ...cacheOutcome(parameters), durationMs }] : [];
	});
}

function stopsOfStream(lastLine) {
	let stats;
	try {
		stats = JSON.parse(lastLine).cache_stats ?? {};
	} catch {
		return [];
	}
	return TIERS.flatMap((tier) => {
		if (tier.id === "origin") return stats.compute_requests > 0 ? [{ tier, ...originOutcome(200) }] : [];
		const [hits, misses] = [stats[`${tier.id}_hits`], stats[`${tier.id}_misses`]];
		if (!(hits + misses > 0)) return [];
		if (misses === 0) return [{ tier, outcome: "hit", words: "hit" }];
		return [
			{ tier, ...(hits > 0 ? { outcome: "partial", words: "hit in part" } : { outcome: "miss", words: "missed" }) },
		];
	});
}

function originOutcome(status) {
	if (status === 0) return { outcome: "failed", words: "did not respond" };
	if (status >= 400) return { outcome: "failed", words: `responded with status ${status}` };
	return { outcome: "computed", words: "computed the rest" };
}

function cacheOutcome(parameters) {
	const stale = parameters.get("detail") === "stale" ? ", in part stale" : "";
	if (parameters.has("hit")) return { outcome: "hit", words: `hit${stale}` };
	const reason = parameters.get("fwd");
	return {
		outcome: reason === "partial" ? "partial" : "miss",
		words: `${FORWARD_REASONS[reason] ?? "forwarded the request"}${stale}`,
	};
}

/**
 * @param {Headers} headers
 * @returns {Map<string, number>} milliseconds by name
 */
export function timings(headers) {
	const entries = list(headers.get("server-timing")).map(({ name, parameters }) => [
		name,
		Number.parseFloat(parameters.get("dur")),
	]);
	return new Map(entries.filter(([, duration]) => Number.isFinite(duration)));
}

/**
 * The headers that are described, in reading order.
 *
 * @param {Headers} headers
 * @returns {{ name: string, value: string, words: string }[]}
 */
export function explained(headers) {
	const words = {
		"cache-status": cacheStatusWords(headers),
		age: ageWords(headers.get("age")),
		"server-timing": timingWords(headers),
	};
	return Object.entries(words).map(([name, text]) => {
		const value = headers.get(name);
		return value === null
			? { name, value: "", words: ABSENT[name] ?? "Not sent with this response." }
			: { name, value, words: text };
	});
}

const ABSENT = {
	age: "Not sent: this response has no values.",
	"cache-status": "Not sent: this response used no tier.",
};

function cacheStatusWords(headers) {
	const sentences = stops(headers).map(({ tier, words }) => `${capital(tier.inText)} ${words}.`);
	return sentences.join(" ") || "The caches of this response.";
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function ageWords(value) {
	const seconds = Number(value);
	if (seconds === 0) return "All values were fetched from the origin within the last second.";
	return `The oldest value was fetched from the origin ${seconds} ${seconds === 1 ? "second" : "seconds"} ago.`;
}

function timingWords(headers) {
	const named = {
		total: "in total",
		l1: "in L1",
		l2: "waiting for L2",
		l3: "waiting for L3",
		origin: "waiting for the origin",
	};
	const parts = [...timings(headers)].map(
		([name, duration]) => `${milliseconds(duration)} ${named[name] ?? `in ${name}`}`,
	);
	const clock = "A deployed Worker's clock advances only with I/O, so work in memory is measured as 0 there.";
	return `Measured in the Worker: ${parts.join(", ")}. ${clock}`;
}

/** A duration in milliseconds, to three digits; a very short one in microseconds. */
export function milliseconds(value) {
	// Nothing was measured.
	if (value === null || value === undefined) return "–";
	if (value >= 1000) return `${(value / 1000).toPrecision(3)} s`;
	if (value >= 100) return `${Math.round(value)} ms`;
	if (value >= 10) return `${value.toFixed(1)} ms`;
	if (value > 0 && value < 0.1) return `${Math.round(value * 1000)} µs`;
	return `${value.toFixed(2).replace(/\.?0+$/, "") || "0"} ms`;
}

/** An age in milliseconds, in readable units. */
export function age(value) {
	if (value < 1000) return `${Math.round(value)} ms`;
	if (value < 60_000) return `${(value / 1000).toFixed(1)} s`;
	if (value < 3_600_000) return `${Math.floor(value / 60_000)} min ${Math.floor((value % 60_000) / 1000)} s`;
	return `${Math.floor(value / 3_600_000)} h ${Math.floor((value % 3_600_000) / 60_000)} min`;
}

/** A size in bytes, with a unit. */
export function bytes(value) {
	if (value < 1000) return `${value} B`;
	return value < 1_000_000 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1_000_000).toFixed(1)} MB`;
}
