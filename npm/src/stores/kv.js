// A store in Workers KV, in the Featheredge Worker's format, so that both can share a namespace.

import { writeEach } from "./writes.js";

/** The shortest expiration that KV accepts, in seconds. */
const MIN_TTL_SECONDS = 60;

const DAY_MS = 86_400_000;

/** The beginning of KV's errors: the operation and its status. */
const STATUS = /^KV \w+ failed: (\d{3})/;

/** KV's error for an exhausted daily quota, which resets at 00:00 UTC. */
const QUOTA = /limit exceeded for the day/i;

/** The platform's error for a request that has made all its subrequests. */
const SUBREQUESTS_EXHAUSTED = /too many (?:api requests|subrequests)/i;

const statusOf = ({ message }) => Number(STATUS.exec(message)?.[1]);

/** What an error of a write means for other writes. */
function detailsOf({ message }) {
	if (QUOTA.test(message)) return { quotaResetsAt: (Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS };
	if (SUBREQUESTS_EXHAUSTED.test(message)) return { isRequestSpent: true };
	// A key accepts one write each second, from all writers together.
	return statusOf({ message }) === 429 ? { rateLimited: 1 } : {};
}

function encode(bytes) {
	if (bytes.toBase64 !== undefined) return bytes.toBase64();
	// In pieces: a call has a limit of arguments.
	let text = "";
	for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
	return btoa(text);
}

function decode(text) {
	// Decoding by hand takes a fifth of the time of a request for a hundred rows.
	if (Uint8Array.fromBase64 !== undefined) return Uint8Array.fromBase64(text);
	const characters = atob(text);
	const bytes = new Uint8Array(characters.length);
	for (let at = 0; at < bytes.length; at++) bytes[at] = characters.charCodeAt(at);
	return bytes;
}

function decoded(text) {
	try {
		return typeof text === "string" ? decode(text) : undefined;
	} catch {
		// Another program wrote it.
		return undefined;
	}
}

/** A store over a binding of Workers KV. */
export function kvStore(namespace) {
	return {
		async getMany(keys) {
			try {
				// KV's bulk read returns text only, so values are stored in base64.
				const values = await namespace.get(keys, "text");
				return keys.map((key) => decoded(values.get(key)));
			} catch (error) {
				// A bulk read of more than 25 MB fails as a whole.
				if (statusOf(error) === 413) error.isTooLarge = true;
				throw error;
			}
		},
		setMany(entries, { ttl, signal }) {
			const options = { expirationTtl: Math.max(ttl, MIN_TTL_SECONDS) };
			return writeEach(entries, ([key, value]) => namespace.put(key, encode(value), options), { signal, detailsOf });
		},
	};
}
