// All that holds where Featheredge meets its clients, its origin and its stores, by each host that has a gateway: docs/boundary.md.

import { testAccess } from "./access.mjs";
import { testIssuer } from "./issuer.mjs";
import { testNeighbour } from "./neighbour.mjs";
import { testProxy } from "./proxy.mjs";
import { testWrites } from "./writes.mjs";

/** @param {import("./callers.mjs").Hosts & { saysContinue: boolean }} hosts */
export async function testBoundary(hosts) {
	testProxy(hosts);
	await testAccess(hosts);
	await testIssuer(hosts);
	await testNeighbour(hosts);
	await testWrites(hosts);
}
