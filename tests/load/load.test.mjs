// `npm run load` in seconds: that it sheds, and how, and is itself again; not how fast it is, which a busy machine decides.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fromRoot } from "../support/root.mjs";
import { run } from "../support/run.mjs";

/** Within how many seconds all is to be as before. */
const RECOVERY_SECONDS = 5;

/** Five times as much is more than the origin can serve, whatever machine this is; four fifths of it are no load for any. */
const OPTIONS = { steady: 4, overload: 4, after: 8, settle: 0, step: 1, steps: 0, entities: 500, rate: 200 };

const share = ({ served, partial, shed }) => served / (served + partial + shed);

/** What a host may take in all, in bytes: some times what it needs for so few rows. */
const MAX_BYTES = { wasm_bytes: 64 * 1_048_576, resident_bytes: 1_024 * 1_048_576 };

for (const [host, figure] of [
	["worker", "wasm_bytes"],
	["serve", "resident_bytes"],
]) {
	test(`five times what ${host} can serve: it sheds, says when to come back, and is itself again within five seconds`, async (t) => {
		const folder = mkdtempSync(join(tmpdir(), "featheredge-load-"));
		t.after(() => rmSync(folder, { recursive: true, force: true }));
		const saved = join(folder, "run.json");
		const options = Object.entries({ host, ...OPTIONS }).flatMap(([name, value]) => [`--${name}`, String(value)]);
		// It fails where a requirement is not met, which a busy machine decides.
		await run(process.execPath, [fromRoot("benches/overload-run.mjs"), ...options, "--save", saved], { capture: true });
		const { phases, memory, examples } = JSON.parse(readFileSync(saved, "utf8"));
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
		// Where there is no /proc, nothing can be said of a process.
		const seen = memory.map((sample) => sample[figure]).filter((bytes) => bytes !== undefined);
		if (host === "worker" || existsSync("/proc/self/status")) assert.ok(seen.length > 10);
		assert.ok(seen.every((bytes) => bytes > 0 && bytes < MAX_BYTES[figure]));
	});
}
