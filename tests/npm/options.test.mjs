// Options that no call has are errors, which name the nearest one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, createEngine } from "../../build/package/dist/node.js";
import { bytes, engineFor } from "./harness.mjs";

const REQUEST = { entity_ids: ["a"], feature_names: ["score"] };

for (const [options, message] of [
	[{ orign: () => ({}) }, /unknown option `orign` of `createEngine`; did you mean `origin`\?/],
	[{ onerror: () => {} }, /did you mean `onError`\?/],
	[{ operator_token: "t" }, /did you mean `operatorToken`\?/],
	[{ ttl: 60 }, /unknown option `ttl` of `createEngine`; the options are `config`, `origin`/],
	[{ store: {} }, /unknown option `store` of `createEngine`; the options are `config`, `origin`/],
	["redis://", /the options of `createEngine` are no object/],
]) {
	test(`createEngine refuses ${JSON.stringify(options)}`, async () => {
		await assert.rejects(createEngine(options), (error) => {
			assert.ok(error instanceof ConfigError);
			assert.match(error.message, message);
			return true;
		});
	});
}

test("a call refuses an option that it does not have", async (t) => {
	const engine = await engineFor(t);
	const isUnknown = (call) => (error) => {
		assert.ok(error instanceof ConfigError);
		assert.match(error.message, new RegExp(`unknown option \`signl\` of \`${call}\`; did you mean \`signal\``));
		return true;
	};
	const options = { signl: AbortSignal.timeout(1) };
	await assert.rejects(engine.serve(REQUEST, options), isUnknown("serve"));
	await assert.rejects(engine.columns(REQUEST, options), isUnknown("columns"));
	await assert.rejects(engine.prefetch(REQUEST, options), isUnknown("prefetch"));
	await assert.rejects(engine.warm(REQUEST, options), isUnknown("warm"));
	await assert.rejects(engine.stream(REQUEST, options).next(), isUnknown("stream"));
	assert.throws(() => engine.serveBytes(bytes(REQUEST), options), isUnknown("serveBytes"));
});
