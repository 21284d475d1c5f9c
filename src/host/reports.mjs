/** The paths that whoever watches answers: who may read may read them. */
export const REPORTS = new Set(["/metrics", "/v1/stats", "/v1/sla", "/v1/alerts"]);
