// The boundary as the Worker keeps it, on workerd.

import { refuseWorker, startWorker } from "../support/worker.mjs";
import { testBoundary } from "./boundary.mjs";

await testBoundary({
	start: startWorker,
	refuse: refuseWorker,
	saysContinue: false,
	readsAnswersApart: false,
	knowsUnsent: false,
});
