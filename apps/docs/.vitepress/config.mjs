import { site } from "../dist/site.js";

export default site();
