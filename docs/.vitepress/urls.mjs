// The only addresses outside of the site that the site itself knows.

/** Where the files of this repository are read; what is no page of the site is linked there. */
export const REPOSITORY = "https://github.com/featheredge/featheredge";

/** The benchmark in the browser, as `npm start` and every Worker serve it. */
export const BENCHMARK = "http://127.0.0.1:8787/";
