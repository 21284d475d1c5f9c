// The runs that this browser keeps.

import { indexedDbHistory } from "../../../build/package/dist/benchmark.js";

export const history = indexedDbHistory();
export const runs = history.history;
export const keep = history.save;
export const forget = history.remove;
