// In one process: to start one costs more CPU than most of these.
import "./issuers.ts";
import "./route.ts";
import "./families.ts";
import "./oidc.ts";
import "./redis.ts";
