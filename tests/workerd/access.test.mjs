// Who may do what, on workerd.

import { testAccess } from "../gateway/access.mjs";
import { testIssuer } from "../gateway/issuer.mjs";
import { refuseWorker, startWorker } from "../support/worker.mjs";

const hosts = { start: startWorker, refuse: refuseWorker };
await testAccess(hosts);
await testIssuer(hosts);
