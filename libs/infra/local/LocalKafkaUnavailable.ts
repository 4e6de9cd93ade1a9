/**
 * Why there is no Kafka on this machine.
 */
import { Schema } from "effect"

/** A local Kafka cannot be had, or did not come up: written for the person who must now do something. */
export class LocalKafkaUnavailable extends Schema.TaggedError<LocalKafkaUnavailable>()("LocalKafkaUnavailable", {
  /** What is missing, in a sentence. */
  missing: Schema.String,
  /** Where it was looked for. */
  lookedIn: Schema.String,
  /** What to do about it. */
  remedy: Schema.String,
  /** The last lines of what the program or the broker said; empty if it said nothing. */
  detail: Schema.String
}) {
  override get message() {
    return `${this.missing} (looked in: ${this.lookedIn}). ${this.remedy}${
      this.detail === "" ? "" : `\n${this.detail}`
    }`
  }
}
