/**
 * Why there is no PostgreSQL on this machine.
 */
import { Schema } from "effect"

/** The local PostgreSQL did not come up, or refused what was asked: written for the person who must now do something. */
export class LocalPostgresFailed extends Schema.TaggedError<LocalPostgresFailed>()("LocalPostgresFailed", {
  /** What went wrong, in a sentence. */
  what: Schema.String,
  /** The folder, file or address it is about. */
  where: Schema.String,
  /** What to do about it. */
  remedy: Schema.String,
  /** The last lines of the server's log or the program's output; empty if it said nothing. */
  detail: Schema.String
}) {
  override get message() {
    return `${this.what} (${this.where}). ${this.remedy}${this.detail === "" ? "" : `\n${this.detail}`}`
  }
}
