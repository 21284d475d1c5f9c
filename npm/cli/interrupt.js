// SIGINT and SIGTERM. They end a command at once, whatever it waits for, with the shell's exit code; what ends gracefully takes them.

import { EXIT } from "./failure.js";
import { printError } from "./output.js";

const CODES = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated };

let farewell = () => "interrupted";
/** @type {((signal: string) => void) | undefined} */
let taken;

export function endOnSignals() {
	for (const [signal, code] of Object.entries(CODES)) {
		process.on(signal, () => {
			if (taken !== undefined) {
				const end = taken;
				taken = undefined;
				return end(signal);
			}
			printError(`error: ${farewell()}`);
			process.exit(code);
		});
	}
}

/** Sets what the command says when it is interrupted; what is called must not wait. @param {() => string} say */
export function onInterrupt(say) {
	farewell = say;
}

/** Takes the next signal, for a graceful end, which a second signal cuts short. */
export const nextSignal = () =>
	new Promise((resolve) => {
		taken = resolve;
	});
