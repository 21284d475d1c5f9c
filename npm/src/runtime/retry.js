// A call that only reads, made again where it was lost with its connection.
//
// It knows nothing of what is asked. Servers close connections that rest, some just as one is used again, and the call on it is lost. Several
// may rest, and the next call may get another of them.

/** How often a call is made again. */
const MAX_RETRIES = 2;

/** Within so many milliseconds a call fails whose connection was no longer one: what fails later tells of the server. */
const SOON_MILLIS = 100;

/**
 * @param {() => Promise<Response>} call
 * @param {AbortSignal} [signal] what the call is given up by
 */
export async function retryLostConnection(call, signal) {
	for (let retries = 0; ; retries++) {
		const began = Date.now();
		try {
			return await call();
		} catch (error) {
			if (retries === MAX_RETRIES || signal?.aborted || Date.now() - began > SOON_MILLIS) throw error;
		}
	}
}
