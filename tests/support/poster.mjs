// What posts to a server under test.

/**
 * Posts JSON to a server's paths: a text or bytes as they are, and anything else as JSON.
 *
 * @param {string} url
 */
export const poster =
	(url) =>
	(path, body, headers = {}) => {
		const isRaw = typeof body === "string" || body instanceof Uint8Array;
		return fetch(`${url}${path}`, {
			method: "POST",
			headers: { "content-type": "application/json", ...headers },
			body: isRaw ? body : JSON.stringify(body),
		});
	};
