// Retries of requests that were lost with their connection.
//
// It knows nothing of a request's content. Servers close idle connections, some just as one is used again,
// and the request on it is lost. Several may be idle, so a retry may meet another closed one.

/** The most retries of a request. */
const MAX_RETRIES = 2;

/**
 * A request on a closed connection fails within this time, in milliseconds. A later failure says something
 * about the server.
 */
const CLOSED_CONNECTION_MS = 100;

/**
 * Node's error codes for a connection that was never made: no address, route or listener, or an untrusted
 * certificate.
 */
const NO_CONNECTION = new Set([
	"CERT_HAS_EXPIRED",
	"DEPTH_ZERO_SELF_SIGNED_CERT",
	"EAI_AGAIN",
	"ECONNREFUSED",
	"EHOSTUNREACH",
	"ENETUNREACH",
	"ENOTFOUND",
	"ERR_TLS_CERT_ALTNAME_INVALID",
	"SELF_SIGNED_CERT_IN_CHAIN",
	"UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
	"UNABLE_TO_VERIFY_LEAF_SIGNATURE",
	"UND_ERR_CONNECT_TIMEOUT",
]);

/**
 * Whether a request failed before any of it was sent, so that it certainly had no effect. Only Node's clients show it; otherwise `false`.
 *
 * @param {any} error
 */
export function isUnsent(error) {
	const cause = error?.cause;
	// A host with several addresses has one error for each.
	if (cause?.errors?.length > 0) return cause.errors.every(({ code }) => NO_CONNECTION.has(code));
	return NO_CONNECTION.has(cause?.code) || (cause?.code === "UND_ERR_SOCKET" && cause.socket?.bytesWritten === 0);
}

/**
 * Repeats an attempt that fails, while it may be repeated.
 *
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {object} options
 * @param {number} options.maxRetries
 * @param {AbortSignal} [options.signal] ends the retries
 * @param {(error: unknown, elapsedMs: number) => boolean} options.mayRetry
 * @returns {Promise<T>}
 */
export async function retry(attempt, { maxRetries, signal, mayRetry }) {
	for (let retries = 0; ; retries++) {
		const began = Date.now();
		try {
			return await attempt();
		} catch (error) {
			if (retries === maxRetries || signal?.aborted || !mayRetry(error, Date.now() - began)) throw error;
		}
	}
}

/**
 * Sends a request, and again if it was lost with its connection.
 *
 * @param {() => Promise<Response>} send
 * @param {AbortSignal} [signal]
 * @param {(error: unknown) => boolean} [mayRetry] whether the request may be repeated after this error; always, if it only reads
 */
export function retryLostConnection(send, signal, mayRetry = () => true) {
	return retry(send, {
		maxRetries: MAX_RETRIES,
		signal,
		mayRetry: (error, elapsedMs) => (elapsedMs <= CLOSED_CONNECTION_MS || isUnsent(error)) && mayRetry(error),
	});
}
