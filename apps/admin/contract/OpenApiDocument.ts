/**
 * The OpenAPI 3.1 document of the operators' contract, as it is served and as it is committed.
 */
import { OpenApi } from "effect/http-api"
import { AdminApi } from "./AdminApi.ts"

/** One spelling of it, down to the last line feed. */
export const text = `${JSON.stringify(OpenApi.fromApi(AdminApi), null, 2)}\n`
