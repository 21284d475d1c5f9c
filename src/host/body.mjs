// Bodies of requests and responses, read within a limit.

/** How much of a body that nobody wants is read, so that its sender hears the answer before the connection ends, in bytes. */
const LINGER_BYTES = 32 * 1024 * 1024;

/** Reads on and keeps nothing: a connection that is closed on a client that still sends loses the answer (RFC 9112, 9.6). */
export async function discard(body) {
	let length = 0;
	try {
		// Ends, and so cancels the body, past the bound.
		for await (const chunk of body) {
			length += chunk.length;
			if (length > LINGER_BYTES) return;
		}
	} catch {
		// It is gone already.
	}
}

/**
 * The body's bytes, or `undefined` where there are more than `limit`; then no more is kept than shows it.
 *
 * @param {Request | Response} message
 */
export async function read(message, limit) {
	const { headers } = message;
	const announced = headers.get("content-length");
	if (Number(announced) > limit) return undefined;
	// What is announced is the length before it is unpacked. Before `body` is looked at: that makes a stream of it.
	if (announced !== null && !headers.has("content-encoding")) return new Uint8Array(await message.arrayBuffer());
	const { body } = message;
	if (body === null) return new Uint8Array();
	const chunks = [];
	let length = 0;
	for await (const chunk of body.values({ preventCancel: true })) {
		length += chunk.length;
		if (length > limit) return undefined;
		chunks.push(chunk);
	}
	return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
