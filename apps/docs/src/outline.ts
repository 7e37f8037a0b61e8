/** A group of the sidebar: its title, and its pages in the order in which one reads them. */
export interface Group {
  readonly title: string;
  readonly pages: readonly string[];
}

/** Every page that is written by hand, by group. A test holds it to what is in `pages`. */
export const OUTLINE: readonly Group[] = [
  { title: "Begin", pages: ["start", "why"] },
  {
    title: "Tutorial",
    pages: [
      "tutorial/1-a-resource",
      "tutorial/2-settings",
      "tutorial/3-database",
      "tutorial/4-server",
      "tutorial/5-transaction",
      "tutorial/6-who-asks",
      "tutorial/7-cache",
      "tutorial/8-background",
      "tutorial/9-tests",
      "tutorial/10-outage",
      "tutorial/11-observe",
      "tutorial/12-deploy",
    ],
  },
  {
    title: "How it works",
    pages: [
      "learn/architecture",
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
    title: "Requests, topic by topic",
    pages: [
      "requests/routing",
      "requests/parameters",
      "requests/dependencies",
      "requests/request-and-response",
      "requests/files",
      "requests/exceptions",
      "requests/background-tasks",
      "requests/websockets",
      "requests/security",
      "requests/application",
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
    pages: [
      "compare/index",
      "compare/by-hand",
      "compare/awilix",
      "compare/nest",
      "compare/effect",
      "compare/fastapi",
      "compare/names",
      "compare/names-in-full",
    ],
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
