// A request's target in one normal form, which every decision is taken by and which the origin is asked for: who decides by one spelling and
// passes on another decides nothing.

/** Targets, of either form, whose path is in the normal form: no segment begins with a dot, and nothing is encoded. */
const NORMAL = /^(?:https?:\/\/[^/?#\\]+)?((?:\/[\w~-][\w~.-]*)+)$/;

/** Paths of ours and of Feast's contract with a slash behind them, by which servers know the same thing. Elsewhere a slash may make a difference. */
const SLASHED =
	/^(\/(?:get-online-features|push|write-to-online-store|materialize|materialize-incremental|search|retrieve-online-documents|health|ready|metrics|v1\/.+))\/$/;

/** Paths that lead elsewhere for whoever takes an encoded slash for one, or leaves out what follows a semicolon. */
const AMBIGUOUS = /(?:\/|%2F|%5C)\.{1,2}(?:;[^/]*)?(?=\/|%2F|%5C|$)/;

const UNRESERVED = /[\w.~-]/;

/**
 * The path and the query of a request's target: its origin form, absolute form, or a whole URL (RFC 9112, 3.2).
 *
 * Dot segments, encoded or not, are resolved, slashes that follow each other are one, a last one is left out where it makes no difference, and
 * what need not be encoded is not (RFC 3986, 6.2.2).
 *
 * @param {string} target
 * @returns {{ path: string, query: string } | undefined} `undefined` for what is no target of a request for something
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

/** The normal form of a path that a URL's parser has resolved. */
function normalPath(path) {
	const decoded = path.replaceAll(/\/{2,}/g, "/").replaceAll(/%([0-9a-f]{2})/gi, (encoded, digits) => {
		const char = String.fromCharCode(Number.parseInt(digits, 16));
		return UNRESERVED.test(char) ? char : encoded.toUpperCase();
	});
	return SLASHED.exec(decoded)?.[1] ?? decoded;
}
