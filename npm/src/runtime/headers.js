// The core's encoding of headers: names and values on alternating lines.

/** The headers as pairs. */
export function headerPairs(lines) {
	const parts = lines.split("\n");
	return Array.from({ length: parts.length >> 1 }, (_, at) => [parts[at * 2], parts[at * 2 + 1]]);
}
