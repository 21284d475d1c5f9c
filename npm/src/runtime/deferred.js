// Promises that other code settles.

/**
 * workerd resumes a continuation in the I/O context that created its promise. Optimised `new Promise` calls lose that context, so the
 * continuation ran in another request's and failed. `Promise.withResolvers` keeps it. Node 20 lacks the function, and has no contexts.
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
