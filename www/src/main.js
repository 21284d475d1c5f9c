// Starts the page: says whether the Worker is ready, and opens the request editor.

import { showReadiness } from "./readiness.js";
import { openTry } from "./try/index.js";

showReadiness(document.getElementById("readiness"));
openTry();
