// Content codings (RFC 9110, 8.4.1): their names, and which of them each decoder knows.

/** A coding's name in lower case, without an alias. */
export function codingOf(name) {
	const coding = name.toLowerCase();
	return coding === "x-gzip" ? "gzip" : coding;
}

/** The codings that `DecompressionStream` decodes on every host; it has the same names for them. */
export const STREAM_CODINGS = new Set(["gzip", "deflate"]);

/** The codings that `fetch` decodes by itself, except on Workers. */
export const FETCH_CODINGS = new Set(["gzip", "deflate", "br"]);

/** The codings that the Workers' `fetch` decodes by itself, under exactly these names. */
export const WORKERS_FETCH_CODINGS = new Set(["gzip", "br"]);
