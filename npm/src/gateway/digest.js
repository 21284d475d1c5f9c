// Digests for the comparison of secrets.

/** @param {string} text */
export const sha256 = async (text) =>
	new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));

/** Whether two digests are equal, in constant time. */
export const areEqual = (left, right) =>
	left.reduce((difference, byte, at) => difference | (byte ^ right[at]), 0) === 0;
