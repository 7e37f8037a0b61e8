/** A group of the sidebar: its title, and its pages in the order in which one reads them. */
export interface Group {
  readonly title: string;
  readonly pages: readonly string[];
}

/** Every page that is written by hand, by group. A test holds it to what is in `pages`. */
export const OUTLINE: readonly Group[] = [
  { title: "Begin", pages: ["start", "why"] },
  { title: "Tutorial", pages: ["tutorial/1-a-resource"] },
  {
    title: "How it works",
    pages: [
      "learn/graph",
      "learn/lifecycle",
      "learn/guard",
      "learn/health",
      "learn/readiness",
      "learn/cache",
      "learn/shutdown",
    ],
  },
  {
    title: "Guides",
    pages: [
      "guides/own-resource",
      "guides/optional",
      "guides/servers",
      "guides/testing",
      "guides/kubernetes",
      "guides/replicas",
      "guides/pool-sizes",
      "guides/secrets",
      "guides/operate",
      "guides/runtimes",
      "guides/troubleshooting",
    ],
  },
  {
    title: "Compare",
    pages: ["compare/index", "compare/by-hand", "compare/awilix", "compare/nest", "compare/effect", "compare/fastapi"],
  },
];

/** Titles of the navigation on top, with their page. */
export const NAVIGATION: readonly (readonly [title: string, page: string])[] = [
  ["Start", "start"],
  ["Tutorial", "tutorial/1-a-resource"],
  ["Guides", "guides/own-resource"],
  ["Errors", "reference/errors"],
  ["Compare", "compare/"],
];
