// SIGINT and SIGTERM. They end a command at once, whatever it waits for, with the shell's exit code, unless it ends by itself as a server does.

import { EXIT } from "./failure.js";
import { printError } from "./output.js";

const CODES = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated };

const say = () => "interrupted";
/** @type {(signal: string) => string | undefined | void} */
let act = say;

export function endOnSignals() {
	for (const [signal, code] of Object.entries(CODES)) {
		process.on(signal, () => {
			const words = act(signal);
			// A second signal cuts an end short.
			act = say;
			if (words === undefined) return;
			printError(`error: ${words}`);
			process.exit(code);
		});
	}
}

/**
 * Sets what the next signal does. Where `given` returns words, the command says them and ends at once; otherwise it ends by itself.
 *
 * @param {typeof act} given
 */
export function onSignal(given) {
	act = given;
}
