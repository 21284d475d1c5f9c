// The commands of the HTTP API's reference are answered as they stand.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { startProgram } from "../support/program.mjs";
import { fromRoot } from "../support/root.mjs";
import { startServe } from "../support/serve.mjs";
import { OPERATOR_SECRET } from "../support/settings.mjs";

const OPERATOR = "operator";
const document = readFileSync(fromRoot("docs/reference/http-api.md"), "utf8");
const commands = [...document.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) => block.split(/\n(?=curl )/));

let server;
before(async () => {
	const views = { driver_hourly_stats: { join_keys: ["driver_id"], sources: [] } };
	server = await startServe({ vars: { views }, operatorToken: OPERATOR });
});
after(() => server?.stop());

assert.ok(commands.length > 10, "the reference has commands");
for (const [index, command] of commands.entries()) {
	test(`command ${index + 1} of the reference is answered with 200: ${command.match(/:8787(\S+)/)[1]}`, async () => {
		const here = command.replace("http://127.0.0.1:8787", server.url).replace("curl ", "curl -s ");
		const curl = startProgram("sh", ["-c", here], { env: { [OPERATOR_SECRET]: OPERATOR } });
		assert.equal(await curl.ends(), 0);
		assert.match(curl.output(), /^HTTP\/1\.1 200 /, command);
	});
}
