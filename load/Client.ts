/** The platform as its clients see it: HTTP, and a key. */

export interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: Readonly<Record<string, unknown>>
}

export interface Client {
  readonly get: (route: string, waitSeconds?: number) => Promise<Answer>
  readonly post: (route: string, body: object, key?: string) => Promise<Answer>
}

export const clientOf = (api: string, apiKey: string): Client => {
  const call = async (route: string, init: RequestInit, more: Readonly<Record<string, string>>): Promise<Answer> => {
    const headers = { authorization: `Bearer ${apiKey}`, ...more }
    const response = await fetch(`${api}${route}`, { ...init, headers, signal: AbortSignal.timeout(60_000) })
    const text = await response.text()
    return {
      status: response.status,
      retryAfter: response.headers.get("retry-after"),
      body: text === "" ? {} : JSON.parse(text)
    }
  }
  return {
    get: (route, waitSeconds) => call(route, {}, waitSeconds === undefined ? {} : { prefer: `wait=${waitSeconds}` }),
    post: (route, body, key) =>
      call(route, { method: "POST", body: JSON.stringify(body) }, {
        "content-type": "application/json",
        ...(key === undefined ? {} : { "idempotency-key": key })
      })
  }
}
