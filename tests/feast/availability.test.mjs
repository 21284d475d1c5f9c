// `npm run availability` in seconds, before the real Feast, which closes each connection behind an error.

import { test } from "node:test";
import { assertAvailable } from "../availability/assert.mjs";
import { edgeOnly } from "./world.mjs";

for (const host of ["worker", "serve"]) {
	test(`one client's mistakes cost another nothing, on ${host}, before Feast`, edgeOnly, (t) =>
		assertAvailable(t, host, "feast"),
	);
}
