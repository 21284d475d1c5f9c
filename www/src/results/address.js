// What the address says of Results, which may be anything.

const PREFIX = "#results=";
/** The fragment of a run that is in the link itself. */
const SHARED = "shared:";

/** @returns {{ kind: "newest" } | { kind: "run", id: string } | { kind: "shared", text: string } | { kind: "broken" }} */
export function wanted(hash) {
	if (!hash.startsWith(PREFIX) || hash === PREFIX) return { kind: "newest" };
	const text = hash.slice(PREFIX.length);
	if (text.startsWith(SHARED)) return { kind: "shared", text: text.slice(SHARED.length) };
	try {
		return { kind: "run", id: decodeURIComponent(text) };
	} catch {
		return { kind: "broken" };
	}
}

/** The address of a stored run. */
export const addressOf = (id) => `${PREFIX}${encodeURIComponent(id)}`;
