// The checker's entry before the built Worker: a clock that can be set, and a way to the invalidation log that is uneven, or leads to a new one.
//
//   PUT /__test/clock   milliseconds: how far the isolate's clock is off from then on
//   PUT /__test/invalidationLog  { jitterMs, generation }: up to how long each call waits before it reaches the invalidation log, and after it has its answer, by
//   chance; and which invalidation log it is, of those that there have been

let offset = 0;
const { now } = Date;
Date.now = () => now() + offset;

let invalidationLog = { jitterMs: 0, generation: 0 };

const { default: worker, InvalidationLog, MergedWindows, StorageShard } = await import("./index.js");

export { InvalidationLog, MergedWindows, StorageShard };

const uneven = () => scheduler.wait(Math.random() * invalidationLog.jitterMs);

const watchedInvalidationLog = (namespace) => ({
	getByName(name) {
		const { generation } = invalidationLog;
		const object = namespace.getByName(generation === 0 ? name : `${name}-${generation}`);
		return {
			async append(request) {
				await uneven();
				const answer = await object.append(request);
				await uneven();
				return answer;
			},
		};
	},
});

// One object for all requests, as the runtime's own is.
let watchedEnv;

export const direct = {
	async fetch(request, env, ctx) {
		const { pathname } = new URL(request.url);
		if (pathname === "/__test/clock") offset = Number(await request.text());
		else if (pathname === "/__test/invalidationLog") invalidationLog = await request.json();
		else {
			watchedEnv ??= { ...env, INVALIDATION_LOG: watchedInvalidationLog(env.INVALIDATION_LOG) };
			return worker.fetch(request, watchedEnv, ctx);
		}
		return new Response(null, { status: 204 });
	},
};

export default direct;
