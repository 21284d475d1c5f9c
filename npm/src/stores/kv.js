// Workers KV as a store, in the form that the Featheredge Worker uses too: both can share a namespace.

import { writeEach } from "./writes.js";

/** KV refuses an expiration of less, in seconds. */
const MIN_TTL_SECONDS = 60;

const DAY_MILLIS = 86_400_000;

/** What KV's errors begin with: the operation, and the status that it ended with. */
const STATUS = /^KV \w+ failed: (\d{3})/;

/** What it says once the day's operations of a plan are used up. The day ends at 00:00 UTC. */
const QUOTA = /limit exceeded for the day/i;

/** What the runtime says of a request that has made as many calls as it may. */
const REQUEST_SPENT = /too many (?:api requests|subrequests)/i;

const statusOf = ({ message }) => Number(STATUS.exec(message)?.[1]);

/** What an error of a write says beside that its key was not taken. */
function meaning({ message }) {
	if (QUOTA.test(message)) return { quotaResetsAt: (Math.floor(Date.now() / DAY_MILLIS) + 1) * DAY_MILLIS };
	if (REQUEST_SPENT.test(message)) return { isRequestSpent: true };
	// A key takes one write each second, whoever else writes it.
	return statusOf({ message }) === 429 ? { rateLimited: 1 } : {};
}

function encode(bytes) {
	if (bytes.toBase64 !== undefined) return bytes.toBase64();
	// In pieces: a call takes only so many arguments.
	let text = "";
	for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
	return btoa(text);
}

function decode(text) {
	// Of a hundred rows, this is a fifth of a request's time where it is done by hand.
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
		// Not of our making.
		return undefined;
	}
}

/** A store over a binding of Workers KV. */
export function kvStore(namespace) {
	return {
		async getMany(keys) {
			try {
				// KV's bulk read gives text alone, so what is stored is base64.
				const values = await namespace.get(keys, "text");
				return keys.map((key) => decoded(values.get(key)));
			} catch (error) {
				// A bulk read gives 25 MB, or nothing.
				if (statusOf(error) === 413) error.isTooLarge = true;
				throw error;
			}
		},
		setMany(entries, { ttl, signal }) {
			const options = { expirationTtl: Math.max(ttl, MIN_TTL_SECONDS) };
			return writeEach(entries, ([key, value]) => namespace.put(key, encode(value), options), { signal, meaning });
		},
	};
}
