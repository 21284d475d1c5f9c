// A promise that somebody else settles.

/**
 * Whoever waits goes on in the context of the request that made it, as workerd needs it. Optimised `new Promise` calls lose that context, so
 * that the code behind them ran in another request's and could not answer there; `Promise.withResolvers` keeps it. Node 20 lacks that, and has
 * no contexts.
 *
 * @template T
 * @returns {{ promise: Promise<T>, resolve: (value: T | PromiseLike<T>) => void, reject: (reason: unknown) => void }}
 */
export function deferred() {
	if (Promise.withResolvers !== undefined) return Promise.withResolvers();
	let settle;
	const promise = new Promise((resolve, reject) => {
		settle = { resolve, reject };
	});
	return { promise, ...settle };
}
