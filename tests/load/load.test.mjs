// `npm run load` in seconds: that it sheds, and how, and is itself again; not how fast it is, which a busy machine decides.

import assert from "node:assert/strict";
import { test } from "node:test";
import { measureLoad, RECOVERY_SECONDS } from "../../benches/overload.mjs";

/** Five times as much is more than the origin can serve, whatever machine this is; four fifths of it are no load for any. */
const RATE = 200;
const OPTIONS = { steadySeconds: 4, overloadSeconds: 4, afterSeconds: 8, stepSeconds: 1, steps: 0, entities: 500 };

const share = ({ served, partial, shed }) => served / (served + partial + shed);

test("five times what can be served: it sheds, says when to come back, and is itself again within five seconds", async (t) => {
	const { phases, memory, examples } = await measureLoad({ ...OPTIONS, rate: RATE });
	const [steady, overload, after] = phases;
	for (const { name, total } of phases) {
		const { latencies: _, ...counts } = total;
		t.diagnostic(`${name}: ${JSON.stringify(counts)}`);
		// A 503 without a time to come back counts as failed.
		assert.deepEqual([total.failed, total.wrong, total.unsent], [0, 0, 0], examples.join("\n"));
	}
	assert.ok(share(steady.total) > 0.9, "at 80 % nearly all are served");
	assert.ok(overload.total.shed > 0, "past the maximum some are shed");
	assert.ok(share(overload.total) > 0.5, "what memory has is served all the same");
	const late = after.seconds.slice(RECOVERY_SECONDS);
	assert.ok(late.every((second) => share(second) > 0.9));
	assert.ok(memory.length > 10 && memory.every(({ wasm_bytes: bytes }) => bytes > 0 && bytes < 64 * 1_048_576));
});
