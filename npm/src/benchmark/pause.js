// Delays exact enough to begin requests at a rate.

/** Browsers make timers within timers at least 4 ms long (HTML, 8.6), and none is exact to less than one. */
const TIMER_MS = 5;

const { port1, port2 } = new MessageChannel();
/** @type {(() => void)[]} */
const waiting = [];
port1.onmessage = () => {
	waiting.shift()?.();
	if (waiting.length === 0) port1.unref?.();
};
// A referenced port would keep a Node process alive.
port1.unref?.();

/** Yields to the event loop, which takes some microseconds. */
function yieldToEventLoop() {
	return new Promise((resolve) => {
		waiting.push(resolve);
		port1.ref?.();
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
