// The core's headers: lines that hold names and values by turns.

/** As pairs. */
export function headerPairs(lines) {
	const parts = lines.split("\n");
	return Array.from({ length: parts.length >> 1 }, (_, at) => [parts[at * 2], parts[at * 2 + 1]]);
}
