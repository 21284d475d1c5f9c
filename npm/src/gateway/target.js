// A request's target in one normal form. Access is decided by it and the origin receives it: a decision
// about one spelling does not hold for another.

/** Targets whose path is in the normal form: no segment begins with a dot, and nothing is percent-encoded. */
const NORMAL = /^(?:https?:\/\/[^/?#\\]+)?((?:\/[\w~-][\w~.-]*)+)$/;

/**
 * Paths of Featheredge and of Feast's contract with a trailing slash, which servers treat alike. Elsewhere a
 * slash may make a difference.
 */
const SLASHED =
	/^(\/(?:get-online-features|push|write-to-online-store|materialize|materialize-incremental|search|retrieve-online-documents|health|ready|metrics|v1\/.+))\/$/;

/** Paths that servers resolve differently: those that decode a slash, or drop what follows a semicolon. */
const AMBIGUOUS = /(?:\/|%2F|%5C)\.{1,2}(?:;[^/]*)?(?=\/|%2F|%5C|$)/;

const UNRESERVED = /[\w.~-]/;

/**
 * The path and the query of a request's target: its origin form, absolute form, or a whole URL (RFC 9112, 3.2).
 *
 * Dot segments, encoded or not, are resolved; repeated slashes become one; a trailing slash is removed if it makes no difference; needless
 * percent-encoding is decoded (RFC 3986, 6.2.2).
 *
 * @param {string} target
 * @returns {{ path: string, query: string } | undefined} `undefined` if the target is malformed or ambiguous
 */
export function targetOf(target) {
	const normal = NORMAL.exec(target);
	if (normal !== null) return { path: normal[1], query: "" };
	const url = target.startsWith("/") ? `http://origin.invalid${target}` : target;
	if (!URL.canParse(url)) return undefined;
	const { protocol, pathname, search } = new URL(url);
	if (protocol !== "http:" && protocol !== "https:") return undefined;
	const path = normalPath(pathname);
	return AMBIGUOUS.test(path) ? undefined : { path, query: search.slice(1) };
}

/** The normal form of a path from the URL parser. */
function normalPath(path) {
	const decoded = path.replaceAll(/\/{2,}/g, "/").replaceAll(/%([0-9a-f]{2})/gi, (encoded, digits) => {
		const char = String.fromCharCode(Number.parseInt(digits, 16));
		return UNRESERVED.test(char) ? char : encoded.toUpperCase();
	});
	return SLASHED.exec(decoded)?.[1] ?? decoded;
}
