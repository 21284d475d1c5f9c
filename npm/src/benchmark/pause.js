// Delays exact enough to begin requests at a rate.

/** Browsers make timers within timers at least 4 ms long (HTML, 8.6), and none is exact to less than one. */
const TIMER_MS = 5;

/**
 * Yields to the event loop, which takes some microseconds. Node delivers up to a thousand messages of a channel before it looks at its timers,
 * so that timers would be late by as many yields: it has `setImmediate`. Browsers have the channel.
 */
const yieldToEventLoop = globalThis.setImmediate === undefined ? byChannel() : () => new Promise(setImmediate);

function byChannel() {
	const { port1, port2 } = new MessageChannel();
	/** @type {(() => void)[]} */
	const waiting = [];
	port1.onmessage = () => waiting.shift()?.();
	return () =>
		new Promise((resolve) => {
			waiting.push(resolve);
			port2.postMessage(undefined);
		});
}

/** Resolves after a time in milliseconds, with an error below 0.1 ms on an idle thread. */
export async function pause(millis) {
	const until = performance.now() + millis;
	if (millis > TIMER_MS) await new Promise((resolve) => setTimeout(resolve, millis - TIMER_MS));
	do await yieldToEventLoop();
	while (performance.now() < until);
}
