// `npm run availability` in seconds: one client's mistakes are nobody else's, on both hosts.

import { test } from "node:test";
import { assertAvailable } from "../availability/assert.mjs";

for (const host of ["worker", "serve"]) {
	test(`one client's mistakes cost another nothing, on ${host}, before an origin that closes connections`, (t) =>
		assertAvailable(t, host, "closing"));
}
