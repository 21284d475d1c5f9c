// Formats figures for the command line, exports and the summary sentence.

/** In place of a figure that was not measured. */
export const NOT_MEASURED = "–";

const isMissing = (value) => value === null || value === undefined;

/** A number of three digits, or a whole one. */
export function figure(value) {
	if (isMissing(value)) return NOT_MEASURED;
	return Number(value.toPrecision(Math.abs(value) < 1_000 ? 3 : 15)).toLocaleString("en-GB", {
		maximumFractionDigits: Math.abs(value) < 1_000 ? 20 : 0,
	});
}

/** A latency in milliseconds, in the unit that reads best. */
export function latency(millis) {
	if (isMissing(millis)) return NOT_MEASURED;
	if (millis < 1) return `${figure(millis * 1_000)} µs`;
	return millis < 1_000 ? `${figure(millis)} ms` : `${figure(millis / 1_000)} s`;
}

/** A share in percent. Near 100 % it is rounded down, so that 99.995 % is not all. */
export function percent(share) {
	if (isMissing(share)) return NOT_MEASURED;
	const value = share > 0.99 && share < 1 ? Math.floor(share * 1e4) / 100 : Number((share * 100).toPrecision(3));
	return `${value} %`;
}

/** An amount in US dollars, with cents where there are any. */
export function dollars(value) {
	if (isMissing(value)) return NOT_MEASURED;
	return `$${value > 0 && value < 0.01 ? Number(value.toPrecision(1)) : value.toFixed(2)}`;
}
