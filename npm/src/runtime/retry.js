// A call that only reads, made once more where it was lost with its connection.
//
// It knows nothing of what is asked. Servers close connections that rest, some just as one is used again, and the call on it is lost.

/** Within so many milliseconds a call fails whose connection was no longer one: what fails later tells of the server. */
const SOON_MILLIS = 100;

/**
 * @param {() => Promise<Response>} call
 * @param {AbortSignal} [signal] what the call is given up by
 */
export async function retryLostConnection(call, signal) {
	const began = Date.now();
	try {
		return await call();
	} catch (error) {
		if (signal?.aborted || Date.now() - began > SOON_MILLIS) throw error;
		return call();
	}
}
