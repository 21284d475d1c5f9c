// A test's entry before the built Worker: makes of it one of the next version, for which what it stores itself is of the version that it knows, and
// what others store of one that it does not.

import worker from "./index.js";

export * from "./index.js";

/** Where the version stands in a stored row, which begins with `FE`. */
const AT = 2;

/** The other of the versions 2 and 3, in base64, and of the former one none that is known; what is no row stays as it is. */
function swapped(text) {
	if (text === null || !text.startsWith("RkU")) return text;
	const bytes = Array.from(atob(text), (char) => char.charCodeAt(0));
	bytes[AT] = 5 - bytes[AT];
	return btoa(String.fromCharCode(...bytes));
}

const ofNextVersion = (kv) => ({
	get: async (keys, type) => new Map([...(await kv.get(keys, type))].map(([key, text]) => [key, swapped(text)])),
	put: (key, text, options) => kv.put(key, swapped(text), options),
});

export const direct = {
	fetch: (request, env, ctx) => worker.fetch(request, { ...env, FEATURES: ofNextVersion(env.FEATURES) }, ctx),
};

export default direct;
