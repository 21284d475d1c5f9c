// Waits exactly enough to begin requests at a rate.

/** Browsers make timers within timers at least 4 ms long (HTML, 8.6), and none is exact to less than one. */
const TIMER_MS = 5;

const { port1, port2 } = new MessageChannel();
/** @type {(() => void)[]} */
const waiting = [];
port1.onmessage = () => {
	waiting.shift()?.();
	if (waiting.length === 0) port1.unref?.();
};
// Node would not end while the port is open.
port1.unref?.();

/** Lets everything else have its turn, which takes some microseconds. */
function turn() {
	return new Promise((resolve) => {
		waiting.push(resolve);
		port1.ref?.();
		port2.postMessage(undefined);
	});
}

/** Resolves after so many milliseconds, late by less than a tenth of one where the thread is free. */
export async function pause(millis) {
	const until = performance.now() + millis;
	if (millis > TIMER_MS) await new Promise((resolve) => setTimeout(resolve, millis - TIMER_MS));
	do await turn();
	while (performance.now() < until);
}
