// docs/guide/feast.md, followed before a real Feast: its configuration, and its requests in their order.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { parse } from "smol-toml";
import { fromRoot } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";
import { edgeOnly, startWorld } from "./world.mjs";

const guide = readFileSync(fromRoot("docs/guide/feast.md"), "utf8");
const blocks = (language) =>
	[...guide.matchAll(/^```(\w+)\n([\s\S]*?)\n```$/gm)]
		.filter(([, name]) => name === language)
		.map(([, , text]) => text);
const requests = blocks("sh").filter((command) => command.includes("curl "));
const [registry, configuration] = blocks("toml").map((text) => parse(text));

/** @type {import("./world.mjs").World} */
let world;
before(async () => {
	world = await startWorld({ registry: true });
});
after(() => world?.stop());

/** Sends the guide's requests in their order, the first twice, to a Worker with `vars`; the push writes `written`. */
async function follow(vars, written) {
	const edge = await world.startEdge(vars);
	const send = (command) => {
		const here = command.replaceAll("http://127.0.0.1:8787", edge.url).replace("[0.5]", `[${written}]`);
		return mustRun("sh", ["-c", here.replaceAll("curl ", "curl -s ")], { capture: true });
	};
	try {
		// What the push changes is in memory before it.
		assert.doesNotMatch(await send(requests.at(-1)), value(written));
		const replies = [await send(requests[0])];
		for (const command of requests) replies.push(await send(command));
		return replies;
	} finally {
		await edge.stop();
	}
}

const value = (number) => new RegExp(`"values":\\[${number}\\]`);

async function assertAsTheGuideSays(vars, written) {
	const replies = await follow(vars, written);
	for (const reply of replies) assert.match(reply, /^HTTP\/1\.1 200/, reply);
	const [cold, warm, partial, , read] = replies;
	assert.match(cold, /^cache-status: .*fwd-status=200/im);
	assert.match(warm, /^cache-status: featheredge-l1; hit/im);
	assert.match(partial, /^cache-status: .*featheredge-l1; fwd=partial/im);
	assert.match(read, value(written));
}

test("the guide's requests find what it says, with its configuration", edgeOnly, async () => {
	const { origin, ...vars } = configuration;
	assert.equal(origin.url, "http://127.0.0.1:6566", "where `feast serve` listens");
	await assertAsTheGuideSays(vars, 0.5);
});

test("the guide's requests find what it says, with Feast's registry", edgeOnly, async () => {
	assert.equal(registry.registry.url, "http://127.0.0.1:6572", "where `feast serve_registry` listens");
	await assertAsTheGuideSays({ registry: { ...registry.registry, url: world.feast.registryUrl } }, 0.25);
});
