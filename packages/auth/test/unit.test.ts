// In one process: to start one costs more CPU than most of these.
import "./unit/tokens.ts";
import "./unit/refresh.ts";
import "./unit/api-keys.ts";
import "./unit/passwords.ts";
import "./unit/sessions.ts";
import "./unit/ends.ts";
import "./unit/roles.ts";
import "./unit/forgeries.ts";
