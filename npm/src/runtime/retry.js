// A call that is made again where it was lost with its connection.
//
// It knows nothing of what is asked. Servers close connections that rest, some just as one is used again, and the call on it is lost. Several
// may rest, and the next call may get another of them.

/** How often a call is made again. */
const MAX_RETRIES = 2;

/** Within so many milliseconds a call fails whose connection was no longer one: what was sent and fails later tells of the server. */
const SOON_MILLIS = 100;

/** Why Node had no connection, be it for want of an address, of a route, of a listener or of trust. */
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
 * Whether a call has failed before anything of it was sent, so that it is certainly not done. Only Node's `fetch` tells: of others, `false`.
 *
 * @param {any} error
 */
export function isUnsent(error) {
	const cause = error?.cause;
	// Of a host with several addresses, one error for each.
	if (cause?.errors?.length > 0) return cause.errors.every(({ code }) => NO_CONNECTION.has(code));
	return NO_CONNECTION.has(cause?.code) || (cause?.code === "UND_ERR_SOCKET" && cause.socket?.bytesWritten === 0);
}

/**
 * @param {() => Promise<Response>} call
 * @param {AbortSignal} [signal] what the call is given up by
 * @param {(error: unknown) => boolean} [mayRepeat] whether it may be made again after this error; in any case, where it only reads
 */
export async function retryLostConnection(call, signal, mayRepeat = () => true) {
	for (let retries = 0; ; retries++) {
		const began = Date.now();
		try {
			return await call();
		} catch (error) {
			const isLate = Date.now() - began > SOON_MILLIS && !isUnsent(error);
			if (retries === MAX_RETRIES || signal?.aborted || isLate || !mayRepeat(error)) throw error;
		}
	}
}
