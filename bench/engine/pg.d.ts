/** As much of node-postgres as the baseline uses; it brings no types of its own. */
declare module "pg" {
  export class Client {
    constructor(options: { readonly connectionString: string; readonly application_name?: string })
    connect(): Promise<void>
    query<Row = unknown>(
      query:
        | string
        | { readonly name?: string; readonly text: string; readonly values?: ReadonlyArray<unknown> }
    ): Promise<{ readonly rows: ReadonlyArray<Row> }>
    end(): Promise<void>
  }
}
