// Where a token of the environment may go: to the URL that was given, where nobody in between can read it.

import { EXIT, Failure } from "./failure.js";

const isLoopback = (host) => /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/.test(host);

/**
 * The token of a variable for a URL, if it is set: one that no network in between can read.
 *
 * @param {string} name
 * @param {string | URL} to
 */
export function bearerOf(name, to) {
	const token = process.env[name] || undefined;
	if (token === undefined || !URL.canParse(to)) return undefined;
	if (!/^[\x21-\x7e]+$/.test(token)) {
		throw new Failure(`${name} has a space, a line break or another character that no token has`, EXIT.usage);
	}
	const { protocol, hostname, host } = new URL(to);
	if (protocol === "https:" || isLoopback(hostname)) return token;
	throw new Failure(
		`${name} would go to ${host} in clear: write https:// instead of http://, or unset the variable`,
		EXIT.usage,
	);
}
