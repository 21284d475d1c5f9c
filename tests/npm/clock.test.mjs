// The engine's default clock.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { steadyClock } from "../../npm/src/clock.js";

describe("the engine's default clock", () => {
	const [wall, steady] = [Date.now, performance.now];

	afterEach(() => {
		Date.now = wall;
		performance.now = steady;
	});

	/** Sets both clocks of the host by hand. */
	function host(time) {
		Date.now = () => time.wall;
		performance.now = () => time.steady;
	}

	it("shows the wall clock's time, and goes on where that is set back", () => {
		const time = { wall: 1_000_000, steady: 50 };
		host(time);
		const now = steadyClock();
		assert.equal(now(), 1_000_000);
		time.steady += 900;
		time.wall += 900 - 30_000;
		assert.equal(now(), 1_000_900);
		time.steady += 5_000;
		time.wall += 5_000;
		assert.equal(now(), 1_005_900);
	});

	it("follows the wall clock where that has gone ahead, within a second", () => {
		const time = { wall: 1_000_000, steady: 50 };
		host(time);
		const now = steadyClock();
		now();
		time.steady += 1_000;
		time.wall += 61_000;
		assert.equal(now(), 1_061_000);
		time.wall -= 60_000;
		time.steady += 2_000;
		assert.equal(now(), 1_063_000);
	});
});
