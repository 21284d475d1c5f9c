// An origin of known latency, as a function: an engine and a load on the origin alone call the very same one.

/** The value of a feature of an entity: the same each time, of a kind that the feature's name says, as the built-in origin has it. */
function featureValue(feature, id) {
	let hash = 2_166_136_261;
	for (const letter of `${feature}\0${id}`) hash = Math.imul(hash ^ letter.codePointAt(0), 16_777_619);
	const number = hash >>> 0;
	if (feature.includes("score")) return number / 2 ** 32;
	if (feature.includes("count")) return number % 1_000;
	return `${feature}_${number.toString(16)}`;
}

/**
 * @param {object} [options]
 * @param {number} [options.delay_ms] how long each call takes
 */
export function syntheticOrigin({ delay_ms: delay = 10 } = {}) {
	return async function syntheticOrigin(entities, features, { signal } = {}) {
		await new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				signal?.removeEventListener("abort", stop);
				resolve();
			}, delay);
			const stop = () => {
				clearTimeout(timer);
				reject(signal.reason);
			};
			signal?.addEventListener("abort", stop, { once: true });
		});
		const [ids] = Object.values(entities);
		return Object.fromEntries(features.map((feature) => [feature, ids.map((id) => featureValue(feature, id))]));
	};
}

/** A store in memory, for one repetition. */
export function memoryStore() {
	const rows = new Map();
	return {
		getMany: async (keys) => keys.map((key) => rows.get(key)),
		async setMany(entries) {
			for (const [key, value] of entries) rows.set(key, value);
		},
	};
}
