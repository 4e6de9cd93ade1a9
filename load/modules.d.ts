/** As much of k6 as the script uses; it brings no types of its own. */
declare module "k6" {
  export const check: <A>(value: A, checks: Readonly<Record<string, (value: A) => boolean>>) => boolean
  export const sleep: (seconds: number) => void
}
declare module "k6/http" {
  export interface Response {
    readonly status: number
    readonly body: string | null
    readonly headers: Readonly<Record<string, string>>
    readonly timings: { readonly duration: number }
  }
  interface Params {
    readonly headers: Readonly<Record<string, string>>
    readonly timeout?: string
    readonly tags?: Readonly<Record<string, string>>
    readonly responseCallback?: unknown
  }
  interface Request {
    readonly method: string
    readonly url: string
    readonly body: string
    readonly params: Params
  }
  const http: {
    readonly get: (url: string, params: Params) => Response
    readonly batch: (requests: ReadonlyArray<Request>) => ReadonlyArray<Response>
    readonly expectedStatuses: (...statuses: ReadonlyArray<number>) => unknown
  }
  export default http
}
declare module "k6/execution" {
  const exec: { readonly scenario: { readonly iterationInTest: number } }
  export default exec
}
declare module "k6/metrics" {
  export class Counter {
    constructor(name: string)
    add(value: number): void
  }
  export class Trend {
    constructor(name: string, isTime: boolean)
    add(value: number): void
  }
}
declare const __ENV: Readonly<Record<string, string | undefined>>
