// Who may do what, on workerd.

import { testAccess } from "../gateway/access.mjs";
import { refuseWorker, startWorker } from "../support/worker.mjs";

testAccess({ start: startWorker, refuse: refuseWorker });
