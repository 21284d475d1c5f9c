/** The paths of reports: who may read may read them. */
export const TELEMETRY_PATHS = new Set(["/metrics", "/v1/stats", "/v1/sla", "/v1/alerts"]);
